/* A pipeline file's datasets, and the order of their records. */
#include "base/conf.h"
#include "base/hash.h"
#include "base/text.h"
#include "pipeline/choose.h"
#include "pipeline/parse_inside.h"
#include "pipeline/push.h"

struct shuffle_conf {
    uint32_t mode;
    uint64_t block, window;
};
struct epoch_conf {
    uint64_t samples;
};

#define ROW(struct_name, member) offsetof(struct struct_name, member)

static const struct opiml_param shuffle_rows[] = {
    {"mode", "none", "Order of the records", ROW(shuffle_conf, mode), OPIML_PARAM_CHOICE,
     "none|global|block", 0, 0},
    {"block", "256", "mode block: neighbouring records that stay together",
     ROW(shuffle_conf, block), OPIML_PARAM_U64, NULL, 1, 1e12},
    {"window", "16", "mode block: blocks mixed with one another", ROW(shuffle_conf, window),
     OPIML_PARAM_U64, NULL, 1, 1e6},
    {0},
};
static const struct opiml_param epoch_rows[] = {
    {"samples", "0", "Positions of an epoch; 0: as many as there are records",
     ROW(epoch_conf, samples), OPIML_PARAM_U64, NULL, 0, 1e15},
    {0},
};

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

int parse_datasets(struct opiml_pipeline *self, const struct yaml *yaml,
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

int parse_order(struct opiml_pipeline *self, const struct yaml *yaml, const double *weights,
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
