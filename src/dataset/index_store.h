/* Where indexes are kept, and whether they still fit the data. */
#ifndef DATASET_INDEX_STORE_H
#define DATASET_INDEX_STORE_H

#include "dataset/format.h"
#include "dataset/index.h"

/* Which index is wanted. It lies beside the data when they are in a file system that can be written
 * (".opiml-index.FORMAT-ID" in the folder, ".NAME.opiml-index.FORMAT-ID" beside a file), else in
 * the cache folder. */
struct index_ask {
    struct source *source;
    const struct format *format;
    uint64_t id;
    bool full;      /* look at every object, not only at folders, shards and some */
    bool keep;      /* look at nothing: it is taken as it is */
    bool only_auto; /* only one whose format looking would find */
};

/* An index that is whole and fits the data. OPIML_ENOENT when there is none; `err` says why. */
int index_store_find(const struct index_ask *ask, struct index *ret_index, struct opiml_error *err);
/* Keep a file image and open it. When it can be written nowhere it stays in memory. Takes `data`,
 * also when it fails. */
int index_store_put(const struct index_ask *ask, void *data, size_t bytes, struct index *ret_index,
                    struct opiml_error *err);
/* The same by its hash (index_hash_text), in the cache folder: indexes of data that lie elsewhere.
 * OPIML_ECORRUPT: what is to be kept has another one. */
int index_store_find_hash(const char *hash, struct index *ret_index);
int index_store_put_hash(const char *hash, void *data, size_t bytes, struct index *ret_index,
                         struct opiml_error *err);
/* One builder at a time for all processes of this machine: waits. A descriptor to be closed with
 * base_close_fd, or -1 when the file system knows no locks: then two may build the same. */
int index_store_lock(const struct source *source);

#endif
