/* Logging. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#define COMPONENTS_MAX 16

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};

struct levels {
    enum log_level all;
    uint32_t count;
    struct {
        char name[32];
        enum log_level level;
    } component[COMPONENTS_MAX];
};

/* The one piece of process-wide state in base: what the user asked to see. `most` is the most
 * talkative level of any component, so that what nobody listens to costs one load. */
static struct {
    pthread_mutex_t lock;
    struct levels levels;
    _Atomic int most;
    _Atomic bool json;
} settings = {.lock = PTHREAD_MUTEX_INITIALIZER, .levels = {.all = LOG_WARN}, .most = LOG_WARN};

static int parse_level(const char *text, enum log_level *ret_level, struct opiml_error *err) {
    const char *near;

    for (int i = 0; level_names[i]; i++)
        if (strcmp(level_names[i], text) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    near = text_nearest(text, level_names);
    return opiml_fail(err, OPIML_EINVAL, "no log level \"%s\"%s%s%s (error, warn, info, debug)",
                      text, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int set_one(struct levels *levels, char *item, struct opiml_error *err) {
    char *equals = strchr(item, '=');
    enum log_level level = LOG_WARN;
    int rc = parse_level(equals ? equals + 1 : item, &level, err);

    if (rc < 0)
        return rc;
    if (!equals) {
        levels->all = level;
        return 0;
    }
    *equals = 0;
    if (levels->count == COMPONENTS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d components to log", COMPONENTS_MAX);
    if (item[0] == 0 ||
        !text_copy(levels->component[levels->count].name, sizeof(levels->component[0].name), item))
        return opiml_fail(err, OPIML_EINVAL, "\"%s\" is no component to log", item);
    levels->component[levels->count++].level = level;
    return 0;
}

int log_configure(const char *levels, struct opiml_error *err) {
    AUTO_FREE char *copy = base_strdup(levels);
    struct levels wanted = {.all = LOG_WARN};
    int rc, most;

    if (!copy)
        return base_fail_memory(err, strlen(levels), "log levels");
    for (char *item = copy, *next; item; item = next) {
        next = strchr(item, ',');
        if (next)
            *next++ = 0;
        if ((rc = set_one(&wanted, item, err)) < 0)
            return rc;
    }
    most = wanted.all;
    for (uint32_t i = 0; i < wanted.count; i++)
        most = (int)wanted.component[i].level > most ? (int)wanted.component[i].level : most;
    pthread_mutex_lock(&settings.lock);
    settings.levels = wanted;
    atomic_store(&settings.most, most);
    pthread_mutex_unlock(&settings.lock);
    return 0;
}

void log_json(bool on) {
    atomic_store(&settings.json, on);
}

bool log_enabled(const char *component, enum log_level level) {
    enum log_level most;

    if ((int)level > atomic_load_explicit(&settings.most, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&settings.lock);
    most = settings.levels.all;
    for (uint32_t i = 0; i < settings.levels.count; i++)
        if (strcmp(settings.levels.component[i].name, component) == 0)
            most = settings.levels.component[i].level;
    pthread_mutex_unlock(&settings.lock);
    return level <= most;
}

void log_write(const char *component, enum log_level level, const char *format, ...) {
    char line[1024];
    va_list arguments;

    if (!log_enabled(component, level))
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    text_one_line(line);
    if (atomic_load(&settings.json)) {
        AUTO_JS struct js *object = js_object();
        AUTO_FREE char *text = NULL;

        js_set(object, "time_ns", js_u64(clock_wall_ns()));
        js_set(object, "level", js_text(level_names[level]));
        js_set(object, "component", js_text(component));
        js_set(object, "message", js_text(line));
        text = js_dump(object, 0);
        if (text)
            fprintf(stderr, "%s\n", text);
    } else {
        fprintf(stderr, "%s: %s: %s\n", level_names[level], component, line);
    }
}

void log_write_seldom(struct log_limit *limit, const char *component, enum log_level level,
                      const char *message) {
    uint64_t now = clock_now_ns();

    if (!log_enabled(component, level))
        return;
    if (limit->told == 0 || now - limit->since_ns >= UINT64_C(10000000000)) {
        limit->since_ns = now;
        limit->told = 0;
    }
    if (limit->told == LOG_SELDOM) {
        limit->left_out++;
        return;
    }
    limit->told++;
    if (limit->left_out)
        log_write(component, level, "%s (%" PRIu64 " like it were left out)", message,
                  limit->left_out);
    else
        log_write(component, level, "%s", message);
    limit->left_out = 0;
}
