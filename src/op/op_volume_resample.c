/* volume_resample: a volume in another number of voxels, given as such or by their spacing. */
#include <math.h>

#include "base/base.h"
#include "op/field.h"
#include "op/half.h"
#include "op/volume.h"

enum align { EDGES, CORNERS };

struct params {
    struct volume_set set;
    struct opiml_f64_list spacing, from;
    struct opiml_u32_list size;
    struct opiml_text_list nearest;
    uint32_t align, growth;
    /* derived */
    bool blend[OPIML_LIST_MAX];
    int64_t side[3];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"spacing", "", "Millimetres from voxel to voxel in the result: [z, y, x], or one number",
     offsetof(struct params, spacing), OPIML_PARAM_F64_LIST, NULL, 1e-3, 1e3},
    {"size", "", "In its place: voxels of the result, [depth, height, width] or one number",
     offsetof(struct params, size), OPIML_PARAM_U32_LIST, NULL, 1, VOLUME_SIDE_MAX},
    {"from", "", "Millimetres from voxel to voxel as they come; none: as `affine` says",
     offsetof(struct params, from), OPIML_PARAM_F64_LIST, NULL, 1e-3, 1e3},
    {"nearest", "", "Those of `fields` that take the nearest voxel's number, as labels must",
     offsetof(struct params, nearest), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {"align", "edges",
     "What stays where it is: the volume's edges, or the middles of its first and last voxels",
     offsetof(struct params, align), OPIML_PARAM_CHOICE, "edges|corners", 0, 0},
    {"growth", "4", "Room for so many times the voxels of the largest volume, where sizes vary",
     offsetof(struct params, growth), OPIML_PARAM_U32, NULL, 1, 64},
    {0},
};

/* ---- checking ---- */

static bool is_named(const struct opiml_text_list *list, const char *name) {
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i], name) == 0)
            return true;
    return false;
}

static int check_nearest(struct params *p, const struct opiml_schema *in, struct opiml_error *err) {
    for (uint32_t i = 0; i < p->nearest.count; i++)
        if (!is_named(&p->set.names, p->nearest.at[i]))
            return opiml_fail(err, OPIML_EINVAL, "nearest: \"%s\" is none of `fields`",
                              p->nearest.at[i]);
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        uint32_t dtype = in->fields[p->set.index[k]].dtype;

        p->blend[k] = !is_named(&p->nearest, p->set.names.at[k]);
        if (p->blend[k] && dtype != OPIML_F32 && dtype > OPIML_I16)
            return opiml_fail(err, OPIML_EINVAL,
                              "fields: \"%s\" is %s, which voxels are not blended in; `cast` it to "
                              "f32 before, or name it in `nearest`",
                              p->set.names.at[k], opiml_dtype_text(dtype));
    }
    return 0;
}

static double pick(const struct opiml_f64_list *list, uint32_t d) {
    return list->at[list->count == 1 ? 0 : d];
}

/* The reference truncates (MLPerf's preprocess_dataset.py); where edges stay, the nearest number
 * keeps the spacing nearest to what was asked for. */
static int64_t scaled(const struct params *p, uint32_t d, double spacing, int64_t side) {
    double x = spacing / pick(&p->spacing, d) * (double)side + (p->align == EDGES ? 0.5 : 0);

    return x < 1 ? 1 : x > VOLUME_SIDE_MAX ? VOLUME_SIDE_MAX + 1 : (int64_t)x;
}

static int check_lists(const struct params *p, struct opiml_error *err) {
    if (!p->size.count == !p->spacing.count)
        return opiml_fail(err, OPIML_EINVAL, "spacing: give either `spacing` or `size`");
    if (p->spacing.count != 0 && p->spacing.count != 1 && p->spacing.count != 3)
        return opiml_fail(err, OPIML_EINVAL, "spacing: give [z, y, x] or one number");
    if (p->from.count != 0 && p->from.count != 1 && p->from.count != 3)
        return opiml_fail(err, OPIML_EINVAL, "from: give [z, y, x] or one number");
    if (p->spacing.count && !p->from.count && p->set.affine_index < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "spacing: the spacing before is not known; name the `affine` here and in "
                          "the dataset of format nifti, or give `from`");
    return 0;
}

static uint64_t scratch_bytes(void);

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3];
    int rc = volume_check(&p->set, in, side, err);

    for (uint32_t d = 0; d < 3; d++)
        p->side[d] = -1;
    if (rc < 0 || (rc = check_lists(p, err)) < 0 || (rc = check_nearest(p, in, err)) < 0 ||
        (rc = volume_sides_check("size", &p->size, p->side, err)) < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) {
        if (p->from.count && p->spacing.count && side[d] >= 0)
            p->side[d] = scaled(p, d, pick(&p->from, d), side[d]);
        if (p->side[d] > VOLUME_SIDE_MAX)
            return opiml_fail(err, OPIML_EINVAL, "spacing: %g makes a side longer than %d voxels",
                              pick(&p->spacing, d), VOLUME_SIDE_MAX);
    }
    shape->scratch_bytes = scratch_bytes();
    return volume_shape(&p->set, in, p->side, volume_most_voxels(&p->set, in) * p->growth, shape,
                        err);
}

/* ---- where voxels come from ---- */

/* One axis; places are fractions of whole numbers, so that they are exact until the last. */
struct axis {
    int64_t in, out;
    uint32_t align;
};

struct spot {
    int32_t low, high; /* the two voxels that an output voxel lies between */
    float share;       /* of the high one */
};

static struct spot blend_spot(const struct axis *a, int64_t i) {
    int64_t over = i * (a->in - 1), under = a->out - 1; /* CORNERS */
    struct spot spot = {0};

    if (a->align == EDGES) {
        over = (2 * i + 1) * a->in - a->out;
        under = 2 * a->out;
    }
    if (under == 0 || over < 0)
        return spot;
    if (over >= under * (a->in - 1))
        return (struct spot){(int32_t)(a->in - 1), (int32_t)(a->in - 1), 0};
    spot.low = (int32_t)(over / under);
    spot.high = spot.low + 1;
    spot.share = (float)((double)(over % under) / (double)under);
    return spot;
}

/* CORNERS: as PyTorch's interpolate has it. */
static int64_t nearest_spot(const struct axis *a, int64_t i) {
    return a->align == EDGES ? (2 * i + 1) * a->in / (2 * a->out) : i * a->in / a->out;
}

/* ---- blending ---- */

struct work {
    struct axis axis[3];
    struct spot *across; /* of each output column */
    float *row;          /* of the input, blended of four */
};

static uint64_t scratch_bytes(void) {
    return VOLUME_SIDE_MAX * (sizeof(struct spot) + sizeof(float));
}

/* Rows of four corners to one: first along y, then along z. */
#define BLEND_ROWS(type, name)                                                                     \
    static void blend_rows_##name(const uint8_t *const corner[4], size_t n, float y, float z,      \
                                  float *to) {                                                     \
        for (size_t i = 0; i < n; i++) {                                                           \
            type x[4];                                                                             \
            float below, above;                                                                    \
                                                                                                   \
            for (int k = 0; k < 4; k++)                                                            \
                memcpy(&x[k], corner[k] + i * sizeof(type), sizeof(type));                         \
            below = (float)x[0] + y * ((float)x[1] - (float)x[0]);                                 \
            above = (float)x[2] + y * ((float)x[3] - (float)x[2]);                                 \
            to[i] = below + z * (above - below);                                                   \
        }                                                                                          \
    }

BLEND_ROWS(uint8_t, u8)
BLEND_ROWS(int8_t, i8)
BLEND_ROWS(uint16_t, u16)
BLEND_ROWS(int16_t, i16)
BLEND_ROWS(float, f32)

static void blend_rows(uint32_t dtype, const uint8_t *const corner[4], size_t n, float y, float z,
                       float *to) {
    switch (dtype) {
    case OPIML_U8: blend_rows_u8(corner, n, y, z, to); break;
    case OPIML_I8: blend_rows_i8(corner, n, y, z, to); break;
    case OPIML_U16: blend_rows_u16(corner, n, y, z, to); break;
    case OPIML_I16: blend_rows_i16(corner, n, y, z, to); break;
    default: blend_rows_f32(corner, n, y, z, to); break;
    }
}

static float blend_at(const float *row, const struct spot *spot) {
    return row[spot->low] + spot->share * (row[spot->high] - row[spot->low]);
}

/* Between two numbers of the type there is no number beyond it: only rounding is left. */
#define STORE(type)                                                                                \
    for (size_t i = 0; i < n; i++) {                                                               \
        float x = blend_at(row, &spots[i]);                                                        \
                                                                                                   \
        ((type *)(void *)to)[i] = (type)(int32_t)(x < 0 ? x - 0.5f : x + 0.5f);                    \
    }                                                                                              \
    break

static void store_row(uint32_t dtype, const float *row, const struct spot *spots, size_t n,
                      uint8_t *to) {
    switch (dtype) {
    case OPIML_U8: STORE(uint8_t);
    case OPIML_I8: STORE(int8_t);
    case OPIML_U16: STORE(uint16_t);
    case OPIML_I16: STORE(int16_t);
    default:
        for (size_t i = 0; i < n; i++)
            ((float *)(void *)to)[i] = half_clean_nan(blend_at(row, &spots[i]));
    }
}

static void blend(const struct work *work, const struct volume_part *part, const uint8_t *from,
                  uint8_t *to) {
    const struct axis *az = &work->axis[0], *ay = &work->axis[1], *ax = &work->axis[2];
    size_t row = (size_t)ax->in * part->each, plane = row * (size_t)ay->in;

    for (int64_t z = 0; z < az->out; z++) {
        struct spot sz = blend_spot(az, z);

        for (int64_t y = 0; y < ay->out; y++) {
            struct spot sy = blend_spot(ay, y);
            const uint8_t *low = from + (size_t)sz.low * plane;
            const uint8_t *high = from + (size_t)sz.high * plane;
            const uint8_t *corner[4] = {low + (size_t)sy.low * row, low + (size_t)sy.high * row,
                                        high + (size_t)sy.low * row, high + (size_t)sy.high * row};

            blend_rows(part->dtype, corner, (size_t)ax->in, sy.share, sz.share, work->row);
            store_row(part->dtype, work->row, work->across, (size_t)ax->out, to);
            to += (size_t)ax->out * part->each;
        }
    }
}

/* ---- nearest ---- */

#define PICK(type)                                                                                 \
    for (size_t i = 0; i < n; i++)                                                                 \
        memcpy(to + i * sizeof(type), row + (size_t)spots[i].low * sizeof(type), sizeof(type));    \
    break

static void pick_row(size_t each, const uint8_t *row, const struct spot *spots, size_t n,
                     uint8_t *to) {
    switch (each) {
    case 1: PICK(uint8_t);
    case 2: PICK(uint16_t);
    case 4: PICK(uint32_t);
    default: PICK(uint64_t);
    }
}

static void pick_nearest(const struct work *work, const struct volume_part *part,
                         const uint8_t *from, uint8_t *to) {
    const struct axis *az = &work->axis[0], *ay = &work->axis[1], *ax = &work->axis[2];
    size_t row = (size_t)ax->in * part->each;

    for (int64_t z = 0; z < az->out; z++)
        for (int64_t y = 0; y < ay->out; y++) {
            int64_t at = nearest_spot(az, z) * ay->in + nearest_spot(ay, y);

            pick_row(part->each, from + (size_t)at * row, work->across, (size_t)ax->out, to);
            to += (size_t)ax->out * part->each;
        }
}

/* ---- a row ---- */

/* The sides of the result. */
static int place(const struct opiml_op_call *call, const int64_t from[3], int64_t size[3],
                 struct opiml_error *err) {
    const struct params *p = call->params;
    double affine[VOLUME_AFFINE];
    int rc = 0;

    if (p->size.count) {
        memcpy(size, p->side, sizeof(p->side));
        return 0;
    }
    if (!p->from.count)
        rc = volume_affine_read(call, &p->set, affine, err);
    for (uint32_t d = 0; d < 3 && rc == 0; d++) {
        double spacing = 0;

        for (uint32_t r = 0; r < 3 && !p->from.count; r++)
            spacing += affine[4 * r + 2 - d] * affine[4 * r + 2 - d];
        spacing = p->from.count ? pick(&p->from, d) : sqrt(spacing); /* which IEEE 754 fixes */
        if (!(spacing > 0))
            return opiml_fail(err, OPIML_ECORRUPT, "%s: voxels without a size", p->set.affine);
        size[d] = scaled(p, d, spacing, from[d]);
        if (size[d] > VOLUME_SIDE_MAX)
            return opiml_fail(err, OPIML_ELIMIT,
                              "%s: a side of %" PRId64 " voxels of %g mm becomes longer than %d",
                              p->set.names.at[0], from[d], spacing, VOLUME_SIDE_MAX);
    }
    return rc;
}

static void find_across(struct work *work, bool blending) {
    for (int64_t i = 0; i < work->axis[2].out; i++)
        work->across[i] = blending ? blend_spot(&work->axis[2], i)
                                   : (struct spot){.low = (int32_t)nearest_spot(&work->axis[2], i)};
}

static void map_axis(const struct axis *a, uint32_t d, double map[3][4]) {
    double over = (double)a->in, under = (double)a->out;

    if (a->align == EDGES) {
        map[d][d] = over / under;
        map[d][3] = (over / under - 1) / 2;
    } else {
        map[d][d] = a->out > 1 ? (over - 1) / (under - 1) : 1;
    }
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct work work = {.across = (struct spot *)(void *)call->scratch};
    double map[3][4] = {{0}};
    int64_t from[3], size[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0 || (rc = place(call, from, size, err)) < 0)
        return rc;
    work.row = (float *)(void *)(work.across + VOLUME_SIDE_MAX);
    for (uint32_t d = 0; d < 3; d++) {
        work.axis[d] = (struct axis){from[d], size[d], p->align};
        map_axis(&work.axis[d], d, map);
    }
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        struct volume_part part;
        size_t in, out;

        if ((rc = volume_begin(call, &p->set, k, size, &part, err)) < 0)
            return rc;
        in = (size_t)(from[0] * from[1] * from[2]) * part.each;
        out = (size_t)(size[0] * size[1] * size[2]) * part.each;
        find_across(&work, p->blend[k]);
        for (uint32_t c = 0; c < part.channels; c++)
            (p->blend[k] ? blend : pick_nearest)(&work, &part, part.from + c * in,
                                                 part.to + c * out);
    }
    return volume_affine_write(call, &p->set, map, err);
}

const struct opiml_op op_volume_resample = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_resample",
    .help = "Resample a volume to a spacing or a size",
    .about =
        "Trilinear, in f32 along y, then z, then x, whole numbers rounded to nearest; labels by "
        "`nearest`. With `align: corners` (PyTorch's align_corners, scipy.ndimage.zoom) a side is "
        "spacing before ÷ spacing × voxels, rounded down, as in MLPerf's KiTS19 preprocessing; "
        "with "
        "edges rounded to nearest. The affine says what the spacing has become. Smaller volumes "
        "are "
        "not filtered before.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
