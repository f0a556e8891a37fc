/* How fast bytes come. */
#include <math.h>

#include "base/clock.h"
#include "dataset/source.h"
#include "pipeline/profile_inside.h"
#include "pipeline/span.h"
#include "pipeline/window.h"

#define DEPTH ((uint32_t)(PROFILE_READS_BYTES / SPAN_BLOCK_BYTES))
#define MOST_BYTES MIB(64)
#define RUN_S 0.15
#define FIRST_READS 8
#define MOST_READS 4096
#define TRIES 65536 /* positions in turn that are looked at */
#define GIVEN_UP_NS 2000000000ull

struct probe {
    const struct plan *plan;
    struct dataset *dataset;
    struct source_queue *queue;
    struct source_read read[DEPTH], *free[DEPTH];
    uint32_t frees, room, block; /* block: most of a read */
    struct slot *slot;           /* whose first task says what is read of a record */
    uint64_t position;           /* of the epoch, whose piece comes next */
    uint32_t piece;
    struct span span;       /* what is read next */
    double wanted, spanned; /* bytes; the others lie between pieces */
};

/* The first data set's record at this position, or at one soon behind it that has one here; false:
 * there is none. */
static bool find_record(struct probe *self) {
    const struct mix *mix = &self->plan->pipeline->mix;
    struct task *task = &self->slot->tasks[0];

    for (uint64_t n = 0; n < base_min_u64(mix->positions, TRIES); n++) {
        struct mix_at at;

        mix_find(mix, 0, self->position, &at);
        task->dataset = at.dataset;
        task->record = at.record;
        task->sample = at.sample;
        if (at.dataset == 0 && dataset_has(self->dataset, at.record))
            return true;
        self->position = (self->position + 1) % mix->positions;
        self->piece = 0;
    }
    return false;
}

/* The piece that comes next. */
static struct span look_ahead(struct probe *self) {
    struct dataset_extent extent;

    dataset_locate(self->dataset, self->slot->tasks[0].record, self->piece, &extent);
    if (self->plan->windows)
        window_narrow(self->plan, &self->slot->tasks[0], self->piece, &extent);
    return span_of(&extent);
}

static void go_on(struct probe *self) {
    if (++self->piece < dataset_pieces(self->dataset))
        return;
    self->piece = 0;
    self->position = (self->position + 1) % self->plan->pipeline->mix.positions;
}

/* The next pieces that are read as one; false: there are none. */
static bool gather(struct probe *self) {
    uint64_t gap = dataset_source(self->dataset)->ops->exact ? 0 : SPAN_GAP_BYTES, wanted;

    self->span = (struct span){0};
    for (uint32_t n = 0; span_bytes(&self->span) == 0; n++) {
        if (n == TRIES || !find_record(self))
            return false;
        self->span = look_ahead(self);
        go_on(self);
    }
    wanted = span_bytes(&self->span);
    for (uint64_t left = self->plan->pipeline->mix.positions; left > 0 && find_record(self);
         left--) {
        struct span next = look_ahead(self);

        if (!span_join(&self->span, &next, gap, SPAN_BLOCK_BYTES))
            break;
        wanted += span_bytes(&next);
        go_on(self);
    }
    self->spanned += (double)span_bytes(&self->span);
    self->wanted += (double)base_min_u64(wanted, span_bytes(&self->span));
    return true;
}

static bool next_read(struct probe *self, struct source_read *read) {
    if (span_bytes(&self->span) == 0 && !gather(self))
        return false;
    read->object = self->span.object;
    read->offset = self->span.begin;
    read->bytes = (uint32_t)base_min_u64(self->block, span_bytes(&self->span));
    read->room = self->room;
    self->span.begin += read->bytes;
    return true;
}

/* So many reads, to the last one's end: what comes of those in flight is not seen before. Bytes in
 * a second; 0: none came. */
static double run_reads(struct probe *self, uint32_t reads, uint32_t block) {
    const struct source_ops *ops = dataset_source(self->dataset)->ops;
    uint64_t start = clock_now_ns(), bytes = 0;
    struct source_read *done[DEPTH];

    self->block = block;
    while (reads > 0 || self->frees < DEPTH) {
        uint32_t count;

        while (reads > 0 && self->frees > 0 && next_read(self, self->free[self->frees - 1]) &&
               ops->submit(self->queue, &self->free[self->frees - 1], 1) == 1) {
            self->frees--;
            reads--;
        }
        if (self->frees == DEPTH || clock_now_ns() - start > GIVEN_UP_NS)
            break;
        count = ops->wait(self->queue, done, DEPTH, GIVEN_UP_NS);
        for (uint32_t i = 0; i < count; i++) {
            bytes += done[i]->result == 0 ? done[i]->bytes : 0;
            self->free[self->frees++] = done[i];
        }
    }
    return (double)bytes * 1e9 / (double)base_max_u64(clock_now_ns() - start, 1);
}

/* Some reads tell how much there is to do. */
static double find_rate(struct probe *self) {
    uint64_t start = clock_now_ns();
    double rate = run_reads(self, FIRST_READS, SPAN_BLOCK_BYTES / 8);
    double s = (double)(clock_now_ns() - start) / 1e9, bytes = fmin(rate * RUN_S, MOST_BYTES);
    double each = rate * s / FIRST_READS;

    if (rate <= 0 || s > RUN_S)
        return rate;
    if (each < SPAN_BLOCK_BYTES / 16) /* what is wanted lies apart */
        return run_reads(self, (uint32_t)fmin(fmax(bytes / each, DEPTH), MOST_READS),
                         SPAN_BLOCK_BYTES);
    if (bytes < DEPTH * (double)SPAN_BLOCK_BYTES)
        return run_reads(self, DEPTH, (uint32_t)fmax(bytes / DEPTH / 4096, 1) * 4096);
    return run_reads(self, (uint32_t)(bytes / SPAN_BLOCK_BYTES), SPAN_BLOCK_BYTES);
}

int profile_reads(const struct plan *plan, struct slot *slot, double *ret_bytes_per_s,
                  struct opiml_error *err) {
    AUTO_FREE struct probe *self = base_alloc(sizeof(*self));
    struct dataset *dataset = plan->pipeline->dataset[0];
    const struct source_ops *ops = dataset_source(dataset)->ops;
    bool direct = dataset_direct(dataset);
    uint64_t room = source_room(SPAN_BLOCK_BYTES, direct);
    struct arena memory;
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a profile");
    self->plan = plan;
    self->dataset = dataset;
    self->slot = slot;
    self->room = (uint32_t)room;
    /* Not where who has just begun to read has been, so that it comes from where it lies. */
    self->position = plan->pipeline->mix.positions / 8 * 3;
    room = base_align_up(room, 4096);
    if ((rc = arena_init_pages(&memory, DEPTH * room, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < DEPTH; i++) {
        self->read[i].to = memory.at + i * room;
        self->free[self->frees++] = &self->read[i];
    }
    rc = source_queue_open(dataset_source(dataset), DEPTH, direct, memory.at, DEPTH * room,
                           &self->queue, err);
    if (rc == 0) {
        *ret_bytes_per_s = find_rate(self);
        if (self->wanted < self->spanned)
            *ret_bytes_per_s *= self->wanted / self->spanned;
        ops->queue_close(self->queue);
    }
    if (!dataset_source(dataset)->abandoned) /* else the kernel may still write there */
        arena_release(&memory);
    return rc;
}
