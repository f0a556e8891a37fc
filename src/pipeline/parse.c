/* Pipeline files: YAML → struct opiml_pipeline. All arithmetic is fixed here: which operators,
 * fused how, with which parameters, labels and seed. Where they run is the planner's business. */
#include "base/conf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "dataset/texts.h"
#include "op/fuse.h"
#include "op/registry.h"
#include "pipeline/choose.h"
#include "pipeline/pipeline.h"
#include "pipeline/push.h"

/* ---- the file's sections, as rows ---- */

struct head_conf {
    uint32_t version;
    uint32_t kind;
    uint64_t seed, pool_bytes;
    uint32_t threads;
    uint32_t place, cache;
};
struct shuffle_conf {
    uint32_t mode;
    uint64_t block, window;
};
struct batch_conf {
    uint32_t size;
    bool drop_last;
};
struct errors_conf {
    double budget;
};
struct epoch_conf {
    uint64_t samples;
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
static const struct opiml_param shuffle_rows[] = {
    {"mode", "none", "Order of the records", ROW(shuffle_conf, mode), OPIML_PARAM_CHOICE,
     "none|global|block", 0, 0},
    {"block", "256", "mode block: neighbouring records that stay together",
     ROW(shuffle_conf, block), OPIML_PARAM_U64, NULL, 1, 1e12},
    {"window", "16", "mode block: blocks mixed with one another", ROW(shuffle_conf, window),
     OPIML_PARAM_U64, NULL, 1, 1e6},
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
static const struct opiml_param epoch_rows[] = {
    {"samples", "0", "Positions of an epoch; 0: as many as there are records",
     ROW(epoch_conf, samples), OPIML_PARAM_U64, NULL, 0, 1e15},
    {0},
};
static const struct opiml_param cache_rows[] = {
    {"in", "ram", "Where rows are kept", ROW(cache_conf, where), OPIML_PARAM_CHOICE, "ram|disk", 0,
     0},
    {"bytes", "256MiB", "Most bytes to keep", ROW(cache_conf, bytes), OPIML_PARAM_U64, NULL, 0, 0},
    {"folder", "", "disk: where; empty: below $XDG_CACHE_HOME", ROW(cache_conf, folder),
     OPIML_PARAM_TEXT, NULL, 0, 0},
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

/* ---- datasets ---- */

static int open_mixed(struct opiml_pipeline *self, const struct yaml *yaml,
                      const struct yaml_node *list, const struct dataset_head *head,
                      struct dataset_finder *finder, double *weights, struct opiml_error *err) {
    int rc;

    if (list->kind != YAML_SEQUENCE || list->count == 0 || list->count > MIX_MAX)
        return yaml_fail(yaml, list, err, "\"datasets\" is a list of 1 to %d datasets", MIX_MAX);
    for (const struct yaml_node *node = list->child; node; node = node->next) {
        const struct yaml_node *weight = yaml_get(node, "weight");

        weights[self->datasets] = 1;
        if ((weight && (weight->kind != YAML_SCALAR ||
                        !text_parse_double(weight->text, &weights[self->datasets]))) ||
            !(weights[self->datasets] > 0) || !(weights[self->datasets] < 1e9))
            return yaml_fail(yaml, weight ? weight : node, err, "\"weight\" is a number above 0");
        rc = dataset_open_finding(yaml, node, head, self->datasets, finder,
                                  &self->dataset[self->datasets], err);
        if (rc < 0)
            return rc;
        self->datasets++;
    }
    return 0;
}

/* Labels of mixed datasets mean the same, where both name their classes. */
static int match_classes(const struct dataset *a, const struct dataset *b, const struct yaml *yaml,
                         const struct yaml_node *at, struct opiml_error *err) {
    const char *x = dataset_class(a, 0), *y = dataset_class(b, 0);

    if (!x || !y)
        return 0;
    for (uint32_t label = 0; x || y; label++) {
        x = dataset_class(a, label);
        y = dataset_class(b, label);
        if (x && y ? strcmp(x, y) != 0 : x || y)
            return yaml_fail(yaml, at, err,
                             "class %u is \"%s\" in %s and \"%s\" in %s: mixed datasets need the "
                             "same classes",
                             label, x ? x : "(none)", dataset_uri(a), y ? y : "(none)",
                             dataset_uri(b));
    }
    return 0;
}

/* Mixed datasets give one kind of row: the same fields; sizes may differ where shapes vary. */
static int unite_schemas(struct opiml_pipeline *self, const struct yaml *yaml,
                         const struct yaml_node *at, struct opiml_error *err) {
    int rc;

    self->records = *dataset_schema(self->dataset[0]);
    for (uint32_t d = 1; d < self->datasets; d++) {
        const struct opiml_schema *other = dataset_schema(self->dataset[d]);

        rc = match_classes(self->dataset[0], self->dataset[d], yaml, at, err);
        if (rc < 0)
            return rc;
        if (other->count != self->records.count)
            return yaml_fail(yaml, at, err,
                             "%s has %u field%s, %s has %u: mixed datasets need the "
                             "same fields",
                             dataset_uri(self->dataset[0]), self->records.count,
                             text_s(self->records.count), dataset_uri(self->dataset[d]),
                             other->count);
        for (uint32_t f = 0; f < other->count; f++) {
            struct opiml_field *a = &self->records.fields[f];
            const struct opiml_field *b = &other->fields[f];

            if (strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->ndim != b->ndim ||
                memcmp(a->shape, b->shape, sizeof(a->shape)) != 0)
                return yaml_fail(yaml, at, err,
                                 "field \"%s\" of %s and field \"%s\" of %s differ: "
                                 "mixed datasets need the same fields",
                                 a->name, dataset_uri(self->dataset[0]), b->name,
                                 dataset_uri(self->dataset[d]));
            a->max_bytes = base_max_u64(a->max_bytes, b->max_bytes);
        }
    }
    return 0;
}

static int read_datasets(struct opiml_pipeline *self, const struct yaml *yaml,
                         struct dataset_finder *finder, double *weights, struct opiml_error *err) {
    const struct yaml_node *one = yaml_get(yaml->root, "dataset");
    const struct yaml_node *many = yaml_get(yaml->root, "datasets");
    CLEANUP(push_release) struct push push;
    int rc = push_find(&push, yaml_get(yaml->root, "ops"), err);

    if (rc < 0)
        return rc;
    if (!one == !many)
        return yaml_fail(yaml, many ? many : yaml->root, err,
                         "give either \"dataset\" or \"datasets\"");
    if (one) {
        rc = dataset_open_finding(yaml, one, &push.head, 0, finder, &self->dataset[0], err);
        if (rc < 0)
            return rc;
        self->datasets = 1;
    } else if ((rc = open_mixed(self, yaml, many, &push.head, finder, weights, err)) < 0) {
        return rc;
    }
    for (uint32_t d = 0; d < self->datasets; d++)
        self->fingerprint =
            hash_64(&(uint64_t){dataset_fingerprint(self->dataset[d])}, 8, self->fingerprint);
    return unite_schemas(self, yaml, one ? one : many, err);
}

/* The order of an epoch, of the records that operators have chosen. */
static int read_order(struct opiml_pipeline *self, const struct yaml *yaml, const double *weights,
                      struct opiml_error *err) {
    struct shuffle_conf shuffle;
    struct epoch_conf epoch;
    struct choices choices = {.count = self->choosers};
    uint64_t records[MIX_MAX];
    int rc;

    if ((rc = conf_read(shuffle_rows, &shuffle, yaml, yaml_get(yaml->root, "shuffle"), "shuffle",
                        err)) < 0 ||
        (rc = conf_read(epoch_rows, &epoch, yaml, yaml_get(yaml->root, "epoch"), "epoch", err)) < 0)
        return rc;
    for (uint32_t d = 0; d < self->datasets; d++)
        records[d] = dataset_count(self->dataset[d]);
    for (uint32_t i = 0; i < self->choosers; i++)
        choices.step[i] = choose_step(self->chooser[i]->op, self->chooser[i]->params);
    /* As the file has them: how many records there are is the data's. */
    self->hash = hash_64(weights, self->datasets * sizeof(weights[0]), epoch.samples);
    return mix_init(&self->mix, self->datasets, records, &choices, weights, epoch.samples,
                    shuffle.mode, shuffle.block, shuffle.window, self->seed, err);
}

/* ---- operators ---- */

static void free_op(struct pipeline_op *op) {
    if (!op)
        return;
    base_free(op->params);
    base_free(op);
}

static void free_op_at(struct pipeline_op **op) {
    free_op(*op);
}

/* "nearest" over the registry's names. */
static const char *nearest_op(const char *name) {
    const struct opiml_op *const *list = op_list();
    const char *names[256] = {"cache"};
    size_t count = 1;

    for (size_t i = 0; list[i] && count < COUNT_OF(names) - 1; i++)
        names[count++] = list[i]->name;
    names[count] = NULL;
    return text_nearest(name, names);
}

static int unknown_op(const struct yaml *yaml, const struct yaml_node *node, const char *name,
                      struct opiml_error *err) {
    const char *near = nearest_op(name);
    const char *problem = op_load_error();

    if (near)
        return yaml_fail_key(yaml, node, err, "no operator \"%s\"; did you mean \"%s\"?", name,
                             near);
    if (problem)
        return yaml_fail_key(yaml, node, err, "no operator \"%s\" (%s)", name, problem);
    return yaml_fail_key(yaml, node, err, "no operator \"%s\"; `opiml ops` lists them", name);
}

/* The default label counts operators of the same name, so that adding another kind of operator
 * leaves every random stream as it was. */
static void default_label(const struct opiml_pipeline *self, struct pipeline_op *op) {
    uint32_t nth = 0;

    for (uint32_t i = 0; i < self->ops; i++)
        nth += strcmp(self->op[i]->op->name, op->op->name) == 0;
    snprintf(op->label, sizeof(op->label), "%.36s#%u", op->op->name, nth);
}

static int set_label(struct opiml_pipeline *self, struct pipeline_op *op, const struct yaml *yaml,
                     const struct yaml_node *entry, const struct yaml_node *label,
                     struct opiml_error *err) {
    if (!label)
        default_label(self, op);
    else if (label->kind != YAML_SCALAR || !text_copy(op->label, sizeof(op->label), label->text) ||
             !op->label[0])
        return yaml_fail(yaml, label, err, "\"label\" is a text of at most %d characters",
                         OPIML_NAME_BYTES - 1);
    for (uint32_t i = 0; i < self->ops; i++)
        if (strcmp(self->op[i]->label, op->label) == 0)
            return yaml_fail(yaml, label ? label : entry, err, "label \"%s\" is taken", op->label);
    op->label_hash = (uint32_t)hash_64(op->label, strlen(op->label), 0);
    return 0;
}

/* ---- where operators run ---- */

static bool goes_away(const char *place) {
    return place[0] && strcmp(place, "here") != 0;
}

static int read_place(struct pipeline_op *op, const struct yaml *yaml, const struct yaml_node *node,
                      struct opiml_error *err) {
    if (!node)
        return 0;
    if (node->kind != YAML_SCALAR || !text_copy(op->place, sizeof(op->place), node->text) ||
        !(strcmp(op->place, "here") == 0 || strcmp(op->place, "node") == 0 ||
          strcmp(op->place, "auto") == 0 || strchr(op->place, ':')))
        return yaml_fail(yaml, node, err,
                         "\"place\" of an operator is here, node, auto, or one node's HOST:PORT");
    if (strcmp(op->place, "auto") == 0)
        op->place[0] = 0;
    return 0;
}

/* Rows go by nodes first and end here: what can be no plan is told where it is written. */
static int check_place(const struct opiml_pipeline *self, const struct pipeline_op *op,
                       const struct yaml *yaml, const struct yaml_node *node,
                       struct opiml_error *err) {
    if (!node || !goes_away(op->place))
        return 0;
    if (self->stays)
        return yaml_fail(yaml, node, err, "place: %s of %s, and the whole file says place: local",
                         op->place, op->op->name);
    if (op->shape.flags & (OPIML_OP_HOST_ONLY | OPIML_OP_GROUP))
        return yaml_fail(yaml, node, err, "place: %s: %s %s", op->place, op->op->name,
                         op->shape.flags & OPIML_OP_GROUP
                             ? "mixes the rows of a batch, which are together only here"
                             : "stays with the consumer");
    for (uint32_t i = 0; i < self->ops; i++)
        if (strcmp(self->op[i]->place, "here") == 0)
            return yaml_fail(yaml, node, err,
                             "place: %s of %s, and %s before it is to run here (line %u): rows "
                             "do not go back to a node",
                             op->place, op->op->name, self->op[i]->op->name, self->op[i]->line);
    return 0;
}

/* Two that become one run in one place. */
static int unite_places(struct pipeline_op *op, const struct pipeline_op *before,
                        const struct yaml *yaml, const struct yaml_node *node,
                        struct opiml_error *err) {
    if (op->place[0] && before->place[0] && strcmp(op->place, before->place) != 0)
        return yaml_fail(yaml, node, err,
                         "place: %s of %s, and place: %s of %s before it (line %u): the two become "
                         "one operator",
                         op->place, op->op->name, before->place, before->op->name, before->line);
    if (!op->place[0] && before->place[0]) {
        memcpy(op->place, before->place, sizeof(op->place));
        op->line = before->line;
    }
    return 0;
}

static int check_op(struct opiml_pipeline *self, struct pipeline_op *op, const struct yaml *yaml,
                    const struct yaml_node *node, struct opiml_error *err) {
    const struct opiml_schema *in = pipeline_schema(self, self->ops);
    struct opiml_error why = {0};

    memset(&op->shape, 0, sizeof(op->shape));
    op->shape.out = *in;
    op->shape.flags = op->op->flags;
    for (uint32_t f = 0; f < in->count; f++)
        op->shape.from[f] = (int32_t)f;
    if (op->op->check(op->params, in, &op->shape, &why) < 0)
        return yaml_fail_key(yaml, node, err, "%s: %s", op->op->name, why.message);
    if (op->op->flags & OPIML_OP_GROUP) {
        if (op->shape.group_rows < 1 || op->shape.group_rows > PIPELINE_BATCH_MAX)
            return yaml_fail_key(yaml, node, err, "%s: groups of %u rows", op->op->name,
                                 op->shape.group_rows);
    } else if (self->row_ops < self->ops) {
        return yaml_fail_key(yaml, node, err,
                             "%s stands behind an operator that mixes rows: those come last",
                             op->op->name);
    }
    return 0;
}

/* Fuse with the operator before, when the pair is defined as one. */
static int try_fuse(struct opiml_pipeline *self, struct pipeline_op *op, const struct yaml *yaml,
                    const struct yaml_node *place, struct opiml_error *err) {
    struct pipeline_op *before = self->ops ? self->op[self->ops - 1] : NULL;
    const struct opiml_op *fused;
    void *params = NULL;
    int rc;

    if (!before || (self->cache.on && self->cache.at == self->ops))
        return 0;
    rc = op_fuse(before->op, before->params, op->op, op->params, &fused, &params, err);
    if (rc <= 0)
        return rc;
    if ((rc = unite_places(op, before, yaml, place, err)) < 0) {
        base_free(params);
        return rc;
    }
    base_free(op->params);
    op->params = params;
    op->op = fused;
    free_op(before);
    self->ops--;
    self->row_ops--;
    return 0;
}

/* An operator that chooses records is no station: the order is made of what it leaves. */
static int add_chooser(struct opiml_pipeline *self, const struct yaml *yaml,
                       const struct yaml_node *node, const struct yaml_node *label,
                       struct pipeline_op **op, struct opiml_error *err) {
    const char *name = (*op)->op->name;
    int rc = check_op(self, *op, yaml, node, err);

    if (rc < 0)
        return rc;
    if (label)
        return yaml_fail(yaml, label, err, "%s draws from no stream that a label would key", name);
    if (self->ops > 0 || self->cache.on)
        return yaml_fail_key(yaml, node, err,
                             "%s stands behind %s: it chooses the records that are read, and comes "
                             "before all else",
                             name, self->cache.on ? "cache" : self->op[0]->op->name);
    if (self->choosers == CHOICES_MAX)
        return yaml_fail_key(yaml, node, err, "more than %d operators that choose records",
                             CHOICES_MAX);
    self->chooser[self->choosers++] = TAKE(*op);
    return 0;
}

static int read_op(struct opiml_pipeline *self, const struct yaml *yaml,
                   const struct yaml_node *node, const char *name, const struct yaml_node *params,
                   const struct yaml_node *label, const struct yaml_node *place,
                   struct opiml_error *err) {
    CLEANUP(free_op_at) struct pipeline_op *op = NULL;
    static const struct opiml_param none[] = {{0}};
    int rc;

    if (self->ops == PIPELINE_OPS_MAX)
        return yaml_fail(yaml, node, err, "more than %d operators", PIPELINE_OPS_MAX);
    op = base_alloc(sizeof(*op));
    if (!op)
        return base_fail_memory(err, sizeof(*op), "an operator");
    op->op = op_find(name);
    if (!op->op)
        return unknown_op(yaml, node, name, err);
    op->line = node->line;
    op->column = node->column;
    op->params = base_alloc(op->op->params_bytes);
    if (!op->params)
        return base_fail_memory(err, op->op->params_bytes, "an operator's parameters");
    if ((rc = conf_read(op->op->params ? op->op->params : none, op->params, yaml, params, name,
                        err)) < 0)
        return rc;
    if (place && (choose_is(op->op)))
        return yaml_fail_key(yaml, place, err,
                             "%s chooses the records that are read, and has no place", name);
    if (choose_is(op->op))
        return add_chooser(self, yaml, params ? params : node, label, &op, err);
    if ((rc = set_label(self, op, yaml, node, label, err)) < 0 ||
        (rc = read_place(op, yaml, place, err)) < 0 ||
        (rc = try_fuse(self, op, yaml, place, err)) < 0 ||
        (rc = check_op(self, op, yaml, params ? params : node, err)) < 0 ||
        (rc = check_place(self, op, yaml, place, err)) < 0)
        return rc;
    if (!(op->op->flags & OPIML_OP_GROUP))
        self->row_ops++;
    self->op[self->ops++] = TAKE(op);
    return 0;
}

/* One line of canonical text: what the operator does to a row, but for its random stream. */
static void describe_op(const struct pipeline_op *op, struct text *text) {
    text_printf(text, "%s v%u", op->op->name, op->op->version);
    for (const struct opiml_param *row = op->op->params; row && row->name; row++) {
        text_printf(text, " %s=", row->name);
        conf_format(row, op->params, text);
    }
}

/* Kept rows outlive the run: their key holds all that they depend on, codecs included. */
static int make_cache_key(struct opiml_pipeline *self, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};

    for (uint32_t d = 0; d < self->datasets; d++) {
        uint64_t params;
        int rc = dataset_params_hash(self->dataset[d], &params, err);

        if (rc < 0)
            return rc;
        text_printf(&text, "data %016" PRIx64 " %016" PRIx64 "\n",
                    dataset_version(self->dataset[d]), params);
    }
    for (uint32_t i = 0; i < self->ops; i++) {
        text_printf(&text, "%016" PRIx64 " ", op_implementation(self->op[i]->op));
        describe_op(self->op[i], &text);
        text_add(&text, "\n");
    }
    if (text.failed)
        return base_fail_memory(err, text.room, "the cache's key");
    self->cache.key = hash_128(text.at, text.count);
    return 0;
}

/* What is cached must be the same in every epoch. */
static int read_cache(struct opiml_pipeline *self, const struct yaml *yaml,
                      const struct yaml_node *node, const struct yaml_node *params,
                      struct opiml_error *err) {
    int rc;

    if (self->cache.on)
        return yaml_fail_key(yaml, node, err, "a second cache");
    if (self->cache_auto)
        return yaml_fail_key(yaml, node, err, "a cache here, and the whole file says cache: auto");
    if ((rc = conf_read(cache_rows, &self->cache, yaml, params, "cache", err)) < 0)
        return rc;
    for (uint32_t i = 0; i < self->ops; i++)
        if (self->op[i]->shape.flags & (OPIML_OP_RANDOM | OPIML_OP_GROUP | OPIML_OP_MAY_DROP))
            return yaml_fail_key(yaml, node, err,
                                 "cache stands behind %s, whose rows are not the same in every "
                                 "epoch: move it up",
                                 self->op[i]->op->name);
    if (self->cache.folder[0] && self->cache.where != CACHE_ON_DISK)
        return yaml_fail_key(yaml, node, err, "a folder is for \"in: disk\"");
    self->cache.on = true;
    self->cache.at = self->ops;
    if ((rc = conf_path(yaml->name, self->cache.folder, err)) < 0)
        return rc;
    return make_cache_key(self, err);
}

/* An entry is `name` or `{name: {…}}`, where `label: text` and `place: text` may stand, too. */
static int read_entry(struct opiml_pipeline *self, const struct yaml *yaml,
                      const struct yaml_node *entry, struct opiml_error *err) {
    const struct yaml_node *params = NULL, *label = NULL, *place = NULL;
    const char *name;

    if (entry->kind == YAML_SCALAR) {
        name = entry->text;
    } else {
        if (entry->kind != YAML_MAPPING)
            return yaml_fail(yaml, entry, err, "an operator is written \"- name: {…}\"");
        for (const struct yaml_node *node = entry->child; node; node = node->next) {
            if (strcmp(node->key, "label") == 0)
                label = node;
            else if (strcmp(node->key, "place") == 0)
                place = node;
            else if (!params)
                params = node;
            else
                return yaml_fail_key(yaml, node, err,
                                     "two operators in one entry: \"%s\" needs its own \"- \"",
                                     node->key);
        }
        if (!params)
            return yaml_fail(yaml, entry, err, "an entry without operator");
        name = params->key;
    }
    if (strcmp(name, "cache") == 0 && place)
        return yaml_fail_key(yaml, place, err, "a cache is where the operators before it run");
    if (strcmp(name, "cache") == 0)
        return read_cache(self, yaml, params ? params : entry, params, err);
    return read_op(self, yaml, params ? params : entry, name, params, label, place, err);
}

/* Whether it is one, or the file of one: bytes, but for those of a table's cell. */
static bool is_picture(const struct opiml_pipeline *self, const struct opiml_field *field) {
    const char *format = dataset_format_name(self->dataset[0]);

    if (field->ndim != 1)
        return true;
    return field->dtype == OPIML_U8 && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0;
}

/* A field whose rows are of no one size, at the end. Text in a table is none that lacks a crop. */
static int fail_size(const struct opiml_pipeline *self, const struct yaml *yaml,
                     const struct yaml_node *list, const struct opiml_field *field,
                     struct opiml_error *err) {
    const struct yaml_node *dataset = yaml_get(yaml->root, "dataset");
    const struct yaml_node *at = dataset ? dataset : yaml->root;
    AUTO_TEXT struct text example = {0};

    for (uint32_t d = 0; d < self->datasets; d++) {
        if (!texts_example(self->dataset[d], field->name, &example))
            continue;
        return yaml_fail(
            yaml, at, err,
            "column \"%s\" holds texts, such as %s, and texts make no batch: put "
            "numbers in their place (for a label the class's number, from 0), or leave "
            "the column out with select; where only some cells are no numbers, types: "
            "[\"%s:f32\"] of a csv dataset makes those rows bad records",
            field->name, example.at, field->name);
    }
    at = list ? list : at;
    if (is_picture(self, field))
        return yaml_fail(yaml, at, err,
                         "rows of \"%s\" differ in shape and cannot be batched: give images one "
                         "size (%s), or leave the field out with select",
                         field->name,
                         "decode, then center_crop, random_resized_crop, or resize with two "
                         "numbers");
    return yaml_fail(yaml, at, err,
                     "rows of \"%s\" differ in length and cannot be batched: leave the field out "
                     "with select; %s",
                     field->name,
                     field->dtype == OPIML_U8
                         ? "where its texts are numbers, types of a csv dataset "
                           "may say i64 or f32"
                         : "sequences of tokens become rows of one length "
                           "with pack");
}

static int read_ops(struct opiml_pipeline *self, const struct yaml *yaml, struct opiml_error *err) {
    const struct yaml_node *list = yaml_get(yaml->root, "ops");
    const struct opiml_schema *out;
    int rc;

    if (list && list->kind != YAML_SEQUENCE && !(list->kind == YAML_SCALAR && !list->text[0]))
        return yaml_fail(yaml, list, err, "\"ops\" is a list");
    for (const struct yaml_node *entry = list ? list->child : NULL; entry; entry = entry->next)
        if ((rc = read_entry(self, yaml, entry, err)) < 0)
            return rc;
    out = pipeline_schema(self, self->ops);
    if (out->count == 0)
        return yaml_fail(yaml, list ? list : yaml->root, err, "no field is left to deliver");
    for (uint32_t f = 0; f < out->count; f++)
        if (!opiml_field_fixed(&out->fields[f]))
            return fail_size(self, yaml, list, &out->fields[f], err);
    return 0;
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
        describe_op(self->chooser[i], &text);
        text_add(&text, "\n");
    }
    for (uint32_t i = 0; i < self->ops; i++) {
        describe_op(self->op[i], &text);
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
        free_op(self->chooser[i]);
    for (uint32_t i = 0; i < self->ops; i++)
        free_op(self->op[i]);
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
    if ((rc = read_datasets(self, yaml, finder, weights, err)) < 0 ||
        (rc = read_ops(self, yaml, err)) < 0 || (rc = read_order(self, yaml, weights, err)) < 0 ||
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
