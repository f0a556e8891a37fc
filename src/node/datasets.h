/* The data sets of a node, by name and by the hash of their index. Any thread. */
#ifndef NODE_DATASETS_H
#define NODE_DATASETS_H

#include "dataset/dataset.h"
#include "dataset/index.h"
#include "node/id.h"

#define DATASETS_MAX 64
#define DATASETS_AGAIN_S 30 /* until what could not be opened is tried again */

struct datasets;
struct parts;
struct keep;

struct datasets_stats {
    uint64_t pipelines, index_pieces, index_bytes;
};

/* What there is of one: the caller's copy, with a use of the data set for dataset_close. */
struct datasets_view {
    char id[ID_MAX + 1];
    char *mapping, *file;    /* for base_free */
    struct dataset *dataset; /* NULL: it was kept, and is not open (yet) */
    char *why;               /* for base_free; NULL: nothing has gone wrong with it */
    struct datasets_stats stats;
};
void datasets_view_release(struct datasets_view *view);

int datasets_create(struct datasets **ret_datasets, struct opiml_error *err);
void datasets_destroy(struct datasets *datasets);
/* Keep those with names there from now on, and bring back what it has: a thread opens them one
 * after the other. What cannot be opened stays, says why, and is tried again. It outlives the data
 * sets. */
int datasets_keep(struct datasets *datasets, struct keep *keep, struct opiml_error *err);
/* Open what a mapping describes; `file` says where relative paths begin. Blocks. */
int datasets_open(const char *mapping, const char *file, struct dataset **ret_dataset,
                  struct opiml_error *err);
/* Enter a data set, which stays the caller's, under an id; "": one that follows from mapping and
 * file, and which is forgotten for others when there is no room. What has the id is replaced where
 * `replace`, or where mapping and file are the same. Waits for the disk where it is kept.
 * OPIML_EEXIST: they are others; OPIML_ELIMIT: no room; OPIML_EINVAL: it is no id; failures of
 * keep_put_dataset. */
int datasets_put(struct datasets *datasets, const char *id, const char *mapping, const char *file,
                 struct dataset *dataset, bool replace, struct datasets_view *ret_view,
                 struct opiml_error *err);
/* The one of this id; OPIML_ENOENT. */
int datasets_get(struct datasets *datasets, const char *id, struct datasets_view *ret_view,
                 struct opiml_error *err);
/* The one whose index has this hash; OPIML_ENOENT. */
int datasets_get_hash(struct datasets *datasets, const char *hash, struct datasets_view *ret_view,
                      struct opiml_error *err);
/* The first whose id comes behind `after`. OPIML_ENOENT: there is none. */
int datasets_next(struct datasets *datasets, const char *after, struct datasets_view *ret_view,
                  struct opiml_error *err);
/* Forget one, which may wait for the disk. OPIML_ENOENT; failures of keep_remove_dataset. */
int datasets_remove(struct datasets *datasets, const char *id, struct opiml_error *err);
/* The one whose index has this hash, or the part of one that is spread over nodes, for
 * dataset_close; NULL: none. */
struct dataset *datasets_find(struct datasets *datasets, const char *hash);
/* Count what was done with it. */
void datasets_add(struct datasets *datasets, const char *hash, const struct datasets_stats *more);
uint32_t datasets_count(struct datasets *datasets);
struct parts *datasets_parts(struct datasets *datasets); /* borrowed */

#endif
