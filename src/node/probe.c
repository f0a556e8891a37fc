/* How fast bytes come from a node. */
#include "node/probe.h"

#include "base/clock.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "rpc/client.h"

#define PROBE_BYTES 4000000
#define PROBES 3

static int time_probe(struct rpc_client *client, uint32_t bytes, double *ret_s,
                      struct opiml_error *err) {
    Opiml__V1alpha1__ProbeLinkRequest request = OPIML__V1ALPHA1__PROBE_LINK_REQUEST__INIT;
    Opiml__V1alpha1__ProbeLinkResponse *reply;
    uint64_t start = clock_now_ns();
    int rc;

    request.bytes = bytes;
    rc = rpc_client_call(client, "/opiml.v1alpha1.PipelineService/ProbeLink", &request.base,
                         &opiml__v1alpha1__probe_link_response__descriptor, &reply, err);
    if (rc < 0)
        return rc;
    *ret_s = (double)(clock_now_ns() - start) / 1e9;
    opiml__v1alpha1__probe_link_response__free_unpacked(reply, NULL);
    return 0;
}

int probe_link(struct rpc_client *client, double *ret_bytes_per_s, struct opiml_error *err) {
    double empty = 1e9, full = 1e9, s;
    int rc;

    for (uint32_t i = 0; i < PROBES; i++) {
        if ((rc = time_probe(client, 0, &s, err)) < 0)
            return rc;
        empty = s < empty ? s : empty;
        if ((rc = time_probe(client, PROBE_BYTES, &s, err)) < 0)
            return rc;
        full = s < full ? s : full;
    }
    *ret_bytes_per_s = PROBE_BYTES / (full > 1.01 * empty ? full - empty : full);
    return 0;
}
