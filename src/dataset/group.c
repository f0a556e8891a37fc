/* Grouping files into records. */
#include "dataset/group.h"

struct pattern {
    const char *before, *behind; /* the '*'; behind NULL: there is none */
    size_t before_bytes, behind_bytes;
};

/* One file that a part's pattern takes. */
struct match {
    const char *key;
    uint32_t key_bytes, object;
};

static int read_part(struct group *group, const char *text, struct pattern *pattern,
                     struct opiml_error *err) {
    const char *colon = strchr(text, ':'), *star = colon ? strchr(colon, '*') : NULL;
    char *name = group->names[group->parts];
    if (!colon || colon == text || !colon[1])
        return opiml_fail(err, OPIML_EINVAL,
                          "parts: \"%s\" is not name:pattern, such as image:images/*.nii.gz", text);
    if (star && strchr(star + 1, '*'))
        return opiml_fail(err, OPIML_EINVAL, "parts: \"%s\" has more than one '*'", text);
    snprintf(name, OPIML_NAME_BYTES, "%.*s", (int)(colon - text), text);
    *pattern = (struct pattern){.before = colon + 1};
    pattern->before_bytes = star ? (size_t)(star - colon - 1) : strlen(colon + 1);
    pattern->behind = star ? star + 1 : NULL;
    pattern->behind_bytes = star ? strlen(star + 1) : 0;
    group->parts++;
    return 0;
}

static bool matches(const struct pattern *pattern, const char *key, struct match *ret_match) {
    size_t bytes = strlen(key), fixed = pattern->before_bytes + pattern->behind_bytes;
    if (bytes < fixed + (pattern->behind != NULL) ||
        memcmp(key, pattern->before, pattern->before_bytes) != 0)
        return false;
    if (pattern->behind ? memcmp(key + bytes - pattern->behind_bytes, pattern->behind,
                                 pattern->behind_bytes) != 0
                        : bytes != fixed)
        return false;
    ret_match->key = key + pattern->before_bytes;
    ret_match->key_bytes = (uint32_t)(bytes - fixed);
    return true;
}

static int compare_keys(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes) {
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int by_key(const void *a, const void *b) {
    const struct match *x = a, *y = b;
    return compare_keys(x->key, x->key_bytes, y->key, y->key_bytes);
}

/* The files of a part, in order of their keys. */
static size_t find_matches(const struct pattern *pattern, const struct source_listing *listing,
                           struct match *to) {
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (matches(pattern, listing->objects[i].key, &to[count]))
            to[count++].object = (uint32_t)i;
    qsort(to, count, sizeof(*to), by_key);
    return count;
}

static int fail_lacks(const struct group *group, const struct source *source, uint32_t part,
                      const char *key, uint32_t key_bytes, struct opiml_error *err) {
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: \"%.*s\" has no file for the part \"%s\": each record needs all parts",
                      source->uri, (int)key_bytes, key, group->names[part]);
}

/* A part's files beside the first part's: the keys must be the same. */
static int join_part(struct group *group, const struct source *source, uint32_t part,
                     const struct match *matches, size_t count, struct opiml_error *err) {
    for (size_t i = 0; i < group->count || i < count; i++) {
        int order = i == group->count ? 1
                    : i == count      ? -1
                                 : compare_keys(group->keys[i], group->key_bytes[i], matches[i].key,
                                                matches[i].key_bytes);
        if (order < 0)
            return fail_lacks(group, source, part, group->keys[i], group->key_bytes[i], err);
        if (order > 0)
            return fail_lacks(group, source, 0, matches[i].key, matches[i].key_bytes, err);
        group->objects[i * group->parts + part] = matches[i].object;
    }
    return 0;
}

static int allocate(struct group *group, size_t count, struct opiml_error *err) {
    group->keys = base_alloc_array(count, sizeof(*group->keys));
    group->key_bytes = base_alloc_array(count, sizeof(*group->key_bytes));
    group->objects = base_alloc_array(count * group->parts, sizeof(*group->objects));
    return group->keys && group->key_bytes && group->objects
               ? 0
               : base_fail_memory(err, count * group->parts * sizeof(*group->objects), "an index");
}

/* Without a list. */
static int each_alone(struct group *group, const struct source_listing *listing, const char *name,
                      struct opiml_error *err) {
    group->parts = 1;
    snprintf(group->names[0], OPIML_NAME_BYTES, "%s", name);
    int rc = allocate(group, listing->count, err);
    for (size_t i = 0; rc == 0 && i < listing->count; i++) {
        group->keys[i] = listing->objects[i].key;
        group->key_bytes[i] = (uint32_t)strlen(group->keys[i]);
        group->objects[i] = (uint32_t)i;
    }
    group->count = rc == 0 ? listing->count : 0;
    return rc;
}

static int join_parts(struct group *group, const struct source *source,
                      const struct source_listing *listing, const struct pattern *patterns,
                      struct opiml_error *err) {
    AUTO_FREE struct match *matches = base_alloc_array(listing->count, sizeof(*matches));
    if (!matches)
        return base_fail_memory(err, listing->count * sizeof(*matches), "an index");
    for (uint32_t p = 0; p < group->parts; p++) {
        size_t count = find_matches(&patterns[p], listing, matches);
        int rc = p == 0 ? allocate(group, count, err) : 0;
        if (rc < 0)
            return rc;
        for (size_t i = 0; p == 0 && i < count; i++) {
            group->keys[i] = matches[i].key;
            group->key_bytes[i] = matches[i].key_bytes;
        }
        group->count = p == 0 ? count : group->count;
        if ((rc = join_part(group, source, p, matches, count, err)) < 0)
            return rc;
    }
    return 0;
}

int group_make(struct group *group, const struct source *source,
               const struct source_listing *listing, const struct opiml_text_list *list,
               const char *name, struct opiml_error *err) {
    struct pattern patterns[OPIML_LIST_MAX];
    *group = (struct group){0};
    if (list->count == 0)
        return each_alone(group, listing, name, err);
    for (uint32_t p = 0; p < list->count; p++) {
        int rc = read_part(group, list->at[p], &patterns[p], err);
        if (rc < 0)
            return rc;
        if (!patterns[p].behind != !patterns[0].behind)
            return opiml_fail(err, OPIML_EINVAL,
                              "parts: \"%s\": either each pattern has a '*', or none", list->at[p]);
    }
    return join_parts(group, source, listing, patterns, err);
}

void group_release(struct group *group) {
    base_free(group->keys);
    base_free(group->key_bytes);
    base_free(group->objects);
    *group = (struct group){0};
}
