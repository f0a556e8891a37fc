/* From batches to a network's input. */
#include "learn/data.h"

#include <strings.h>

static uint32_t count_classes(const struct opiml_pipeline *pipeline) {
    uint32_t count = 0;

    while (opiml_pipeline_class(pipeline, count))
        count++;
    return count;
}

static int find_classes(const struct opiml_pipeline *pipeline, const char *name, uint32_t classes,
                        struct learn_fields *fields, struct opiml_error *err) {
    const struct opiml_field *label = &opiml_pipeline_schema(pipeline)->fields[fields->label];

    fields->shares = label->dtype == OPIML_F32 && label->ndim == 1;
    if (classes == 0)
        classes = fields->shares ? (uint32_t)label->shape[0] : count_classes(pipeline);
    if (classes == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its dataset names no classes: say with model.classes how many there "
                          "are",
                          name);
    if (classes == 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its dataset has one class only; there is nothing to tell apart",
                          name);
    if (fields->shares ? label->shape[0] != classes : label->dtype != OPIML_I32 || label->ndim != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: \"label\" is %s with %u dimensions; training wants "
                          "one i32, or f32 [%u] as one_hot makes it",
                          name, opiml_dtype_text(label->dtype), label->ndim, classes);
    fields->classes = classes;
    return 0;
}

int learn_fields_find(struct opiml_pipeline *pipeline, const char *name, uint32_t classes,
                      struct learn_fields *ret_fields, struct opiml_error *err) {
    const struct opiml_schema *schema = opiml_pipeline_schema(pipeline);
    struct learn_fields fields = {.image = opiml_schema_find(schema, "image"),
                                  .label = opiml_schema_find(schema, "label")};
    const struct opiml_field *image;
    int rc;

    if (fields.image < 0 || fields.label < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: training wants the fields \"image\" and \"label\"; "
                          "\"%s\" is missing",
                          name, fields.image < 0 ? "image" : "label");
    image = &schema->fields[fields.image];
    if (image->dtype != OPIML_F32 || image->ndim != 3)
        return opiml_fail(
            err, OPIML_EINVAL,
            "%s: \"image\" is %s with %u dimensions; training wants "
            "f32 [channels, height, width]: end with normalize: {to: f32, layout: nchw}",
            name, opiml_dtype_text(image->dtype), image->ndim);
    fields.channels = (uint32_t)image->shape[0];
    fields.height = (uint32_t)image->shape[1];
    fields.width = (uint32_t)image->shape[2];
    if ((rc = find_classes(pipeline, name, classes, &fields, err)) < 0)
        return rc;
    *ret_fields = fields;
    return 0;
}

struct js *learn_class_names(const struct opiml_pipeline *pipeline) {
    struct js *names = js_array();

    for (uint32_t i = 0; opiml_pipeline_class(pipeline, i); i++)
        js_add(names, js_text(opiml_pipeline_class(pipeline, i)));
    return names;
}

bool learn_class_names_are_splits(const struct js *names) {
    static const char *const splits[] = {"train", "training", "test",       "testing",
                                         "val",   "valid",    "validation", "eval"};

    for (size_t i = 0; i < js_count(names); i++) {
        bool known = false;

        for (size_t k = 0; k < COUNT_OF(splits); k++)
            known |= strcasecmp(js_as_text(js_at(names, i), ""), splits[k]) == 0;
        if (!known)
            return false;
    }
    return js_count(names) > 0;
}

int learn_class_names_match(const struct js *names, const char *where, const struct js *known,
                            const char *known_where, struct opiml_error *err) {
    if (js_count(names) == 0 || js_count(known) == 0)
        return 0;
    for (size_t i = 0; i < js_count(names); i++) {
        const char *name = js_as_text(js_at(names, i), "");
        const char *other = js_as_text(js_at(known, i), NULL);

        if (!other)
            return opiml_fail(err, OPIML_EINVAL, "%s: class %zu is \"%s\"; %s has no such class",
                              where, i, name, known_where);
        if (strcmp(name, other) != 0)
            return opiml_fail(err, OPIML_EINVAL, "%s: class %zu is \"%s\"; in %s it is \"%s\"",
                              where, i, name, known_where, other);
    }
    return 0;
}

int learn_rows_init(struct learn_rows *rows, const struct learn_fields *fields, float *images,
                    uint32_t room, struct opiml_error *err) {
    *rows = (struct learn_rows){.fields = fields, .room = room, .images = images};
    if (fields->shares)
        rows->shares = base_alloc_array((size_t)room * fields->classes, sizeof(*rows->shares));
    else
        rows->labels = base_alloc_array(room, sizeof(*rows->labels));
    return rows->shares || rows->labels ? 0 : base_fail_memory(err, room * 4, "labels");
}

void learn_rows_release(struct learn_rows *rows) {
    base_free(rows->labels);
    base_free(rows->shares);
    rows->labels = NULL;
    rows->shares = NULL;
}

/* 1: taken; 0: the row is a bad record now. */
static int take_label(struct learn_rows *rows, struct opiml_feed *feed,
                      const struct opiml_batch *batch, uint32_t r, struct opiml_error *err) {
    const uint8_t *labels = batch->data[rows->fields->label];
    uint32_t classes = rows->fields->classes;
    char reason[64];
    int32_t label;

    if (rows->shares) {
        size_t bytes = classes * sizeof(float);

        memcpy(rows->shares + (size_t)rows->rows * classes, labels + r * bytes, bytes);
        return 1;
    }
    memcpy(&label, labels + r * sizeof(label), sizeof(label));
    if ((uint32_t)label >= classes) {
        snprintf(reason, sizeof(reason), "label %d; there are %u classes", label, classes);
        return opiml_feed_refuse(feed, batch, r, reason, err);
    }
    rows->labels[rows->rows] = label;
    return 1;
}

int learn_rows_take(struct learn_rows *rows, struct opiml_feed *feed,
                    const struct opiml_batch *batch, uint32_t *first, struct opiml_error *err) {
    const struct learn_fields *fields = rows->fields;
    size_t pixels = (size_t)fields->channels * fields->height * fields->width;
    uint32_t r = *first;
    int rc;

    rows->rows = 0;
    for (; r < batch->rows && rows->rows < rows->room; r++) {
        if (batch->status[r] != OPIML_ROW_OK)
            continue;
        if ((rc = take_label(rows, feed, batch, r, err)) < 0)
            return rc;
        if (rc == 0)
            continue;
        memcpy(rows->images + rows->rows * pixels,
               batch->data[fields->image] + r * pixels * sizeof(float), pixels * sizeof(float));
        rows->rows++;
    }
    *first = r;
    return 0;
}
