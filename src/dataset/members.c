/* Files of named arrays. */
#include "dataset/members.h"

#include "dataset/fields.h"
#include "dataset/parallel.h"

struct build {
    const struct members_ops *ops;
    struct source *source;
    const struct source_listing *listing;
    const void *params;
    bool named; /* the user says which members */
    char names[OPIML_MAX_FIELDS][OPIML_NAME_BYTES];
    uint32_t fields;
    struct arrays_part *parts;
    struct arrays_bad bad;
};

static int fail_none(const struct build *build, void *file, struct opiml_error *err) {
    AUTO_TEXT struct text there = {0};
    if (build->ops->none)
        build->ops->none(file, &there);
    if (there.count)
        return opiml_fail(err, OPIML_EINVAL, "%s", there.at);
    return opiml_fail(err, OPIML_EINVAL, "it holds no %ss", build->ops->one);
}

static int name_fields(struct build *build, void *file, struct opiml_error *err) {
    const char *name;
    size_t bytes;
    for (size_t i = 0; build->ops->name(file, i, &name, &bytes); i++) {
        if (bytes == 0)
            continue;
        if (build->fields == OPIML_MAX_FIELDS)
            return opiml_fail(err, OPIML_ELIMIT,
                              "more than %d %ss; say with `fields` which to take", OPIML_MAX_FIELDS,
                              build->ops->one);
        if (bytes >= OPIML_NAME_BYTES)
            return opiml_fail(err, OPIML_ELIMIT, "%.60s...: a name of more than %d bytes", name,
                              OPIML_NAME_BYTES - 1);
        snprintf(build->names[build->fields++], OPIML_NAME_BYTES, "%.*s", (int)bytes, name);
    }
    qsort(build->names, build->fields, sizeof(build->names[0]), fields_by_name);
    return build->fields ? 0 : fail_none(build, file, err);
}

static int look_at(struct build *build, size_t i, void *file, struct opiml_error *err) {
    for (uint32_t f = 0; f < build->fields; f++) {
        struct arrays_part *part = &build->parts[i * build->fields + f];
        struct opiml_error why;
        *part = (struct arrays_part){.piece.object = (uint32_t)i};
        int rc = build->ops->look(file, build->names[f], part, &why);
        if (rc == OPIML_ENOENT)
            return opiml_fail(err, OPIML_EINVAL, "no %s \"%s\", which %s", build->ops->one,
                              build->names[f],
                              build->named ? "`fields` names" : "the first file has");
        if (rc == OPIML_ECORRUPT) {
            arrays_note_bad(&build->bad, i * build->fields + f, build->listing->objects[i].key,
                            &why);
            arrays_damaged(part, build->listing, (uint32_t)i);
        } else if (rc < 0)
            return opiml_fail(err, rc, "%s: %s", build->names[f], why.message);
    }
    return 0;
}

/* Open file i, and name the fields by it or look at them. */
static int open_file(struct build *build, size_t i, bool naming, struct opiml_error *err) {
    const struct source_object *object = &build->listing->objects[i];
    struct opiml_error why;
    void *file = NULL;
    int rc = build->ops->open(build->source, object, build->params, &file, &why);
    if (rc == 0)
        rc = naming ? name_fields(build, file, &why) : look_at(build, i, file, &why);
    if (file)
        build->ops->close(file);
    return rc < 0 ? opiml_fail(err, rc, "%s%s: %s", build->source->prefix, object->key, why.message)
                  : 0;
}

static int scan_file(void *context, size_t i, struct opiml_error *err) {
    struct build *build = context;
    int rc = open_file(build, i, false, err);
    for (uint32_t f = 0; rc == OPIML_ECORRUPT && f < build->fields; f++)
        arrays_damaged(&build->parts[i * build->fields + f], build->listing, (uint32_t)i);
    return rc == OPIML_ECORRUPT ? 0 : rc;
}

static int build_fields(struct build *build, const struct opiml_text_list *fields,
                        struct opiml_error *err) {
    int rc = OPIML_ECORRUPT;
    build->named = fields->count > 0;
    build->fields = fields->count;
    for (uint32_t f = 0; f < fields->count; f++)
        text_copy(build->names[f], OPIML_NAME_BYTES, fields->at[f]);
    for (size_t i = 0; !build->named && rc == OPIML_ECORRUPT && i < build->listing->count; i++)
        rc = open_file(build, i, true, err);
    return build->named ? 0 : rc;
}

int members_build(const struct members_ops *ops, struct source *source,
                  const struct source_listing *listing, const void *params,
                  const struct opiml_text_list *fields, bool rows, struct index_draft *draft,
                  struct opiml_error *err) {
    AUTO_FREE struct build *build = base_alloc(sizeof(*build));
    if (!build)
        return base_fail_memory(err, sizeof(*build), "an index");
    build->bad.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    build->ops = ops;
    build->source = source;
    build->listing = listing;
    build->params = params;
    int rc = build_fields(build, fields, err);
    if (rc < 0)
        return rc;
    AUTO_FREE struct arrays_part *parts =
        base_alloc_array(listing->count * build->fields, sizeof(*parts));
    if (!parts)
        return base_fail_memory(err, listing->count * build->fields * sizeof(*parts), "an index");
    build->parts = parts;
    const struct arrays arrays = {.source = source,
                                  .listing = listing,
                                  .count = listing->count,
                                  .fields = build->fields,
                                  .names = build->names,
                                  .parts = parts,
                                  .bad = &build->bad.why,
                                  .bare = ops->bare};
    rc = parallel_do(listing->count, 0, scan_file, build, err);
    if (rc == 0)
        rc = arrays_draft(&arrays, rows, draft, err);
    for (size_t i = 0; i < listing->count * build->fields; i++)
        base_free(parts[i].rows);
    return rc;
}
