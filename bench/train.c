/* What the input pipeline costs a training run: steps of a training file's model on batches that
 * its feed brings, against the same steps on batches that lie in memory already.
 *
 *   bench_train TRAIN.yaml [PAIRS [STEPS]] */
#include <time.h>

#include "base/clock.h"
#include "base/pairs.h"
#include "learn/config.h"
#include "learn/data.h"
#include "learn/network.h"
#include "pipeline/plan.h"

#define KEPT 8 /* batches in memory, used in turn */

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "bench_train: %s\n", err.message);                                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct opiml_error err;

struct run {
    struct learn_config config;
    struct opiml_pipeline *pipeline;
    struct opiml_feed *feed;
    struct learn_fields fields;
    struct learn_rows rows;
    struct nn_net *net;
    uint64_t step;
    struct opiml_batch kept[KEPT];
};

static void step(struct run *run, const struct opiml_batch *batch) {
    struct nn_tensor *output = nn_net_output(run->net);
    uint32_t correct, first = 0;

    CHECK(learn_rows_take(&run->rows, run->feed, batch, &first, &err));
    nn_net_rows(run->net, run->rows.rows);
    CHECK(nn_net_forward(run->net, true, &err));
    nn_cross_entropy(output->data, run->rows.rows, output->c, run->rows.labels, run->rows.shares,
                     (float)run->config.loss.label_smoothing, output->grad, &correct);
    CHECK(nn_net_backward(run->net, &err));
    nn_optimizer_step(&run->config.optimizer, run->net, run->config.optimizer.lr * 0.01,
                      ++run->step);
}

static const struct opiml_batch *next(struct run *run) {
    const struct opiml_batch *batch;

    CHECK(opiml_feed_next(run->feed, &batch, &err));
    return batch;
}

static void *copy(const void *from, size_t bytes) {
    void *to = malloc(bytes);

    if (!to)
        exit(1);
    return memcpy(to, from, bytes);
}

static void keep(struct run *run) {
    for (int i = 0; i < KEPT; i++) {
        const struct opiml_batch *batch = next(run);
        struct opiml_batch *kept = &run->kept[i];

        *kept = *batch;
        kept->status = copy(batch->status, batch->rows);
        kept->samples = copy(batch->samples, batch->rows * sizeof(*batch->samples));
        for (uint32_t f = 0; f < batch->schema->count; f++)
            kept->data[f] = copy(batch->data[f], batch->rows * batch->schema->fields[f].max_bytes);
        opiml_batch_release(batch);
    }
}

static void open_run(struct run *run, const char *path) {
    struct opiml_feed_options options;
    struct learn_network built = {0};
    uint32_t rows;

    CHECK(learn_config_read(path, &run->config, &err));
    CHECK(opiml_pipeline_open(run->config.data.train, &run->pipeline, &err));
    CHECK(learn_fields_find(run->pipeline, run->config.data.train, &run->config.model, &run->fields,
                            &err));
    run->config.model.classes = run->fields.classes;
    rows = opiml_pipeline_batch_rows(run->pipeline);
    CHECK(learn_network_build(&run->config, &run->fields, rows, &built, &err));
    run->net = built.net;
    CHECK(learn_rows_init(&run->rows, &run->fields, nn_net_input(run->net)->data, rows, &err));
    opiml_feed_options_init(&options);
    options.epochs = 0;
    CHECK(opiml_feed_open(run->pipeline, &options, &run->feed, &err));
    keep(run);
}

static double rate(const struct run *run, uint32_t steps, uint64_t began) {
    return (double)steps * opiml_pipeline_batch_rows(run->pipeline) * 1e9 /
           (double)(clock_now_ns() - began);
}

static double from_memory(struct run *run, uint32_t steps) {
    uint64_t began;

    /* Until the feed has filled its slots and rests. */
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    began = clock_now_ns();
    for (uint32_t i = 0; i < steps; i++)
        step(run, &run->kept[i % KEPT]);
    return rate(run, steps, began);
}

static double from_feed(struct run *run, uint32_t steps) {
    uint64_t began;

    for (int i = 0; i < PLAN_SLOTS_MAX; i++) /* what was made while nobody asked */
        opiml_batch_release(next(run));
    began = clock_now_ns();
    for (uint32_t i = 0; i < steps; i++) {
        const struct opiml_batch *batch = next(run);

        step(run, batch);
        opiml_batch_release(batch);
    }
    return rate(run, steps, began);
}

int main(int argc, char **argv) {
    struct pairs pairs = {.what = "training from files / from memory", .target = 0.90};
    uint32_t count = argc > 2 ? (uint32_t)atoi(argv[2]) : 10;
    uint32_t steps = argc > 3 ? (uint32_t)atoi(argv[3]) : 100;
    struct run run = {0};

    nn_threads_settle(argv); /* as `opiml train` does */
    if (argc < 2) {
        fprintf(stderr, "usage: bench_train TRAIN.yaml [PAIRS [STEPS]]\n");
        return 2;
    }
    open_run(&run, argv[1]);
    from_memory(&run, steps / 4 + 1); /* warm */
    for (uint32_t i = 0; i < count; i++)
        pairs_add(&pairs, from_feed(&run, steps), from_memory(&run, steps));
    return pairs_report(&pairs);
}
