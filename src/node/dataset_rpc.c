/* The data set service. */
#include "node/dataset_rpc.h"

#include "google/protobuf/empty.pb-c.h"
#include "node/id.h"
#include "node/parts.h"
#include "opiml/v1alpha1/dataset.pb-c.h"

#define PAGE_PRESET 50
#define PAGE_MOST 250
#define PAGE_BYTES MIB(2) /* past it a page ends, well below RPC_MESSAGE_MAX ... */
#define TEXT_MAX MIB(1)   /* ... since no data set has longer texts */
#define COLLECTION "datasets/"

typedef Opiml__V1alpha1__Dataset dataset_message;
typedef Opiml__V1alpha1__Field field_message;

/* ---- replies ---- */

static void fill_field(const struct opiml_field *from, field_message *to) {
    *to = (field_message)OPIML__V1ALPHA1__FIELD__INIT;
    to->name = (char *)(uintptr_t)from->name;
    to->type = (char *)(uintptr_t)opiml_dtype_text(from->dtype);
    to->n_shape = from->ndim;
    to->shape = (int64_t *)(uintptr_t)from->shape;
}

/* What it holds, once it is open. */
static int fill_open(struct rpc_call *call, const struct datasets_view *view, dataset_message *to,
                     struct opiml_error *err) {
    const struct dataset *dataset = view->dataset;
    const struct opiml_schema *schema = dataset_schema(dataset);
    field_message *fields = rpc_take(call, schema->count * sizeof(*fields));

    to->fields = rpc_take(call, schema->count * sizeof(to->fields[0]));
    to->index_hash = rpc_take(call, INDEX_HASH_BYTES);
    if (!fields || !to->fields || !to->index_hash)
        return base_fail_memory(err, sizeof(*to), "a reply");
    for (uint32_t f = 0; f < schema->count; f++) {
        fill_field(&schema->fields[f], &fields[f]);
        to->fields[f] = &fields[f];
    }
    to->n_fields = schema->count;
    to->uri = (char *)(uintptr_t)dataset_uri(dataset);
    to->prefix = dataset_source(dataset)->prefix;
    to->format = (char *)(uintptr_t)dataset_format_name(dataset);
    to->records = dataset_count(dataset);
    to->fingerprint = dataset_fingerprint(dataset);
    to->version = dataset_version(dataset);
    index_hash_text(dataset_index(dataset), to->index_hash);
    to->index_bytes = dataset_index(dataset)->bytes;
    return 0;
}

/* What it says is the view's and the call's. */
static int fill(struct rpc_call *call, const struct datasets_view *view, dataset_message *to,
                struct opiml_error *err) {
    *to = (dataset_message)OPIML__V1ALPHA1__DATASET__INIT;
    to->name = rpc_text(call, COLLECTION "%s", view->id);
    if (!to->name)
        return base_fail_memory(err, sizeof(*to), "a reply");
    to->mapping = view->mapping;
    to->file = view->file;
    if (view->why)
        to->failure = view->why;
    to->state = view->dataset ? OPIML__V1ALPHA1__DATASET__STATE__STATE_OPEN
                : view->why   ? OPIML__V1ALPHA1__DATASET__STATE__STATE_FAILED
                              : OPIML__V1ALPHA1__DATASET__STATE__STATE_OPENING;
    return view->dataset ? fill_open(call, view, to, err) : 0;
}

static int reply_view(struct rpc_call *call, struct datasets_view *view, struct opiml_error *err) {
    dataset_message reply;
    int rc = fill(call, view, &reply, err);

    if (rc == 0)
        rc = rpc_reply(call, &reply, err);
    datasets_view_release(view);
    return rc;
}

/* ---- create and update ---- */

static void drop_view(void *made) {
    datasets_view_release(made);
    base_free(made);
}

/* Open one and enter it: both may take as long as the disks do. */
static int open_it(struct dataset_rpc *self, const char *id, const struct datasets_view *as,
                   bool replace, void **ret_made, struct opiml_error *err) {
    AUTO_FREE struct datasets_view *view = base_alloc(sizeof(*view));
    struct dataset *dataset;
    int rc;

    if (!view)
        return base_fail_memory(err, sizeof(*view), "a data set");
    if (strlen(as->mapping) + strlen(as->file) > TEXT_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "dataset.mapping and file: %zu bytes; at most %" PRIu64,
                          strlen(as->mapping) + strlen(as->file), (uint64_t)TEXT_MAX);
    if ((rc = datasets_open(as->mapping, as->file, &dataset, err)) < 0)
        return rc;
    rc = datasets_put(self->datasets, id, as->mapping, as->file, dataset, replace, view, err);
    dataset_close(dataset);
    if (rc == 0)
        *ret_made = TAKE(view);
    return rc;
}

static int open_new(void *context, const char *who, const void *request, void **ret_made,
                    struct opiml_error *err) {
    const Opiml__V1alpha1__CreateDatasetRequest *asked = request;
    int rc = id_check(asked->dataset_id, err);

    if (rc < 0)
        return rc;
    if (!asked->dataset || !asked->dataset->mapping[0])
        return opiml_fail(err, OPIML_EINVAL, "missing required field: dataset.mapping");
    return open_it(
        context, asked->dataset_id,
        &(struct datasets_view){.mapping = asked->dataset->mapping, .file = asked->dataset->file},
        false, ret_made, err);
}

static int reply_made(struct rpc_call *call, void *context, const void *request,
                      struct opiml_error *err) {
    AUTO_FREE struct datasets_view *view = rpc_made(call);

    return reply_view(call, view, err);
}

/* "": it is no name of ours. */
static const char *id_of(const char *name) {
    size_t prefix = strlen(COLLECTION);

    return strncmp(name, COLLECTION, prefix) == 0 ? name + prefix : "";
}

static int read_mask(const Opiml__V1alpha1__UpdateDatasetRequest *asked, bool *ret_mapping,
                     bool *ret_file, struct opiml_error *err) {
    size_t count = asked->update_mask ? asked->update_mask->n_paths : 0;

    *ret_mapping = count == 0 && asked->dataset->mapping[0];
    *ret_file = count == 0 && asked->dataset->file[0];
    for (size_t i = 0; i < count; i++) {
        const char *path = asked->update_mask->paths[i];
        bool all = strcmp(path, "*") == 0, mapping = strcmp(path, "mapping") == 0,
             file = strcmp(path, "file") == 0;

        if (!all && !mapping && !file)
            return opiml_fail(err, OPIML_EINVAL, "update_mask: \"%.80s\" is not mapping, file or *",
                              path);
        *ret_mapping |= all || mapping;
        *ret_file |= all || file;
    }
    return 0;
}

static int open_other(void *context, const char *who, const void *request, void **ret_made,
                      struct opiml_error *err) {
    const Opiml__V1alpha1__UpdateDatasetRequest *asked = request;
    struct dataset_rpc *self = context;
    CLEANUP(datasets_view_release) struct datasets_view now = {0};
    bool mapping, file;
    const char *id;
    int rc;

    if (!asked->dataset || !asked->dataset->name[0])
        return opiml_fail(err, OPIML_EINVAL, "missing required field: dataset.name");
    if ((rc = read_mask(asked, &mapping, &file, err)) < 0)
        return rc;
    id = id_of(asked->dataset->name);
    rc = datasets_get(self->datasets, id, &now, err);
    if (rc == OPIML_ENOENT && asked->allow_missing && id[0])
        rc = id_check(id, err);
    if (rc < 0)
        return rc;
    if (!now.mapping)
        mapping = file = true;
    if (mapping && !asked->dataset->mapping[0])
        return opiml_fail(err, OPIML_EINVAL, "missing required field: dataset.mapping");
    return open_it(
        self, id,
        &(struct datasets_view){.mapping = mapping ? asked->dataset->mapping : now.mapping,
                                .file = file ? asked->dataset->file : now.file},
        true, ret_made, err);
}

/* ---- get, list, delete, stats ---- */

static int get(struct rpc_call *call, void *context, const void *request, struct opiml_error *err) {
    const Opiml__V1alpha1__GetDatasetRequest *asked = request;
    struct dataset_rpc *self = context;
    struct datasets_view view;
    int rc = datasets_get(self->datasets, id_of(asked->name), &view, err);

    return rc < 0 ? rc : reply_view(call, &view, err);
}

/* The page behind `after`, in views that the caller releases. *ret_more: others come behind it. */
static int take_page(struct dataset_rpc *self, const char *after, uint32_t most,
                     struct datasets_view *views, uint32_t *ret_count, bool *ret_more,
                     struct opiml_error *err) {
    int rc = 0;

    *ret_count = 0;
    *ret_more = false;
    while (rc == 0) {
        struct datasets_view view;

        rc = datasets_next(self->datasets, after, &view, err);
        if (rc == OPIML_ENOENT)
            return 0;
        if (rc == 0 && *ret_count == most) {
            datasets_view_release(&view);
            *ret_more = true;
            return 0;
        }
        if (rc == 0) {
            views[*ret_count] = view;
            after = views[(*ret_count)++].id;
        }
    }
    return rc;
}

static int reply_page(struct rpc_call *call, struct datasets_view *views, uint32_t count, bool more,
                      struct opiml_error *err) {
    Opiml__V1alpha1__ListDatasetsResponse reply = OPIML__V1ALPHA1__LIST_DATASETS_RESPONSE__INIT;
    dataset_message *messages = rpc_take(call, count * sizeof(*messages));
    size_t bytes = 0;
    int rc = 0;

    reply.datasets = rpc_take(call, count * sizeof(reply.datasets[0]));
    if (!messages || !reply.datasets)
        return base_fail_memory(err, count * sizeof(*messages), "a reply");
    for (uint32_t i = 0; rc == 0 && i < count && bytes < PAGE_BYTES; i++) {
        rc = fill(call, &views[i], &messages[i], err);
        reply.datasets[i] = &messages[i];
        reply.n_datasets++;
        if (rc == 0)
            bytes += opiml__v1alpha1__dataset__get_packed_size(&messages[i]);
    }
    if ((more || reply.n_datasets < count) && count)
        reply.next_page_token = views[reply.n_datasets - 1].id;
    return rc < 0 ? rc : rpc_reply(call, &reply, err);
}

static int list(struct rpc_call *call, void *context, const void *request,
                struct opiml_error *err) {
    const Opiml__V1alpha1__ListDatasetsRequest *asked = request;
    struct dataset_rpc *self = context;
    uint64_t most = asked->page_size > 0 ? (uint64_t)asked->page_size : PAGE_PRESET;
    struct datasets_view *views, last;
    uint32_t count;
    bool more;
    int rc;

    if (asked->page_size < 0)
        return opiml_fail(err, OPIML_EINVAL, "page_size: %d is negative", asked->page_size);
    if (asked->page_token[0]) {
        if (datasets_get(self->datasets, asked->page_token, &last, NULL) < 0)
            return opiml_fail(err, OPIML_ENOENT, "page_token: no page ended there");
        datasets_view_release(&last);
    }
    most = base_min_u64(base_min_u64(most, PAGE_MOST), DATASETS_MAX);
    views = rpc_take(call, most * sizeof(*views));
    if (!views)
        return base_fail_memory(err, most * sizeof(*views), "a reply");
    rc = take_page(self, asked->page_token, (uint32_t)most, views, &count, &more, err);
    if (rc == 0)
        rc = reply_page(call, views, count, more, err);
    for (uint32_t i = 0; i < count; i++)
        datasets_view_release(&views[i]);
    return rc;
}

static int forget(void *context, const char *who, const void *request, void **ret_made,
                  struct opiml_error *err) {
    const Opiml__V1alpha1__DeleteDatasetRequest *asked = request;
    struct dataset_rpc *self = context;
    struct opiml_error why;
    int rc = datasets_remove(self->datasets, id_of(asked->name), &why);

    if (rc == OPIML_ENOENT && asked->allow_missing)
        return 0;
    if (rc == OPIML_ENOENT)
        return opiml_fail(err, rc, "there is no \"%s\"", asked->name);
    return rc < 0 ? opiml_fail(err, rc, "%s", why.message) : 0;
}

static void drop_nothing(void *made) {
}

static int delete (struct rpc_call *call, void *context, const void *request,
                   struct opiml_error *err) {
    Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;

    return rpc_reply(call, &reply, err);
}

static int stats(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Opiml__V1alpha1__StatsDatasetRequest *asked = request;
    Opiml__V1alpha1__StatsDatasetResponse reply = OPIML__V1ALPHA1__STATS_DATASET_RESPONSE__INIT;
    Opiml__V1alpha1__DatasetStats counters = OPIML__V1ALPHA1__DATASET_STATS__INIT;
    struct dataset_rpc *self = context;
    struct datasets_view view;
    int rc = datasets_get(self->datasets, id_of(asked->name), &view, err);

    if (rc < 0)
        return rc;
    counters.pipelines = view.stats.pipelines;
    counters.index_pieces = view.stats.index_pieces;
    counters.index_bytes = view.stats.index_bytes;
    reply.stats = &counters;
    datasets_view_release(&view);
    return rpc_reply(call, &reply, err);
}

/* ---- indexes ---- */

static int get_index(struct rpc_call *call, void *context, const void *request,
                     struct opiml_error *err) {
    const Opiml__V1alpha1__GetIndexRequest *asked = request;
    Opiml__V1alpha1__GetIndexResponse reply = OPIML__V1ALPHA1__GET_INDEX_RESPONSE__INIT;
    struct dataset_rpc *self = context;
    struct dataset *dataset = datasets_find(self->datasets, asked->hash);
    const struct index *index;
    int rc;

    if (!dataset)
        return opiml_fail(err, OPIML_ENOENT, "there is no index %.40s here any more", asked->hash);
    index = dataset_index(dataset);
    if (asked->offset >= index->bytes) {
        rc = opiml_fail(err, OPIML_EINVAL, "offset: the index has %zu bytes", index->bytes);
    } else {
        reply.index_bytes = index->bytes;
        reply.data.data = (uint8_t *)index->memory + asked->offset;
        reply.data.len = base_min_u64(index->bytes - asked->offset, DATASET_RPC_PIECE);
        rc = rpc_reply(call, &reply, err);
        datasets_add(self->datasets, asked->hash,
                     &(struct datasets_stats){.index_pieces = 1, .index_bytes = reply.data.len});
    }
    dataset_close(dataset);
    return rc;
}

/* The last piece has to be looked at as a whole, which takes its time. */
static int take_piece(void *context, const char *who, const void *request, void **ret_made,
                      struct opiml_error *err) {
    const Opiml__V1alpha1__PutIndexRequest *asked = request;
    struct dataset_rpc *self = context;
    const struct parts_piece piece = {.hash = asked->hash,
                                      .part_hash = asked->part_hash,
                                      .bytes = asked->index_bytes,
                                      .offset = asked->offset,
                                      .data = asked->data.data,
                                      .data_bytes = asked->data.len};
    AUTO_FREE uint64_t *offset = base_alloc(sizeof(*offset));
    int rc;

    if (!offset)
        return base_fail_memory(err, sizeof(*offset), "a reply");
    rc = parts_put(datasets_parts(self->datasets), self->datasets, &piece, offset, err);
    if (rc == 0)
        *ret_made = TAKE(offset);
    return rc;
}

static int put_index(struct rpc_call *call, void *context, const void *request,
                     struct opiml_error *err) {
    Opiml__V1alpha1__PutIndexResponse reply = OPIML__V1ALPHA1__PUT_INDEX_RESPONSE__INIT;
    AUTO_FREE uint64_t *offset = rpc_made(call);

    reply.offset = *offset;
    return rpc_reply(call, &reply, err);
}

void dataset_rpc_init(struct dataset_rpc *service, struct datasets *datasets) {
    static const struct rpc_method methods[] = {
        {"CreateDataset", reply_made, .work = open_new, .drop = drop_view},
        {"GetDataset", get},
        {"ListDatasets", list},
        {"UpdateDataset", reply_made, .work = open_other, .drop = drop_view},
        {"DeleteDataset", delete, .work = forget, .drop = drop_nothing},
        {"StatsDataset", stats},
        {"GetIndex", get_index},
        {"PutIndex", put_index, .work = take_piece, .drop = base_free},
        {0}};

    *service = (struct dataset_rpc){
        .service = {&opiml__v1alpha1__dataset_service__descriptor, methods, service},
        .datasets = datasets};
}
