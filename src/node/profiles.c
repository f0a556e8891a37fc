/* What pipelines cost on this node. */
#include "node/profiles.h"

#include <opiml/feed.h>

#include "base/text.h"
#include "batch/arena.h"
#include "node/jobs.h"
#include "op/registry.h"
#include "pipeline/plan.h"
#include "pipeline/cache.h"
#include "pipeline/profile_store.h"
#include "pipeline/wire_cost.h"

#define SAMPLE_ROWS 32 /* of a batch, where they come from another node ... */
#define SAMPLE_BATCHES 8

/* Why a cut cannot be here. */
static void find_refusal(const struct opiml_pipeline *pipeline,
                         const struct session_request *request, uint32_t cut, char *to) {
    struct opiml_error err = {0};
    struct plan *plan = NULL;

    if (cut < session_first(request))
        snprintf(to, PROFILE_REFUSAL_BYTES, "rows come from %.160s behind %u operators",
                 request->before[request->befores - 1].at, session_first(request));
    else if (session_check_cut(pipeline, request, cut, &err) < 0 ||
             session_plan(pipeline, request, cut, &plan, &err) < 0)
        text_copy(to, PROFILE_REFUSAL_BYTES, err.message);
    base_free(plan);
}

/* So many rows of a batch, of all classes. */
static struct share sample_share(const struct opiml_pipeline *pipeline,
                                 const struct profile_classes *classes) {
    struct share share = {.classes = classes->count};
    uint32_t rows = pipeline->batch_rows, end = SHARE_WHOLE;

    if (rows > SAMPLE_ROWS)
        end = (uint32_t)((uint64_t)SHARE_WHOLE * SAMPLE_ROWS / rows);
    for (uint32_t c = 0; c < classes->count; c++)
        share.class[c] = (struct share_class){classes->bytes_max[c], 0, end};
    return share;
}

/* What measuring takes is the job's meanwhile, out of no more than a session could have. */
static int take_memory(const struct session_request *request, struct opiml_pipeline *pipeline,
                       const struct route *route, uint64_t *ret_bytes, struct opiml_error *err) {
    int rc = profile_needs(pipeline, route, ret_bytes, err);

    return rc < 0 || !request->job ? rc : jobs_take(request->job, *ret_bytes, err);
}

/* In the pool of every session, which is what profiles that are known go by, else in what is left
 * of the job's. */
static int find_memory(const struct session_request *request, struct opiml_pipeline *pipeline,
                       const struct route *route, uint64_t *ret_bytes, struct opiml_error *err) {
    uint64_t most =
        route ? SESSION_POOL_BYTES / 2 : SESSION_POOL_BYTES; /* the rest is for frames */
    struct opiml_error why;
    int rc;

    pipeline->pool_bytes = base_min_u64(pipeline->pool_bytes, most);
    rc = take_memory(request, pipeline, route, ret_bytes, &why);
    if (rc == OPIML_ELIMIT && request->job) {
        pipeline->pool_bytes = base_min_u64(pipeline->pool_bytes, jobs_room(request->job));
        rc = take_memory(request, pipeline, route, ret_bytes, &why);
        if (rc == OPIML_ELIMIT)
            return jobs_refuse(request->job, &why, err);
    }
    return rc < 0 ? opiml_fail(err, rc, "%s", why.message) : 0;
}

static void give_memory(const struct session_request *request, uint64_t bytes) {
    if (request->job)
        jobs_give(request->job, bytes);
}

static int make_here(const struct session_request *request, struct opiml_pipeline *pipeline,
                     const struct profile_classes *classes, uint64_t most_ns, bool anew,
                     struct profile *ret_profile, struct opiml_error *err) {
    const struct profile_request profile = {
        .pipeline = pipeline, .classes = classes, .most_ns = most_ns, .anew = anew};
    uint64_t bytes;
    int rc = find_memory(request, pipeline, NULL, &bytes, err);

    if (rc < 0)
        return rc;
    rc = profile_recall(&profile, ret_profile, err);
    give_memory(request, bytes);
    return rc;
}

static int make_behind(const struct session_request *request, struct opiml_pipeline *pipeline,
                       const struct profile_classes *classes, uint64_t most_ns,
                       struct profile *ret_profile, struct opiml_error *err) {
    struct session_request sample = *request;
    struct upstream *upstream;
    struct route route = {0};
    uint64_t bytes;
    int rc;

    sample.share = sample_share(pipeline, classes);
    sample.rank = 0;
    sample.world = 1;
    sample.first_batch = 0;
    sample.batches = base_min_u64(SAMPLE_BATCHES, opiml_pipeline_batches(pipeline));
    sample.stripes = 1;
    rc = session_open_upstream(&sample, pipeline, &upstream, &route, err);
    if (rc < 0)
        return rc;
    rc = find_memory(request, pipeline, &route, &bytes, err);
    if (rc == 0) {
        rc = profile_make_behind(pipeline, classes, &route, sample.batches, most_ns, ret_profile,
                                 err);
        give_memory(request, bytes);
    }
    route.link->ops->close(route.link);
    upstream_close(upstream);
    return rc;
}

int node_profile_make(const struct session_request *request, const struct profile_classes *classes,
                      uint64_t most_ns, bool anew, struct node_profile *ret_profile,
                      struct opiml_error *err) {
    struct opiml_pipeline *pipeline;
    struct wire_cost wire;
    int rc = session_open_pipeline(request, &pipeline, err);

    if (rc < 0)
        return rc;
    memset(ret_profile, 0, sizeof(*ret_profile));
    rc = request->befores
             ? make_behind(request, pipeline, classes, most_ns, &ret_profile->profile, err)
             : make_here(request, pipeline, classes, most_ns, anew, &ret_profile->profile, err);
    if (rc < 0) {
        opiml_pipeline_close(pipeline);
        return rc;
    }
    wire_cost_recall(anew, &wire);
    ret_profile->send_ns = wire.send_ns;
    ret_profile->room.memory_bytes = base_min_u64(SESSION_POOL_BYTES, arena_available_bytes()) / 2;
    if (request->disk)
        cache_disk_room(anew, &ret_profile->room.disk_bytes, &ret_profile->room.disk_bytes_per_s);
    if (ret_profile->profile.cores > SESSION_THREADS)
        ret_profile->profile.cores = SESSION_THREADS;
    if (request->threads && ret_profile->profile.cores > request->threads)
        ret_profile->profile.cores = request->threads;
    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        ret_profile->implementations[k] = op_implementation(pipeline->op[k]->op);
    for (uint32_t k = 0; k <= pipeline->row_ops; k++)
        find_refusal(pipeline, request, k, ret_profile->refusal[k]);
    opiml_pipeline_close(pipeline);
    return 0;
}
