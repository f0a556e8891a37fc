/* From batches to a network's input. */
#include "learn/data.h"

#include <strings.h>

#include "base/text.h"
#include "batch/schema.h"

static uint32_t count_classes(const struct opiml_pipeline *pipeline) {
    uint32_t count = 0;

    while (opiml_pipeline_class(pipeline, count))
        count++;
    return count;
}

/* Labels for each voxel are as large as the image, without its channels. */
static enum learn_kind find_kind(const struct opiml_schema *schema,
                                 const struct learn_fields *fields) {
    const struct opiml_field *image, *label = &schema->fields[fields->label];

    if (label->dtype == OPIML_F32 && label->ndim == 1)
        return LEARN_SHARES;
    if (fields->table.columns > 0)
        return LEARN_LABEL;
    image = &schema->fields[fields->image];
    if (label->dtype == OPIML_U8 && label->ndim == image->ndim - 1 &&
        memcmp(label->shape, image->shape + 1, label->ndim * sizeof(label->shape[0])) == 0)
        return LEARN_VOXELS;
    return LEARN_LABEL;
}

static int find_classes(const struct opiml_pipeline *pipeline, const char *name, uint32_t classes,
                        struct learn_fields *fields, struct opiml_error *err) {
    const struct opiml_field *label = &opiml_pipeline_schema(pipeline)->fields[fields->label];

    fields->kind = find_kind(opiml_pipeline_schema(pipeline), fields);
    if (classes == 0)
        classes =
            fields->kind == LEARN_SHARES ? (uint32_t)label->shape[0] : count_classes(pipeline);
    if (classes == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its dataset names no classes: say with model.classes how many there "
                          "are",
                          name);
    if (classes == 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its dataset has one class only; there is nothing to tell apart",
                          name);
    if (fields->kind == LEARN_SHARES
            ? label->shape[0] != classes
            : fields->kind == LEARN_LABEL && (!schema_is_int(label->dtype) || label->ndim != 0))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: \"label\" is %s with %u dimension%s; training wants one whole "
                          "number, such as `cast: {field: label, to: i32}` makes of a number, f32 "
                          "[%u] as one_hot makes it, or for segmentation u8 of the image's size",
                          name, opiml_dtype_text(label->dtype), label->ndim, text_s(label->ndim),
                          classes);
    if (fields->kind == LEARN_VOXELS && classes > NN_DICE_CLASSES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s: %u classes; segmentation tells up to %d apart",
                          name, classes, NN_DICE_CLASSES_MAX);
    fields->classes = classes;
    return 0;
}

static int find_image(const struct opiml_schema *schema, const char *name,
                      struct learn_fields *fields, struct opiml_error *err) {
    const struct opiml_field *image = &schema->fields[fields->image];

    if (image->dtype != OPIML_F32 || (image->ndim != 3 && image->ndim != 4) ||
        !opiml_field_fixed(image))
        return opiml_fail(
            err, OPIML_EINVAL,
            "%s: \"image\" is %s with %u dimension%s%s; training wants f32 [channels, height, "
            "width], or [channels, depth, height, width], of one size: end with normalize: {to: "
            "f32, layout: nchw}, or with a crop of volumes",
            name, opiml_dtype_text(image->dtype), image->ndim, text_s(image->ndim),
            opiml_field_fixed(image) ? "" : " and of varying size");
    fields->channels = (uint32_t)image->shape[0];
    fields->depth = image->ndim == 4 ? (uint32_t)image->shape[1] : 0;
    fields->height = (uint32_t)image->shape[image->ndim - 2];
    fields->width = (uint32_t)image->shape[image->ndim - 1];
    fields->voxels = base_max_u64(fields->depth, 1) * fields->height * fields->width;
    return 0;
}

int learn_columns_find(const struct opiml_schema *schema, const char *name,
                       const struct nn_model_conf *model, struct learn_fields *fields,
                       struct opiml_error *err) {
    int rc = learn_table_find(schema, fields->label, name, &fields->table, err);

    if (rc < 0)
        return rc;
    fields->table.buckets = model->buckets;
    fields->channels = fields->table.numbers + fields->table.codes;
    fields->height = fields->width = 1;
    fields->voxels = 1;
    return 0;
}

int learn_fields_find(struct opiml_pipeline *pipeline, const char *name,
                      const struct nn_model_conf *model, struct learn_fields *ret_fields,
                      struct opiml_error *err) {
    const struct opiml_schema *schema = opiml_pipeline_schema(pipeline);
    struct learn_fields fields = {.image = opiml_schema_find(schema, "image"),
                                  .label = opiml_schema_find(schema, "label")};
    bool table = model->name == NN_MLP;
    int rc;

    if (fields.label < 0 || (fields.image < 0 && !table))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: training wants the fields \"image\" and \"label\" (of tables, for "
                          "model.name mlp, a label alone); \"%s\" is missing",
                          name, fields.label < 0 ? "label" : "image");
    rc = table ? learn_columns_find(schema, name, model, &fields, err)
               : find_image(schema, name, &fields, err);
    if (rc < 0 ||
        (rc = find_classes(pipeline, name, model->binary ? 2 : model->classes, &fields, err)) < 0)
        return rc;
    if (model->binary && fields.kind != LEARN_LABEL)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: \"label\" has to be one whole number, 0 or 1, for "
                          "binary_cross_entropy",
                          name);
    if (model->binary)
        fields.kind = LEARN_BINARY;
    *ret_fields = fields;
    return 0;
}

static void show_size(const struct learn_fields *fields, char *to, size_t room) {
    if (fields->depth)
        snprintf(to, room, "%u × %u × %u × %u", fields->channels, fields->depth, fields->height,
                 fields->width);
    else
        snprintf(to, room, "%u × %u × %u", fields->channels, fields->height, fields->width);
}

int learn_fields_fit(const struct learn_fields *fields, const char *name,
                     const struct learn_fields *trained, const char *trained_name,
                     struct opiml_error *err) {
    bool voxels = trained->kind == LEARN_VOXELS;
    char a[64], b[64];

    if ((fields->kind == LEARN_VOXELS) != voxels)
        return opiml_fail(err, OPIML_EINVAL, "%s has a label for each %s; %s for each %s", name,
                          voxels ? "image" : "voxel", trained_name, voxels ? "voxel" : "image");
    if (fields->table.columns > 0 &&
        (fields->table.codes != trained->table.codes || fields->channels != trained->channels))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s has rows of %u numbers and %u categories, %s of %u and %u: whole "
                          "numbers are categories unless `types` of the pipeline file's dataset "
                          "says otherwise",
                          name, fields->table.numbers, fields->table.codes, trained_name,
                          trained->channels - trained->table.codes, trained->table.codes);
    if (fields->channels == trained->channels && !fields->depth == !trained->depth &&
        (voxels || (fields->height == trained->height && fields->width == trained->width &&
                    fields->depth == trained->depth)))
        return 0;
    show_size(fields, a, sizeof(a));
    show_size(trained, b, sizeof(b));
    return opiml_fail(err, OPIML_EINVAL, "%s gives images of %s, %s takes %s: they must be alike",
                      name, a, trained_name, b);
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
    switch (fields->kind) {
    case LEARN_LABEL:
    case LEARN_BINARY: rows->labels = base_alloc_array(room, sizeof(*rows->labels)); break;
    case LEARN_SHARES:
        rows->shares = base_alloc_array((size_t)room * fields->classes, sizeof(*rows->shares));
        break;
    case LEARN_VOXELS:
        rows->voxels = base_alloc_array(room, fields->voxels);
        rows->overlaps = base_alloc_array((size_t)room * fields->classes, sizeof(*rows->overlaps));
        if (!rows->overlaps)
            return base_fail_memory(err, room * sizeof(*rows->overlaps), "overlaps");
        break;
    }
    return rows->labels || rows->shares || rows->voxels
               ? 0
               : base_fail_memory(err, room * fields->voxels, "labels");
}

void learn_rows_release(struct learn_rows *rows) {
    base_free(rows->labels);
    base_free(rows->shares);
    base_free(rows->voxels);
    base_free(rows->overlaps);
    rows->labels = NULL;
    rows->shares = NULL;
    rows->voxels = NULL;
    rows->overlaps = NULL;
}

static uint8_t largest(const uint8_t *values, uint64_t count) {
    uint8_t most = 0;

    for (uint64_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

static int refuse(struct learn_rows *rows, struct opiml_feed *feed, const struct opiml_batch *batch,
                  uint32_t r, int64_t label, struct opiml_error *err) {
    char reason[112];

    snprintf(reason, sizeof(reason),
             "label %" PRId64 "; there are %u classes (model.classes, class_names)", label,
             rows->fields->classes);
    return opiml_feed_refuse(feed, batch, r, reason, err);
}

/* 1: taken; 0: the row is a bad record now. */
static int take_label(struct learn_rows *rows, struct opiml_feed *feed,
                      const struct opiml_batch *batch, uint32_t r, struct opiml_error *err) {
    const struct opiml_field *field = &batch->schema->fields[rows->fields->label];
    const uint8_t *labels = batch->data[rows->fields->label];
    uint32_t classes = rows->fields->classes;
    uint64_t voxels = rows->fields->voxels;
    int64_t label;

    switch (rows->fields->kind) {
    case LEARN_SHARES:
        memcpy(rows->shares + (size_t)rows->rows * classes, labels + r * classes * sizeof(float),
               classes * sizeof(float));
        return 1;
    case LEARN_VOXELS:
        label = largest(labels + r * voxels, voxels);
        if (label >= classes)
            return refuse(rows, feed, batch, r, label, err);
        memcpy(rows->voxels + rows->rows * voxels, labels + r * voxels, voxels);
        return 1;
    default: break;
    }
    label = schema_read_int(field->dtype, labels + r * field->max_bytes);
    if (label < 0 || label >= classes)
        return refuse(rows, feed, batch, r, label, err);
    rows->labels[rows->rows] = (int32_t)label;
    return 1;
}

/* Copy; false when something of it is infinite or no number. */
static bool copy_numbers(float *to, const uint8_t *from, size_t count) {
    const uint32_t exponent = 0x7f800000;
    uint32_t wrong = 0;

    memcpy(to, from, count * sizeof(*to));
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;

        memcpy(&bits, &to[i], sizeof(bits));
        wrong |= (bits & exponent) == exponent;
    }
    return !wrong;
}

/* 1: taken; 0: the row is a bad record now. */
static int take_image(struct learn_rows *rows, struct opiml_feed *feed,
                      const struct opiml_batch *batch, uint32_t r, struct opiml_error *err) {
    const struct learn_fields *fields = rows->fields;
    size_t count = fields->channels * fields->voxels;

    if (fields->table.columns > 0)
        return learn_table_row(&fields->table, feed, batch, r, rows->images + rows->rows * count,
                               &rows->outside, err);
    if (copy_numbers(rows->images + rows->rows * count,
                     batch->data[fields->image] + r * count * sizeof(float), count))
        return 1;
    return opiml_feed_refuse(feed, batch, r, "an image with values that are no numbers", err);
}

int learn_rows_take(struct learn_rows *rows, struct opiml_feed *feed,
                    const struct opiml_batch *batch, uint32_t *first, struct opiml_error *err) {
    uint32_t r = *first;
    int rc;

    rows->rows = 0;
    for (; r < batch->rows && rows->rows < rows->room; r++) {
        if (batch->status[r] != OPIML_ROW_OK)
            continue;
        if ((rc = take_label(rows, feed, batch, r, err)) < 0 ||
            (rc > 0 && (rc = take_image(rows, feed, batch, r, err)) < 0))
            return rc;
        rows->rows += rc > 0;
    }
    *first = r;
    return 0;
}
