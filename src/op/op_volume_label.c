/* volume_label: a label of classes from a map for each class. */
#include "base/base.h"
#include "op/numbers.h"
#include "op/volume.h"

#define CLASSES_MAX OPIML_LIST_MAX

struct params {
    struct volume_set set;
    double threshold;
    struct opiml_f64_list range;
    char to[OPIML_TEXT_MAX];
    /* derived */
    uint32_t out_index;
};

static const struct opiml_param rows[] = {
    {"maps", NULL, "Volumes [d, h, w], one for each class from 1 on",
     offsetof(struct params, set.names), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {"threshold", "0.5", "The share of its range from which on a map counts",
     offsetof(struct params, threshold), OPIML_PARAM_F64, NULL, 0, 1},
    {"range", "", "[least, most] of every map; none: what each of the row has",
     offsetof(struct params, range), OPIML_PARAM_F64_LIST, NULL, -1e30, 1e30},
    {"to", "label", "Name of the new field, u8", offsetof(struct params, to), OPIML_PARAM_TEXT,
     NULL, 0, 0},
    {0},
};

static int check_maps(const struct params *p, const struct opiml_schema *in,
                      struct opiml_error *err) {
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        const struct opiml_field *field = &in->fields[p->set.index[k]];

        if (field->ndim != 3)
            return opiml_fail(err, OPIML_EINVAL, "maps: \"%s\" has channels; a map is [d, h, w]",
                              field->name);
        if (!numbers_takes(field->dtype))
            return opiml_fail(err, OPIML_EINVAL, "maps: \"%s\" is %s; `cast` it to f32 before",
                              field->name, opiml_dtype_text(field->dtype));
    }
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t size[3];
    int rc;

    p->set.affine[0] = 0;
    if (p->set.names.count == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "maps: the list is empty; name a volume for each class");
    if ((rc = volume_check(&p->set, in, size, err)) < 0 || (rc = check_maps(p, in, err)) < 0)
        return rc;
    if (!(p->threshold >= 0 && p->threshold <= 1))
        return opiml_fail(err, OPIML_EINVAL, "threshold: a share is 0 to 1");
    if (p->range.count != 0 && (p->range.count != 2 || !(p->range.at[0] < p->range.at[1])))
        return opiml_fail(err, OPIML_EINVAL, "range: give [least, most] with least below most");
    if (opiml_schema_find(in, p->to) >= 0)
        return opiml_fail(err, OPIML_EINVAL, "to: there is a field \"%s\" already", p->to);
    p->out_index = shape->out.count;
    if (p->out_index == OPIML_MAX_FIELDS)
        return opiml_fail(err, OPIML_EINVAL, "to: a record has at most %d fields",
                          OPIML_MAX_FIELDS);
    rc = opiml_schema_add(&shape->out, p->to, OPIML_U8, 3, size, volume_most_voxels(&p->set, in),
                          err);
    if (rc < 0)
        return rc;
    shape->from[p->out_index] = OPIML_OP_NEW;
    return 0;
}

/* x becomes (x - least) × scale, its share of the map's range; a scale of 0: it has none. */
struct map {
    const uint8_t *data;
    uint32_t dtype;
    float least, scale;
};

#define LANES 16 /* side by side, for the compiler to make vectors of */

/* Least and most of the numbers that are finite; a map without two of them has no range. */
static void find_range(const struct map *map, size_t voxels, float ret[2]) {
    float least[LANES], most[LANES];

    for (size_t l = 0; l < LANES; l++) {
        least[l] = 3e38f;
        most[l] = -3e38f;
    }
    for (size_t at = 0; at < voxels; at += NUMBERS_CHUNK) {
        size_t n = base_min_u64(NUMBERS_CHUNK, voxels - at), whole = base_align_up(n, LANES);
        float x[NUMBERS_CHUNK];

        numbers_load(map->dtype, map->data + at * opiml_dtype_bytes(map->dtype), n, x);
        for (size_t i = n; i < whole; i++)
            x[i] = x[0];
        for (size_t i = 0; i < whole; i += LANES)
            for (size_t l = 0; l < LANES; l++) {
                float y = x[i + l];
                bool finite = y > -3e38f && y < 3e38f;

                least[l] = finite && y < least[l] ? y : least[l];
                most[l] = finite && y > most[l] ? y : most[l];
            }
    }
    for (size_t l = 1; l < LANES; l++) {
        least[0] = least[l] < least[0] ? least[l] : least[0];
        most[0] = most[l] > most[0] ? most[l] : most[0];
    }
    ret[0] = least[0];
    ret[1] = most[0];
}

static void begin_map(const struct opiml_op_call *call, uint32_t k, size_t voxels,
                      struct map *map) {
    const struct params *p = call->params;
    uint32_t f = p->set.index[k];
    float range[2];

    map->data = call->in[f].data;
    map->dtype = call->in_schema->fields[f].dtype;
    if (p->range.count == 2) {
        range[0] = (float)p->range.at[0];
        range[1] = (float)p->range.at[1];
    } else {
        find_range(map, voxels, range);
    }
    map->least = range[0];
    map->scale = range[1] > range[0] ? 1.0f / (range[1] - range[0]) : 0;
}

static void label_chunk(const struct params *p, const struct map *maps, size_t at, size_t n,
                        uint8_t *to) {
    float best[NUMBERS_CHUNK], x[NUMBERS_CHUNK], threshold = (float)p->threshold;
    uint32_t class[NUMBERS_CHUNK] = {0};

    for (size_t i = 0; i < n; i++)
        best[i] = -1; /* below all thresholds */
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        const struct map *map = &maps[k];

        if (!(map->scale > 0))
            continue;
        numbers_load(map->dtype, map->data + at * opiml_dtype_bytes(map->dtype), n, x);
        for (size_t i = 0; i < n; i++) {
            float share = (x[i] - map->least) * map->scale;
            bool more = share >= threshold && share > best[i];

            best[i] = more ? share : best[i];
            class[i] = more ? k + 1 : class[i];
        }
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t) class[i];
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct opiml_value *out = &call->out[p->out_index];
    struct map maps[CLASSES_MAX];
    int64_t size[3];
    size_t voxels;
    int rc = volume_size(call, &p->set, size, err);

    if (rc < 0)
        return rc;
    voxels = (size_t)(size[0] * size[1] * size[2]);
    for (uint32_t k = 0; k < p->set.names.count; k++)
        begin_map(call, k, voxels, &maps[k]);
    for (size_t at = 0; at < voxels; at += NUMBERS_CHUNK)
        label_chunk(p, maps, at, base_min_u64(NUMBERS_CHUNK, voxels - at), out->data + at);
    memcpy(out->shape, size, sizeof(size));
    out->bytes = voxels;
    return 0;
}

const struct opiml_op op_volume_label = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_label",
    .help = "Make a label from a map for each class, such as a tissue's probability",
    .about =
        "A voxel is of the class whose map is largest there, as a share of its range, if that is "
        "the threshold at least; else 0. Of equal maps the first one counts. The maps stay; "
        "`select` leaves them out.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
