/* The terminal: colour, width, progress lines; and signals that stop long work. */
#ifndef APP_SCREEN_H
#define APP_SCREEN_H

#include "base/base.h"
#include "base/text.h"

/* A stream that may be written to with colours: a terminal, not a dumb one, NO_COLOR not set. */
bool screen_colour(FILE *stream);
int screen_columns(FILE *stream); /* 80 when it is no terminal */

/* A line on standard error that is written over and over; silent unless that is a terminal. One
 * thread. */
struct progress {
    bool on, drawn;
    uint64_t start_ns, last_ns;
};
void progress_begin(struct progress *progress);
/* True at most ten times a second, and never when silent: time to draw. */
bool progress_due(struct progress *progress);
void progress_draw(struct progress *progress, const char *format, ...) OPIML_PRINTF(2, 3);
void progress_end(struct progress *progress); /* wipes the line */
/* "3:07" or "1:02:03" into the caller's buffer, which is returned. */
char *screen_duration(char *to, size_t room, double seconds);
/* A bar of `cells` characters; 0 to 1. */
void screen_bar(FILE *to, double share, int cells);

#define SCREEN_NAME_BYTES 1024
/* A name from outside, which may hold any bytes, as it may be shown; in `to`, which is returned. */
static inline const char *screen_name(char to[static SCREEN_NAME_BYTES], const char *name) {
    text_show(to, SCREEN_NAME_BYTES, 0, name, strlen(name));
    return to;
}

/* SIGINT and SIGTERM: the first sets a flag and calls `stop` (async-signal-safe) with its context,
 * a second one ends the program at once. From the main thread, which then handles them on a stack
 * of their own. */
void signals_catch(void (*stop)(void *context), void *context);
void signals_release(void); /* the default again */
bool signals_seen(void);
/* OPIML_ECANCELED with the signal's name. */
int signals_fail(struct opiml_error *err);

#endif
