/* pack: tokens → sequences of one length, with the documents that they are made of told apart. */
#include "base/base.h"
#include "op/field.h"

#define LENGTH_MAX (1 << 24)

struct params {
    char field[OPIML_TEXT_MAX], segments[OPIML_TEXT_MAX], positions[OPIML_TEXT_MAX];
    uint32_t length;
    int64_t end, pad;
    /* derived */
    uint32_t index;
    int32_t segment_field, position_field; /* of the output; -1: not asked for */
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "tokens"),
    {"length", "0",
     "Tokens of a sequence: longer rows are cut, shorter ones filled; 0: as they are",
     offsetof(struct params, length), OPIML_PARAM_U32, NULL, 0, LENGTH_MAX},
    {"end", "-1", "Token that ends a document (and belongs to it); -1: each row is one document",
     offsetof(struct params, end), OPIML_PARAM_I64, NULL, -1, 4294967295.0},
    {"pad", "0", "Token behind the last one of a short row", offsetof(struct params, pad),
     OPIML_PARAM_I64, NULL, 0, 4294967295.0},
    {"segments", "segments",
     "New field, i32: which document of the sequence a token belongs to, from 1; 0: filled. \"\": "
     "none",
     offsetof(struct params, segments), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"positions", "positions",
     "New field, i32: the token's place in its document, as far as the sequence has it, from 0. "
     "\"\": none",
     offsetof(struct params, positions), OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};

static int64_t largest_token(uint32_t dtype) {
    switch (dtype) {
    case OPIML_U8: return UINT8_MAX;
    case OPIML_U16: return UINT16_MAX;
    case OPIML_I32: return INT32_MAX;
    default: return 0;
    }
}

static int add_field(struct opiml_op_shape *shape, const char *name, int64_t length,
                     int32_t *ret_field, struct opiml_error *err) {
    uint32_t f = shape->out.count;
    int rc;

    *ret_field = -1;
    if (!name[0])
        return 0;
    if ((rc = opiml_schema_add(&shape->out, name, OPIML_I32, 1, &length, 0, err)) < 0)
        return rc;
    shape->from[f] = OPIML_OP_NEW;
    *ret_field = (int32_t)f;
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    int64_t most, length;
    int rc = op_field_find(in, "field", p->field, &p->index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[p->index];
    most = largest_token(field->dtype);
    if (most == 0 || field->ndim != 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is no list of tokens, which are u8, u16 or i32",
                          field->name);
    if (p->length == 0 && field->shape[0] < 1)
        return opiml_fail(
            err, OPIML_EINVAL,
            "length: \"%s\" varies from row to row: say how many tokens a sequence is "
            "to have",
            field->name);
    if (p->pad > most || p->end > most)
        return opiml_fail(err, OPIML_EINVAL, "%s: \"%s\" is %s, whose tokens go up to %" PRId64,
                          p->pad > most ? "pad" : "end", field->name,
                          opiml_dtype_text(field->dtype), most);
    length = p->length ? p->length : field->shape[0];
    out = &shape->out.fields[p->index];
    out->shape[0] = length;
    out->max_bytes = (uint64_t)length * opiml_dtype_bytes(field->dtype);
    shape->from[p->index] = OPIML_OP_NEW;
    if ((rc = add_field(shape, p->segments, length, &p->segment_field, err)) < 0)
        return rc;
    return add_field(shape, p->positions, length, &p->position_field, err);
}

static int64_t token_at(const uint8_t *tokens, uint32_t dtype, uint64_t i) {
    int32_t wide;

    if (dtype == OPIML_U8)
        return tokens[i];
    if (dtype == OPIML_U16)
        return tokens[2 * i] | tokens[2 * i + 1] << 8;
    memcpy(&wide, tokens + 4 * i, sizeof(wide));
    return wide;
}

/* Where documents end among the first `count` tokens. */
static void tell_apart(const struct params *p, const uint8_t *tokens, uint32_t dtype,
                       uint64_t count, int32_t *segments, int32_t *positions) {
    int32_t segment = 1, position = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (segments)
            segments[i] = segment;
        if (positions)
            positions[i] = position;
        position++;
        if (p->end >= 0 && token_at(tokens, dtype, i) == p->end) {
            segment++;
            position = 0;
        }
    }
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    uint32_t dtype = call->in_schema->fields[p->index].dtype;
    uint64_t each = opiml_dtype_bytes(dtype), length = out->bytes / each;
    uint64_t count = base_min_u64(in->bytes / each, length);
    int32_t *segments = NULL, *positions = NULL;

    (void)err;
    if (p->segment_field >= 0)
        segments = (int32_t *)(void *)call->out[p->segment_field].data;
    if (p->position_field >= 0)
        positions = (int32_t *)(void *)call->out[p->position_field].data;
    memcpy(out->data, in->data, count * each);
    for (uint64_t i = count; i < length; i++)
        memcpy(out->data + i * each, &p->pad, each); /* little-endian */
    tell_apart(p, in->data, dtype, count, segments, positions);
    if (segments)
        memset(segments + count, 0, (length - count) * sizeof(*segments));
    if (positions)
        memset(positions + count, 0, (length - count) * sizeof(*positions));
    return 0;
}

const struct opiml_op op_pack = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "pack",
    .help = "Make rows of tokens sequences of one length, with their documents told apart",
    .about =
        "Flat token files (format tokens) hold documents one behind the other, so that their "
        "sequences are full, and have the ends of some documents and the beginnings of others: "
        "segments and positions are what attention needs to keep them apart. Rows of varying "
        "length (JSON lines, TFRecord) are cut or filled; `opiml data convert` makes flat token "
        "files of them, which wastes nothing.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
