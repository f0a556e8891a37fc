#include "base/clock.h"
#include "base/hash.h"
#include "dataset/dataset_inside.h"
#include "dataset/index_store.h"
#include "dataset/left_out.h"
#include "dataset/pattern.h"

/* What makes one index differ from another of the same root. */
static int index_id(const struct source *source, const struct format *format, const void *params,
                    const struct dataset_head *head, uint64_t *ret_id, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    text_printf(&text, "%d %s", INDEX_VERSION, format->name);
    dataset_params_text(format, params, &text);
    if (head && format->prepare)
        text_printf(&text, "\n%s", head->text);
    if (source->pattern)
        text_printf(&text, "\n/%s", source->uri + strlen(source->prefix));
    if (text.failed)
        return base_fail_memory(err, text.count, "an index");
    *ret_id = hash_64(text.at, text.count, 0);
    return 0;
}

/* ---- finding the format by looking ---- */

static const struct format *by_objects(const struct source_listing *listing, bool *ret_unclear,
                                       struct text *found) {
    const struct format *choice = NULL;
    *ret_unclear = false;
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        size_t count = 0;
        for (size_t i = 0; i < listing->count; i++)
            count += (*kind)->takes(listing->objects[i].key);
        if (count == 0)
            continue;
        text_printf(found, "%s%zu for %s", found->count ? ", " : "", count, (*kind)->name);
        if (!(*kind)->found_by_looking)
            continue;
        *ret_unclear |= choice != NULL;
        choice = *kind;
    }
    return choice;
}

/* Nothing can be read at random in compressed files; a format that has them takes their names. One
 * that was named (`format`, else NULL) may read the bytes of others. */
static int refuse_compressed(const struct source *source, const struct source_listing *listing,
                             const struct format *format, struct opiml_error *err) {
    for (size_t i = 0; i < listing->count; i++) {
        const char *key = listing->objects[i].key;
        const struct format *inside = format_find_compressed(key);
        if (inside && !inside->takes(key) && (!format || format == inside))
            return opiml_fail(err, OPIML_ENOTSUP,
                              "%s%s: compressed files of format %s are not read; uncompress it",
                              source->prefix, key, inside->name);
    }
    return 0;
}

static int fail_unclear(const struct source *source, const struct source_listing *listing,
                        const struct text *found, const char *option, struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    if (listing->count == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s holds no files", source->uri);
    dataset_name_formats(&names, NULL);
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: the format is not clear from its %zu file%s (%s); say which with %s: %s",
                      source->uri, listing->count, text_s(listing->count),
                      found->count ? found->at : "none of a known kind", option ? option : "format",
                      names.at ? names.at : "");
}

/* ---- building ---- */

/* Leave out what stands beside the format's objects. Names that are written out are taken at their
 * word, and so is a pattern of shards ("part-*" for CSV files); what each record is an object of is
 * told by its name alone, also behind a pattern. */
static void keep_taken(const struct source *source, const struct format *format,
                       struct source_listing *listing, struct left_out *left_out) {
    size_t kept = 0;
    if (source->single || (source->pattern && (format->shards || !pattern_is_glob(source->uri))))
        return;
    for (size_t i = 0; i < listing->count; i++)
        if (format->takes(listing->objects[i].key))
            listing->objects[kept++] = listing->objects[i];
        else
            left_out_add(left_out, listing->objects[i].key);
    listing->count = kept;
}

static int build_index(struct dataset *dataset, struct source_listing *listing, bool found,
                       uint64_t from_ns, const struct index_ask *ask, struct opiml_error *err) {
    CLEANUP(index_draft_release) struct index_draft draft = {0};
    AUTO_TEXT struct text names = {0};
    struct left_out left_out = {0};
    void *data;
    size_t bytes;
    keep_taken(dataset->source, dataset->format, listing, &left_out);
    left_out_format(&left_out, &names);
    if (names.failed)
        return base_fail_memory(err, names.count, "an index");
    if (listing->count == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s holds no files for format %s",
                          dataset->source->uri, dataset->format->name);
    if (listing->count >= UINT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s: more than 2^32 files", dataset->source->uri);
    int rc = refuse_compressed(dataset->source, listing, found ? NULL : dataset->format, err);
    if (rc == 0)
        rc = index_draft_init(&draft, listing, err);
    if (rc < 0)
        return rc;
    draft.format = dataset->format->name;
    draft.id = ask->id;
    draft.from_ns = from_ns;
    draft.left_out = left_out.count;
    draft.left_out_names = names.at;
    draft.flags = found ? INDEX_AUTO : 0;
    rc = dataset->format->build(dataset->source, listing, dataset->params, &draft, err);
    if (rc < 0)
        return rc;
    if ((draft.record_bytes ? draft.like_records : draft.rows.count) == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s: its %zu file%s no records of format %s",
                          dataset->source->uri, listing->count,
                          listing->count == 1 ? " holds" : "s hold", dataset->format->name);
    rc = index_draft_finish(&draft, listing, &data, &bytes, err);
    return rc < 0 ? rc : index_store_put(ask, data, bytes, &dataset->index, err);
}

/* Parameters, and an index that is there already. OPIML_ENOENT when there is none. */
static int try_format(struct dataset *dataset, const struct dataset_request *request,
                      const struct format *format, struct index_ask *ask, struct opiml_error *err) {
    AUTO_FREE void *params = NULL;
    struct index index;
    struct opiml_error why;
    int rc = dataset_read_params(format, request, &params, err);
    if (rc < 0)
        return rc;
    *ask = (struct index_ask){.source = dataset->source,
                              .format = format,
                              .full = request->policy == INDEX_POLICY_FULL,
                              .keep = request->policy == INDEX_POLICY_KEEP,
                              .only_auto = !request->format};
    rc = index_id(dataset->source, format, params, request->head, &ask->id, err);
    if (rc < 0)
        return rc;
    dataset->format = format;
    base_free(dataset->params);
    dataset->params = TAKE(params);
    if (request->policy == INDEX_POLICY_REBUILD)
        return opiml_fail(err, OPIML_ENOENT, "the index is to be built anew");
    rc = index_store_find(ask, &index, &why);
    if (rc == 0 && !format->check(&index, dataset->params)) {
        index_release(&index);
        rc = opiml_fail(&why, OPIML_ENOENT, "an index of another shape");
    }
    if (rc < 0)
        return opiml_fail(err, OPIML_ENOENT, "%s", why.message);
    dataset->index = index;
    return 0;
}

static int find_index(struct dataset *dataset, const struct dataset_request *request,
                      struct index_ask *ask, struct opiml_error *err) {
    if (request->format)
        return try_format(dataset, request, request->format, ask, err);
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        struct opiml_error ignored;
        if ((*kind)->found_by_looking && try_format(dataset, request, *kind, ask, &ignored) == 0)
            return 0;
    }
    return OPIML_ENOENT;
}

static int list_and_build(struct dataset *dataset, const struct dataset_request *request,
                          struct index_ask *ask, struct opiml_error *err) {
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    AUTO_TEXT struct text found = {0};
    bool unclear;
    uint64_t from_ns = clock_wall_ns();
    struct opiml_error why;
    int rc = dataset->source->ops->list(dataset->source, &listing, err);
    if (rc < 0)
        return rc;
    const struct format *looked = by_objects(&listing, &unclear, &found);
    const struct format *format = request->format ? request->format : looked;
    if (!format && (rc = refuse_compressed(dataset->source, &listing, NULL, err)) < 0)
        return rc;
    if (!format || (!request->format && unclear))
        return fail_unclear(dataset->source, &listing, &found, request->option, err);
    if (!request->format) {
        /* The parameters of the format that was found, and its id. */
        rc = try_format(dataset, request, format, ask, &why);
        if (rc == 0)
            return 0;
        if (rc != OPIML_ENOENT)
            return opiml_fail(err, rc, "%s", why.message);
    }
    return build_index(dataset, &listing, looked == format && !unclear, from_ns, ask, err);
}

int dataset_load_index(struct dataset *dataset, const struct dataset_request *request,
                       struct opiml_error *err) {
    struct index_ask ask;
    struct opiml_error why;
    int rc = find_index(dataset, request, &ask, &why);
    if (rc == 0)
        return 0;
    if (rc != OPIML_ENOENT)
        return opiml_fail(err, rc, "%s", why.message);
    AUTO_FD int lock = index_store_lock(dataset->source);
    (void)lock;
    /* Another process may have built it meanwhile. */
    if (find_index(dataset, request, &ask, &why) == 0)
        return 0;
    rc = list_and_build(dataset, request, &ask, err);
    if (rc == 0 && !dataset->format->check(&dataset->index, dataset->params))
        return opiml_fail(err, OPIML_EINTERNAL, "%s: the index just built is not of its format",
                          dataset->source->uri);
    return rc;
}
