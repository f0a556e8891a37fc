/* Pipeline files: YAML → struct opiml_pipeline. All arithmetic is fixed here and in
 * parse_datasets.c and parse_ops.c: which operators, fused how, with which parameters, labels and
 * seed. Where they run is the planner's business. */
#include "base/conf.h"
#include "base/hash.h"
#include "base/text.h"
#include "op/registry.h"
#include "pipeline/choose.h"
#include "pipeline/parse_inside.h"

/* ---- the file's sections, as rows ---- */

struct head_conf {
    uint32_t version;
    uint32_t kind;
    uint64_t seed, pool_bytes;
    uint32_t threads;
    uint32_t place, cache;
};
struct batch_conf {
    uint32_t size;
    bool drop_last;
};
struct errors_conf {
    double budget;
};

#define ROW(struct_name, member) offsetof(struct struct_name, member)

static const struct opiml_param head_rows[] = {
    {"opiml", NULL, "Version of the file's form", ROW(head_conf, version), OPIML_PARAM_U32, NULL, 1,
     1},
    {"kind", NULL, "What the file is", ROW(head_conf, kind), OPIML_PARAM_CHOICE, "pipeline", 0, 0},
    {"seed", "0", "Key of all randomness", ROW(head_conf, seed), OPIML_PARAM_U64, NULL, 0, 0},
    {"pool", "1GiB", "Most memory for batches, reads and scratch", ROW(head_conf, pool_bytes),
     OPIML_PARAM_U64, NULL, 0, 0},
    {"threads", "0", "Compute threads; 0: one per core", ROW(head_conf, threads), OPIML_PARAM_U32,
     NULL, 0, PIPELINE_THREADS_MAX},
    {"place", "auto", "Where operators run", ROW(head_conf, place), OPIML_PARAM_CHOICE,
     "auto|local", 0, 0},
    {"cache", "off", "Whether rows are kept in memory where that pays", ROW(head_conf, cache),
     OPIML_PARAM_CHOICE, "off|auto", 0, 0},
    {0},
};
static const struct opiml_param batch_rows[] = {
    {"size", NULL, "Rows of a batch, over all ranks", ROW(batch_conf, size), OPIML_PARAM_U32, NULL,
     1, PIPELINE_BATCH_MAX},
    {"drop_last", "false", "Leave out an incomplete last batch", ROW(batch_conf, drop_last),
     OPIML_PARAM_BOOL, NULL, 0, 0},
    {0},
};
static const struct opiml_param errors_rows[] = {
    {"budget", "0", "Bad records an epoch may have: a share below 1, else a count",
     ROW(errors_conf, budget), OPIML_PARAM_F64, NULL, 0, 1e12},
    {0},
};

static const char *const section_names[] = {"dataset", "datasets", "shuffle", "epoch",
                                            "ops",     "batch",    "errors",  NULL};

static int read_head(const struct yaml *yaml, struct head_conf *head, struct opiml_error *err) {
    int rc;

    if (yaml->root->kind != YAML_MAPPING)
        return yaml_fail(yaml, yaml->root, err,
                         "a pipeline file is a mapping that starts with \"opiml: 1\"");
    if ((rc = conf_check_kind(yaml, "pipeline", err)) < 0)
        return rc;
    return conf_read_head(head_rows, section_names, head, yaml, yaml->root, "pipeline", err);
}
/* ---- batches, hash ---- */

static int read_batch(struct opiml_pipeline *self, const struct yaml *yaml,
                      struct opiml_error *err) {
    const struct yaml_node *node = yaml_get(yaml->root, "batch");
    struct batch_conf batch;
    struct errors_conf errors;
    int rc;

    if (!node)
        return yaml_fail(yaml, yaml->root, err, "\"batch: {size: N}\" is missing");
    if ((rc = conf_read(batch_rows, &batch, yaml, node, "batch", err)) < 0 ||
        (rc = conf_read(errors_rows, &errors, yaml, yaml_get(yaml->root, "errors"), "errors",
                        err)) < 0)
        return rc;
    self->batch_rows = batch.size;
    self->drop_last = batch.drop_last;
    self->budget = errors.budget;
    self->group_rows = 1;
    for (uint32_t i = self->row_ops; i < self->ops; i++) {
        if (self->group_rows != 1 && self->op[i]->shape.group_rows != self->group_rows)
            return yaml_fail(yaml, node, err,
                             "operators that mix rows differ in their groups: "
                             "%u and %u rows",
                             self->group_rows, self->op[i]->shape.group_rows);
        self->group_rows = self->op[i]->shape.group_rows;
    }
    if (batch.size % self->group_rows != 0)
        return yaml_fail(yaml, node, err, "batch.size %u is no multiple of the groups of %u rows",
                         batch.size, self->group_rows);
    if (batch.drop_last && self->mix.positions < batch.size)
        return yaml_fail(yaml, node, err,
                         "one batch of %u is not filled by %" PRIu64 " position%s, and "
                         "drop_last leaves the rest out",
                         batch.size, self->mix.positions, text_s(self->mix.positions));
    return 0;
}

/* Everything that the delivered bytes depend on, beside the data. */
static int hash_pipeline(struct opiml_pipeline *self, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};

    text_printf(&text,
                "opiml 1 seed %" PRIu64 " mode %d block %" PRIu64 " window %" PRIu64
                " shares %016" PRIx64 " batch %u drop %d\n",
                self->seed, (int)self->mix.mode, self->mix.block, self->mix.window, self->hash,
                self->batch_rows, self->drop_last);
    for (uint32_t d = 0; d < self->datasets; d++) {
        uint64_t params;
        int rc = dataset_params_hash(self->dataset[d], &params, err);

        if (rc < 0)
            return rc;
        text_printf(&text, "read as %016" PRIx64 "\n", params);
    }
    for (uint32_t i = 0; i < self->choosers; i++) {
        parse_describe_op(self->chooser[i], &text);
        text_add(&text, "\n");
    }
    for (uint32_t i = 0; i < self->ops; i++) {
        parse_describe_op(self->op[i], &text);
        text_printf(&text, " label=%s\n", self->op[i]->label);
    }
    if (text.failed)
        return base_fail_memory(err, text.room, "the pipeline's canonical text");
    self->hash = hash_64(text.at, text.count, 0);
    return 0;
}

/* ---- the public noun ---- */

void opiml_pipeline_close(struct opiml_pipeline *self) {
    if (!self)
        return;
    for (uint32_t i = 0; i < self->choosers; i++)
        parse_free_op(self->chooser[i]);
    for (uint32_t i = 0; i < self->ops; i++)
        parse_free_op(self->op[i]);
    for (uint32_t d = 0; d < self->datasets; d++)
        dataset_close(self->dataset[d]);
    base_free(self->name);
    base_free(self);
}

static void close_at(struct opiml_pipeline **self) {
    opiml_pipeline_close(*self);
}

static int build(const struct yaml *yaml, struct dataset_finder *finder,
                 struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    CLEANUP(close_at) struct opiml_pipeline *self = base_alloc(sizeof(*self));
    double weights[MIX_MAX] = {1};
    struct head_conf head;
    int rc;

    if (!self || !(self->name = base_strdup(yaml->name)))
        return base_fail_memory(err, sizeof(*self), "a pipeline");
    if ((rc = read_head(yaml, &head, err)) < 0)
        return rc;
    self->seed = head.seed;
    self->pool_bytes = head.pool_bytes;
    self->threads = head.threads;
    self->stays = head.place != 0; /* "auto" is first */
    self->cache_auto = head.cache != 0;
    if ((rc = parse_datasets(self, yaml, finder, weights, err)) < 0 ||
        (rc = parse_ops(self, yaml, err)) < 0 || (rc = parse_order(self, yaml, weights, err)) < 0 ||
        (rc = read_batch(self, yaml, err)) < 0 || (rc = hash_pipeline(self, err)) < 0)
        return rc;
    *ret_pipeline = TAKE(self);
    return 0;
}

int pipeline_open_finding(const char *path, struct dataset_finder *finder,
                          struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_load(path, &yaml, err);

    return rc < 0 ? rc : build(yaml, finder, ret_pipeline, err);
}

int pipeline_parse_finding(const char *text, const char *name, struct dataset_finder *finder,
                           struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(text, strlen(text), name, &yaml, err);

    return rc < 0 ? rc : build(yaml, finder, ret_pipeline, err);
}

bool pipeline_is_elsewhere(const struct opiml_pipeline *pipeline) {
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (dataset_is_elsewhere(pipeline->dataset[d]))
            return true;
    return false;
}

int opiml_pipeline_open(const char *path, struct opiml_pipeline **ret_pipeline,
                        struct opiml_error *err) {
    return pipeline_open_finding(path, NULL, ret_pipeline, err);
}

int opiml_pipeline_parse(const char *text, size_t bytes, const char *name,
                         struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(text, bytes, name, &yaml, err);

    return rc < 0 ? rc : build(yaml, NULL, ret_pipeline, err);
}

static struct yaml_node *find(struct yaml_node *map, const char *key) {
    struct yaml_node *node = map->kind == YAML_MAPPING ? map->child : NULL;

    while (node && strcmp(node->key, key) != 0)
        node = node->next;
    return node;
}

/* As if the key had not been written. */
static void drop(struct yaml_node *map, const char *key) {
    if (!map || map->kind != YAML_MAPPING)
        return;
    for (struct yaml_node **at = &map->child; *at; at = &(*at)->next)
        if (strcmp((*at)->key, key) == 0) {
            *at = (*at)->next;
            map->count--;
            return;
        }
}

/* As if no operator chose records. */
static void drop_choosers(struct yaml_node *list) {
    if (!list || list->kind != YAML_SEQUENCE)
        return;
    for (struct yaml_node **at = &list->child; *at;) {
        const struct yaml_node *params = (*at)->kind == YAML_MAPPING ? (*at)->child : NULL;
        const struct opiml_op *op = params ? op_find(params->key) : NULL;

        if (op && choose_is(op)) {
            *at = (*at)->next;
            list->count--;
        } else {
            at = &(*at)->next;
        }
    }
}

int pipeline_open_over(const char *path, const char *uri, struct opiml_pipeline **ret_pipeline,
                       struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    struct yaml_node *dataset, *at;
    int rc = yaml_load(path, &yaml, err);

    if (rc < 0)
        return rc;
    dataset = find(yaml->root, "dataset");
    at = dataset ? find(dataset, "uri") : NULL;
    if (!at || find(dataset, "parts"))
        return yaml_fail(yaml, dataset ? dataset : yaml->root, err,
                         "the file to predict takes the place of the dataset's uri, and here is "
                         "%s",
                         at        ? "a dataset of `parts`, several files to a record"
                         : dataset ? "a dataset without one"
                                   : "no single dataset");
    drop(yaml->root, "shuffle"); /* these are for the data that it was written for */
    drop(yaml->root, "epoch");
    drop(find(yaml->root, "batch"), "drop_last");
    drop_choosers(find(yaml->root, "ops"));
    at->kind = YAML_SCALAR;
    at->text = uri;
    return build(yaml, NULL, ret_pipeline, err);
}
