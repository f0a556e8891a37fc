/* The ring of read buffers. */
#include "pipeline/reads.h"

int reads_init(struct reads *reads, void *at, uint64_t bytes, uint32_t alignment, uint32_t capacity,
               struct opiml_error *err) {
    *reads = (struct reads){.at = at, .bytes = bytes, .alignment = alignment, .capacity = capacity};
    reads->pieces = base_alloc_array(capacity, sizeof(*reads->pieces));
    if (!reads->pieces)
        return base_fail_memory(err, capacity * sizeof(*reads->pieces), "a ring of reads");
    return 0;
}

void reads_release(struct reads *reads) {
    base_free(reads->pieces);
    reads->pieces = NULL;
}

static void reclaim(struct reads *reads) {
    while (reads->count > 0) {
        struct reads_piece *piece = &reads->pieces[reads->first];

        /* In one order with what says that memory is wanted, or the last wake-up may be missed. */
        if (atomic_load(&piece->users) > 0)
            return;
        reads->tail = piece->end;
        reads->first = (reads->first + 1) % reads->capacity;
        reads->count--;
    }
    reads->head = reads->tail = 0; /* empty: start over, so that the largest piece always fits */
}

uint8_t *reads_take(struct reads *reads, uint64_t bytes, uint32_t users, uint32_t *ret_piece) {
    uint64_t start, into;
    uint32_t number;

    reclaim(reads);
    start = reads->head;
    bytes = base_align_up(base_max_u64(bytes, 1), reads->alignment);
    into = start % reads->bytes;
    if (into + bytes > reads->bytes)
        start += reads->bytes - into; /* pieces do not wrap */
    if (reads->count == reads->capacity || start + bytes - reads->tail > reads->bytes)
        return NULL;
    number = (reads->first + reads->count++) % reads->capacity;
    reads->pieces[number].end = reads->head = start + bytes;
    atomic_store_explicit(&reads->pieces[number].users, users, memory_order_relaxed);
    *ret_piece = number;
    return reads->at + start % reads->bytes;
}

void reads_give(struct reads *reads, uint32_t piece) {
    atomic_fetch_sub(&reads->pieces[piece].users, 1);
}
