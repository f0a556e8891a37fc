/* Volumes as operators take them. */
#include "op/volume.h"

#include "base/base.h"
#include "base/text.h"
#include "op/field.h"

/* ---- checking ---- */

static bool is_volume(const struct opiml_field *field) {
    return field->ndim == 3 || (field->ndim == 4 && field->shape[0] > 0);
}

static const int64_t *sides_of(const struct opiml_field *field, const int64_t *shape) {
    return shape + field->ndim - 3;
}

static int check_field(const struct opiml_field *field, struct opiml_error *err) {
    if (field->ndim == 4 && field->shape[0] < 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "fields: \"%s\": its first dimension, the channels, must be the same in "
                          "every row",
                          field->name);
    if (!is_volume(field))
        return opiml_fail(
            err, OPIML_EINVAL,
            "fields: \"%s\" has %u dimension%s; a volume is [depth, height, width] or "
            "[channels, depth, height, width]",
            field->name, field->ndim, text_s(field->ndim));
    for (uint32_t d = field->ndim - 3; d < field->ndim; d++)
        if (field->shape[d] == 0 || field->shape[d] > VOLUME_SIDE_MAX)
            return opiml_fail(err, OPIML_EINVAL,
                              "fields: \"%s\" is %" PRId64 " voxels long on one side; a volume has "
                              "1 to %d",
                              field->name, field->shape[d], VOLUME_SIDE_MAX);
    return 0;
}

static int check_affine(struct volume_set *set, const struct opiml_schema *in,
                        struct opiml_error *err) {
    const struct opiml_field *field;
    uint32_t index;
    int rc;

    set->affine_index = -1;
    if (!set->affine[0])
        return 0;
    if ((rc = op_field_find(in, "affine", set->affine, &index, err)) < 0)
        return rc;
    field = &in->fields[index];
    if (field->dtype != OPIML_F64 || field->ndim != 2 || field->shape[0] != 3 ||
        field->shape[1] != 4)
        return opiml_fail(err, OPIML_EINVAL,
                          "affine: \"%s\" is no f64 [3, 4], as `affine` of the format nifti makes",
                          field->name);
    set->affine_index = (int32_t)index;
    return 0;
}

int volume_check(struct volume_set *set, const struct opiml_schema *in, int64_t ret_size[3],
                 struct opiml_error *err) {
    int64_t size[3] = {-1, -1, -1};
    int rc;

    if (set->names.count == 0)
        return opiml_fail(err, OPIML_EINVAL, "fields: the list is empty; name at least one volume");
    for (uint32_t k = 0; k < set->names.count; k++) {
        const struct opiml_field *field;

        if ((rc = op_field_find(in, "fields", set->names.at[k], &set->index[k], err)) < 0)
            return rc;
        field = &in->fields[set->index[k]];
        if ((rc = check_field(field, err)) < 0)
            return rc;
        for (uint32_t before = 0; before < k; before++)
            if (set->index[before] == set->index[k])
                return opiml_fail(err, OPIML_EINVAL, "fields: \"%s\" is named twice", field->name);
        for (uint32_t d = 0; d < 3; d++) {
            int64_t side = sides_of(field, field->shape)[d];

            if (side >= 0 && size[d] >= 0 && side != size[d])
                return opiml_fail(err, OPIML_EINVAL,
                                  "fields: \"%s\" is %" PRId64 " voxels long where \"%s\" is "
                                  "%" PRId64 "; all volumes have one size",
                                  field->name, side, set->names.at[0], size[d]);
            size[d] = side >= 0 ? side : size[d];
        }
    }
    if ((rc = check_affine(set, in, err)) < 0)
        return rc;
    memcpy(ret_size, size, sizeof(size));
    return 0;
}

/* A number in an element's type; false when it has no place there. */
static bool fit_number(double x, uint32_t dtype, uint8_t to[8]) {
    int64_t whole = x >= -2e9 && x <= 5e9 ? (int64_t)x : 0;
    float narrow = (float)x;
    size_t each = opiml_dtype_bytes(dtype);
    int64_t most = each < 8 ? INT64_C(1) << (8 * each - (dtype == OPIML_I8 || dtype == OPIML_I16 ||
                                                         dtype == OPIML_I32))
                            : INT64_MAX;

    memset(to, 0, 8);
    switch (dtype) {
    case OPIML_F32: memcpy(to, &narrow, sizeof(narrow)); return x == x;
    case OPIML_F64: memcpy(to, &x, sizeof(x)); return x == x;
    case OPIML_F16:
    case OPIML_BF16: return x == 0;
    }
    if ((double)whole != x || whole >= most ||
        whole < (dtype == OPIML_U8 || dtype == OPIML_U16 ? 0 : -most))
        return false;
    memcpy(to, &whole, each); /* little-endian, as every element is */
    return true;
}

int volume_padding_check(struct volume_padding *padding, const struct volume_set *set,
                         const struct opiml_schema *in, struct opiml_error *err) {
    const struct opiml_f64_list *value = &padding->value;

    if (value->count != 1 && value->count != set->names.count)
        return opiml_fail(err, OPIML_EINVAL, "value: %u numbers for %u field%s; give 1 or %u",
                          value->count, set->names.count, text_s(set->names.count),
                          set->names.count);
    for (uint32_t k = 0; k < set->names.count; k++) {
        const struct opiml_field *field = &in->fields[set->index[k]];
        double x = value->at[value->count == 1 ? 0 : k];

        if (!fit_number(x, field->dtype, padding->fill[k]))
            return opiml_fail(err, OPIML_EINVAL, "value: %g is no %s, which \"%s\" is of", x,
                              opiml_dtype_text(field->dtype), field->name);
    }
    return 0;
}

int volume_sides_check(const char *param, const struct opiml_u32_list *list, int64_t ret_size[3],
                       struct opiml_error *err) {
    if (list->count == 0)
        return 0;
    if (list->count != 1 && list->count != 3)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: %u numbers; give [depth, height, width] or one for all", param,
                          list->count);
    for (uint32_t d = 0; d < 3; d++)
        ret_size[d] = list->at[list->count == 1 ? 0 : d];
    return 0;
}

int volume_axes_check(const char *param, const struct opiml_text_list *list, bool ret_axes[3],
                      struct opiml_error *err) {
    static const char axes[] = "zyx";

    memset(ret_axes, 0, 3 * sizeof(ret_axes[0]));
    for (uint32_t i = 0; i < list->count; i++) {
        const char *name = list->at[i], *at = strchr(axes, name[0]);

        if (!at || !name[0] || name[1])
            return opiml_fail(err, OPIML_EINVAL, "%s: \"%s\" is none of z, y and x", param, name);
        ret_axes[at - axes] = true;
    }
    if (list->count == 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: the list is empty; name z, y or x", param);
    return 0;
}

static uint64_t voxel_bytes(const struct opiml_field *field) {
    return opiml_dtype_bytes(field->dtype) * (uint64_t)(field->ndim == 4 ? field->shape[0] : 1);
}

uint64_t volume_most_voxels(const struct volume_set *set, const struct opiml_schema *in) {
    uint64_t most = UINT64_MAX;

    for (uint32_t k = 0; k < set->names.count; k++) {
        const struct opiml_field *field = &in->fields[set->index[k]];

        most = base_min_u64(most, field->max_bytes / voxel_bytes(field));
    }
    return most;
}

int volume_shape(const struct volume_set *set, const struct opiml_schema *in, const int64_t size[3],
                 uint64_t most_voxels, struct opiml_op_shape *shape, struct opiml_error *err) {
    bool fixed = size[0] >= 0 && size[1] >= 0 && size[2] >= 0;

    if (fixed)
        most_voxels = (uint64_t)size[0] * (uint64_t)size[1] * (uint64_t)size[2];
    for (uint32_t k = 0; k < set->names.count; k++) {
        uint32_t f = set->index[k];
        struct opiml_field *out = &shape->out.fields[f];
        uint64_t each = voxel_bytes(&in->fields[f]);

        if (!fixed)
            most_voxels = base_min_u64(most_voxels, VOLUME_BYTES_MAX / each);
        if (most_voxels > VOLUME_BYTES_MAX / each)
            return opiml_fail(err, OPIML_EINVAL,
                              "fields: \"%s\" becomes larger than 2 GiB; make it smaller",
                              out->name);
        memcpy(out->shape + out->ndim - 3, size, 3 * sizeof(size[0]));
        out->max_bytes = most_voxels * each;
        shape->from[f] = OPIML_OP_NEW;
    }
    if (set->affine_index >= 0)
        shape->from[set->affine_index] = OPIML_OP_NEW;
    return 0;
}

void volume_planes(const struct volume_set *set, const struct opiml_schema *in, int64_t planes,
                   struct opiml_op_shape *shape) {
    for (uint32_t k = 0; k < set->names.count; k++)
        if (in->fields[set->index[k]].ndim == 3)
            shape->window[set->index[k]] = (uint32_t)planes;
}

/* ---- rows ---- */

void volume_size_of(const struct opiml_op_call *call, uint32_t field, int64_t ret_size[3]) {
    memcpy(ret_size, sides_of(&call->in_schema->fields[field], call->in[field].shape),
           3 * sizeof(ret_size[0]));
}

int volume_size(const struct opiml_op_call *call, const struct volume_set *set, int64_t ret_size[3],
                struct opiml_error *err) {
    for (uint32_t k = 0; k < set->names.count; k++) {
        const struct opiml_field *field = &call->in_schema->fields[set->index[k]];
        const int64_t *size = sides_of(field, call->in[set->index[k]].shape);

        if (k == 0)
            memcpy(ret_size, size, 3 * sizeof(size[0]));
        for (uint32_t d = 0; d < 3; d++)
            if (size[d] < 1 || size[d] > VOLUME_SIDE_MAX)
                return opiml_fail(err, OPIML_ECORRUPT,
                                  "%s: a volume of %" PRId64 " × %" PRId64 " × %" PRId64 " voxels",
                                  field->name, size[0], size[1], size[2]);
        if (memcmp(ret_size, size, 3 * sizeof(size[0])) != 0)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "%s: a volume of %" PRId64 " × %" PRId64 " × %" PRId64 " voxels, but "
                              "%s is of %" PRId64 " × %" PRId64 " × %" PRId64,
                              field->name, size[0], size[1], size[2], set->names.at[0], ret_size[0],
                              ret_size[1], ret_size[2]);
    }
    return 0;
}

int volume_begin(struct opiml_op_call *call, const struct volume_set *set, uint32_t k,
                 const int64_t size[3], struct volume_part *ret_part, struct opiml_error *err) {
    uint32_t f = set->index[k];
    const struct opiml_field *field = &call->in_schema->fields[f];
    struct opiml_value *out = &call->out[f];
    uint64_t voxels = (uint64_t)size[0] * (uint64_t)size[1] * (uint64_t)size[2];

    if (voxels > out->capacity / voxel_bytes(field))
        return opiml_fail(err, OPIML_ELIMIT,
                          "%s: a volume of %" PRId64 " × %" PRId64 " × %" PRId64
                          " voxels is larger than the %" PRIu64 " bytes that there is room for",
                          field->name, size[0], size[1], size[2], out->capacity);
    out->bytes = voxels * voxel_bytes(field);
    if (field->ndim == 4)
        out->shape[0] = field->shape[0];
    memcpy(out->shape + field->ndim - 3, size, 3 * sizeof(size[0]));
    *ret_part = (struct volume_part){.from = call->in[f].data,
                                     .to = out->data,
                                     .channels = field->ndim == 4 ? (uint32_t)field->shape[0] : 1,
                                     .dtype = field->dtype,
                                     .each = opiml_dtype_bytes(field->dtype)};
    return 0;
}

/* ---- affines ---- */

int volume_affine_read(const struct opiml_op_call *call, const struct volume_set *set,
                       double ret_affine[VOLUME_AFFINE], struct opiml_error *err) {
    memcpy(ret_affine, call->in[set->affine_index].data, VOLUME_AFFINE * sizeof(double));
    for (uint32_t i = 0; i < VOLUME_AFFINE; i++)
        if (!(ret_affine[i] >= -1e12 && ret_affine[i] <= 1e12))
            return opiml_fail(err, OPIML_ECORRUPT, "%s: the affine is not of usable numbers",
                              set->affine);
    return 0;
}

int volume_affine_write(struct opiml_op_call *call, const struct volume_set *set,
                        const double map[3][4], struct opiml_error *err) {
    double old[VOLUME_AFFINE], *out;
    int rc;

    if (set->affine_index < 0)
        return 0;
    if ((rc = volume_affine_read(call, set, old, err)) < 0)
        return rc;
    out = (double *)(void *)call->out[set->affine_index].data;
    for (uint32_t r = 0; r < 3; r++) {
        const double *row = old + 4 * r; /* its columns are x, y, z; the map's z, y, x */

        for (uint32_t e = 0; e < 3; e++)
            out[4 * r + 2 - e] = row[2] * map[0][e] + row[1] * map[1][e] + row[0] * map[2][e];
        out[4 * r + 3] = row[3] + row[2] * map[0][3] + row[1] * map[1][3] + row[0] * map[2][3];
    }
    return 0;
}

/* ---- windows ---- */

struct window {
    const int64_t *from, *at, *size;
    size_t each;
    enum border_mode mode;
    const uint8_t *fill;
};

static void fill_elements(uint8_t *to, int64_t count, size_t each, const uint8_t *fill) {
    size_t bytes = (size_t)count * each, done = each;

    if (count <= 0)
        return;
    memcpy(to, fill, each);
    for (; done < bytes; done *= 2) /* what is there already, once more */
        memcpy(to + done, to, base_min_u64(done, bytes - done));
}

/* Elements [first, end) of a row of the window that reaches past the volume there. */
static void copy_outside(const struct window *w, const uint8_t *row, int64_t first, int64_t end,
                         uint8_t *to) {
    if (w->mode == BORDER_CONSTANT) {
        fill_elements(to + (size_t)first * w->each, end - first, w->each, w->fill);
        return;
    }
    for (int64_t i = first; i < end; i++)
        memcpy(to + (size_t)i * w->each,
               row + (size_t)border_index(w->at[2] + i, w->from[2], w->mode) * w->each, w->each);
}

/* One row; `row` is the volume's, from its first voxel. */
static void copy_row(const struct window *w, const uint8_t *row, uint8_t *to) {
    int64_t n = w->from[2], at = w->at[2], size = w->size[2];
    int64_t first = at < 0 ? (-at < size ? -at : size) : 0; /* of the window that lies inside */
    int64_t end = n - at < first ? first : n - at < size ? n - at : size;

    if (first < end)
        memcpy(to + (size_t)first * w->each, row + (size_t)(at + first) * w->each,
               (size_t)(end - first) * w->each);
    copy_outside(w, row, 0, first, to);
    copy_outside(w, row, end, size, to);
}

static void copy_window(const struct window *w, const uint8_t *in, uint8_t *out) {
    size_t row = (size_t)w->from[2] * w->each, out_row = (size_t)w->size[2] * w->each;

    for (int64_t z = 0; z < w->size[0]; z++) {
        int64_t iz = w->at[0] + z, oz = border_index(iz, w->from[0], w->mode);

        for (int64_t y = 0; y < w->size[1]; y++) {
            int64_t iy = w->at[1] + y, oy = border_index(iy, w->from[1], w->mode);

            if (w->mode == BORDER_CONSTANT && (oz != iz || oy != iy))
                fill_elements(out, w->size[2], w->each, w->fill);
            else
                copy_row(w, in + (size_t)(oz * w->from[1] + oy) * row, out);
            out += out_row;
        }
    }
}

int volume_window(struct opiml_op_call *call, const struct volume_set *set,
                  const struct volume_padding *padding, const int64_t from[3], const int64_t at[3],
                  const int64_t size[3], struct opiml_error *err) {
    const double map[3][4] = {
        {1, 0, 0, (double)at[0]}, {0, 1, 0, (double)at[1]}, {0, 0, 1, (double)at[2]}};
    size_t voxels = (size_t)(from[0] * from[1] * from[2]);
    size_t out_voxels = (size_t)(size[0] * size[1] * size[2]);

    for (uint32_t k = 0; k < set->names.count; k++) {
        struct volume_part part;
        int rc = volume_begin(call, set, k, size, &part, err);
        struct window window = {.from = from,
                                .at = at,
                                .size = size,
                                .mode = padding ? padding->mode : BORDER_CONSTANT,
                                .fill = padding ? padding->fill[k] : NULL};

        if (rc < 0)
            return rc;
        window.each = part.each;
        for (uint32_t c = 0; c < part.channels; c++)
            copy_window(&window, part.from + c * voxels * part.each,
                        part.to + c * out_voxels * part.each);
    }
    return volume_affine_write(call, set, map, err);
}

/* ---- other directions ---- */

struct gather {
    int64_t start, stride[3], size[3]; /* in elements of the input; of the output */
};

#define TILE 16 /* rows and columns at once, where rows run across the input's */

/* Element by element. Where a step to the right is not one to the right in the input, one to the
 * next row or plane is: tiles of both keep to a few lines of the cache. */
#define GATHER(type)                                                                               \
    static void gather_##type(const struct gather *g, const uint8_t *in, uint8_t *out) {           \
        int64_t across = g->stride[1] == 1 || g->stride[1] == -1 ? 1 : 0, other = 1 - across;      \
        int64_t step[3] = {g->size[1] * g->size[2], g->size[2], 1};                                \
                                                                                                   \
        for (int64_t k = 0; k < g->size[other]; k++)                                               \
            for (int64_t j0 = 0; j0 < g->size[across]; j0 += TILE)                                 \
                for (int64_t x0 = 0; x0 < g->size[2]; x0 += TILE)                                  \
                    for (int64_t j = j0; j < g->size[across] && j < j0 + TILE; j++)                \
                        for (int64_t x = x0; x < g->size[2] && x < x0 + TILE; x++) {               \
                            int64_t from = g->start + k * g->stride[other] +                       \
                                           j * g->stride[across] + x * g->stride[2];               \
                            int64_t to = k * step[other] + j * step[across] + x;                   \
                            memcpy(out + (size_t)to * sizeof(type),                                \
                                   in + (size_t)from * sizeof(type), sizeof(type));                \
                        }                                                                          \
    }                                                                                              \
                                                                                                   \
    static void reverse_##type(const uint8_t *row, int64_t n, uint8_t *out) {                      \
        for (int64_t x = 0; x < n; x++)                                                            \
            memcpy(out + (size_t)x * sizeof(type), row + (size_t)(n - 1 - x) * sizeof(type),       \
                   sizeof(type));                                                                  \
    }

GATHER(uint8_t)
GATHER(uint16_t)
GATHER(uint32_t)
GATHER(uint64_t)

/* Rows that run along the input's, to the right or to the left. */
static void gather_rows(const struct gather *g, size_t each, const uint8_t *in, uint8_t *out) {
    void (*reverse)(const uint8_t *row, int64_t n, uint8_t *out) = each == 1   ? reverse_uint8_t
                                                                   : each == 2 ? reverse_uint16_t
                                                                   : each == 4 ? reverse_uint32_t
                                                                               : reverse_uint64_t;
    int64_t n = g->size[2];

    for (int64_t z = 0; z < g->size[0]; z++) {
        for (int64_t y = 0; y < g->size[1]; y++) {
            int64_t from = g->start + z * g->stride[0] + y * g->stride[1];

            if (g->stride[2] == 1)
                memcpy(out, in + (size_t)from * each, (size_t)n * each);
            else
                reverse(in + (size_t)(from - (n - 1)) * each, n, out);
            out += (size_t)n * each;
        }
    }
}

static void gather(const struct gather *g, size_t each, const uint8_t *in, uint8_t *out) {
    if (g->stride[2] == 1 || g->stride[2] == -1)
        gather_rows(g, each, in, out);
    else if (each == 1)
        gather_uint8_t(g, in, out);
    else if (each == 2)
        gather_uint16_t(g, in, out);
    else if (each == 4)
        gather_uint32_t(g, in, out);
    else
        gather_uint64_t(g, in, out);
}

int volume_turn(struct opiml_op_call *call, const struct volume_set *set, const int64_t from[3],
                const struct volume_turn *turn, struct opiml_error *err) {
    const int64_t along[3] = {from[1] * from[2], from[2], 1};
    struct gather g = {0};
    double map[3][4] = {{0}};
    size_t voxels = (size_t)(from[0] * from[1] * from[2]);

    for (uint32_t d = 0; d < 3; d++) {
        uint32_t a = turn->axis[d];
        int64_t last = turn->back[d] ? from[a] - 1 : 0;

        g.size[d] = from[a];
        g.stride[d] = turn->back[d] ? -along[a] : along[a];
        g.start += last * along[a];
        map[a][d] = turn->back[d] ? -1 : 1;
        map[a][3] = (double)last;
    }
    for (uint32_t k = 0; k < set->names.count; k++) {
        struct volume_part part;
        int rc = volume_begin(call, set, k, g.size, &part, err);

        if (rc < 0)
            return rc;
        for (uint32_t c = 0; c < part.channels; c++)
            gather(&g, part.each, part.from + c * voxels * part.each,
                   part.to + c * voxels * part.each);
    }
    return volume_affine_write(call, set, map, err);
}
