/* volume_crop: a box of a volume, in voxels or in millimetres of the body. */
#include "base/base.h"
#include "op/volume.h"

enum unit { VOXEL, MM };

struct params {
    struct volume_set set;
    struct opiml_f64_list x, y, z;
    uint32_t unit;
    /* derived: voxels */
    int64_t first[3], end[3];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"x", "", "[from, to): what is kept along x, from left to right; none: all",
     offsetof(struct params, x), OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {"y", "", "The same along y, from back to front", offsetof(struct params, y),
     OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {"z", "", "The same along z, from bottom to top", offsetof(struct params, z),
     OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {"unit", "voxel",
     "voxel: numbers of voxels, x along the last dimension; mm: where their middles lie, by the "
     "affine",
     offsetof(struct params, unit), OPIML_PARAM_CHOICE, "voxel|mm", 0, 0},
    {0},
};

static const struct opiml_f64_list *range(const struct params *p, uint32_t d) {
    return d == 0 ? &p->z : d == 1 ? &p->y : &p->x;
}

static int check_range(struct params *p, uint32_t d, int64_t side, struct opiml_error *err) {
    const struct opiml_f64_list *list = range(p, d);
    const char name = "zyx"[d];

    p->first[d] = 0;
    p->end[d] = side;
    if (list->count == 0)
        return 0;
    if (list->count != 2 || !(list->at[0] < list->at[1]))
        return opiml_fail(err, OPIML_EINVAL, "%c: give [from, to) with from below to", name);
    if (p->unit == MM)
        return 0;
    p->first[d] = (int64_t)list->at[0];
    p->end[d] = (int64_t)list->at[1];
    if ((double)p->first[d] != list->at[0] || (double)p->end[d] != list->at[1] || p->first[d] < 0)
        return opiml_fail(err, OPIML_EINVAL, "%c: voxels are counted in whole numbers from 0",
                          name);
    if (side >= 0 && p->end[d] > side)
        return opiml_fail(err, OPIML_EINVAL, "%c: to %" PRId64 ", but there are %" PRId64 " voxels",
                          name, p->end[d], side);
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3], size[3];
    int rc = volume_check(&p->set, in, side, err);

    if (rc < 0)
        return rc;
    if (p->unit == MM && p->set.affine_index < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "unit: millimetres need the `affine`: name its field here, and in the "
                          "dataset of format nifti");
    for (uint32_t d = 0; d < 3; d++) {
        if ((rc = check_range(p, d, side[d], err)) < 0)
            return rc;
        size[d] = p->end[d] < 0 || (p->unit == MM && (p->x.count || p->y.count || p->z.count))
                      ? -1
                      : p->end[d] - p->first[d];
    }
    if (p->unit == VOXEL && p->end[0] > p->first[0])
        volume_planes(&p->set, in, p->end[0] - p->first[0], shape);
    return volume_shape(&p->set, in, size, volume_most_voxels(&p->set, in), shape, err);
}

static int64_t window(struct opiml_op_call *call, uint32_t field) {
    const struct params *p = call->params;

    return p->first[0];
}

/* The voxel axis (0 to 2: x, y, z) that runs along an axis of the body. */
static int find_axis(const double affine[VOLUME_AFFINE], const int64_t size[3], uint32_t r,
                     uint32_t *ret_axis, struct opiml_error *err) {
    const double *row = affine + 4 * r;
    double astray = 0, most = 0;
    uint32_t axis = 0;

    for (uint32_t a = 0; a < 3; a++) {
        double length = row[a] < 0 ? -row[a] : row[a];

        if (length > most) {
            most = length;
            axis = a;
        }
    }
    for (uint32_t a = 0; a < 3; a++)
        if (a != axis)
            astray += (row[a] < 0 ? -row[a] : row[a]) * (double)(size[2 - a] - 1);
    if (!(most > 0) || astray > most * 0.5)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "%c: the volume lies askew, so that no plane of voxels is one of the "
                          "body; give voxels, or resample it to the body's axes before",
                          "xyz"[r]);
    *ret_axis = axis;
    return 0;
}

/* The voxels along `axis` whose middles lie in the range; they are found one by one, so that no
 * rounding puts one into two ranges that meet. */
static void cut(const double affine[VOLUME_AFFINE], uint32_t r, uint32_t axis,
                const struct opiml_f64_list *list, int64_t *first, int64_t *end) {
    int64_t n = *end, from = n, to = 0;

    for (int64_t i = 0; i < n; i++) {
        double place = affine[4 * r + 3] + affine[4 * r + axis] * (double)i;

        if (place >= list->at[0] && place < list->at[1]) {
            from = from < i ? from : i;
            to = i + 1;
        }
    }
    *first = from;
    *end = to;
}

static int place_mm(const struct opiml_op_call *call, const int64_t size[3], int64_t first[3],
                    int64_t end[3], struct opiml_error *err) {
    const struct params *p = call->params;
    double affine[VOLUME_AFFINE];
    uint32_t taken = 0, axis = 0;
    int rc = volume_affine_read(call, &p->set, affine, err);

    for (uint32_t r = 0; r < 3 && rc == 0; r++) {
        const struct opiml_f64_list *list = range(p, 2 - r);

        if (list->count == 0)
            continue;
        if ((rc = find_axis(affine, size, r, &axis, err)) < 0)
            return rc;
        if (taken & 1u << axis)
            return opiml_fail(err, OPIML_ENOTSUP,
                              "%s: two axes of the body along one of the "
                              "volume",
                              p->set.affine);
        taken |= 1u << axis;
        cut(affine, r, axis, list, &first[2 - axis], &end[2 - axis]);
    }
    return rc;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    int64_t from[3], first[3], end[3], size[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) {
        bool given = p->unit == VOXEL && range(p, d)->count > 0;

        first[d] = given ? p->first[d] : 0;
        end[d] = given ? p->end[d] : from[d];
    }
    if (p->unit == MM && (rc = place_mm(call, from, first, end, err)) < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) {
        size[d] = end[d] - first[d];
        if (size[d] < 1 || end[d] > from[d])
            return opiml_fail(err, OPIML_ECORRUPT,
                              "%s: nothing of the box lies in the volume of %" PRId64 " × %" PRId64
                              " × %" PRId64 " voxels, or not all",
                              p->set.names.at[0], from[0], from[1], from[2]);
    }
    return volume_window(call, &p->set, NULL, from, first, size, err);
}

const struct opiml_op op_volume_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_crop",
    .help = "Cut a box out of a volume, in voxels or in millimetres",
    .about =
        "In millimetres a voxel is kept where its middle lies in the range, so that `x: [-999, 0]` "
        "and `x: [0, 999]` are the two halves of a head and share nothing. A range in voxels that "
        "the volume does not have, or one in millimetres without any voxel, makes the row a bad "
        "one.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .window = window,
};
