#include "dataset/dataset.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "dataset/format.h"
#include "dataset/index_store.h"
#include "dataset/pattern.h"
#include "dataset/writer.h"

#define FORMATS_MAX 32

enum { INDEX_POLICY_AUTO, INDEX_POLICY_FULL, INDEX_POLICY_REBUILD };

/* What all formats take; a format's own parameters follow in the same mapping. */
struct common {
    char uri[OPIML_TEXT_MAX]; /* for the table of keys only: the node itself may be longer */
    char format[OPIML_TEXT_MAX];
    uint32_t index;
    bool direct;
    double weight;
};

static const struct opiml_param common_rows[] = {
    {"uri", NULL, "Where the data lie: file:///folder, a path, or a pattern such as x-{00..99}.tar",
     offsetof(struct common, uri), OPIML_PARAM_TEXT},
    {"format", "auto", "What the files hold; auto looks at their names",
     offsetof(struct common, format), OPIML_PARAM_TEXT},
    {"index", "auto",
     "auto: look at folders, shards and some of many files for changes; full: at every file; "
     "rebuild: always anew",
     offsetof(struct common, index), OPIML_PARAM_CHOICE, "auto|full|rebuild"},
    {"direct", "false", "Read past the page cache (O_DIRECT)", offsetof(struct common, direct),
     OPIML_PARAM_BOOL},
    {"weight", "1", "Share among several datasets", offsetof(struct common, weight),
     OPIML_PARAM_F64},
    {NULL},
};

struct dataset {
    struct source *source;
    const struct format *format;
    void *params; /* of the format */
    struct index index;
    bool direct;
};

struct request {
    const char *uri, *base;      /* base: the folder that relative paths begin at */
    const struct format *format; /* NULL: to be found */
    const char *option;          /* how the user says which; NULL: as in a file */
    uint32_t policy;
    const struct yaml *yaml; /* with the mapping: both NULL when there is none */
    const struct yaml_node *node;
};

/* The names of all formats as a text and, unless NULL, as words for text_nearest. */
static void name_formats(struct text *text, const char *words[FORMATS_MAX + 1]) {
    size_t count = 0;
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        assert(count < FORMATS_MAX);
        text_printf(text, "%s%s", count ? ", " : "", (*kind)->name);
        if (words)
            words[count] = (*kind)->name;
        count++;
    }
}

static int fail_format(const char *name, struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    const char *words[FORMATS_MAX + 1] = {0};
    name_formats(&names, words);
    const char *near = text_nearest(name, words);
    return opiml_fail(err, OPIML_EINVAL, "there is no format \"%s\"%s%s%s; there are auto, %s",
                      name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "",
                      names.at ? names.at : "");
}

static int choose_format(const char *name, const struct format **ret_format,
                         struct opiml_error *err) {
    *ret_format = NULL;
    if (!name || strcmp(name, "auto") == 0)
        return 0;
    *ret_format = format_find(name);
    return *ret_format ? 0 : fail_format(name, err);
}

/* ---- parameters ---- */

#define ROWS_MAX 32

/* The common rows and those of the format behind them, over one block of memory. */
static size_t join_rows(const struct format *format, struct opiml_param rows[ROWS_MAX]) {
    size_t count = 0, shift = base_align_up(sizeof(struct common), 16);
    for (const struct opiml_param *row = common_rows; row->name; row++)
        rows[count++] = *row;
    for (const struct opiml_param *row = format ? format->params : NULL; row && row->name; row++) {
        assert(count + 1 < ROWS_MAX);
        rows[count] = *row;
        rows[count++].offset += shift;
    }
    rows[count] = (struct opiml_param){0};
    return shift + (format ? format->params_bytes : 0);
}

static bool is_common(const char *key) {
    for (const struct opiml_param *row = common_rows; row->name; row++)
        if (strcmp(row->name, key) == 0)
            return true;
    return false;
}

/* conf_read of the mapping, in which a uri of any length is fine. As long as the format is not
 * known (NULL) what may be its keys is left out. The caller frees *ret_config. */
static int read_config(const struct format *format, const struct yaml *yaml,
                       const struct yaml_node *node, void **ret_config, struct opiml_error *err) {
    struct opiml_param rows[ROWS_MAX];
    struct yaml_node copy = *node;
    size_t bytes = join_rows(format, rows);
    AUTO_FREE void *config = base_alloc(bytes);
    AUTO_FREE struct yaml_node *children = base_alloc_array(node->count, sizeof(*children));
    if (!config || !children)
        return base_fail_memory(err, bytes, "a dataset's parameters");
    uint32_t count = 0;
    for (const struct yaml_node *child = node->child; child; child = child->next) {
        if (!format && !is_common(child->key))
            continue;
        assert(count < node->count);
        children[count] = *child;
        if (strcmp(child->key, "uri") == 0 && child->kind == YAML_SCALAR)
            children[count].text = "";
        children[count].next = NULL;
        if (count > 0)
            children[count - 1].next = &children[count];
        count++;
    }
    copy.count = count;
    copy.child = count ? children : NULL;
    int rc = conf_read(rows, config, yaml, &copy, "dataset", err);
    if (rc < 0)
        return rc;
    *ret_config = TAKE(config);
    return 0;
}

/* The format's own parameters, from the mapping if there is one. */
static int read_params(const struct format *format, const struct request *request,
                       void **ret_params, struct opiml_error *err) {
    AUTO_FREE void *config = NULL, *params = base_alloc(format->params_bytes);
    if (!params)
        return base_fail_memory(err, format->params_bytes, "a format's parameters");
    if (request->node) {
        int rc = read_config(format, request->yaml, request->node, &config, err);
        if (rc < 0)
            return rc;
        if (format->params_bytes > 0)
            memcpy(params, (char *)config + base_align_up(sizeof(struct common), 16),
                   format->params_bytes);
    } else if (format->params)
        conf_defaults(format->params, params);
    *ret_params = TAKE(params);
    return 0;
}

static void params_text(const struct format *format, const void *params, struct text *text) {
    for (const struct opiml_param *row = format->params; row && row->name; row++) {
        text_printf(text, "\n%s=", row->name);
        conf_format(row, params, text);
    }
}

/* What makes one index differ from another of the same root. */
static int index_id(const struct source *source, const struct format *format, const void *params,
                    uint64_t *ret_id, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    text_printf(&text, "%d %s", INDEX_VERSION, format->name);
    params_text(format, params, &text);
    if (source->pattern)
        text_printf(&text, "\n%s", source->uri + strlen("file://") + strlen(source->local));
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

static int fail_unclear(const struct source *source, const struct source_listing *listing,
                        const struct text *found, const char *option, struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    if (listing->count == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s holds no files", source->uri);
    name_formats(&names, NULL);
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: the format is not clear from its %zu file%s (%s); say which with %s: %s",
                      source->uri, listing->count, listing->count == 1 ? "" : "s",
                      found->count ? found->at : "none of a known kind", option ? option : "format",
                      names.at ? names.at : "");
}

/* ---- building ---- */

/* Leave out what stands beside the format's objects. Names that are written out are taken at their
 * word, and so is a pattern of shards ("part-*" for CSV files); what each record is an object of is
 * told by its name alone, also behind a pattern. */
static void keep_taken(const struct source *source, const struct format *format,
                       struct source_listing *listing) {
    size_t kept = 0;
    if (source->single || (source->pattern && (format->shards || !pattern_is_glob(source->uri))))
        return;
    for (size_t i = 0; i < listing->count; i++)
        if (format->takes(listing->objects[i].key))
            listing->objects[kept++] = listing->objects[i];
    listing->count = kept;
}

static int build_index(struct dataset *dataset, struct source_listing *listing, bool found,
                       uint64_t from_ns, const struct index_ask *ask, struct opiml_error *err) {
    CLEANUP(index_draft_release) struct index_draft draft = {0};
    void *data;
    size_t bytes;
    keep_taken(dataset->source, dataset->format, listing);
    if (listing->count == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s holds no files for format %s",
                          dataset->source->uri, dataset->format->name);
    if (listing->count >= UINT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s: more than 2^32 files", dataset->source->uri);
    int rc = index_draft_init(&draft, listing, err);
    if (rc < 0)
        return rc;
    draft.format = dataset->format->name;
    draft.id = ask->id;
    draft.from_ns = from_ns;
    draft.flags = found ? INDEX_AUTO : 0;
    rc = dataset->format->build(dataset->source, listing, dataset->params, &draft, err);
    if (rc < 0)
        return rc;
    if ((draft.record_bytes ? draft.like_records : draft.rows.count) == 0)
        return opiml_fail(err, OPIML_ENOENT, "%s: its %zu files hold no records of format %s",
                          dataset->source->uri, listing->count, dataset->format->name);
    rc = index_draft_finish(&draft, listing, &data, &bytes, err);
    return rc < 0 ? rc : index_store_put(ask, data, bytes, &dataset->index, err);
}

/* Parameters, and an index that is there already. OPIML_ENOENT when there is none. */
static int try_format(struct dataset *dataset, const struct request *request,
                      const struct format *format, struct index_ask *ask, struct opiml_error *err) {
    AUTO_FREE void *params = NULL;
    struct index index;
    struct opiml_error why;
    int rc = read_params(format, request, &params, err);
    if (rc < 0)
        return rc;
    *ask = (struct index_ask){.source = dataset->source,
                              .format = format,
                              .full = request->policy == INDEX_POLICY_FULL,
                              .only_auto = !request->format};
    rc = index_id(dataset->source, format, params, &ask->id, err);
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

static int find_index(struct dataset *dataset, const struct request *request, struct index_ask *ask,
                      struct opiml_error *err) {
    if (request->format)
        return try_format(dataset, request, request->format, ask, err);
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        struct opiml_error ignored;
        if ((*kind)->found_by_looking && try_format(dataset, request, *kind, ask, &ignored) == 0)
            return 0;
    }
    return OPIML_ENOENT;
}

static int list_and_build(struct dataset *dataset, const struct request *request,
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

static int load_index(struct dataset *dataset, const struct request *request,
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

/* ---- opening ---- */

static const char *object_key(void *context, uint32_t object) {
    const struct dataset *dataset = context;
    return index_object_key(&dataset->index, object);
}

static struct source_stamp object_stamp(void *context, uint32_t object) {
    const struct dataset *dataset = context;
    const struct index_object *at = &dataset->index.objects[object];
    return (struct source_stamp){at->bytes, at->modified_ns};
}

static void dataset_close_at(struct dataset **dataset) {
    dataset_close(*dataset);
}

static int open_request(const struct request *request, bool direct, struct dataset **ret_dataset,
                        struct opiml_error *err) {
    CLEANUP(dataset_close_at) struct dataset *dataset = base_alloc(sizeof(*dataset));
    if (!dataset)
        return base_fail_memory(err, sizeof(*dataset), "a dataset");
    dataset->direct = direct;
    int rc = source_open(request->uri, request->base, &dataset->source, err);
    if (rc == 0)
        rc = load_index(dataset, request, err);
    if (rc < 0)
        return rc;
    source_bind(dataset->source, object_key, dataset);
    source_bind_stamps(dataset->source, object_stamp);
    *ret_dataset = TAKE(dataset);
    return 0;
}

/* The folder of the YAML file. The caller frees; NULL when memory is out. */
static char *folder_of(const char *name) {
    const char *slash = name ? strrchr(name, '/') : NULL;
    return slash ? base_printf("%.*s", (int)(slash - name + 1), name) : base_strdup("");
}

int dataset_open(const struct yaml *yaml, const struct yaml_node *node,
                 struct dataset **ret_dataset, struct opiml_error *err) {
    const struct yaml_node *uri = yaml_get(node, "uri"), *name = yaml_get(node, "format");
    AUTO_FREE void *config = NULL;
    const struct format *format = NULL;
    struct opiml_error why;
    if (!node || node->kind != YAML_MAPPING)
        return yaml_fail(yaml, node ? node : yaml->root, err,
                         "a dataset is a mapping, such as {uri: \"file:///data/train\"}");
    if (uri && uri->kind != YAML_SCALAR)
        return yaml_fail(yaml, uri, err, "dataset: uri is a text");
    if (name && name->kind == YAML_SCALAR && choose_format(name->text, &format, &why) < 0)
        return yaml_fail(yaml, name, err, "dataset: %s", why.message);
    AUTO_FREE char *base = folder_of(yaml->name);
    if (!base)
        return base_fail_memory(err, strlen(yaml->name), "a path");
    int rc = read_config(format, yaml, node, &config, err);
    if (rc < 0)
        return rc;
    const struct common *common = config;
    const struct request request = {.uri = uri->text,
                                    .base = base,
                                    .format = format,
                                    .policy = common->index,
                                    .yaml = yaml,
                                    .node = node};
    rc = open_request(&request, common->direct, ret_dataset, &why);
    if (rc < 0)
        yaml_fail(yaml, node, err, "%s", why.message);
    if (rc < 0 && err)
        err->code = rc;
    return rc;
}

int dataset_open_uri(const char *uri, const struct dataset_ask *ask, struct dataset **ret_dataset,
                     struct opiml_error *err) {
    static const struct dataset_ask nothing = {0};
    struct request request = {.uri = uri};
    struct common common;
    ask = ask ? ask : &nothing;
    conf_defaults(common_rows, &common);
    int rc = choose_format(ask->format, &request.format, err);
    if (rc == 0 && ask->index)
        rc = conf_set(common_rows, &common, "index", ask->index, err);
    request.policy = common.index;
    request.option = ask->option;
    return rc < 0 ? rc : open_request(&request, false, ret_dataset, err);
}

void dataset_close(struct dataset *dataset) {
    if (!dataset)
        return;
    index_release(&dataset->index);
    source_close(dataset->source);
    base_free(dataset->params);
    base_free(dataset);
}

/* ---- asking ---- */

uint64_t dataset_count(const struct dataset *dataset) {
    return dataset->index.header->records;
}

const struct opiml_schema *dataset_schema(const struct dataset *dataset) {
    return &dataset->index.schema;
}

uint64_t dataset_fingerprint(const struct dataset *dataset) {
    return dataset->index.header->fingerprint;
}

int dataset_params_hash(const struct dataset *dataset, uint64_t *ret_hash,
                        struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    params_text(dataset->format, dataset->params, &text);
    if (text.failed)
        return base_fail_memory(err, text.count, "a format's parameters");
    *ret_hash = hash_64(text.at, text.count, 0);
    return 0;
}

static void add_parameter(const struct opiml_param *row, const void *params, struct text *to) {
    const void *at = (const char *)params + row->offset;
    const struct opiml_text_list *list = at;
    text_printf(to, ", %s: ", row->name);
    if (row->type == OPIML_PARAM_TEXT) {
        write_quoted(to, at);
    } else if (row->type == OPIML_PARAM_TEXT_LIST) {
        for (uint32_t i = 0; i < list->count; i++) {
            text_add(to, i ? ", " : "[");
            write_quoted(to, list->at[i]);
        }
        text_add(to, list->count ? "]" : "[]");
    } else {
        conf_format(row, params, to);
    }
}

void dataset_mapping(const struct dataset *dataset, struct text *to) {
    const struct source *source = dataset->source;
    const struct format *format = dataset->format;
    const char *slash = source->single ? strrchr(source->local, '/') : NULL;
    AUTO_FREE void *defaults = base_alloc(format->params_bytes + 1);
    text_add(to, "{uri: ");
    if (source->pattern)
        write_quoted(to, source->uri + strlen("file://") + strlen(source->local) + 1);
    else
        write_quoted(to, slash ? slash + 1 : ".");
    text_printf(to, ", format: %s", format->name);
    if (!defaults)
        to->failed = true;
    else if (format->params)
        conf_defaults(format->params, defaults);
    for (const struct opiml_param *row = format->params; defaults && row && row->name; row++) {
        AUTO_TEXT struct text usual = {0}, here = {0};
        conf_format(row, defaults, &usual);
        conf_format(row, dataset->params, &here);
        to->failed |= usual.failed || here.failed;
        if (!to->failed && strcmp(usual.at, here.at) != 0)
            add_parameter(row, dataset->params, to);
    }
    text_add(to, "}");
}

uint64_t dataset_version(const struct dataset *dataset) {
    const struct index *index = &dataset->index;

    return hash_64(index->objects, index->header->objects * sizeof(index->objects[0]),
                   index->header->fingerprint);
}

const char *dataset_class(const struct dataset *dataset, uint32_t label) {
    const struct index *index = &dataset->index;
    return label < index->header->classes ? index->pool + index->classes[label] : NULL;
}

const char *dataset_format_name(const struct dataset *dataset) {
    return dataset->format->name;
}

const char *dataset_uri(const struct dataset *dataset) {
    return dataset->source->uri;
}

struct source *dataset_source(const struct dataset *dataset) {
    return dataset->source;
}

uint32_t dataset_objects(const struct dataset *dataset) {
    return (uint32_t)dataset->index.header->objects;
}

bool dataset_direct(const struct dataset *dataset) {
    return dataset->direct;
}

uint32_t dataset_pieces(const struct dataset *dataset) {
    return index_ranges(&dataset->index);
}

void dataset_locate(const struct dataset *dataset, uint64_t record, uint32_t piece,
                    struct dataset_extent *ret_extent) {
    const struct index *index = &dataset->index;
    struct index_place place = index_range(index, record, piece);
    *ret_extent = (struct dataset_extent){
        .object = place.object,
        .bytes = place.bytes,
        .offset = place.offset,
        .whole = place.offset == 0 && place.bytes == index->objects[place.object].bytes,
    };
}

bool dataset_elements(const struct dataset *dataset, uint64_t record, uint32_t field,
                      struct dataset_extent *ret_extent, int64_t ret_shape[OPIML_MAX_DIMS]) {
    struct index_place place;
    if (!dataset->format->elements ||
        !dataset->format->elements(&dataset->index, record, field, &place, ret_shape))
        return false;
    *ret_extent = (struct dataset_extent){place.object, place.bytes, place.offset, false};
    return true;
}

uint32_t dataset_max_read(const struct dataset *dataset) {
    return (uint32_t)dataset->index.header->max_read;
}

uint64_t dataset_read_room(const struct dataset *dataset, uint32_t alignment) {
    /* A read begins before and ends behind what is wanted. */
    uint64_t rest = source_room(0, dataset->direct) + alignment;
    return dataset_max_read(dataset) + dataset_pieces(dataset) * rest;
}

int dataset_parse(const struct dataset *dataset, uint64_t record, const struct source_bytes *from,
                  struct opiml_value *values, uint8_t *scratch, struct opiml_error *err) {
    return dataset->format->parse(&dataset->index, dataset->params, record, from, values, scratch,
                                  err);
}

int dataset_check_object(const struct dataset *dataset, uint32_t object, struct opiml_error *err) {
    struct source *source = dataset->source;
    const struct index_object *then = &dataset->index.objects[object];
    const char *key = index_object_key(&dataset->index, object);
    struct source_object now;
    int rc = source->ops->stat(source, key, &now, err);
    if (rc < 0 || (now.bytes == then->bytes && now.modified_ns == then->modified_ns))
        return rc;
    return opiml_fail(err, OPIML_ESTALE, "%s%s has changed since it was indexed", source->prefix,
                      key);
}

int dataset_read(const struct dataset *dataset, uint64_t record, uint8_t *to,
                 struct source_bytes *from, struct opiml_error *err) {
    struct source *source = dataset->source;
    char where[1024];
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        dataset_locate(dataset, record, i, &extent);
        int64_t got = source->ops->read(source, index_object_key(&dataset->index, extent.object),
                                        to, extent.bytes, extent.offset, err);
        if (got < 0)
            return (int)got;
        if (got != extent.bytes)
            return opiml_fail(err, OPIML_ESTALE, "%s: only %" PRId64 " of %u bytes are there",
                              dataset_describe(dataset, record, where, sizeof(where)), got,
                              extent.bytes);
        int rc = dataset_check_object(dataset, extent.object, err);
        if (rc < 0)
            return rc;
        from[i] = (struct source_bytes){to, extent.bytes};
        to += base_align_up(extent.bytes, 64);
    }
    return 0;
}

bool dataset_parse_is_light(const struct dataset *dataset) {
    return dataset->format->parse_is_light && dataset->format->parse_is_light(dataset->params);
}

uint64_t dataset_parse_bytes(const struct dataset *dataset) {
    return base_align_up(dataset->format->scratch_bytes(&dataset->index), 64);
}

char *dataset_describe(const struct dataset *dataset, uint64_t record, char *to, size_t room) {
    struct index_place place = index_find(&dataset->index, record);
    const char *key = index_object_key(&dataset->index, place.object);
    const char *prefix = dataset->source->prefix;
    size_t used = text_show(to, room, 0, prefix, strlen(prefix));
    char offset[40];
    used = text_show(to, room, used, key, strlen(key));
    if (place.bytes != dataset->index.objects[place.object].bytes) {
        int n = snprintf(offset, sizeof(offset), " at offset %" PRIu64, place.offset);
        text_show(to, room, used, offset, (size_t)n);
    }
    return to;
}

char *dataset_key(const struct dataset *dataset, uint64_t record, char *to, size_t room) {
    const struct index *index = &dataset->index;
    if (!(index->header->flags & INDEX_KEYS) || !index->records) {
        snprintf(to, room, "row %" PRIu64, record);
        return to;
    }
    const struct index_record *at = &index->records[record];
    text_show(to, room, 0, index->pool + at->key, at->key_bytes);
    return to;
}
