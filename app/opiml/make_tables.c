/* Made tables: rows of numbers whose class follows from them, as CSV or raw records. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "make.h"

/* What the class depends on: for each class a line and some products of neighbours. */
struct rule {
    float line[MAKE_CLASSES_MOST][MAKE_FIELDS_MOST], product[MAKE_CLASSES_MOST][MAKE_FIELDS_MOST];
};

static float draw(struct opiml_rng *rng) {
    uint32_t bits = opiml_rng_u32(rng);
    int32_t sum = (int32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));

    return (float)(sum - 510) / 147.8f; /* mean 0, variance 1 */
}

static void make_rule(const struct make_conf *conf, struct rule *rule) {
    struct opiml_rng rng;

    rng_init(&rng, conf->seed, 0, 0, 0x72756c65); /* "rule" */
    for (uint32_t k = 0; k < conf->classes; k++) {
        for (uint32_t f = 0; f < conf->fields; f++) {
            rule->line[k][f] = draw(&rng);
            rule->product[k][f] = draw(&rng) * 0.7f;
        }
    }
}

/* A row: the fields and the class with the highest score. */
static int32_t make_row(const struct make_conf *conf, const struct make_split *split,
                        const struct rule *rule, uint64_t row, float *x) {
    struct opiml_rng rng;
    float best = 0;
    int32_t label = 0;

    rng_init(&rng, conf->seed, split->number, row, 0x726f7773); /* "rows" */
    for (uint32_t f = 0; f < conf->fields; f++)
        x[f] = draw(&rng);
    for (uint32_t k = 0; k < conf->classes; k++) {
        float score = draw(&rng) * 0.1f;

        for (uint32_t f = 0; f < conf->fields; f++)
            score +=
                x[f] * rule->line[k][f] + x[f] * x[(f + 1) % conf->fields] * rule->product[k][f];
        if (k == 0 || score > best) {
            best = score;
            label = (int32_t)k;
        }
    }
    return label;
}

/* ---- CSV ---- */

static int csv_begin(const struct make_conf *conf, const struct make_split *split,
                     struct opiml_error *err) {
    return 0;
}

static int csv_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    AUTO_FREE struct rule *rule = base_alloc(sizeof(*rule));
    AUTO_FREE char *path = make_path(conf, "%s.csv", split->name);
    CLEANUP(file_writer_release) struct file_writer file = {.fd = -1};
    AUTO_TEXT struct text lines = {0};
    float x[MAKE_FIELDS_MOST];
    int rc;

    if (!rule || !path)
        return base_fail_memory(err, sizeof(*rule), "a table");
    make_rule(conf, rule);
    if ((rc = file_writer_init(&file, path, err)) < 0)
        return rc;
    for (uint32_t f = 0; f < conf->fields; f++)
        text_printf(&lines, "x%u,", f);
    text_add(&lines, "label\n");
    for (uint64_t i = first; i < first + count; i++) {
        int32_t label = make_row(conf, split, rule, i, x);

        for (uint32_t f = 0; f < conf->fields; f++)
            text_printf(&lines, "%.6f,", (double)x[f]);
        text_printf(&lines, "%d\n", label);
        if ((rc = make_add_lines(&file, &lines, MAKE_FLUSH_BYTES, err)) < 0)
            return rc;
    }
    if ((rc = make_add_lines(&file, &lines, 1, err)) < 0)
        return rc;
    return file_writer_commit(&file, err);
}

static void csv_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    snprintf(to, room, "{uri: %s/%s.csv, format: csv}", conf->root, split->name);
}

/* ---- raw records ---- */

static int raw_begin(const struct make_conf *conf, const struct make_split *split,
                     struct opiml_error *err) {
    AUTO_FREE char *path = make_path(conf, "%s.bin", split->name);

    return path ? make_write_file(path, "", 0, err) : base_fail_memory(err, 0, "a path");
}

static int raw_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    AUTO_FREE struct rule *rule = base_alloc(sizeof(*rule));
    AUTO_FREE char *path = make_path(conf, "%s.bin", split->name);
    size_t bytes = conf->fields * sizeof(float) + sizeof(int32_t);
    uint8_t record[sizeof(float) * MAKE_FIELDS_MOST + sizeof(int32_t)];
    float x[MAKE_FIELDS_MOST];
    AUTO_FD int fd = -1;

    if (!rule || !path)
        return base_fail_memory(err, sizeof(*rule), "a table");
    make_rule(conf, rule);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail_errno(err, errno, "%s", path);
    for (uint64_t i = first; i < first + count; i++) {
        int32_t label = make_row(conf, split, rule, i, x);
        int rc;

        memcpy(record, x, conf->fields * sizeof(float));
        memcpy(record + conf->fields * sizeof(float), &label, sizeof(label));
        if ((rc = file_pwrite(fd, record, bytes, i * bytes, path, err)) < 0)
            return rc;
    }
    return 0;
}

static void raw_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    snprintf(to, room, "{uri: %s/%s.bin, format: raw, fields: [\"x:f32:%u\", \"label:i32\"]}",
             conf->root, split->name, conf->fields);
}

const struct make_format make_table_formats[] = {
    {"csv", 0, csv_begin, csv_shard, csv_describe},
    {"raw", 4096, raw_begin, raw_shard, raw_describe},
    {0},
};
