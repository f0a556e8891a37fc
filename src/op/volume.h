/* Volumes as operators take them: [depth, height, width], or [channels, depth, height, width], of
 * any element type; several fields of a record cut, turned and mirrored alike, and the affine that
 * says where their voxels lie. Sizes and places are in the order of the dimensions: [z, y, x]. */
#ifndef OP_VOLUME_H
#define OP_VOLUME_H

#include <opiml/op.h>

#include "op/border.h"

#define VOLUME_SIDE_MAX 65536
#define VOLUME_BYTES_MAX INT32_MAX /* of a row of a field */
#define VOLUME_AFFINE 12           /* numbers of an affine: three rows of four */

/* The volumes that an operator works on: the first two are parameters. */
struct volume_set {
    struct opiml_text_list names;
    char affine[OPIML_TEXT_MAX];
    /* derived by volume_check */
    uint32_t index[OPIML_LIST_MAX];
    int32_t affine_index; /* -1: none */
};

#define VOLUME_FIELDS_PARAM(type)                                                                  \
    {                                                                                              \
        "fields", "[image]",                                                                       \
            "Volumes to work on, all alike: [d, h, w] or [c, d, h, w] of one size",                \
            offsetof(type, set.names), OPIML_PARAM_TEXT_LIST, NULL, 0, 0                           \
    }
#define VOLUME_AFFINE_PARAM(type)                                                                  \
    {                                                                                              \
        "affine", "",                                                                              \
            "Field of the affine (see the format nifti), which is kept right; empty: none",        \
            offsetof(type, set.affine), OPIML_PARAM_TEXT, NULL, 0, 0                               \
    }

/* What stands outside of a volume: the first two are parameters. */
struct volume_padding {
    uint32_t mode; /* enum border_mode */
    struct opiml_f64_list value;
    /* derived by volume_padding_check */
    uint8_t fill[OPIML_LIST_MAX][8]; /* of each field, in its type */
};

#define VOLUME_PADDING_PARAMS(type)                                                                \
    {"mode",                                                                                       \
     "constant",                                                                                   \
     "What stands outside: `value`, the volume reflected, or its edge",                            \
     offsetof(type, padding.mode),                                                                 \
     OPIML_PARAM_CHOICE,                                                                           \
     BORDER_MODES,                                                                                 \
     0,                                                                                            \
     0},                                                                                           \
    {                                                                                              \
        "value", "0", "mode constant: one number, or one for each of `fields`",                    \
            offsetof(type, padding.value), OPIML_PARAM_F64_LIST, NULL, -1e9, 1e9                   \
    }

/* ---- when a pipeline file is checked ---- */

/* Find the fields and the affine. *ret_size is what is known of the size: -1 where it varies.
 * OPIML_EINVAL names the field. */
int volume_check(struct volume_set *set, const struct opiml_schema *in, int64_t ret_size[3],
                 struct opiml_error *err);
/* Fit numbers to the fields' types. */
int volume_padding_check(struct volume_padding *padding, const struct volume_set *set,
                         const struct opiml_schema *in, struct opiml_error *err);
/* A parameter of three numbers, or of one for all three; none leaves ret as it is. */
int volume_sides_check(const char *param, const struct opiml_u32_list *list, int64_t ret_size[3],
                       struct opiml_error *err);
/* A parameter of axes: z, y and x, at least one of them. */
int volume_axes_check(const char *param, const struct opiml_text_list *list, bool ret_axes[3],
                      struct opiml_error *err);
/* The most voxels that a channel of a row can have. */
uint64_t volume_most_voxels(const struct volume_set *set, const struct opiml_schema *in);
/* The volumes leave with this size (-1: varies), of at most so many voxels in a channel; the affine
 * is written too. OPIML_EINVAL when a fixed size is more than VOLUME_BYTES_MAX. */
int volume_shape(const struct volume_set *set, const struct opiml_schema *in, const int64_t size[3],
                 uint64_t most_voxels, struct opiml_op_shape *shape, struct opiml_error *err);

/* Of volumes of one channel run looks at that many planes only, which op.window finds. */
void volume_planes(const struct volume_set *set, const struct opiml_schema *in, int64_t planes,
                   struct opiml_op_shape *shape);

/* ---- rows ---- */

/* One channel of a field, or all of them where `channels` counts. */
struct volume_part {
    const uint8_t *from;
    uint8_t *to;
    uint32_t channels;
    uint32_t dtype;
    size_t each; /* bytes of an element */
};

/* The size of this row's volumes, which is one. OPIML_ECORRUPT. */
int volume_size(const struct opiml_op_call *call, const struct volume_set *set, int64_t ret_size[3],
                struct opiml_error *err);
/* Set field k's output to this size. OPIML_ELIMIT when there is no room for it. */
int volume_begin(struct opiml_op_call *call, const struct volume_set *set, uint32_t k,
                 const int64_t size[3], struct volume_part *ret_part, struct opiml_error *err);

/* Copy the window of `size` at `at` of each volume (of size `from`), padded where it reaches past
 * them, and move the affine. The whole of run for what cuts and pads. */
int volume_window(struct opiml_op_call *call, const struct volume_set *set,
                  const struct volume_padding *padding, const int64_t from[3], const int64_t at[3],
                  const int64_t size[3], struct opiml_error *err);

/* How an output of other directions is read from a volume: along output axis d runs input axis
 * axis[d], backwards where asked for. */
struct volume_turn {
    uint32_t axis[3];
    bool back[3];
};
/* Turn each volume (of size `from`), and the affine. */
int volume_turn(struct opiml_op_call *call, const struct volume_set *set, const int64_t from[3],
                const struct volume_turn *turn, struct opiml_error *err);

/* Read the affine of this row: numbers of at most 1e12, or OPIML_ECORRUPT. */
int volume_affine_read(const struct opiml_op_call *call, const struct volume_set *set,
                       double ret_affine[VOLUME_AFFINE], struct opiml_error *err);
/* Write the affine, where there is one, of voxels that moved: new voxel n is old voxel
 * Σ map[d][e] n[e] + map[d][3], in the order z, y, x. */
int volume_affine_write(struct opiml_op_call *call, const struct volume_set *set,
                        const double map[3][4], struct opiml_error *err);

#endif
