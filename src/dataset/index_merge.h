/* Merging: the index of objects that lie on several nodes, each of which has indexed its own. */
#ifndef DATASET_INDEX_MERGE_H
#define DATASET_INDEX_MERGE_H

#include "dataset/index.h"

#define INDEX_HOLDERS_MAX 16

/* Who holds a part of the objects: its index of them, and what messages call it. */
struct index_holder {
    const struct index *index;
    const char *name;
    uint32_t number; /* of its bit, below INDEX_HOLDERS_MAX */
};

/* The index of all objects that any of the holders has. Its records, their order, numbers, labels
 * and its fingerprint are those of an index that was made of all objects in one folder; an
 * object's holders have the bits of those that have it. The same holders in the same order give the
 * same bytes. Where the formats of shards find fields by looking, all have to find the same ones.
 *
 * 1 and an image for base_free, for index_check; 0: all hold the same, and the index of any of them
 * will do. OPIML_ESTALE: two hold an object and differ in it, which is named; OPIML_EINVAL: what
 * they hold does not go together; OPIML_ENOTSUP: what is in it cannot be merged; OPIML_ELIMIT:
 * more than INDEX_HOLDERS_MAX holders, or 2^32 objects. */
int index_merge(const struct index_holder *holders, uint32_t count, void **ret_data,
                size_t *ret_bytes, struct opiml_error *err);

#endif
