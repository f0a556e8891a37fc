/* What stands behind a route in tests: a stage that makes its share, of records or of what comes by
 * a route itself, and a loopback link. */
#ifndef TESTS_PIPELINE_MAKER_H
#define TESTS_PIPELINE_MAKER_H

#include "harness.h"

#include "pipeline/pump.h"
#include "pipeline/stage.h"

#define MAKER_DEPTH 3

struct maker {
    struct routes routes; /* the only one has its share, and the link that rows come over, if any */
    struct plan *plan;
    struct stage *stage;
    struct link *link;
    pthread_t pump;
    bool pumping;
};

static inline void *maker_main(void *argument) {
    struct maker *self = argument;

    pump_run(self->stage, self->link);
    return NULL;
}

/* Make batches [first, first + batches) of a rank up to a cut, of what comes by `from`, whose link
 * is the maker's then; NULL: of records. The route's link is its taker's. */
static inline struct route maker_start_behind(struct maker *self,
                                              const struct opiml_pipeline *pipeline, uint32_t cut,
                                              const struct share *share, uint64_t first,
                                              uint64_t batches, uint32_t rank, uint32_t world,
                                              const struct route *from) {
    struct plan_request request = harness_request(pipeline, 1);
    const struct stage_options options = {
        .first = first, .batches = batches, .routes = &self->routes};
    struct inlet *inlet;

    request.last = cut;
    request.rank = rank;
    request.world = world;
    request.delivers = false;
    request.first = from ? from->cut : 0;
    request.reads = !from;
    request.linked = from != NULL;
    self->routes = (struct routes){.count = 1, .route[0].share = *share};
    if (from)
        self->routes.route[0] = *from;
    assert_int_equal(plan_create(pipeline, &request, &self->plan, NULL), 0);
    assert_int_equal(link_loopback_open(MAKER_DEPTH, &self->link, NULL), 0);
    self->link->intact = false; /* tests damage what is on its way */
    if (from)
        assert_int_equal(inlet_link_create(self->plan, from, &inlet, NULL), 0);
    else
        assert_int_equal(inlet_reader_create(self->plan, &inlet, NULL), 0);
    assert_int_equal(stage_create(self->plan, inlet, &options, &self->stage, NULL), 0);
    assert_int_equal(pthread_create(&self->pump, NULL, maker_main, self), 0);
    self->pumping = true;
    return (struct route){.link = self->link,
                          .cut = cut,
                          .depth = MAKER_DEPTH,
                          .frame_bytes = self->plan->slot_bytes,
                          .share = *share};
}

static inline struct route maker_start_rank(struct maker *self,
                                            const struct opiml_pipeline *pipeline, uint32_t cut,
                                            const struct share *share, uint64_t first,
                                            uint64_t batches, uint32_t rank, uint32_t world) {
    return maker_start_behind(self, pipeline, cut, share, first, batches, rank, world, NULL);
}

static inline struct route maker_start(struct maker *self, const struct opiml_pipeline *pipeline,
                                       uint32_t cut, const struct share *share, uint64_t first,
                                       uint64_t batches) {
    return maker_start_rank(self, pipeline, cut, share, first, batches, 0, 1);
}

/* As when its process ends. The link must not be closed yet. */
static inline void maker_stop(struct maker *self) {
    struct link *from = self->routes.route[0].link;

    if (!self->pumping)
        return;
    if (from)
        from->ops->shut(from);
    stage_stop(self->stage);
    self->link->ops->shut(self->link);
    pthread_join(self->pump, NULL);
    self->pumping = false;
    if (from)
        from->ops->close(from); /* before the memory that its sender writes to is gone */
    stage_destroy(self->stage);
    base_free(self->plan);
}

#endif
