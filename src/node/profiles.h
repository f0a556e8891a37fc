/* What pipelines cost on this node. */
#ifndef NODE_PROFILES_H
#define NODE_PROFILES_H

#include "node/session.h"
#include "pipeline/cache_advice.h"

#define PROFILE_REFUSAL_BYTES 256

struct node_profile {
    struct profile profile;
    uint64_t implementations[PIPELINE_OPS_MAX];                /* as many as profile.ops */
    char refusal[PIPELINE_OPS_MAX + 1][PROFILE_REFUSAL_BYTES]; /* of each cut; "": it can be here */
    double send_ns;                                            /* for a byte of a frame */
    struct cache_room room;                                    /* that a cache could have */
};

/* What a request's pipeline costs, as profile_recall finds it; of the request as
 * session_open_pipeline. With nodes before this one, rows come from there, and what follows on them
 * is measured. Its memory is the request's job's meanwhile. Blocks. OPIML_ELIMIT: there is too
 * little for it. */
int node_profile_make(const struct session_request *request, const struct profile_classes *classes,
                      uint64_t most_ns, bool anew, struct node_profile *ret_profile,
                      struct opiml_error *err);

#endif
