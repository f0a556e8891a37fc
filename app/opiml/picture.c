/* A record's image. */
#include "base/conf.h"
#include "one_row.h"
#include "op/registry.h"
#include "picture.h"

void picture_release(struct picture *picture) {
    base_free(picture->pixels);
    *picture = (struct picture){0};
}

static bool is_file(const struct opiml_field *field, const struct opiml_value *value) {
    return field->dtype == OPIML_U8 && field->ndim == 1 && value->bytes > 8 &&
           (memcmp(value->data, "\xff\xd8\xff", 3) == 0 ||
            memcmp(value->data, "\x89PNG\r\n\x1a\n", 8) == 0);
}

static bool is_pixels(const struct opiml_field *field, const struct opiml_value *value) {
    return field->dtype == OPIML_U8 && field->ndim == 3 &&
           (value->shape[2] == 1 || value->shape[2] == 3);
}

static int take_pixels(const struct opiml_value *value, struct picture *ret_picture,
                       struct opiml_error *err) {
    ret_picture->pixels = base_alloc(value->bytes);
    if (!ret_picture->pixels)
        return base_fail_memory(err, value->bytes, "an image");
    memcpy(ret_picture->pixels, value->data, value->bytes);
    ret_picture->height = (uint32_t)value->shape[0];
    ret_picture->width = (uint32_t)value->shape[1];
    ret_picture->channels = (uint32_t)value->shape[2];
    return 0;
}

static int decode(const struct opiml_schema *schema, const struct record *record, const char *name,
                  struct picture *ret_picture, struct opiml_error *err) {
    const struct opiml_op *op = op_find("decode");
    AUTO_FREE struct opiml_op_shape *shape = base_alloc(sizeof(*shape));
    AUTO_FREE void *params = op ? base_alloc(op->params_bytes) : NULL;
    CLEANUP(one_row_close_at) struct one_row *row = NULL;
    const struct opiml_value *out;
    int rc;

    if (!op)
        return opiml_fail(err, OPIML_ENOTSUP, "this build has no decode operator");
    if (!shape || !params)
        return base_fail_memory(err, sizeof(*shape), "an operator");
    conf_defaults(op->params, params);
    shape->out = *schema;
    for (uint32_t f = 0; f < schema->count; f++)
        shape->from[f] = (int32_t)f;
    if ((rc = conf_set(op->params, params, "field", name, err)) < 0 ||
        (rc = op->check(params, schema, shape, err)) < 0 ||
        (rc = one_row_open(&(struct one_row_op){op, params, schema, shape}, 1, &row, err)) < 0 ||
        (rc = one_row_run(row, record->values, &out, err)) < 0)
        return rc;
    return take_pixels(&out[opiml_schema_find(&shape->out, name)], ret_picture, err);
}

int picture_find(const struct dataset *dataset, const struct record *record,
                 struct picture *ret_picture, struct opiml_error *err) {
    const struct opiml_schema *schema = dataset_schema(dataset);

    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        const struct opiml_value *value = &record->values[f];

        if (is_pixels(field, value))
            return take_pixels(value, ret_picture, err);
        if (is_file(field, value)) {
            struct opiml_error why = {0};
            char where[1024];
            int rc = decode(schema, record, field->name, ret_picture, &why);

            if (rc < 0)
                return opiml_fail(err, rc, "%s: %s",
                                  dataset_describe(dataset, record->number, where, sizeof(where)),
                                  why.message);
            return 0;
        }
    }
    return 0;
}

/* ---- drawing ---- */

/* The mean of the pixels that a cell covers. */
static void cell_colour(const struct picture *picture, uint32_t x, uint32_t y, uint32_t columns,
                        uint32_t rows, uint32_t rgb[3]) {
    uint32_t x0 = (uint32_t)((uint64_t)x * picture->width / columns);
    uint32_t y0 = (uint32_t)((uint64_t)y * picture->height / rows);
    uint32_t x1 = (uint32_t)((uint64_t)(x + 1) * picture->width / columns);
    uint32_t y1 = (uint32_t)((uint64_t)(y + 1) * picture->height / rows);
    uint64_t sum[3] = {0}, count;

    x1 = x1 > x0 ? x1 : x0 + 1;
    y1 = y1 > y0 ? y1 : y0 + 1;
    count = (uint64_t)(x1 - x0) * (y1 - y0);
    for (uint32_t row = y0; row < y1; row++) {
        for (uint32_t column = x0; column < x1; column++) {
            const uint8_t *pixel =
                picture->pixels + ((uint64_t)row * picture->width + column) * picture->channels;

            for (uint32_t c = 0; c < 3; c++)
                sum[c] += pixel[picture->channels == 3 ? c : 0];
        }
    }
    for (uint32_t c = 0; c < 3; c++)
        rgb[c] = (uint32_t)(sum[c] / count);
}

void picture_show(const struct picture *picture, uint32_t columns) {
    uint32_t rows;

    if (!picture->width || !picture->height || !columns)
        return;
    columns = columns < picture->width ? columns : picture->width;
    rows = (uint32_t)((uint64_t)picture->height * columns / picture->width);
    rows = rows ? (rows + 1) & ~1u : 2;
    for (uint32_t y = 0; y < rows; y += 2) {
        for (uint32_t x = 0; x < columns; x++) {
            uint32_t top[3], bottom[3];

            cell_colour(picture, x, y, columns, rows, top);
            cell_colour(picture, x, y + 1, columns, rows, bottom);
            printf("\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um▀", top[0], top[1], top[2], bottom[0],
                   bottom[1], bottom[2]);
        }
        puts("\033[0m");
    }
}
