/* A pipeline over a harness, and a request of a session for all of its operators. */
#ifndef TESTS_UNIT_NODE_WANTED_H
#define TESTS_UNIT_NODE_WANTED_H

#include "../pipeline/harness.h"

#include "node/session.h"
#include "op/registry.h"

struct wanted {
    struct harness data;
    struct opiml_pipeline *pipeline;
    char text[4096];
    uint64_t implementations[PIPELINE_OPS_MAX];
    struct session_request request;
};

static void wanted_make(struct wanted *self) {
    self->data = harness_make(40);
    snprintf(
        self->text, sizeof(self->text),
        "opiml: 1\nkind: pipeline\nseed: 7\ndataset: {uri: %s, format: raw, fields: "
        "[\"x:u8:16\", \"label:i32\"]}\nshuffle: {mode: global}\nops:\n  - cast: {field: x, to: "
        "f32}\n  - rename: {from: x, to: image}\nbatch: {size: 8}\n",
        self->data.folder);
    assert_int_equal(
        opiml_pipeline_parse(self->text, strlen(self->text), "/w/p.yaml", &self->pipeline, NULL),
        0);
    for (uint32_t k = 0; k < self->pipeline->row_ops; k++)
        self->implementations[k] = op_implementation(self->pipeline->op[k]->op);
    self->request = (struct session_request){.text = self->text,
                                             .file = "/w/p.yaml",
                                             .hash = self->pipeline->hash,
                                             .fingerprint = self->pipeline->fingerprint,
                                             .operators = self->pipeline->row_ops,
                                             .implementations = self->implementations,
                                             .world = 1,
                                             .batches = 7,
                                             .stripes = 1,
                                             .depth = 2};
}

static void wanted_remove(struct wanted *self) {
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
}

#endif
