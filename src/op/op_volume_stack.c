/* volume_stack: volumes become the channels of one. */
#include "base/base.h"
#include "op/volume.h"

struct params {
    struct volume_set set;
    char to[OPIML_TEXT_MAX];
    /* derived */
    uint32_t out_index;
};

static const struct opiml_param rows[] = {
    {"fields", "[image]", "Volumes of one size and type, in the order of the channels",
     offsetof(struct params, set.names), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {"to", "image", "Name of the field [channels, d, h, w] that takes their place",
     offsetof(struct params, to), OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};

static uint32_t channels_of(const struct opiml_field *field) {
    return field->ndim == 4 ? (uint32_t)field->shape[0] : 1;
}

static int check_types(const struct params *p, const struct opiml_schema *in,
                       uint64_t *ret_channels, struct opiml_error *err) {
    const struct opiml_field *first = &in->fields[p->set.index[0]];

    *ret_channels = 0;
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        const struct opiml_field *field = &in->fields[p->set.index[k]];

        *ret_channels += channels_of(field);
        if (field->dtype != first->dtype)
            return opiml_fail(err, OPIML_EINVAL,
                              "fields: \"%s\" is %s, but \"%s\" %s; `cast` one of them",
                              field->name, opiml_dtype_text(field->dtype), first->name,
                              opiml_dtype_text(first->dtype));
    }
    return 0;
}

static bool is_named(const struct params *p, uint32_t f) {
    for (uint32_t k = 0; k < p->set.names.count; k++)
        if (p->set.index[k] == f)
            return true;
    return false;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t size[4];
    uint64_t channels, bytes;
    int rc;

    p->set.affine[0] = 0;
    if ((rc = volume_check(&p->set, in, size + 1, err)) < 0 ||
        (rc = check_types(p, in, &channels, err)) < 0)
        return rc;
    size[0] = (int64_t)channels;
    bytes = channels * opiml_dtype_bytes(in->fields[p->set.index[0]].dtype);
    if (volume_most_voxels(&p->set, in) > VOLUME_BYTES_MAX / bytes)
        return opiml_fail(err, OPIML_EINVAL, "fields: together they are larger than 2 GiB");
    memset(&shape->out, 0, sizeof(shape->out));
    memset(shape->from, 0, sizeof(shape->from));
    for (uint32_t f = 0; f < in->count; f++) {
        if (f == p->set.index[0]) {
            p->out_index = shape->out.count;
            shape->from[p->out_index] = p->set.names.count == 1 ? (int32_t)f : OPIML_OP_NEW;
            rc = opiml_schema_add(&shape->out, p->to, in->fields[f].dtype, 4, size,
                                  bytes * volume_most_voxels(&p->set, in), err);
        } else if (!is_named(p, f)) {
            shape->from[shape->out.count] = (int32_t)f;
            rc = opiml_schema_add(&shape->out, in->fields[f].name, in->fields[f].dtype,
                                  in->fields[f].ndim, in->fields[f].shape, in->fields[f].max_bytes,
                                  err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct opiml_value *out = &call->out[p->out_index];
    int64_t size[3];
    uint64_t bytes = 0;
    int rc = volume_size(call, &p->set, size, err);

    if (rc < 0)
        return rc;
    out->shape[0] = call->shape->out.fields[p->out_index].shape[0];
    memcpy(out->shape + 1, size, sizeof(size));
    if (p->set.names.count == 1) /* passed on, with another shape */
        return 0;
    for (uint32_t k = 0; k < p->set.names.count; k++) {
        const struct opiml_value *in = &call->in[p->set.index[k]];

        if (in->bytes > out->capacity - bytes)
            return opiml_fail(err, OPIML_ELIMIT, "%s: larger than there is room for",
                              p->set.names.at[k]);
        memcpy(out->data + bytes, in->data, in->bytes);
        bytes += in->bytes;
    }
    out->bytes = bytes;
    return 0;
}

const struct opiml_op op_volume_stack = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "volume_stack",
    .help = "Make volumes the channels of one",
    .about = "What a network takes is [channels, d, h, w], for a single volume too, which is not "
             "copied; "
             "volumes that have channels bring them all.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
