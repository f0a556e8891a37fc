/* Pairs of operators that are defined as one. */
#ifndef OP_FUSE_H
#define OP_FUSE_H

#include <opiml/op.h>

/* Fuse `a` with the operator `b` right behind it, where the pair is one operator by definition:
 * `decode` with random_resized_crop, center_crop or resize of the same field, so that only the part
 * of the picture that is wanted is decoded, and no finer than wanted. The parameters must have been
 * read from YAML or hold their defaults. Returns 1 with the operator and its parameters, to be
 * freed with base_free and checked like any others; 0 when the pair stays two; OPIML_ENOMEM. The
 * fused operator draws the random numbers that `b` would draw, so it takes b's label. */
int op_fuse(const struct opiml_op *a, const void *a_params, const struct opiml_op *b,
            const void *b_params, const struct opiml_op **ret_op, void **ret_params,
            struct opiml_error *err);

#endif
