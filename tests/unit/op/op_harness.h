/* One operator at work in a test: parameters as YAML text, rows with exactly the promised room and
 * guard bytes behind it, and run beside its scalar reference.
 *
 *     struct op_bench b;
 *     op_bench_init(&b, &op_random_flip);
 *     op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 3}, 4096);
 *     assert_int_equal(op_bench_open(&b, "{p: 1}"), 0);
 *     op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){2, 5, 3});
 *     assert_int_equal(op_bench_compare(&b, 0), 0);
 *     ... b.out[op_bench_out(&b, "image")].data ...
 *     op_bench_release(&b);
 *
 * Whatever fails leaves its message in b.err. Assertions are cmocka's, so use it in the test's own
 * thread. */
#ifndef TESTS_UNIT_OP_HARNESS_H
#define TESTS_UNIT_OP_HARNESS_H

#include "../test.h"

#include <opiml/op.h>

#include "base/base.h"
#include "base/conf.h"
#include "base/rng.h"
#include "base/yaml.h"

#define OP_BENCH_GUARD 64 /* bytes behind every buffer that nobody may touch */

struct op_bench {
    const struct opiml_op *op;
    void *params;
    struct opiml_schema in_schema;
    struct opiml_op_shape shape;
    struct opiml_op_call call;
    void *state;
    uint8_t *scratch;
    uint64_t seed, epoch;
    uint64_t charge_limit; /* what charge grants at once */
    uint64_t charged;      /* by the last run */
    bool may_allocate; /* else run must not call base_alloc & co (a third party's malloc is free) */
    struct opiml_value in[OPIML_MAX_FIELDS], out[OPIML_MAX_FIELDS];
    uint8_t *in_copy[OPIML_MAX_FIELDS]; /* to see that run leaves its inputs alone */
    struct opiml_error err;
};

/* ---- buffers ---- */

/* Exactly `bytes`, then the guard. A block of its own, so that a sanitizer sees what lies past it.
 */
static inline uint8_t *op_bench_buffer(uint64_t bytes, int fill) {
    uint8_t *buffer = malloc(bytes + OP_BENCH_GUARD);

    if (!buffer)
        abort();
    memset(buffer, fill, bytes);
    memset(buffer + bytes, 0xC3, OP_BENCH_GUARD);
    return buffer;
}

static inline void op_bench_guard(const uint8_t *buffer, uint64_t bytes, const char *what) {
    for (uint32_t i = 0; i < OP_BENCH_GUARD; i++)
        if (buffer[bytes + i] != 0xC3)
            fail_msg("%s: written %u bytes past its end", what, i + 1);
}

/* ---- setting up ---- */

static inline void op_bench_init(struct op_bench *b, const struct opiml_op *op) {
    memset(b, 0, sizeof(*b));
    b->op = op;
    b->seed = 7;
    b->charge_limit = MIB(64);
    b->params = calloc(1, op->params_bytes + 1);
    assert_non_null(b->params);
}

/* Add an input field; max_bytes counts only where a dimension varies. */
static inline void op_bench_field(struct op_bench *b, const char *name, uint32_t dtype,
                                  uint32_t ndim, const int64_t *shape, uint64_t max_bytes) {
    if (opiml_schema_add(&b->in_schema, name, dtype, ndim, shape, max_bytes, &b->err) < 0)
        fail_msg("field %s: %s", name, b->err.message);
}

static inline void op_bench_fresh_shape(const struct op_bench *b, struct opiml_op_shape *shape) {
    memset(shape, 0, sizeof(*shape));
    shape->out = b->in_schema;
    for (uint32_t f = 0; f < b->in_schema.count; f++)
        shape->from[f] = (int32_t)f;
}

/* Every promise that `check` makes about its result. */
static inline void op_bench_shape_sane(const struct op_bench *b) {
    for (uint32_t f = 0; f < b->shape.out.count; f++) {
        const struct opiml_field *field = &b->shape.out.fields[f];
        int32_t from = b->shape.from[f];
        uint64_t bytes = opiml_dtype_bytes(field->dtype);

        assert_true(bytes > 0);
        assert_true(from >= OPIML_OP_NEW && from < (int32_t)b->in_schema.count);
        for (uint32_t d = 0; d < field->ndim; d++)
            bytes *= (uint64_t)(field->shape[d] < 0 ? 1 : field->shape[d]);
        if (opiml_field_fixed(field))
            assert_int_equal(field->max_bytes, bytes);
        assert_int_equal(opiml_schema_find(&b->shape.out, field->name), f); /* names are unique */
    }
    if (b->op->flags & OPIML_OP_GROUP)
        assert_true(b->shape.group_rows >= 1);
}

/* Free the outputs of the last run. */
static inline void op_bench_drop(struct op_bench *b) {
    for (uint32_t f = 0; f < b->shape.out.count; f++) {
        if (b->shape.from[f] == OPIML_OP_NEW)
            free(b->out[f].data);
        memset(&b->out[f], 0, sizeof(b->out[f]));
    }
}

/* Read the parameters and check. Twice, since check must be pure. */
static inline int op_bench_check(struct op_bench *b, const char *params) {
    static const struct opiml_param none[] = {{0}};
    AUTO_YAML struct yaml *yaml = NULL;
    struct opiml_op_shape again;
    int rc = yaml_parse(params, strlen(params), "test", &yaml, &b->err);

    op_bench_drop(b); /* by the shape that is about to go */
    if (rc < 0)
        return rc;
    rc = conf_read(b->op->params ? b->op->params : none, b->params, yaml, yaml->root, b->op->name,
                   &b->err);
    if (rc < 0)
        return rc;
    op_bench_fresh_shape(b, &b->shape);
    rc = b->op->check(b->params, &b->in_schema, &b->shape, &b->err);
    op_bench_fresh_shape(b, &again);
    assert_int_equal(b->op->check(b->params, &b->in_schema, &again, NULL), rc);
    if (rc < 0)
        return rc;
    assert_memory_equal(&again, &b->shape, sizeof(again));
    op_bench_shape_sane(b);
    return 0;
}

/* Check, then make the worker's state and scratch. */
static inline int op_bench_open(struct op_bench *b, const char *params) {
    int rc = op_bench_check(b, params);

    if (rc < 0)
        return rc;
    b->scratch = aligned_alloc(64, base_align_up(b->shape.scratch_bytes + OP_BENCH_GUARD, 64));
    assert_non_null(b->scratch);
    memset(b->scratch, 0xC3, b->shape.scratch_bytes + OP_BENCH_GUARD);
    return b->op->open ? b->op->open(b->params, &b->shape, &b->state, &b->err) : 0;
}

/* check must refuse these parameters with a message that holds every one of `words` (divided by
 * '|'); the bench is as new afterwards, its fields stay. */
static inline void op_bench_refuses(struct op_bench *b, const char *params, const char *words) {
    char copy[512], *rest = copy, *word;
    int rc = op_bench_check(b, params);

    if (rc == 0)
        fail_msg("%s: %s was taken", b->op->name, params);
    assert_true(rc < 0);
    snprintf(copy, sizeof(copy), "%s", words);
    while ((word = strsep(&rest, "|")))
        if (!strstr(b->err.message, word))
            fail_msg("%s: %s: \"%s\" is not in: %s", b->op->name, params, word, b->err.message);
    memset(b->params, 0, b->op->params_bytes);
    memset(&b->err, 0, sizeof(b->err));
}

/* ---- rows ---- */

/* Set an input; `shape` may be NULL for a fixed field. The bytes are copied. */
static inline void op_bench_value(struct op_bench *b, const char *name, const void *data,
                                  uint64_t bytes, const int64_t *shape) {
    int f = opiml_schema_find(&b->in_schema, name);
    struct opiml_value *value;

    assert_true(f >= 0);
    value = &b->in[f];
    free(value->data);
    free(b->in_copy[f]);
    memset(value, 0, sizeof(*value));
    value->data = malloc(bytes ? bytes : 1); /* no guard: reading past it is a mistake as well */
    b->in_copy[f] = malloc(bytes ? bytes : 1);
    if (!value->data || !b->in_copy[f])
        abort();
    if (bytes) {
        memcpy(value->data, data, bytes);
        memcpy(b->in_copy[f], data, bytes);
    }
    value->bytes = bytes;
    for (uint32_t d = 0; d < b->in_schema.fields[f].ndim; d++)
        value->shape[d] = shape ? shape[d] : b->in_schema.fields[f].shape[d];
}

static inline int op_bench_charge(void *engine, uint64_t bytes, struct opiml_error *err) {
    struct op_bench *b = engine;

    assert_int_equal(b->charged, 0); /* once per run */
    if (bytes > b->charge_limit)
        return opiml_fail(err, OPIML_ELIMIT, "%" PRIu64 " bytes are too many", bytes);
    b->charged = bytes;
    return 0;
}

static inline void op_bench_aim(struct op_bench *b, uint64_t sample, int fill) {
    struct opiml_op_call *call = &b->call;

    memset(call, 0, sizeof(*call));
    call->size = sizeof(*call);
    call->params = b->params;
    call->state = b->state;
    call->epoch = b->epoch;
    call->position = call->sample = sample;
    call->in_schema = &b->in_schema;
    call->shape = &b->shape;
    call->in = b->in;
    call->out = b->out;
    call->scratch = b->scratch;
    call->charge = op_bench_charge;
    call->engine = b;
    b->charged = 0;
    rng_init(&call->rng, b->seed, b->epoch, sample, 1);
    for (uint32_t f = 0; f < b->shape.out.count; f++) {
        const struct opiml_field *field = &b->shape.out.fields[f];
        struct opiml_value *out = &b->out[f];

        if (b->shape.from[f] != OPIML_OP_NEW) {
            *out = b->in[b->shape.from[f]];
            out->capacity = 0;
            continue;
        }
        memset(out, 0, sizeof(*out));
        out->capacity = field->max_bytes;
        out->data = op_bench_buffer(out->capacity, fill);
        out->bytes = opiml_field_fixed(field) ? field->max_bytes : 0;
        memcpy(out->shape, field->shape, sizeof(out->shape));
    }
}

static inline void op_bench_outputs_sane(const struct op_bench *b, int rc) {
    for (uint32_t f = 0; f < b->shape.out.count; f++) {
        const struct opiml_field *field = &b->shape.out.fields[f];
        const struct opiml_value *out = &b->out[f];
        uint64_t bytes = opiml_dtype_bytes(field->dtype);

        if (b->shape.from[f] != OPIML_OP_NEW)
            continue;
        op_bench_guard(out->data, out->capacity, field->name);
        if (rc != 0)
            continue;
        assert_true(out->bytes <= out->capacity);
        for (uint32_t d = 0; d < field->ndim; d++) {
            assert_true(out->shape[d] >= 0);
            if (field->shape[d] >= 0)
                assert_int_equal(out->shape[d], field->shape[d]);
            bytes *= (uint64_t)out->shape[d];
        }
        assert_int_equal(out->bytes, bytes);
    }
    for (uint32_t f = 0; f < b->in_schema.count; f++)
        if (b->in[f].bytes)
            assert_memory_equal(b->in[f].data, b->in_copy[f], b->in[f].bytes);
    if (b->shape.scratch_bytes)
        op_bench_guard(b->scratch, b->shape.scratch_bytes, "scratch");
}

static inline int op_bench_call(struct op_bench *b,
                                int (*run)(struct opiml_op_call *call, struct opiml_error *err),
                                uint64_t sample, int fill) {
    uint64_t before;
    int rc;

    op_bench_aim(b, sample, fill);
    before = base_alloc_count();
    rc = run(&b->call, &b->err);
    if (!b->may_allocate)
        assert_int_equal(base_alloc_count(), before);
    assert_true(rc <= 0 || rc == OPIML_OP_DROP);
    assert_true(rc != OPIML_OP_DROP || (b->op->flags & OPIML_OP_MAY_DROP));
    if (rc < 0)
        assert_int_equal(b->err.code, rc);
    op_bench_outputs_sane(b, rc);
    return rc;
}

/* One row through `run`. Its outputs stay in b->out until the next call. */
static inline int op_bench_run(struct op_bench *b, uint64_t sample) {
    op_bench_drop(b);
    return op_bench_call(b, b->op->run, sample, 0xA5);
}

/* One row through `run` and through `reference` (run once more where there is none), over
 * differently filled buffers: both must say and write the same, and read nothing that they did not
 * write. */
static inline int op_bench_compare(struct op_bench *b, uint64_t sample) {
    struct opiml_value first[OPIML_MAX_FIELDS];
    int rc = op_bench_run(b, sample), reference;

    memcpy(first, b->out, sizeof(first));
    reference = op_bench_call(b, b->op->reference ? b->op->reference : b->op->run, sample, 0x5A);
    assert_int_equal(rc, reference);
    for (uint32_t f = 0; f < b->shape.out.count; f++) {
        if (b->shape.from[f] != OPIML_OP_NEW)
            continue;
        if (rc == 0) {
            assert_int_equal(first[f].bytes, b->out[f].bytes);
            assert_memory_equal(first[f].shape, b->out[f].shape, sizeof(first[f].shape));
            if (first[f].bytes)
                assert_memory_equal(first[f].data, b->out[f].data, first[f].bytes);
        }
        free(first[f].data);
    }
    return rc;
}

/* A group through run_group, in place; the rows are the caller's. */
static inline int op_bench_group(struct op_bench *b, struct opiml_value *const *rows,
                                 const bool *live, uint32_t count, uint64_t position) {
    uint64_t before;
    int rc;

    op_bench_drop(b);
    op_bench_aim(b, position, 0);
    b->call.in = NULL;
    b->call.out = NULL;
    before = base_alloc_count();
    rc = b->op->run_group(&b->call, rows, live, count, &b->err);
    if (!b->may_allocate)
        assert_int_equal(base_alloc_count(), before);
    if (b->shape.scratch_bytes)
        op_bench_guard(b->scratch, b->shape.scratch_bytes, "scratch");
    return rc;
}

/* The index of an output field. */
static inline uint32_t op_bench_out(const struct op_bench *b, const char *name) {
    int f = opiml_schema_find(&b->shape.out, name);

    if (f < 0)
        fail_msg("%s: no output \"%s\"", b->op->name, name);
    return (uint32_t)f;
}

static inline void op_bench_release(struct op_bench *b) {
    op_bench_drop(b);
    if (b->state)
        b->op->close(b->state);
    for (uint32_t f = 0; f < b->in_schema.count; f++) {
        free(b->in[f].data);
        free(b->in_copy[f]);
    }
    free(b->scratch);
    free(b->params);
    memset(b, 0, sizeof(*b));
}

/* Bytes that look like nothing in particular, the same on every machine. */
static inline void op_bench_noise(uint8_t *to, size_t bytes, uint32_t seed) {
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < bytes; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        to[i] = (uint8_t)(x >> 11);
    }
}

#endif
