/* What was measured on this machine. The file is {"NAME": {"at": seconds, "value": ...}, ...}. */
#include "pipeline/measured.h"

#include "base/clock.h"
#include "base/cores.h"
#include "base/file.h"
#include "base/hash.h"

#define FILE_NAME "measured.json"
#define SECOND_NS 1e9

static char *file_path(void) {
    AUTO_FREE char *folder = NULL;

    return file_cache_folder(&folder, NULL) < 0 ? NULL : base_printf("%s/" FILE_NAME, folder);
}

static struct js *load(const char *path) {
    AUTO_FREE char *text = NULL;
    struct js *all = NULL;
    size_t bytes;

    if (!path || file_read(path, MEASURED_BYTES_MAX, &text, &bytes, NULL) < 0 ||
        js_parse(text, bytes, &all, NULL) < 0)
        return NULL;
    return all;
}

static double now_s(void) {
    return (double)clock_wall_ns() / SECOND_NS;
}

/* A value's entry as a text of its own, since values do not leave what they are in. */
static struct js *copy(const struct js *value) {
    AUTO_FREE char *text = value ? js_dump(value, 0) : NULL;
    struct js *made = NULL;

    return text && js_parse(text, strlen(text), &made, NULL) == 0 ? made : NULL;
}

struct js *measured_find(const char *name, double most_age_s, double *ret_age_s) {
    AUTO_FREE char *path = file_path();
    AUTO_JS struct js *all = load(path);
    const struct js *entry = js_get(all, name);
    double age = now_s() - js_as_num(js_get(entry, "at"), 0);

    /* What is from tomorrow was written by another clock: nobody knows how old it is. */
    if (!entry || !(age >= 0) || age > most_age_s)
        return NULL;
    *ret_age_s = age;
    return copy(js_get(entry, "value"));
}

static const char *find_oldest(const struct js *all) {
    const char *oldest = NULL;
    double least = 0;

    for (const char *name = js_next_key(all, NULL); name; name = js_next_key(all, name)) {
        double at = js_as_num(js_get(js_get(all, name), "at"), 0);

        if (!oldest || at < least) {
            oldest = name;
            least = at;
        }
    }
    return oldest;
}

/* All but one entry, as a new object. */
static struct js *without(const struct js *all, const char *one) {
    struct js *left = js_object();

    for (const char *name = js_next_key(all, NULL); name; name = js_next_key(all, name))
        if (strcmp(name, one) != 0)
            js_set(left, name, copy(js_get(all, name)));
    return left;
}

static void drop_oldest(struct js **all) {
    const char *oldest = find_oldest(*all);
    struct js *left = without(*all, oldest);

    js_free(*all);
    *all = left;
}

void measured_put(const char *name, struct js *value) {
    AUTO_FREE char *path = file_path(), *text = NULL;
    AUTO_JS struct js *all = load(path);
    struct js *entry = js_object();

    assert(strlen(name) < MEASURED_NAME_BYTES);
    if (!js_next_key(all, NULL)) { /* none, or no object */
        js_free(all);
        all = js_object();
    }
    js_set(entry, "at", js_num(now_s()));
    js_set(entry, "value", value);
    js_set(all, name, entry);
    while (js_count(all) > MEASURED_VALUES_MAX)
        drop_oldest(&all);
    text = js_dump(all, 1);
    while (text && strlen(text) > MEASURED_BYTES_MAX && js_count(all) > 1) {
        drop_oldest(&all);
        base_free(text);
        text = js_dump(all, 1);
    }
    if (path && text)
        file_write_atomic(path, text, strlen(text), NULL);
}

uint64_t measured_machine(void) {
    char model[CORES_MODEL_BYTES];

    cores_model("", model);
    return hash_64(model, strlen(model), hash_64(OPIML_VERSION, strlen(OPIML_VERSION), 0));
}
