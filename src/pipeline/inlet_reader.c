/* The reader: positions to records to reads in flight to tasks. One thread per dataset, and one for
 * a cache's file, which never blocks but on its own completions; memory and slots are its credits.
 *
 * Rows that follow one another and whose bytes neighbour are read as one load. Where a load fails,
 * its rows are read again, each alone and piece by piece, so that only those that cannot be had are
 * bad records.
 */
#include <unistd.h>

#include "base/clock.h"
#include "pipeline/reads.h"
#include "pipeline/span.h"
#include "pipeline/stage.h"
#include "pipeline/window.h"

#define DEPTH 64        /* reads in flight per reactor: enough for an NVMe drive's parallelism */
#define SPANS_LEAST 16u /* that the memory for reads is to hold */
#define NO_HOLD UINT32_MAX

/* Rows that are brought together: their tasks, the memory that was taken for them, and how far
 * their reads have been prepared. */
struct load {
    struct task *first, *last; /* by `next` */
    uint32_t rows, hold;
    bool alone; /* one row, whose pieces are read each by itself */
    uint32_t piece;
    struct span span; /* of all rows, or of the piece */
    uint8_t *place;   /* where the span lies in the batch; NULL: in memory for reads */
    uint8_t *to;      /* where it goes */
    uint64_t next;    /* where in the object the next read begins */
    uint32_t pending; /* reads that have not come yet */
    int result, errnum;
    const char *why; /* as source_read has it */
};

struct flight {
    struct source_read read;
    struct load *load;
};

struct reactor {
    struct reader *reader;
    uint32_t dataset; /* the number of datasets: reads the cache's file */
    pthread_t thread;
    bool started;
    sem_t ended;         /* posted when the thread has looked at all this for the last time */
    struct arena memory; /* read buffers */
    struct reads ring;
    struct source_queue *queue;
    _Atomic bool wants_memory, wants_slot; /* waits for it: whoever frees some wakes it */
    /* Where the next row comes from. */
    uint64_t seq;
    struct slot *slot;
    uint32_t row;
    _Atomic(struct task *) again; /* rows to be read alone */
    /* The load that rows are gathered for, and the one whose reads are being prepared. */
    struct load gather, *open;
    uint64_t span_bytes; /* most of a load of several rows */
    /* Loads under way have a read in flight or waiting each, except for the open one. */
    struct load loads[DEPTH + 1];
    struct load *idle[DEPTH + 1];
    /* Reads: free ones, and those prepared that the queue had no room for. */
    struct flight flights[DEPTH];
    struct flight *free[DEPTH], *waiting[DEPTH];
    uint32_t idles, frees, waitings, in_flight;
    /* Tasks for the workers, who are woken for many at once. */
    void *ready[DEPTH];
    uint32_t readies;
    struct counters counters;
};

struct reader {
    struct inlet inlet;
    const struct plan *plan;
    struct stage *stage;
    uint32_t reactors;
    struct reactor reactor[];
};

/* ---- rows into reads ---- */

/* NULL: the cache's file is what this one reads. */
static const struct dataset *dataset_of(const struct reactor *self) {
    const struct opiml_pipeline *pipeline = self->reader->plan->pipeline;

    return self->dataset < pipeline->datasets ? pipeline->dataset[self->dataset] : NULL;
}

static struct source *source_of(const struct reactor *self) {
    const struct dataset *dataset = dataset_of(self);

    return dataset ? dataset_source(dataset) : cache_source(self->reader->stage->cache);
}

/* What is worth reading between two rows, to have them with one read. */
static uint64_t gap_of(const struct reactor *self) {
    return source_of(self)->ops->exact ? 0 : SPAN_GAP_BYTES;
}

static bool is_direct(const struct reactor *self) {
    const struct dataset *dataset = dataset_of(self);

    return dataset && dataset_direct(dataset);
}

/* Who brings the row: its dataset's reactor, also when it is cached in memory. */
static struct reactor *reactor_of(struct reader *self, const struct task *task, bool cached) {
    bool from_file = cached && self->reactors > self->plan->pipeline->datasets;

    return &self->reactor[from_file ? self->plan->pipeline->datasets : task->dataset];
}

static void hand_over(struct reactor *self) {
    tasks_push(self->reader->stage->tasks, self->ready, self->readies);
    self->readies = 0;
}

/* The worker that this reader is too, where rows are light. */
static struct worker *own_worker(struct reactor *self) {
    return &self->reader->stage->workers[self - self->reader->reactor];
}

static void add_ready(struct reactor *self, struct task *task) {
    if (self->reader->plan->in_reader) {
        run_task(own_worker(self), task);
        return;
    }
    self->ready[self->readies++] = task;
    if (self->readies == COUNT_OF(self->ready))
        hand_over(self);
}

/* The cursor's task when it has to be read here. What is cached in memory needs no read. */
static struct task *take_task(struct reactor *self) {
    struct task *task = &self->slot->tasks[self->row];
    bool cached = task->cached.bytes != 0;

    if (task->route != self->reader->inlet.route || reactor_of(self->reader, task, cached) != self)
        return NULL;
    if (!cached || !dataset_of(self))
        return task;
    add_ready(self, task);
    return NULL;
}

static uint32_t pieces_of(const struct reactor *self) {
    return dataset_of(self) ? dataset_pieces(dataset_of(self)) : 1;
}

static struct dataset_extent locate(const struct reactor *self, const struct task *task,
                                    uint32_t piece) {
    struct dataset_extent extent = {.offset = task->cached.offset, .bytes = task->cached.bytes};

    if (dataset_of(self)) {
        dataset_locate(dataset_of(self), task->record, piece, &extent);
        if (self->reader->plan->windows)
            window_narrow(self->reader->plan, task, piece, &extent);
    }
    return extent;
}

static struct span piece_span(const struct reactor *self, const struct task *task, uint32_t piece) {
    struct dataset_extent extent = locate(self, task, piece);

    return span_of(&extent);
}

static uint64_t room_of(const struct reactor *self, const struct span *span) {
    return base_align_up(source_room((uint32_t)span_bytes(span), is_direct(self)),
                         self->ring.alignment);
}

static uint64_t room_alone(const struct reactor *self, const struct task *task) {
    uint64_t room = 0;

    for (uint32_t i = 0; i < pieces_of(self); i++) {
        struct span span = piece_span(self, task, i);

        room += room_of(self, &span);
    }
    return room;
}

/* One span over all of a row's pieces. False where they lie apart, or would take more memory than
 * is planned for. */
static bool row_span(const struct reactor *self, const struct task *task, struct span *ret_span) {
    *ret_span = piece_span(self, task, 0);
    for (uint32_t i = 1; i < pieces_of(self); i++) {
        struct span span = piece_span(self, task, i);

        if (!span_join(ret_span, &span, gap_of(self), INT32_MAX))
            return false;
    }
    return pieces_of(self) == 1 || room_of(self, ret_span) <= room_alone(self, task);
}

/* Where a row lies in its batch, if its span can be read there and nothing else of the batch is
 * touched. NULL: it has to be copied. */
static uint8_t *find_place(const struct reactor *self, const struct task *task,
                           const struct span *span) {
    uint64_t alignment = plan_read_alignment(is_direct(self));
    uint8_t *at;

    if (!self->reader->plan->in_place || !dataset_of(self) || span->whole ||
        span_bytes(span) != self->reader->plan->out->fields[0].max_bytes)
        return NULL;
    at = frame_at(&task->slot->frame, 0, task->row);
    if ((uintptr_t)at % alignment != span->begin % alignment ||
        (is_direct(self) && ((span->begin | span_bytes(span)) % alignment != 0)))
        return NULL;
    return at;
}

/* Have the open load's next reads go on with its span, whose first byte comes to load->to. */
static void aim_piece(struct reactor *self, struct load *load) {
    struct task *task = load->first;

    load->span = piece_span(self, task, load->piece);
    load->next = load->span.begin;
    task->from[load->piece] = (struct source_bytes){
        load->to + source_skip(load->next, is_direct(self)), (uint32_t)span_bytes(&load->span)};
}

/* Find memory for a load. NULL when there is not enough yet. */
static uint8_t *find_memory(struct reactor *self, const struct load *load, uint32_t *ret_hold) {
    *ret_hold = NO_HOLD;
    if (load->place)
        return load->place - source_skip(load->span.begin, is_direct(self));
    return reads_take(&self->ring,
                      load->alone ? room_alone(self, load->first) : room_of(self, &load->span),
                      load->rows, ret_hold);
}

/* Begin with a load. False when there is not enough memory yet. */
static bool open_load(struct reactor *self, const struct load *from) {
    uint32_t hold;
    uint8_t *to = find_memory(self, from, &hold);
    struct load *load;

    if (!to)
        return false;
    assert(self->idles > 0);
    load = self->idle[--self->idles];
    *load = *from;
    load->to = to;
    load->hold = hold;
    load->next = load->span.begin;
    if (load->alone)
        aim_piece(self, load);
    self->open = load;
    return true;
}

static void prepare_block(struct reactor *self, struct load *load) {
    struct flight *flight = self->free[--self->frees];
    uint64_t end = span_block_end(&load->span, load->next);
    uint64_t base = load->span.begin - source_skip(load->span.begin, is_direct(self));
    uint64_t border = load->next - source_skip(load->next, is_direct(self));
    uint32_t bytes = (uint32_t)(end - load->next);

    flight->load = load;
    flight->read =
        (struct source_read){.object = load->span.object,
                             .bytes = bytes,
                             .offset = load->next,
                             .to = load->to + (border - base),
                             .room = source_room(bytes, is_direct(self)),
                             .whole = load->span.whole && bytes == span_bytes(&load->span),
                             .user = flight};
    self->waiting[self->waitings++] = flight;
    load->pending++;
    load->next = end;
}

/* Prepare the reads of the open load; false when flights are out before all are. */
static bool prepare(struct reactor *self) {
    while (self->open && self->frees > 0) {
        struct load *load = self->open;

        prepare_block(self, load);
        if (load->next < load->span.end)
            continue;
        if (!load->alone || load->piece + 1 == pieces_of(self)) {
            self->open = NULL;
            continue;
        }
        load->to += room_of(self, &load->span);
        load->piece++;
        aim_piece(self, load);
    }
    return !self->open;
}

/* Have a slot with a row to look at; false when it takes a credit that is not there yet. Slots are
 * left as soon as they have been walked: nobody looks at one that may be somebody else's again. */
static bool have_row(struct reactor *self) {
    for (;;) {
        if (self->slot && self->row < self->slot->rows)
            return true;
        if (self->slot) {
            stage_leave(self->slot, 1);
            self->seq++;
        }
        self->slot = stage_begin(self->reader->stage, self->seq);
        self->row = 0;
        if (!self->slot)
            return false;
    }
}

static void ask_again(struct reactor *self, struct task *task) {
    task->next = atomic_load(&self->again);
    while (!atomic_compare_exchange_weak(&self->again, &task->next, task))
        ;
}

/* Begin with a row that comes a second time. False: there is none, or no memory for it yet. */
static bool open_again(struct reactor *self) {
    struct task *list = atomic_exchange(&self->again, NULL);
    struct load load = {.first = list, .rows = 1, .alone = true};
    bool opened = list && open_load(self, &load);

    if (opened)
        list = list->next;
    for (struct task *next; list; list = next) {
        next = list->next;
        ask_again(self, list);
    }
    return opened;
}

/* Whether a row lies in its batch behind a load as it does in its object, or neither is read there.
 */
static bool follows(const struct reactor *self, const struct load *load, const struct task *task,
                    const struct span *span) {
    const uint8_t *place = find_place(self, task, span);

    if (!place || !load->place)
        return !place && !load->place;
    return span->begin == load->span.end && place == load->place + span_bytes(&load->span);
}

/* Gather a row, if it goes with those that are gathered already. */
static bool gather_row(struct reactor *self, struct task *task) {
    struct load *gather = &self->gather;
    struct span span;

    task->next = NULL;
    if (gather->rows == 0) {
        *gather = (struct load){.first = task, .last = task, .rows = 1};
        gather->alone = !row_span(self, task, &gather->span);
        if (!gather->alone)
            gather->place = find_place(self, task, &gather->span);
        return true;
    }
    if (gather->alone || !row_span(self, task, &span) || !follows(self, gather, task, &span) ||
        !span_join(&gather->span, &span, gap_of(self), self->span_bytes))
        return false;
    gather->last->next = task;
    gather->last = task;
    gather->rows++;
    return true;
}

/* Begin with the next rows that have to be read here. False when a credit is missing. */
static bool open_rows(struct reactor *self) {
    while (have_row(self)) {
        struct task *task = take_task(self);

        if (task && !gather_row(self, task))
            break;
        self->row++;
    }
    if (self->gather.rows == 0 || !open_load(self, &self->gather))
        return false;
    self->gather.rows = 0;
    return true;
}

/* Prepare and submit as much as there are credits for. */
static void pump(struct reactor *self) {
    for (;;) {
        struct source_read *reads[DEPTH];
        uint32_t taken;

        while (prepare(self) && self->frees > 0 && (open_again(self) || open_rows(self)))
            ;
        if (self->waitings == 0)
            return;
        for (uint32_t i = 0; i < self->waitings; i++)
            reads[i] = &self->waiting[i]->read;
        taken = source_of(self)->ops->submit(self->queue, reads, self->waitings);
        self->in_flight += taken;
        self->waitings -= taken;
        memmove(self->waiting, self->waiting + taken, self->waitings * sizeof(self->waiting[0]));
        if (taken == 0)
            return;
    }
}

/* Point a row to its bytes, which have come with those of others. */
static void find_pieces(const struct reactor *self, const struct load *load, struct task *task) {
    const uint8_t *at = load->to + source_skip(load->span.begin, is_direct(self));

    for (uint32_t i = 0; i < pieces_of(self); i++) {
        struct span span = piece_span(self, task, i);

        task->from[i] = (struct source_bytes){at + (span.begin - load->span.begin),
                                              (uint32_t)span_bytes(&span)};
    }
}

static void give_bytes(struct reactor *self, const struct load *load, struct task *task) {
    if (!load->alone)
        find_pieces(self, load, task);
    task->hold = load->hold;
    task->result = load->result;
    task->errnum = load->errnum;
    task->why = load->why;
    task->bytes = 0;
    for (uint32_t i = 0; i < pieces_of(self); i++)
        task->bytes += task->from[i].bytes;
    counter_add(&self->counters.bytes, load->result == 0 ? task->bytes : 0);
    /* A light row's values lie at its ends: those of all rows are to come from memory at once. */
    if (self->reader->plan->in_reader) {
        const struct source_bytes *last = &task->from[pieces_of(self) - 1];

        __builtin_prefetch(task->from->at);
        __builtin_prefetch(last->at + last->bytes - 1);
    }
}

static void give_back(struct reactor *self, uint32_t hold) {
    if (hold != NO_HOLD)
        reads_give(&self->ring, hold);
}

/* All reads of a load have come: hand its rows to the workers, or have them read again. */
static void end_load(struct reactor *self, const struct load *load) {
    bool again = load->result < 0 && !load->alone && (load->rows > 1 || pieces_of(self) > 1);
    struct task *task = load->first, *next;

    for (uint32_t i = 0; i < load->rows && !again; i++, task = task->next)
        give_bytes(self, load, task);
    counter_add(&self->counters.rows, again ? 0 : load->rows);
    task = load->first;
    for (uint32_t i = 0; i < load->rows; i++, task = next) {
        next = task->next; /* a worker may be done with the row any time */
        if (again) {
            give_back(self, load->hold);
            ask_again(self, task);
        } else {
            add_ready(self, task);
        }
    }
}

/* The first read of a load that fails says why. */
static void complete(struct reactor *self, struct source_read *const *done, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct flight *flight = done[i]->user;
        struct load *load = flight->load;

        if (load->result == 0) {
            load->result = done[i]->result;
            load->errnum = done[i]->errnum;
            load->why = done[i]->why;
        }
        self->free[self->frees++] = flight;
        if (--load->pending > 0 || load == self->open)
            continue;
        end_load(self, load);
        self->idle[self->idles++] = load;
    }
    self->in_flight -= count;
    hand_over(self);
}

/* Waking costs more than it brings where something else is missing. */
static void say_what_is_missing(struct reactor *self) {
    if (self->gather.rows == 0 && !atomic_load(&self->again))
        atomic_store(&self->wants_memory, false);
    if (self->slot)
        atomic_store(&self->wants_slot, false);
}

/* Where reads were given up the thread stays: to end it would wait for them. */
static void *end_reactor(struct reactor *self) {
    struct source *source = source_of(self);
    bool stuck;

    if (source->ops->settle)
        source->ops->settle(self->queue);
    stuck = source->abandoned;
    atomic_fetch_add(&self->reader->inlet.cpu_ns, clock_cpu_ns());
    sem_post(&self->ended);
    while (stuck)
        pause();
    return NULL;
}

static void *reactor_main(void *argument) {
    struct reactor *self = argument;
    struct stage *stage = self->reader->stage;
    const struct source_ops *ops = source_of(self)->ops;
    struct turns_job *job = stage->options.job;
    uint64_t cpu_ns = job ? clock_cpu_ns() : 0;

    while (!stage_stopping(stage)) {
        struct source_read *done[DEPTH];
        uint64_t start;
        uint32_t count;

        /* Said before looking, so that a credit freed in between still wakes us. */
        atomic_store(&self->wants_memory, !self->reader->plan->in_reader);
        atomic_store(&self->wants_slot, true);
        pump(self);
        hand_over(self);
        say_what_is_missing(self);
        start = clock_now_ns();
        count = ops->wait(self->queue, done, DEPTH, UINT64_MAX);
        counter_add(self->in_flight ? &self->counters.busy_ns : &self->counters.wait_ns,
                    clock_now_ns() - start);
        complete(self, done, count);
        if (job) { /* it does not wait for a turn: reads in flight are what others wait for */
            uint64_t before = cpu_ns;

            cpu_ns = clock_cpu_ns();
            turns_charge(job, cpu_ns - before);
        }
    }
    return end_reactor(self);
}

/* ---- the inlet ---- */

static void wake(struct reactor *self, _Atomic bool *wants) {
    if (self->queue && atomic_exchange(wants, false))
        source_of(self)->ops->wake(self->queue);
}

static int reader_row(struct inlet *inlet, const struct task *task, struct opiml_value *values,
                      uint8_t *scratch, struct opiml_error *err) {
    struct reader *self = (struct reader *)inlet;
    struct source *source = dataset_source(self->plan->pipeline->dataset[task->dataset]);

    if (task->result == OPIML_ECANCELED && source->ops->failure)
        return source->ops->failure(source, err);
    if (task->result < 0)
        return opiml_fail(err, task->result, "%s%s",
                          task->why      ? task->why
                          : task->errnum ? strerror(task->errnum)
                                         : opiml_code_text(task->result),
                          task->errnum == EMFILE ? ": raise the limit, with ulimit -n" : "");
    if (self->plan->windows)
        return window_parse(self->plan, task, values, scratch, err);
    return dataset_parse(self->plan->pipeline->dataset[task->dataset], task->record, task->from,
                         values, scratch, err);
}

static char *reader_describe(struct inlet *inlet, const struct task *task, char *to, size_t room) {
    struct reader *self = (struct reader *)inlet;

    return dataset_describe(self->plan->pipeline->dataset[task->dataset], task->record, to, room);
}

static void reader_row_done(struct inlet *inlet, const struct task *task) {
    struct reader *self = (struct reader *)inlet;
    struct reactor *reactor = reactor_of(self, task, task_is_cached(task));

    if (task_is_cached(task) && dataset_of(reactor))
        return; /* in memory */
    give_back(reactor, task->hold);
    wake(reactor, &reactor->wants_memory);
}

static void reader_again(struct inlet *inlet, struct task *task) {
    struct reader *self = (struct reader *)inlet;
    struct reactor *reactor;

    reader_row_done(inlet, task);
    task->damaged = true;
    reactor = reactor_of(self, task, false);
    ask_again(reactor, task);
    source_of(reactor)->ops->wake(reactor->queue);
}

static void reader_slot_done(struct inlet *inlet, struct slot *slot) {
}

static void reader_wake(struct inlet *inlet) {
    struct reader *self = (struct reader *)inlet;

    for (uint32_t i = 0; i < self->reactors; i++)
        wake(&self->reactor[i], &self->reactor[i].wants_slot);
}

static int start_reactor(struct reactor *self, struct opiml_error *err) {
    const struct plan *plan = self->reader->plan;
    struct arena *slots = &self->reader->stage->slots_memory;
    bool direct = is_direct(self);
    uint64_t bytes = plan->read_bytes / self->reader->reactors / 4096 * 4096;
    uint32_t tasks = plan->slots * plan->rows;
    int rc;

    for (uint32_t i = 0; i < DEPTH; i++)
        self->free[self->frees++] = &self->flights[i];
    for (uint32_t i = 0; i <= DEPTH; i++)
        self->idle[self->idles++] = &self->loads[i];
    self->span_bytes = base_min_u64(SPAN_BLOCK_BYTES, bytes / SPANS_LEAST);
    if ((rc = arena_init_pages(&self->memory, bytes, err)) < 0 ||
        (rc = reads_init(&self->ring, self->memory.at, bytes, plan_read_alignment(direct), tasks,
                         err)) < 0 ||
        (rc = source_queue_open(source_of(self), DEPTH, direct,
                                plan->in_place ? slots->at : self->memory.at,
                                plan->in_place ? slots->bytes : bytes, &self->queue, err)) < 0)
        return rc;
    sem_init(&self->ended, 0, 0);
    rc = pthread_create(&self->thread, NULL, reactor_main, self);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting the reader's thread");
    self->started = true;
    return 0;
}

static int reader_start(struct inlet *inlet, struct stage *stage, struct opiml_error *err) {
    struct reader *self = (struct reader *)inlet;

    self->stage = stage;
    for (uint32_t i = 0; i < self->reactors; i++) {
        int rc = start_reactor(&self->reactor[i], err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

static void reader_stop(struct inlet *inlet) {
    struct reader *self = (struct reader *)inlet;

    for (uint32_t i = 0; i < self->reactors; i++) /* all, so that they end at the same time */
        if (self->reactor[i].started)
            source_of(&self->reactor[i])->ops->wake(self->reactor[i].queue);
    for (uint32_t i = 0; i < self->reactors; i++) {
        struct reactor *reactor = &self->reactor[i];

        if (!reactor->started)
            continue;
        while (sem_wait(&reactor->ended) < 0 && errno == EINTR)
            ;
        if (source_of(reactor)->abandoned)
            pthread_detach(reactor->thread);
        else
            pthread_join(reactor->thread, NULL);
        sem_destroy(&reactor->ended);
        reactor->started = false;
    }
}

static void reader_destroy(struct inlet *inlet) {
    struct reader *self = (struct reader *)inlet;

    for (uint32_t i = 0; i < self->reactors; i++) {
        struct reactor *reactor = &self->reactor[i];

        /* What was never started may have no source: a cache that could not be opened. */
        struct source *source = reactor->queue ? source_of(reactor) : NULL;

        /* Closing waits for reads in flight: before their memory goes. */
        if (source)
            source->ops->queue_close(reactor->queue);
        reads_release(&reactor->ring);
        if (!source || !source->abandoned) /* else the kernel may still write there */
            arena_release(&reactor->memory);
    }
    base_free(self);
}

static uint32_t reader_stats(struct inlet *inlet, struct opiml_station_stats *to, uint32_t room,
                             uint64_t *ret_bytes_read) {
    struct reader *self = (struct reader *)inlet;
    uint32_t count = 0;

    *ret_bytes_read = 0;
    for (uint32_t i = 0; i < self->reactors; i++) {
        struct reactor *reactor = &self->reactor[i];

        if (dataset_of(reactor)) /* what the cache saves is not read */
            *ret_bytes_read += counter_get(&reactor->counters.bytes);
        if (count == room)
            continue;
        to[count] = (struct opiml_station_stats){.rows = counter_get(&reactor->counters.rows),
                                                 .bytes = counter_get(&reactor->counters.bytes),
                                                 .busy_ns = counter_get(&reactor->counters.busy_ns),
                                                 .wait_ns = counter_get(&reactor->counters.wait_ns),
                                                 .threads = 1};
        if (!dataset_of(reactor))
            snprintf(to[count].name, sizeof(to[count].name), "read cache");
        else if (self->plan->pipeline->datasets == 1)
            snprintf(to[count].name, sizeof(to[count].name), "read");
        else
            snprintf(to[count].name, sizeof(to[count].name), "read %u", i);
        count++;
    }
    return count;
}

static const struct inlet_ops inlet_reader = {
    .name = "reader",
    .start = reader_start,
    .row = reader_row,
    .describe = reader_describe,
    .row_done = reader_row_done,
    .again = reader_again,
    .slot_done = reader_slot_done,
    .wake = reader_wake,
    .stop = reader_stop,
    .destroy = reader_destroy,
    .stats = reader_stats,
};

int inlet_reader_create(const struct plan *plan, struct inlet **ret_inlet,
                        struct opiml_error *err) {
    uint32_t reactors = plan->readers;
    size_t bytes = sizeof(struct reader) + reactors * sizeof(struct reactor);
    struct reader *self = base_alloc(bytes);

    if (!self)
        return base_fail_memory(err, bytes, "a reader");
    self->inlet = (struct inlet){.ops = &inlet_reader, .walkers = reactors};
    self->plan = plan;
    self->reactors = reactors;
    for (uint32_t i = 0; i < reactors; i++) {
        self->reactor[i].reader = self;
        self->reactor[i].dataset = i;
    }
    *ret_inlet = &self->inlet;
    return 0;
}
