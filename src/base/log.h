/* Logging. Libraries return errors and log only at debug; programs log once, where they decide. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* "info", "debug" for all, or "pipeline=debug,dataset=info" per component; what is not named stays
 * at warn. A text that is refused changes nothing. */
int log_configure(const char *levels, struct opiml_error *err);
void log_json(bool on); /* one JSON object a line instead of text */
bool log_enabled(const char *component, enum log_level level);
/* One line on standard error, cut at 1023 characters. Thread-safe. */
void log_write(const char *component, enum log_level level, const char *format, ...)
    OPIML_PRINTF(3, 4);

/* For what others can cause as often as they like: at most LOG_SELDOM lines in ten seconds are
 * written, and the next one says how many were left out. Zeroed at first; for one thread. */
#define LOG_SELDOM 10
struct log_limit {
    uint64_t since_ns, told, left_out;
};
void log_write_seldom(struct log_limit *limit, const char *component, enum log_level level,
                      const char *message);

#endif
