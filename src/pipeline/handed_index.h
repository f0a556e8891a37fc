/* An index, handed to another process of this machine, which cannot see the data. */
#ifndef PIPELINE_HANDED_INDEX_H
#define PIPELINE_HANDED_INDEX_H

#include "dataset/dataset.h"
#include "dataset/index.h"

#define HANDED_TEXT_MAX 1600

/* The message; the index's bytes are in the memory beside it. */
struct handed_index {
    uint32_t magic, version;
    int32_t code; /* 0; else there is none, and `uri` says why */
    uint32_t reserved;
    uint64_t bytes;
    char hash[40]; /* index_hash_text */
    char uri[HANDED_TEXT_MAX], prefix[HANDED_TEXT_MAX];
};

/* Hand over a data set's index on a Unix connection; NULL: `why` not. */
int handed_index_give(int fd, const struct dataset *dataset, const struct opiml_error *why,
                      struct opiml_error *err);
/* Take it, from the cache folder where that has it, and else to it; checked against its hash.
 * *ret_message has the names of its source. The caller releases the index. */
int handed_index_take(int fd, uint32_t patience_ms, struct handed_index *ret_message,
                      struct index *ret_index, struct opiml_error *err);

#endif
