/* Operators: the table of functions that turns rows into rows. Built-in and user operators are the
 * same thing; a user's comes from a shared object on OPIML_OP_PATH (docs/extending.md). */
#ifndef OPIML_OP_H
#define OPIML_OP_H

#include <stdbool.h>

#include <opiml/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OPIML_OP_ABI 1
#define OPIML_LIST_MAX 32  /* entries of a list parameter */
#define OPIML_TEXT_MAX 256 /* bytes of a text parameter with its closing zero */

/* Parameter types and the C type of the struct member that each row's offset points to. */
enum opiml_param_type {
    OPIML_PARAM_BOOL = 1, /* bool */
    OPIML_PARAM_U32,      /* uint32_t */
    OPIML_PARAM_U64,      /* uint64_t; accepts KiB, MiB, GiB suffixes */
    OPIML_PARAM_I64,      /* int64_t */
    OPIML_PARAM_F64,      /* double */
    OPIML_PARAM_TEXT,     /* char[OPIML_TEXT_MAX] */
    OPIML_PARAM_CHOICE,   /* uint32_t: the index in `choices` ("a|b|c") */
    OPIML_PARAM_U32_LIST, /* struct opiml_u32_list; a bare number is a list of one */
    OPIML_PARAM_F64_LIST, /* struct opiml_f64_list; a bare number is a list of one */
    OPIML_PARAM_TEXT_LIST /* struct opiml_text_list; a bare text is a list of one */
};

struct opiml_u32_list {
    uint32_t count;
    uint32_t at[OPIML_LIST_MAX];
};
struct opiml_f64_list {
    uint32_t count;
    double at[OPIML_LIST_MAX];
};
struct opiml_text_list {
    uint32_t count;
    char at[OPIML_LIST_MAX][OPIML_NAME_BYTES];
};

/* One parameter: the YAML key, its default as text (NULL: must be given; "": empty list or text),
 * its help and where it lies in the parameter struct. A table ends with a row whose name is NULL.
 */
struct opiml_param {
    const char *name;
    const char *preset; /* the default, as it would stand in YAML */
    const char *help;
    size_t offset;
    uint32_t type;
    const char *choices; /* OPIML_PARAM_CHOICE only */
    double least, most;  /* inclusive range of numbers (and of each list entry); both 0: any */
};

/* A counter-based random stream, one per (seed, epoch, sample, operator label): Philox4x32-10 of
 * Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11. Draw number i is a pure
 * function of the stream and i, on every machine. */
struct opiml_rng {
    uint32_t key[2];
    uint32_t counter[4]; /* counter[0] is the block of four draws */
    uint32_t block[4];
    uint32_t used; /* draws taken from `block`; 4: empty */
};

OPIML_API uint32_t opiml_rng_u32(struct opiml_rng *rng);
/* Uniform in [0, bound), without bias (Lemire's method); bound 0 gives 0. */
OPIML_API uint32_t opiml_rng_below(struct opiml_rng *rng, uint32_t bound);
/* Uniform in [0, 2^32) read as a fixed-point fraction of 1: probability tests are
 * opiml_rng_u32(rng) < p * 2^32. Returns 1 with probability p; p is clamped to [0, 1]. */
OPIML_API int opiml_rng_chance(struct opiml_rng *rng, double p);

/* Traits */
enum {
    OPIML_OP_RANDOM = 1 << 0,    /* draws from call->rng */
    OPIML_OP_INTEGER = 1 << 1,   /* integer arithmetic only */
    OPIML_OP_MAY_DROP = 1 << 2,  /* may return OPIML_OP_DROP */
    OPIML_OP_GROUP = 1 << 3,     /* mixes the rows of a group, in place: uses run_group */
    OPIML_OP_HOST_ONLY = 1 << 4, /* never placed away from the consumer */
    OPIML_OP_VIEW = 1 << 5,      /* only passes fields on: run has nothing to do */
};

#define OPIML_OP_DROP 1 /* run: leave a marked hole at this row */
#define OPIML_OP_NEW (-1)

/* What `check` finds out about an operator in its place. Zeroed by the caller, except `out`, which
 * starts as a copy of the input schema, `from`, which starts as 0, 1, 2, … (all passed on), and
 * `flags`. */
struct opiml_op_shape {
    struct opiml_schema out;        /* the rows that leave */
    int32_t from[OPIML_MAX_FIELDS]; /* per field of out: the input field it passes on untouched, or
                                       OPIML_OP_NEW when run writes it */
    uint32_t flags;                 /* traits in this place: starts as the table's; check may take
                                       some away that the parameters rule out */
    uint64_t scratch_bytes;         /* run's scratch, 64-byte aligned, per worker */
    uint32_t group_rows;            /* OPIML_OP_GROUP: rows that run_group takes at once */
    uint32_t window[OPIML_MAX_FIELDS]; /* per input field: how many neighbouring entries of its
                                          first dimension run looks at, at most, where `window`
                                          says which; 0: all */
};

/* The engine's services to one call of run. All of it is valid until run returns. */
struct opiml_op_call {
    uint32_t size;
    const void *params;   /* the operator's parameter struct, already checked */
    void *state;          /* this worker's, from open; NULL without one */
    struct opiml_rng rng; /* at the start of this (sample, operator)'s stream */
    uint64_t epoch, position, sample;
    const struct opiml_schema *in_schema;
    const struct opiml_op_shape *shape;
    const struct opiml_value *in; /* by input field */
    struct opiml_value *out; /* by output field. OPIML_OP_NEW: data and capacity are set, and for
                                fixed shapes bytes and shape too; run fills the rest. Passed on:
                                already equal to the input; run may set another shape of
                                as many elements, which the schema has */
    uint8_t *scratch;
    /* Take `bytes` from the pool for the time of this call, waiting for other workers if need be;
     * the engine gives it back after run. OPIML_ELIMIT when the pool could never hold it. May be
     * called once per run. It accounts only: the memory is the operator's to allocate. */
    int (*charge)(void *engine, uint64_t bytes, struct opiml_error *err);
    void *engine;
};

struct opiml_op {
    uint32_t size;     /* sizeof(struct opiml_op) */
    uint32_t abi;      /* OPIML_OP_ABI */
    uint32_t version;  /* raised when the same input gives other bytes; part of the id */
    uint32_t flags;    /* traits */
    const char *name;  /* the YAML key */
    const char *help;  /* one line, for the catalogue */
    const char *about; /* optional: some lines more, plain text */
    const struct opiml_param *params; /* NULL: takes none */
    size_t params_bytes;
    /* Fill *shape from the parameters and the input schema. Pure and total: it may change only
     * *shape and values that it derives inside *params. Bad parameters are OPIML_EINVAL with a
     * message that names the parameter. Required. */
    int (*check)(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err);
    /* Make and free a worker's state; run on the worker's thread at most once each. Optional, both
     * or neither. */
    int (*open)(const void *params, const struct opiml_op_shape *shape, void **ret_state,
                struct opiml_error *err);
    void (*close)(void *state);
    /* One row. 0, OPIML_OP_DROP, or a negative code: the row becomes a marked hole and counts
     * against the error budget. Must be a pure function of the row, the parameters and call->rng.
     * Inputs and outputs do not overlap. Required unless OPIML_OP_GROUP. */
    int (*run)(struct opiml_op_call *call, struct opiml_error *err);
    /* Where the entries begin that run will look at, shape->window[field] of them (those that would
     * lie outside of the dimension are not asked for). It follows from the parameters, call->rng
     * and the shapes: call->in has no data yet. What else the field has may not be there when run
     * is called. Required where check sets shape->window. */
    int64_t (*window)(struct opiml_op_call *call, uint32_t field);
    /* A whole group in place: `rows[r][f]`; `live[r]` is false for holes, whose bytes are zero. The
     * stream of call->rng is keyed by the group's first position. Required with OPIML_OP_GROUP. */
    int (*run_group)(struct opiml_op_call *call, struct opiml_value *const *rows, const bool *live,
                     uint32_t count, struct opiml_error *err);
    /* The scalar reference with run's contract; NULL when run itself is scalar. Tests compare. */
    int (*reference)(struct opiml_op_call *call, struct opiml_error *err);
    /* A hash of the operator's codec on a built-in vector; NULL when it uses none. */
    uint64_t (*codec_id)(void);
};

/* The one symbol that a user's shared object exports: a NULL-terminated array of operators. */
#define OPIML_OP_EXPORT_SYMBOL "opiml_user_ops"

#ifdef __cplusplus
}
#endif
#endif
