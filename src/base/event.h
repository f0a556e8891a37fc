/* The event sink: long work reports here, and the program decides who listens (terminal, hub). */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/base.h"

enum event_kind { EVENT_PARAM, EVENT_METRIC, EVENT_PROGRESS, EVENT_ARTIFACT, EVENT_NOTE };

struct event {
    enum event_kind kind;
    const char *name; /* "loss", "accuracy", "phase" */
    const char *text; /* params, notes, artifact paths; may be NULL */
    double value;     /* metrics and progress */
    double total;     /* progress: what value runs up to */
    uint64_t step, epoch;
};

struct event_sink {
    void (*emit)(void *context, const struct event *event);
    void *context;
};

/* Does nothing for a NULL sink. */
static inline void event_emit(const struct event_sink *sink, const struct event *event) {
    if (sink && sink->emit)
        sink->emit(sink->context, event);
}

#endif
