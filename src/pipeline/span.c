/* Spans. */
#include "pipeline/span.h"

bool span_join(struct span *span, const struct span *other, uint64_t gap, uint64_t bytes_max) {
    uint64_t begin = base_min_u64(span->begin, other->begin);
    uint64_t end = base_max_u64(span->end, other->end);

    if (span->object != other->object || end - begin > bytes_max)
        return false;
    if (other->begin > span->end && other->begin - span->end > gap)
        return false;
    if (span->begin > other->end && span->begin - other->end > gap)
        return false;
    *span = (struct span){span->object, begin, end, false};
    return true;
}

uint64_t span_block_end(const struct span *span, uint64_t from) {
    return base_min_u64(from / 4096 * 4096 + SPAN_BLOCK_BYTES, span->end);
}
