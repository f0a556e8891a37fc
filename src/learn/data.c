/* From batches to a network's input. */
#include "learn/data.h"

int learn_fields_find(struct opiml_pipeline *pipeline, const char *name, uint32_t classes,
                      struct learn_fields *ret_fields, struct opiml_error *err) {
    const struct opiml_schema *schema = opiml_pipeline_schema(pipeline);
    struct learn_fields fields = {.image = opiml_schema_find(schema, "image"),
                                  .label = opiml_schema_find(schema, "label")};
    const struct opiml_field *image, *label;

    if (fields.image < 0 || fields.label < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: training wants the fields \"image\" and \"label\"; "
                          "\"%s\" is missing",
                          name, fields.image < 0 ? "image" : "label");
    image = &schema->fields[fields.image];
    label = &schema->fields[fields.label];
    if (image->dtype != OPIML_F32 || image->ndim != 3)
        return opiml_fail(
            err, OPIML_EINVAL,
            "%s: \"image\" is %s with %u dimensions; training wants "
            "f32 [channels, height, width]: end with normalize: {to: f32, layout: nchw}",
            name, opiml_dtype_text(image->dtype), image->ndim);
    fields.channels = (uint32_t)image->shape[0];
    fields.height = (uint32_t)image->shape[1];
    fields.width = (uint32_t)image->shape[2];
    fields.shares = label->dtype == OPIML_F32 && label->ndim == 1;
    if (fields.shares ? label->shape[0] != classes : label->dtype != OPIML_I32 || label->ndim != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: \"label\" is %s with %u dimensions; training wants "
                          "one i32, or f32 [%u] as one_hot makes it",
                          name, opiml_dtype_text(label->dtype), label->ndim, classes);
    *ret_fields = fields;
    return 0;
}

int learn_rows_take(const struct learn_fields *fields, const struct opiml_batch *batch,
                    uint32_t first, uint32_t room, uint32_t classes, uint8_t *live,
                    struct learn_rows *ret_rows, struct opiml_error *err) {
    struct learn_rows rows = {.live = live,
                              .rows = (uint32_t)base_min_u64(room, batch->rows - first)};
    uint64_t pixels = (uint64_t)fields->channels * fields->height * fields->width;

    rows.images = (const float *)(const void *)batch->data[fields->image] + first * pixels;
    if (fields->shares)
        rows.shares =
            (const float *)(const void *)batch->data[fields->label] + (uint64_t)first * classes;
    else
        rows.labels = (const int32_t *)(const void *)batch->data[fields->label] + first;
    for (uint32_t r = 0; r < rows.rows; r++) {
        live[r] = batch->status[first + r] == OPIML_ROW_OK;
        if (live[r] && rows.labels && (uint32_t)rows.labels[r] >= classes)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "record %" PRIu64 " has label %d; model.classes is "
                              "%u",
                              batch->samples[first + r], rows.labels[r], classes);
    }
    *ret_rows = rows;
    return 0;
}
