/* Spans: ranges of an object that neighbour one another are read as one, and long ones in blocks
 * that are in flight together. Arithmetic only. */
#ifndef PIPELINE_SPAN_H
#define PIPELINE_SPAN_H

#include "dataset/dataset.h"

#define SPAN_GAP_BYTES 4096     /* not wanted by anybody between two neighbours, at most */
#define SPAN_BLOCK_BYTES MIB(1) /* of a read: from here on larger ones are no faster */

/* Bytes [begin, end) of an object. */
struct span {
    uint32_t object;
    uint64_t begin, end;
    bool whole; /* the whole object */
};

static inline struct span span_of(const struct dataset_extent *extent) {
    return (struct span){extent->object, extent->offset, extent->offset + extent->bytes,
                         extent->whole};
}
static inline uint64_t span_bytes(const struct span *span) {
    return span->end - span->begin;
}
/* Widen the span so that it covers the other one too, where they neighbour: of one object, with at
 * most `gap` bytes between them, in any order, and together at most bytes_max long. False, and
 * nothing changed, otherwise. */
bool span_join(struct span *span, const struct span *other, uint64_t gap, uint64_t bytes_max);
/* The end of the block that begins at `from`, within the span. All but the first begin, and all but
 * the last end, at multiples of 4096 bytes of the object, as direct reads have to. */
uint64_t span_block_end(const struct span *span, uint64_t from);

#endif
