#include "dataset/dataset_inside.h"
#include "dataset/elsewhere.h"

static void dataset_close_at(struct dataset **dataset) {
    dataset_close(*dataset);
}

static const char *object_key(void *context, uint32_t object) {
    const struct dataset *dataset = context;
    return index_object_key(&dataset->index, object);
}

static struct source_stamp object_stamp(void *context, uint32_t object) {
    return dataset_stamp(context, object);
}

/* What lies in tables is of the one format for them, and nothing else is. */
static int check_format(const struct source *source, struct dataset_request *request,
                        struct opiml_error *err) {
    const struct format *only = source->ops->format ? format_find(source->ops->format) : NULL;
    if (only && !request->format)
        request->format = only;
    if (only ? request->format == only : !request->format || !request->format->prepare)
        return 0;
    return opiml_fail(err, OPIML_EINVAL, "%s: format %s is not for %s", source->uri,
                      request->format->name, source->ops->help);
}

static int prepare_source(const struct dataset *dataset, const struct dataset_request *request,
                          struct opiml_error *err) {
    AUTO_FREE void *params = NULL;
    if (!request->format || !request->format->prepare)
        return 0;
    int rc = dataset_read_params(request->format, request, &params, err);
    return rc < 0 ? rc : request->format->prepare(dataset->source, params, request->head, err);
}

static int open_request(struct dataset_request *request, bool direct, struct dataset **ret_dataset,
                        struct opiml_error *err) {
    CLEANUP(dataset_close_at) struct dataset *dataset = base_alloc(sizeof(*dataset));
    if (!dataset)
        return base_fail_memory(err, sizeof(*dataset), "a dataset");
    dataset->users = 1;
    dataset->direct = direct;
    int rc = source_open(request->uri, request->base, &dataset->source, err);
    if (rc == 0)
        rc = check_format(dataset->source, request, err);
    if (rc == 0)
        rc = prepare_source(dataset, request, err);
    if (rc == 0)
        rc = dataset_load_index(dataset, request, err);
    if (rc == 0 && dataset->format->bind)
        rc = dataset->format->bind(dataset->source, dataset->params, &dataset->index, err);
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

/* What is wrong with a format's own keys, which are read when the format is known, is told with the
 * key's place. */
static bool tells_place(const struct yaml *yaml, const char *message) {
    return text_starts(message, yaml->name) && message[strlen(yaml->name)] == ':';
}

int dataset_open(const struct yaml *yaml, const struct yaml_node *node,
                 struct dataset **ret_dataset, struct opiml_error *err) {
    return dataset_open_head(yaml, node, NULL, ret_dataset, err);
}

/* What a mapping asks for. It points into the two, which the caller frees behind it. */
static int read_request(const struct yaml *yaml, const struct yaml_node *node,
                        struct dataset_request *ret_request, void **ret_config, char **ret_base,
                        struct opiml_error *err) {
    const struct yaml_node *uri = yaml_get(node, "uri"), *name = yaml_get(node, "format");
    const struct format *format = NULL;
    struct opiml_error why;
    if (!node || node->kind != YAML_MAPPING)
        return yaml_fail(yaml, node ? node : yaml->root, err,
                         "a dataset is a mapping, such as {uri: \"file:///data/train\"}");
    if (uri && uri->kind != YAML_SCALAR)
        return yaml_fail(yaml, uri, err, "dataset: uri is a text");
    if (name && name->kind == YAML_SCALAR && dataset_choose_format(name->text, &format, &why) < 0)
        return yaml_fail(yaml, name, err, "dataset: %s", why.message);
    *ret_base = folder_of(yaml->name);
    if (!*ret_base)
        return base_fail_memory(err, strlen(yaml->name), "a path");
    int rc = dataset_read_config(format, yaml, node, ret_config, err);
    if (rc < 0)
        return rc;
    *ret_request = (struct dataset_request){.uri = uri->text,
                                            .base = *ret_base,
                                            .format = format,
                                            .policy = ((struct dataset_common *)*ret_config)->index,
                                            .yaml = yaml,
                                            .node = node};
    return 0;
}

int dataset_open_head(const struct yaml *yaml, const struct yaml_node *node,
                      const struct dataset_head *head, struct dataset **ret_dataset,
                      struct opiml_error *err) {
    AUTO_FREE void *config = NULL;
    AUTO_FREE char *base = NULL;
    struct dataset_request request;
    struct opiml_error why;
    int rc = read_request(yaml, node, &request, &config, &base, err);
    if (rc < 0)
        return rc;
    request.head = head;
    rc = open_request(&request, ((struct dataset_common *)config)->direct, ret_dataset, &why);
    if (rc < 0 && tells_place(yaml, why.message))
        return opiml_fail(err, rc, "%s", why.message);
    if (rc < 0)
        yaml_fail(yaml, node, err, "%s", why.message);
    if (rc < 0 && err)
        err->code = rc;
    return rc;
}

int dataset_open_uri(const char *uri, const struct dataset_ask *ask, struct dataset **ret_dataset,
                     struct opiml_error *err) {
    static const struct dataset_ask nothing = {0};
    struct dataset_request request = {.uri = uri};
    ask = ask ? ask : &nothing;
    request.option = ask->option;
    int rc = dataset_choose_format(ask->format, &request.format, err);
    if (rc == 0)
        rc = dataset_choose_policy(ask->index, &request.policy, err);
    return rc < 0 ? rc : open_request(&request, false, ret_dataset, err);
}

/* Fill in what open_request finds by looking, from an index and the mapping it was made for. */
static int take_index(struct dataset *dataset, const struct dataset_request *request,
                      struct index *index, struct opiml_error *err) {
    int rc;

    dataset->format = format_find(index->header->format);
    if (!dataset->format || (request->format && request->format != dataset->format))
        return opiml_fail(err, OPIML_ECORRUPT, "%s: an index of another format", request->uri);
    rc = dataset_read_params(dataset->format, request, &dataset->params, err);
    if (rc < 0)
        return rc;
    if (!dataset->format->check(index, dataset->params))
        return opiml_fail(err, OPIML_ECORRUPT, "%s: an index of another shape", request->uri);
    source_bind(dataset->source, object_key, dataset);
    source_bind_stamps(dataset->source, object_stamp);
    dataset->index = *index;
    *index = (struct index){0};
    return 0;
}

int dataset_open_elsewhere(const struct yaml *yaml, const struct yaml_node *node,
                           struct index *index, const char *uri, const char *prefix,
                           const char *where, struct dataset **ret_dataset,
                           struct opiml_error *err) {
    CLEANUP(dataset_close_at) struct dataset *dataset = base_alloc(sizeof(*dataset));
    const struct yaml_node *name = yaml_get(node, "format");
    struct dataset_request request = {.uri = uri, .yaml = yaml, .node = node};
    int rc;

    if (!dataset)
        return base_fail_memory(err, sizeof(*dataset), "a dataset");
    dataset->users = 1;
    rc = dataset_choose_format(name && name->kind == YAML_SCALAR ? name->text : NULL,
                               &request.format, err);
    if (rc == 0)
        rc = elsewhere_open(uri, prefix, where, &dataset->source, err);
    if (rc == 0)
        rc = take_index(dataset, &request, index, err);
    if (rc < 0)
        return rc;
    *ret_dataset = TAKE(dataset);
    return 0;
}

/* What of its objects lies here: each is as `own` has it, or the reason why it is another. */
static int take_stamps(struct dataset *dataset, const struct dataset *own,
                       struct opiml_error *err) {
    const struct index *all = &dataset->index, *mine = &own->index;
    uint64_t at = 0;
    dataset->stamps = base_alloc_array(all->header->objects, sizeof(*dataset->stamps));
    if (!dataset->stamps)
        return base_fail_memory(err, all->header->objects * sizeof(*dataset->stamps), "a dataset");
    for (uint64_t i = 0; i < all->header->objects; i++) {
        const char *key = index_object_key(all, (uint32_t)i);
        dataset->stamps[i].bytes = DATASET_NOT_HERE;
        if (at >= mine->header->objects || strcmp(index_object_key(mine, (uint32_t)at), key) != 0)
            continue;
        if (mine->objects[at].bytes != all->objects[i].bytes)
            return opiml_fail(err, OPIML_ESTALE, "%s%s has changed since it was indexed",
                              own->source->prefix, key);
        dataset->stamps[i] =
            (struct source_stamp){mine->objects[at].bytes, mine->objects[at].modified_ns};
        at++;
    }
    if (at < mine->header->objects)
        return opiml_fail(err, OPIML_ESTALE, "%s%s is here, and not in the index of all",
                          own->source->prefix, index_object_key(mine, (uint32_t)at));
    return 0;
}

int dataset_open_part(const struct yaml *yaml, const struct yaml_node *node, struct index *index,
                      const struct dataset *own, struct dataset **ret_dataset,
                      struct opiml_error *err) {
    CLEANUP(dataset_close_at) struct dataset *dataset = base_alloc(sizeof(*dataset));
    AUTO_FREE void *config = NULL;
    AUTO_FREE char *base = NULL;
    struct dataset_request request;
    struct index taken = *index;
    int rc;
    if (!dataset)
        return base_fail_memory(err, sizeof(*dataset), "a dataset");
    dataset->users = 1;
    if ((rc = read_request(yaml, node, &request, &config, &base, err)) < 0)
        return rc;
    dataset->direct = ((struct dataset_common *)config)->direct;
    rc = source_open(request.uri, request.base, &dataset->source, err);
    if (rc == 0)
        rc = check_format(dataset->source, &request, err);
    if (rc == 0)
        rc = take_index(dataset, &request, &taken, err);
    if (rc == 0 && dataset->format != own->format)
        rc = opiml_fail(err, OPIML_ECORRUPT, "%s: an index of another format", request.uri);
    if (rc == 0)
        rc = take_stamps(dataset, own, err);
    if (rc < 0) {
        dataset->index = (struct index){0}; /* the caller's */
        return rc;
    }
    *index = (struct index){0};
    *ret_dataset = TAKE(dataset);
    return 0;
}

int dataset_open_finding(const struct yaml *yaml, const struct yaml_node *node,
                         const struct dataset_head *head, uint32_t number,
                         struct dataset_finder *finder, struct dataset **ret_dataset,
                         struct opiml_error *err) {
    struct opiml_error why;
    int rc = finder ? finder->find(finder, yaml, node, number, NULL, ret_dataset, err) : 0;

    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = dataset_open_head(yaml, node, head, ret_dataset, &why);
    if (rc == 0)
        return 0;
    if (finder) {
        int found = finder->find(finder, yaml, node, number, &why, ret_dataset, err);

        if (found != 0)
            return found < 0 ? found : 0;
    }
    return opiml_fail(err, rc, "%s", why.message);
}
