/* A pipeline file's operators, the places that it gives them, and what the last one leaves. */
#include "base/conf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "dataset/texts.h"
#include "op/fuse.h"
#include "op/registry.h"
#include "pipeline/choose.h"
#include "pipeline/parse_inside.h"

#define ROW(struct_name, member) offsetof(struct struct_name, member)

static const struct opiml_param cache_rows[] = {
    {"in", "ram", "Where rows are kept", ROW(cache_conf, where), OPIML_PARAM_CHOICE, "ram|disk", 0,
     0},
    {"bytes", "256MiB", "Most bytes to keep", ROW(cache_conf, bytes), OPIML_PARAM_U64, NULL, 0, 0},
    {"folder", "", "disk: where; empty: below $XDG_CACHE_HOME", ROW(cache_conf, folder),
     OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};

void parse_free_op(struct pipeline_op *op) {
    if (!op)
        return;
    base_free(op->params);
    base_free(op);
}

static void free_op_at(struct pipeline_op **op) {
    parse_free_op(*op);
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
    parse_free_op(before);
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

void parse_describe_op(const struct pipeline_op *op, struct text *text) {
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
    for (uint32_t i = 0; i < self->cache.at; i++) {
        text_printf(&text, "%016" PRIx64 " ", op_implementation(self->op[i]->op));
        parse_describe_op(self->op[i], &text);
        text_add(&text, "\n");
    }
    if (text.failed)
        return base_fail_memory(err, text.room, "the cache's key");
    self->cache.key = hash_128(text.at, text.count);
    return 0;
}

int pipeline_keep_rows(struct opiml_pipeline *self, uint32_t at, enum cache_where where,
                       uint64_t bytes, struct opiml_error *err) {
    if (self->cache.on)
        return opiml_fail(err, OPIML_EINVAL, "%s: rows are kept already", self->name);
    if (at > self->row_ops || !pipeline_is_steady(self, at))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: rows before operator %u are not the same in every epoch", self->name,
                          at);
    self->cache = (struct cache_conf){.on = true, .at = at, .where = where, .bytes = bytes};
    return make_cache_key(self, err);
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

int parse_ops(struct opiml_pipeline *self, const struct yaml *yaml, struct opiml_error *err) {
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
