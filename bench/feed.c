/* What the engine costs: `opiml feed` over a pipeline against a bare loop on one thread that does
 * the same reads and operators over the same epochs and fills batches of the same size, both on one
 * core, and two cores against one.
 *
 *   bench_feed PIPELINE.yaml [PAIRS] */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pairs.h"
#include "base/rng.h"
#include "base/text.h"
#include "pipeline/plan.h"

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "bench_feed: %s\n", err.message);                                      \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define EPOCHS 8 /* of a run, so that opening the feed is a small part of it */

static struct opiml_error err;

/* ---- the bare loop: no threads, no slots, no queues ---- */

struct bare {
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    void *states[PIPELINE_OPS_MAX];
    int fd; /* of the object read last */
    uint32_t object;
    uint8_t *read, *scratch;
    uint8_t *batch, *row; /* rows of a batch; the one that is being made */
    uint64_t row_bytes;
    struct opiml_value values[2][OPIML_MAX_FIELDS];
};

static int no_charge(void *engine, uint64_t bytes, struct opiml_error *problem) {
    return 0;
}

static void bare_open(struct bare *bare, struct opiml_pipeline *pipeline) {
    struct plan_request request = {.last = pipeline->row_ops,
                                   .reads = true,
                                   .delivers = true,
                                   .threads = 1,
                                   .world = 1,
                                   .pool_bytes = pipeline->pool_bytes};

    bare->pipeline = pipeline;
    CHECK(plan_create(pipeline, &request, &bare->plan, &err));
    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        if (pipeline->op[k]->op->open)
            CHECK(pipeline->op[k]->op->open(pipeline->op[k]->params, &pipeline->op[k]->shape,
                                            &bare->states[k], &err));
    for (uint32_t f = 0; f < bare->plan->out->count; f++)
        bare->row_bytes += base_align_up(bare->plan->out->fields[f].max_bytes, 64);
    bare->read = base_alloc_aligned(dataset_read_room(pipeline->dataset[0], 64), 64);
    bare->scratch = base_alloc_aligned(bare->plan->worker_bytes, 4096);
    bare->batch = base_alloc_aligned(pipeline->batch_rows * bare->row_bytes, 64);
}

static uint8_t *bare_target(const struct bare *bare, const struct plan_target *target) {
    uint8_t *at = bare->row;

    if (target->slot_field < 0)
        return bare->scratch + target->offset;
    for (int32_t f = 0; f < target->slot_field; f++)
        at += base_align_up(bare->plan->out->fields[f].max_bytes, 64);
    return at;
}

static void bare_op(struct bare *bare, uint32_t k, uint64_t epoch, uint64_t record,
                    struct opiml_value *in, struct opiml_value *out) {
    const struct pipeline_op *op = bare->pipeline->op[k];
    struct opiml_op_call call = {.size = sizeof(call),
                                 .params = op->params,
                                 .state = bare->states[k],
                                 .epoch = epoch,
                                 .position = record,
                                 .sample = record,
                                 .in_schema = pipeline_schema(bare->pipeline, k),
                                 .shape = &op->shape,
                                 .in = in,
                                 .out = out,
                                 .scratch = bare->scratch + bare->plan->scratch_offset,
                                 .charge = no_charge};

    rng_init(&call.rng, bare->pipeline->seed, epoch, record, op->label_hash);
    for (uint32_t f = 0; f < op->shape.out.count; f++) {
        const struct opiml_field *field = &op->shape.out.fields[f];

        if (op->shape.from[f] >= 0) {
            out[f] = in[op->shape.from[f]];
            continue;
        }
        out[f].data = bare_target(bare, &bare->plan->target[k][f]);
        out[f].capacity = bare->plan->target[k][f].room;
        out[f].bytes = opiml_field_fixed(field) ? field->max_bytes : 0;
        memcpy(out[f].shape, field->shape, sizeof(out[f].shape));
    }
    CHECK(op->op->run(&call, &err));
}

/* Read a record; the file of the one before stays open. */
static void bare_read(struct bare *bare, const struct source *source,
                      const struct dataset_extent *extent) {
    if (bare->fd < 0 || bare->object != extent->object) {
        AUTO_FREE char *path =
            source->single
                ? base_strdup(source->local)
                : text_path(source->local, source->key(source->key_context, extent->object));

        if (bare->fd >= 0)
            close(bare->fd);
        bare->fd = open(path, O_RDONLY);
        bare->object = extent->object;
    }
    if (pread(bare->fd, bare->read, extent->bytes, (off_t)extent->offset) != extent->bytes) {
        perror("bench_feed");
        exit(1);
    }
}

static void bare_epoch(struct bare *bare, uint64_t epoch) {
    struct dataset *dataset = bare->pipeline->dataset[0];
    struct source *source = dataset_source(dataset);

    for (uint64_t p = 0; p < bare->pipeline->mix.positions; p++) {
        struct dataset_extent extent;
        struct mix_at at;
        uint32_t side = 0;

        bare->row = bare->batch + p % bare->pipeline->batch_rows * bare->row_bytes;
        mix_find(&bare->pipeline->mix, epoch, p, &at);
        dataset_locate(dataset, at.record, 0, &extent);
        bare_read(bare, source, &extent);
        CHECK(dataset_parse(dataset, at.record, &(struct source_bytes){bare->read, extent.bytes},
                            bare->values[0], bare->scratch + bare->plan->parse_offset, &err));
        for (uint32_t k = 0; k < bare->pipeline->row_ops; k++, side ^= 1)
            bare_op(bare, k, epoch, at.record, bare->values[side], bare->values[side ^ 1]);
    }
}

static double bare_run(struct bare *bare, uint64_t epochs) {
    uint64_t start = clock_now_ns(), rows = epochs * bare->pipeline->mix.positions;

    for (uint64_t epoch = 0; epoch < epochs; epoch++)
        bare_epoch(bare, epoch);
    return (double)rows * 1e9 / (double)(clock_now_ns() - start);
}

/* ---- the engine ---- */

static double feed_run(struct opiml_pipeline *pipeline, uint32_t threads, uint64_t epochs) {
    struct opiml_feed_options options;
    struct opiml_feed *feed;
    const struct opiml_batch *batch;
    uint64_t start, rows = 0;
    int rc;

    opiml_feed_options_init(&options);
    options.threads = threads;
    options.epochs = epochs;
    start = clock_now_ns();
    CHECK(opiml_feed_open(pipeline, &options, &feed, &err));
    while ((rc = opiml_feed_next(feed, &batch, &err)) == 1) {
        rows += batch->live;
        opiml_batch_release(batch);
    }
    CHECK(rc);
    opiml_feed_close(feed);
    return (double)rows * 1e9 / (double)(clock_now_ns() - start);
}

/* Keep this thread, and those it starts, to the first `count` of the cores. */
static void use_cores(const cpu_set_t *all, int count) {
    cpu_set_t some;

    CPU_ZERO(&some);
    for (int cpu = 0; cpu < CPU_SETSIZE && count > 0; cpu++)
        if (CPU_ISSET(cpu, all)) {
            CPU_SET(cpu, &some);
            count--;
        }
    sched_setaffinity(0, sizeof(some), &some);
}

int main(int argc, char **argv) {
    struct pairs overhead = {.what = "feed, 1 thread / bare loop", .target = 0.95};
    struct pairs scaling = {.what = "feed, 2 threads, cores / (2 x feed, 1)", .target = 0.90};
    uint32_t pairs = argc > 2 ? (uint32_t)atoi(argv[2]) : 10;
    struct opiml_pipeline *pipeline;
    struct bare bare = {.fd = -1};
    cpu_set_t all;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_feed PIPELINE.yaml [PAIRS]\n");
        return 2;
    }
    CHECK(opiml_pipeline_open(argv[1], &pipeline, &err));
    bare_open(&bare, pipeline);
    bare_run(&bare, 1); /* warm the page cache */
    sched_getaffinity(0, sizeof(all), &all);
    for (uint32_t i = 0; i < pairs; i++) {
        double one;

        use_cores(&all, 1); /* the reader's thread and the consumer have no core of their own */
        one = feed_run(pipeline, 1, EPOCHS);
        pairs_add(&overhead, one, bare_run(&bare, EPOCHS));
        use_cores(&all, 2);
        pairs_add(&scaling, feed_run(pipeline, 2, EPOCHS), 2 * one);
    }
    return pairs_report(&overhead) + pairs_report(&scaling) > 0;
}
