/* Moves what a stage makes over a link. */
#include "pipeline/pump.h"

#include <time.h>

#include "base/clock.h"

#define PACE_NS 50000000u /* a pause is looked up from so often, for who stops the stage */

/* Where frames stay in their slots: the slots of those that the receiver gave back are free. */
static int take_back(struct stage *stage, struct link *link, bool wait, struct opiml_error *err) {
    void *at;
    int rc;

    while ((rc = link->ops->reclaim(link, wait, &at, err)) == 1) {
        for (uint32_t s = 0; s < stage->plan->slots; s++)
            if (stage->slots[s].frame.at == at)
                stage_recycle(&stage->slots[s]);
        wait = false;
    }
    return rc;
}

/* Wait for the next batch, and say now and then that it is still to come. */
static int await(struct stage *stage, struct link *link, struct opiml_error *err) {
    int rc = 0;

    while (rc == 0 && link->ops->beat && !stage_wait(stage, LINK_BEAT_MS))
        rc = link->ops->beat(link, err);
    return rc;
}

static int next(struct stage *stage, struct link *link, struct slot **ret_slot,
                struct opiml_error *err) {
    bool in_place = link->ops->reclaim != NULL;
    int rc = in_place ? take_back(stage, link, false, err) : 0;

    if (rc < 0 || (rc = await(stage, link, err)) < 0)
        return rc;
    while ((rc = stage_next(stage, ret_slot, err)) == OPIML_EBUSY && in_place)
        if ((rc = take_back(stage, link, true, err)) < 0)
            return rc;
    return rc;
}

/* Send one, which takes as long as the receiver has no room for it. */
static int pump_one(struct stage *stage, struct link *link, struct slot *slot,
                    struct opiml_error *err) {
    const struct link_ops *ops = link->ops;
    struct frame_header *header = slot->frame.header;
    uint64_t start = clock_now_ns(), bytes;
    bool more = ops->send_more && stage_ready(stage);
    int rc;

    header->job = stage->options.origin.job;
    header->generation = stage->options.origin.generation;
    if (!ops->place && slot->live < slot->rows)
        frame_pack(&slot->frame);
    bytes = frame_seal(&slot->frame, !link->intact);
    rc = (more ? ops->send_more : ops->send)(link, slot->frame.at, bytes, err);
    counter_add(&stage->pumped.busy_ns, clock_now_ns() - start);
    counter_add(&stage->pumped.bytes, bytes);
    counter_add(&stage->pumped.rows, 1);
    return rc;
}

/* Its job may send only so much in a second. */
static int pace(struct stage *stage, struct link *link, uint64_t wait_ns, struct opiml_error *err) {
    uint64_t now = clock_now_ns(), until = now + wait_ns, beat_ns = now;
    int rc = 0;

    for (; rc == 0 && now < until && !stage_stopping(stage) && !stage_failed(stage);
         now = clock_now_ns()) {
        nanosleep(&(struct timespec){.tv_nsec = (long)base_min_u64(until - now, PACE_NS)}, NULL);
        if (!link->ops->beat || now - beat_ns < LINK_BEAT_MS * UINT64_C(1000000))
            continue;
        beat_ns = now;
        rc = link->ops->beat(link, err);
    }
    return rc;
}

/* Sending takes CPU time, too: for TLS, and for the kernel's copies. */
static int account(struct stage *stage, struct link *link, uint64_t *cpu_ns, uint64_t bytes,
                   struct opiml_error *err) {
    struct turns_job *job = stage->options.job;
    uint64_t before = *cpu_ns;

    if (!job)
        return 0;
    *cpu_ns = clock_cpu_ns();
    turns_charge(job, *cpu_ns - before);
    return pace(stage, link, turns_pace(job, bytes), err);
}

void pump_run(struct stage *stage, struct link *link) {
    const struct link_ops *ops = link->ops;
    struct opiml_error err = {0};
    struct slot *slot;
    uint64_t cpu_ns = clock_cpu_ns(), sent = 0;
    int rc;

    while ((rc = next(stage, link, &slot, &err)) == 1) {
        rc = pump_one(stage, link, slot, &err);
        if (rc == 0)
            rc = account(stage, link, &cpu_ns, counter_get(&stage->pumped.bytes) - sent, &err);
        sent = counter_get(&stage->pumped.bytes);
        if (!ops->reclaim)
            stage_recycle(slot);
        if (rc < 0)
            break;
    }
    err.code = rc;
    ops->end(link, rc < 0 ? &err : NULL);
}
