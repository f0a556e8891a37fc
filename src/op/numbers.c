/* Fields of numbers that leave as f32. */
#include "op/numbers.h"

#include "base/base.h"
#include "op/field.h"

bool numbers_takes(uint32_t dtype) {
    return dtype != OPIML_F16 && dtype != OPIML_BF16;
}

int numbers_check(const char *name, const struct opiml_schema *in, struct opiml_op_shape *shape,
                  uint32_t *ret_index, struct opiml_error *err) {
    const struct opiml_field *field;
    struct opiml_field *out;
    int rc = op_field_find(in, "field", name, ret_index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[*ret_index];
    out = &shape->out.fields[*ret_index];
    if (!numbers_takes(field->dtype))
        return opiml_fail(err, OPIML_EINVAL, "field: \"%s\" is %s; `cast` it to f32 before", name,
                          opiml_dtype_text(field->dtype));
    out->dtype = OPIML_F32;
    out->max_bytes = field->max_bytes / opiml_dtype_bytes(field->dtype) * sizeof(float);
    shape->from[*ret_index] = OPIML_OP_NEW;
    return 0;
}

size_t numbers_begin(struct opiml_op_call *call, uint32_t index) {
    const struct opiml_value *in = &call->in[index];
    struct opiml_value *out = &call->out[index];
    size_t count = in->bytes / opiml_dtype_bytes(call->in_schema->fields[index].dtype);

    memcpy(out->shape, in->shape, sizeof(out->shape));
    out->bytes = count * sizeof(float);
    return count;
}

#define LOAD(type)                                                                                 \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
                                                                                                   \
        memcpy(&x, from + i * sizeof(x), sizeof(x));                                               \
        to[i] = (float)x;                                                                          \
    }                                                                                              \
    break

void numbers_load(uint32_t dtype, const uint8_t *from, size_t n, float *to) {
    switch (dtype) {
    case OPIML_U8: LOAD(uint8_t);
    case OPIML_I8: LOAD(int8_t);
    case OPIML_U16: LOAD(uint16_t);
    case OPIML_I16: LOAD(int16_t);
    case OPIML_I32: LOAD(int32_t);
    case OPIML_I64: LOAD(int64_t);
    case OPIML_F32: memcpy(to, from, n * sizeof(*to)); break;
    case OPIML_F64: LOAD(double);
    }
}

int numbers_range(const char *param, const struct opiml_f64_list *list, double ret[2],
                  struct opiml_error *err) {
    if (list->count != 1 && list->count != 2)
        return opiml_fail(err, OPIML_EINVAL, "%s: %u numbers; give [least, most] or one", param,
                          list->count);
    ret[0] = list->at[0];
    ret[1] = list->at[list->count - 1];
    if (!(ret[0] <= ret[1]))
        return opiml_fail(err, OPIML_EINVAL, "%s: the least, %g, is above the most, %g", param,
                          ret[0], ret[1]);
    return 0;
}

float numbers_draw(struct opiml_rng *rng, const double range[2]) {
    double share = (double)opiml_rng_u32(rng) * (1.0 / 4294967296.0);

    return (float)(range[0] + (range[1] - range[0]) * share);
}
