/* Predicting on tables. */
#include "predict_table.h"

#include <sys/stat.h>

#include "bad_records.h"
#include "learn/model.h"
#include "likeliest.h"
#include "pipeline/pipeline.h"
#include "screen.h"

/* A table as its pipeline gives it, some rows at a time. */
struct table {
    struct opiml_pipeline *pipeline;
    struct opiml_feed *feed;
    struct learn_table columns;
    float *rows, *probabilities;
    uint64_t *numbers; /* of the rows, within the file */
    bool *outside;     /* whether a category of theirs is outside the model's buckets */
};

static void table_release(struct table *table) {
    opiml_feed_close(table->feed);
    opiml_pipeline_close(table->pipeline);
    base_free(table->rows);
    base_free(table->probabilities);
    base_free(table->numbers);
    base_free(table->outside);
}

static uint32_t width_of(const struct table *table) {
    return table->columns.numbers + table->columns.codes;
}

static int open_table(const struct predict_table *self, const char *path, struct table *table,
                      struct opiml_error *err) {
    AUTO_FREE char *whole = realpath(path, NULL);
    struct opiml_feed_options options;
    size_t most, bytes;
    int rc;

    if (!whole)
        return base_fail_errno(err, errno, "%s", path);
    if ((rc = pipeline_open_over(self->data, whole, &table->pipeline, err)) < 0 ||
        (rc = model_find_columns(self->model, opiml_pipeline_schema(table->pipeline), path,
                                 &table->columns, err)) < 0)
        return rc;
    most = opiml_pipeline_batch_rows(table->pipeline);
    bytes = most * (width_of(table) + opiml_model_classes(self->model)) * sizeof(float);
    table->rows = base_alloc_array(most * width_of(table), sizeof(float));
    table->probabilities = base_alloc_array(most * opiml_model_classes(self->model), sizeof(float));
    table->numbers = base_alloc_array(most, sizeof(*table->numbers));
    table->outside = base_alloc_array(most, sizeof(*table->outside));
    if (!table->rows || !table->probabilities || !table->numbers || !table->outside)
        return base_fail_memory(err, bytes, "rows of a table");
    opiml_feed_options_init(&options);
    return opiml_feed_open(table->pipeline, &options, &table->feed, err);
}

/* Pack what is neither a hole nor without sound numbers, and becomes a bad record then. */
static int take_rows(struct table *table, const struct opiml_batch *batch, uint32_t *ret_count,
                     struct opiml_error *err) {
    uint32_t count = 0;
    int rc;

    for (uint32_t r = 0; r < batch->rows; r++) {
        uint64_t outside = 0;

        if (batch->status[r] != OPIML_ROW_OK)
            continue;
        rc = learn_table_row(&table->columns, table->feed, batch, r,
                             table->rows + (size_t)count * width_of(table), &outside, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        table->outside[count] = outside > 0;
        table->numbers[count++] = batch->samples[r];
    }
    *ret_count = count;
    return 0;
}

static void tell_row(const struct predict_table *self, uint64_t number, float *probabilities) {
    char shown[SCREEN_NAME_BYTES];

    printf("  row %" PRIu64 ":", number);
    for (uint32_t i = 0; i < self->top && i < opiml_model_classes(self->model); i++) {
        float probability;
        uint32_t label = likeliest_take(self->model, probabilities, &probability);

        printf("%s %s %.2f%%", i ? "," : "",
               screen_name(shown, opiml_model_class(self->model, label)),
               100.0 * (double)probability);
    }
    printf("\n");
}

static void tell(const struct predict_table *self, const struct table *table, const char *path,
                 uint32_t count, struct js *list) {
    for (uint32_t i = 0; i < count; i++) {
        float *probabilities = table->probabilities + (size_t)i * opiml_model_classes(self->model);
        struct js *object;

        if (!list) {
            tell_row(self, table->numbers[i], probabilities);
            continue;
        }
        object = js_object();
        js_set(object, "table", js_text(path));
        js_set(object, "row", js_u64(table->numbers[i]));
        if (table->outside[i])
            js_set(object, "outside", js_bool(true));
        js_set(object, "classes", likeliest_json(self->model, probabilities, self->top));
        js_add(list, object);
    }
}

static int predict_rows(struct predict_table *self, struct table *table, const char *path,
                        struct js *list, struct opiml_error *err) {
    const struct opiml_batch *batch;
    uint32_t count = 0;
    int rc;

    while ((rc = opiml_feed_next(table->feed, &batch, err)) == 1) {
        rc = take_rows(table, batch, &count, err);
        opiml_batch_release(batch);
        if (rc < 0 || (rc = opiml_model_predict(self->model, table->rows, count,
                                                table->probabilities, err)) < 0)
            return rc;
        tell(self, table, path, count, list);
        for (uint32_t i = 0; i < count; i++)
            self->outside += table->outside[i];
    }
    return rc;
}

static const char *bad_line(const void *feed, uint32_t i) {
    return opiml_feed_bad((struct opiml_feed *)(uintptr_t)feed, i);
}

int predict_table(struct predict_table *self, const char *path, struct js *list,
                  struct opiml_error *err) {
    CLEANUP(table_release) struct table table = {0};
    struct bad_records bad = {.verb = "predict", .line = bad_line};
    char shown[SCREEN_NAME_BYTES];
    int rc = open_table(self, path, &table, err);

    if (rc < 0)
        return rc;
    if (!list)
        printf("%s\n", screen_name(shown, path));
    rc = predict_rows(self, &table, path, list, err);
    bad.from = table.feed;
    bad_records_list(&bad, rc == OPIML_EBUDGET);
    return rc;
}
