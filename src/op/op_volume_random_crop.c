/* volume_random_crop: a box of fixed size at a random place, now and then around the foreground. */
#include "base/base.h"
#include "op/field.h"
#include "op/volume.h"

#define CLASSES 256 /* of a label: 0 is the background */

struct params {
    struct volume_set set;
    struct volume_padding padding;
    struct opiml_u32_list size, classes;
    char label[OPIML_TEXT_MAX];
    double oversample;
    /* derived */
    int64_t side[3];
    uint32_t label_index;
    bool wanted[CLASSES];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"size", NULL, "Voxels of the crop: [depth, height, width], or one number for all",
     offsetof(struct params, size), OPIML_PARAM_U32_LIST, NULL, 1, VOLUME_SIDE_MAX},
    {"oversample", "0", "Probability of a crop around a voxel of the foreground",
     offsetof(struct params, oversample), OPIML_PARAM_F64, NULL, 0, 1},
    {"label", "label", "The volume of whole numbers that says what the foreground is",
     offsetof(struct params, label), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"classes", "", "Its numbers that are foreground; none: 1 to 255",
     offsetof(struct params, classes), OPIML_PARAM_U32_LIST, NULL, 1, CLASSES - 1},
    VOLUME_PADDING_PARAMS(struct params),
    {0},
};

/* The label is one channel, of the size that the volumes have. */
static int check_label(struct params *p, const struct opiml_schema *in, const int64_t size[3],
                       struct opiml_error *err) {
    const struct opiml_field *field;
    int rc = op_field_find(in, "label", p->label, &p->label_index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[p->label_index];
    if (field->dtype > OPIML_I64 ||
        (field->ndim != 3 && (field->ndim != 4 || field->shape[0] != 1)))
        return opiml_fail(err, OPIML_EINVAL,
                          "label: \"%s\" is no volume of whole numbers with one channel; `cast` "
                          "makes whole numbers of others",
                          field->name);
    for (uint32_t d = 0; d < 3; d++) {
        int64_t side = field->shape[field->ndim - 3 + d];

        if (side >= 0 && size[d] >= 0 && side != size[d])
            return opiml_fail(err, OPIML_EINVAL, "label: \"%s\" is not of the size that \"%s\" has",
                              field->name, p->set.names.at[0]);
    }
    memset(p->wanted, p->classes.count == 0, sizeof(p->wanted));
    p->wanted[0] = false;
    for (uint32_t i = 0; i < p->classes.count; i++)
        p->wanted[p->classes.at[i]] = true;
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3];
    int rc = volume_check(&p->set, in, side, err);

    if (rc < 0 || (rc = volume_padding_check(&p->padding, &p->set, in, err)) < 0)
        return rc;
    if (p->size.count == 0)
        return opiml_fail(err, OPIML_EINVAL, "size: the list is empty");
    if ((rc = volume_sides_check("size", &p->size, p->side, err)) < 0)
        return rc;
    if (!(p->oversample >= 0 && p->oversample <= 1))
        return opiml_fail(err, OPIML_EINVAL, "oversample: a probability is 0 to 1");
    if (p->oversample > 0 && (rc = check_label(p, in, side, err)) < 0)
        return rc;
    if (p->oversample == 0) /* else the label says where the box lies */
        volume_planes(&p->set, in, p->side[0], shape);
    return volume_shape(&p->set, in, p->side, 0, shape, err);
}

/* ---- the foreground ---- */

struct label {
    const uint8_t *data;
    uint32_t dtype;
    size_t voxels;
};

#define CHUNK 2048

#define CLASSIFY(type, above)                                                                      \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
                                                                                                   \
        memcpy(&x, from + i * sizeof(x), sizeof(x));                                               \
        to[i] = x > 0 && (above) ? (uint8_t)x : 0;                                                 \
    }                                                                                              \
    break

/* n voxels from `at` on as classes; what is no class is background. */
static const uint8_t *classes(const struct label *label, size_t at, size_t n, uint8_t *to) {
    const uint8_t *from = label->data + at * opiml_dtype_bytes(label->dtype);

    switch (label->dtype) {
    case OPIML_U8: return from;
    case OPIML_I8: CLASSIFY(int8_t, true);
    case OPIML_U16: CLASSIFY(uint16_t, x < CLASSES);
    case OPIML_I16: CLASSIFY(int16_t, x < CLASSES);
    case OPIML_I32: CLASSIFY(int32_t, x < CLASSES);
    case OPIML_I64: CLASSIFY(int64_t, x < CLASSES);
    }
    return to;
}

/* Neighbours are often of one class: four tables keep one count from waiting for the last. */
static void count_classes(const struct label *label, uint32_t counts[CLASSES]) {
    uint32_t part[4][CLASSES] = {{0}};
    uint8_t room[CHUNK];

    for (size_t at = 0; at < label->voxels; at += CHUNK) {
        size_t n = base_min_u64(CHUNK, label->voxels - at), i = 0;
        const uint8_t *row = classes(label, at, n, room);

        for (; i + 4 <= n; i += 4)
            for (uint32_t k = 0; k < 4; k++)
                part[k][row[i + k]]++;
        for (; i < n; i++)
            part[0][row[i]]++;
    }
    for (uint32_t c = 0; c < CLASSES; c++)
        counts[c] = part[0][c] + part[1][c] + part[2][c] + part[3][c];
}

/* The place of a class's voxel number `number`, in the volume's order. */
static size_t find_voxel(const struct label *label, uint8_t class, uint32_t number) {
    uint8_t room[CHUNK];

    for (size_t at = 0; at < label->voxels; at += CHUNK) {
        size_t n = base_min_u64(CHUNK, label->voxels - at);
        const uint8_t *row = classes(label, at, n, room);
        uint32_t here = 0;

        for (size_t i = 0; i < n; i++)
            here += row[i] == class;
        if (number >= here) {
            number -= here;
            continue;
        }
        for (size_t i = 0; i < n; i++)
            if (row[i] == class && number-- == 0)
                return at + i;
    }
    return 0; /* not reached: there are more than `number` of them */
}

static uint32_t below(uint32_t draw, uint64_t bound) {
    return (uint32_t)((uint64_t)draw * bound >> 32);
}

/* A random voxel of a random class, of those that are there; false when there is none. */
static bool find_foreground(const struct params *p, const struct label *label,
                            const uint32_t draws[2], size_t *ret_voxel) {
    uint32_t counts[CLASSES], there = 0, chosen;

    count_classes(label, counts);
    for (uint32_t c = 0; c < CLASSES; c++)
        there += p->wanted[c] && counts[c] > 0;
    if (there == 0)
        return false;
    chosen = below(draws[0], there);
    for (uint32_t c = 0; c < CLASSES; c++) {
        if (!p->wanted[c] || counts[c] == 0)
            continue;
        if (chosen-- == 0) {
            *ret_voxel = find_voxel(label, (uint8_t)c, below(draws[1], counts[c]));
            return true;
        }
    }
    return false;
}

/* ---- placing ---- */

static int place(struct opiml_op_call *call, const int64_t from[3], int64_t at[3],
                 struct opiml_error *err) {
    const struct params *p = call->params;
    bool around = opiml_rng_chance(&call->rng, p->oversample);
    const struct opiml_value *value = &call->in[p->label_index];
    struct label label = {.data = value->data, .voxels = (size_t)(from[0] * from[1] * from[2])};
    uint32_t draws[5];
    size_t voxel = 0;

    for (uint32_t i = 0; i < COUNT_OF(draws); i++)
        draws[i] = opiml_rng_u32(&call->rng);
    if (around) {
        label.dtype = call->in_schema->fields[p->label_index].dtype;
        if (value->bytes != label.voxels * opiml_dtype_bytes(label.dtype))
            return opiml_fail(err, OPIML_ECORRUPT, "%s: not of the size that %s has", p->label,
                              p->set.names.at[0]);
        around = find_foreground(p, &label, draws, &voxel);
    }
    for (int d = 2; d >= 0; d--) {
        int64_t room = from[d] - p->side[d], middle = (int64_t)voxel % from[d] - p->side[d] / 2;

        voxel /= (size_t)from[d];
        if (room < 0)
            at[d] = room / 2; /* towards 0, as volume_center_crop */
        else if (around)
            at[d] = middle < 0 ? 0 : middle > room ? room : middle;
        else
            at[d] = below(draws[2 + d], (uint64_t)room + 1);
    }
    return 0;
}

static int64_t window(struct opiml_op_call *call, uint32_t field) {
    int64_t from[3] = {call->in[field].shape[0], 1, 1}, at[3];

    place(call, from, at, NULL); /* cannot fail where it does not look at the label */
    return at[0];
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    int64_t from[3], at[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0 || (rc = place(call, from, at, err)) < 0)
        return rc;
    return volume_window(call, &p->set, &p->padding, from, at, p->side, err);
}

const struct opiml_op op_volume_random_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM,
    .name = "volume_random_crop",
    .help = "Cut a box of fixed size at a random place, now and then around the foreground",
    .about =
        "With the probability `oversample` a class is drawn among those of the foreground that the "
        "label has, then one of its voxels, and the box lies around it, as near to its middle as "
        "the volume's edges allow; else every place is equally likely. `oversample: 0.4` is "
        "MLPerf's "
        "U-Net3D, which looks for one of a class's two largest connected parts instead of a voxel. "
        "A "
        "smaller volume is padded on both sides. Six draws in every case: whether, class, voxel, "
        "z, "
        "y, x.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .window = window,
};
