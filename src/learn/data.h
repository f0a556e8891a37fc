/* What a feed delivers, as a network takes it. */
#ifndef LEARN_DATA_H
#define LEARN_DATA_H

#include <opiml/feed.h>

#include "base/base.h"
#include "base/json.h"
#include "learn/table.h"

/* What a sample's target is. */
enum learn_kind {
    LEARN_LABEL,  /* its class, one whole number */
    LEARN_SHARES, /* of each class, f32 [classes] that sum to 1 */
    LEARN_VOXELS, /* the class of each pixel or voxel, u8 of the image's size */
    LEARN_BINARY, /* 0 or 1, one whole number, told by a single output */
};

/* Which fields of a pipeline are the image and the target, checked once. Rows without an image are
 * those of a table. */
struct learn_fields {
    int image, label; /* image -1: a table */
    struct learn_table table;
    enum learn_kind kind;
    uint32_t channels, depth, height, width, classes; /* depth 0: images, not volumes */
    uint64_t voxels;                                  /* of one channel */
};
/* `model` says how many classes there are, and how a table is taken. Its classes 0: as many as the
 * dataset names, or else as the label has shares. OPIML_EINVAL names what is missing and the
 * operator that makes it. */
int learn_fields_find(struct opiml_pipeline *pipeline, const char *name,
                      const struct nn_model_conf *model, struct learn_fields *ret_fields,
                      struct opiml_error *err);
/* Of a table alone: its columns, all but `fields`'s label, which may be -1. */
int learn_columns_find(const struct opiml_schema *schema, const char *name,
                       const struct nn_model_conf *model, struct learn_fields *fields,
                       struct opiml_error *err);

/* Whether samples can be evaluated by what was trained on `trained`: images of the same size, or,
 * with a label for each voxel, of the same channels. OPIML_EINVAL; `name` and `trained_name` say
 * whose they are. */
int learn_fields_fit(const struct learn_fields *fields, const char *name,
                     const struct learn_fields *trained, const char *trained_name,
                     struct opiml_error *err);

/* The names of a dataset's classes by label, an array; empty when its format has none. */
struct js *learn_class_names(const struct opiml_pipeline *pipeline);
/* Whether they are "train", "test" and the like, which stand one folder above the classes. */
bool learn_class_names_are_splits(const struct js *names);
/* Do labels mean the same? Known names may go on where the others end; without names on either side
 * there is nothing to tell. OPIML_EINVAL shows the first difference. `where` and `known_where` say
 * whose they are. */
int learn_class_names_match(const struct js *names, const char *where, const struct js *known,
                            const char *known_where, struct opiml_error *err);

/* Rows of a batch without its holes, packed: what a network computes on. */
struct learn_rows {
    const struct learn_fields *fields;
    uint32_t room, rows;
    uint64_t outside; /* of tables, so far: rows with a category outside the model's buckets */
    float *images;
    int32_t *labels; /* by kind, one of the three */
    float *shares;
    uint8_t *voxels;
    struct nn_overlap *overlaps; /* with voxels: [room][classes], for who compares them */
};
/* `images` has room for so many, and is the caller's: a network's input. `fields` is borrowed. */
int learn_rows_init(struct learn_rows *rows, const struct learn_fields *fields, float *images,
                    uint32_t room, struct opiml_error *err);
void learn_rows_release(struct learn_rows *rows);
/* Take rows from row *first on until the room or the batch ends; *first moves to where to go on.
 * A label outside the classes, or an image with values that are no numbers, makes a bad record of
 * its row: OPIML_EBUDGET when they are too many. */
int learn_rows_take(struct learn_rows *rows, struct opiml_feed *feed,
                    const struct opiml_batch *batch, uint32_t *first, struct opiml_error *err);

#endif
