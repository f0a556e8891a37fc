/* A data set of raw records in a folder of its own, and pipelines over it. Record i has x = 16
 * bytes that follow from i and label = i. */
#ifndef TESTS_PIPELINE_HARNESS_H
#define TESTS_PIPELINE_HARNESS_H

#include "../test.h"

#include <opiml/feed.h>

#include "base/hash.h"
#include "pipeline/plan.h"

#define RECORD_BYTES 20

struct harness {
    char *folder;
    uint32_t records;
};

static inline void harness_record(uint32_t i, uint8_t to[RECORD_BYTES]) {
    for (uint32_t k = 0; k < 16; k++)
        to[k] = (uint8_t)(i * 31 + k * 7);
    memcpy(to + 16, &i, 4);
}

static inline struct harness harness_make(uint32_t records) {
    struct harness self = {test_folder(), records};
    uint8_t *all = malloc((size_t)records * RECORD_BYTES);

    for (uint32_t i = 0; i < records; i++)
        harness_record(i, all + (size_t)i * RECORD_BYTES);
    test_write(self.folder, "records.bin", all, (size_t)records * RECORD_BYTES);
    free(all);
    return self;
}

static inline void harness_remove(struct harness *self) {
    test_folder_remove(self->folder);
}

/* `rest`: the YAML behind the dataset. */
static inline int harness_parse(const struct harness *self, const char *rest,
                                struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    char text[4096];
    int length = snprintf(text, sizeof(text),
                          "opiml: 1\nkind: pipeline\nseed: 7\n"
                          "dataset:\n  uri: %s\n  format: raw\n  fields: [\"x:u8:16\", "
                          "\"label:i32\"]\n%s",
                          self->folder, rest);

    return opiml_pipeline_parse(text, (size_t)length, "test.yaml", ret_pipeline, err);
}

/* The head takes lines 1 to 7; `rest` starts at line 8. */
static inline void harness_assert_refused(const struct harness *self, const char *rest,
                                          const char *where, const char *what) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};
    int rc = harness_parse(self, rest, &pipeline, &err);

    if (rc >= 0 || !strstr(err.message, where) || !strstr(err.message, what))
        fail_msg("%d \"%s\" lacks \"%s\" or \"%s\"", rc, err.message, where, what);
    assert_null(pipeline);
}

static inline struct opiml_pipeline *harness_pipeline(const struct harness *self,
                                                      const char *rest) {
    struct opiml_pipeline *pipeline = NULL;
    struct opiml_error err = {0};

    if (harness_parse(self, rest, &pipeline, &err) < 0)
        fail_msg("%s", err.message);
    return pipeline;
}

/* All of a pipeline in one stage. */
static inline struct plan_request harness_request(const struct opiml_pipeline *pipeline,
                                                  uint32_t threads) {
    return (struct plan_request){.last = pipeline->row_ops,
                                 .reads = true,
                                 .delivers = true,
                                 .threads = threads,
                                 .world = 1,
                                 .pool_bytes = MIB(64)};
}

static inline struct opiml_feed *harness_feed(struct opiml_pipeline *pipeline,
                                              const struct opiml_feed_options *options) {
    struct opiml_feed *feed = NULL;
    struct opiml_error err = {0};

    if (opiml_feed_open(pipeline, options, &feed, &err) < 0)
        fail_msg("%s", err.message);
    return feed;
}

/* Run a feed to its end; returns its digest, and the last token when asked. */
static inline struct hash128 harness_run(struct opiml_pipeline *pipeline,
                                         const struct opiml_feed_options *options,
                                         char token[OPIML_TOKEN_BYTES]) {
    struct opiml_feed *feed = harness_feed(pipeline, options);
    struct opiml_feed_stats *stats = malloc(sizeof(*stats));
    const struct opiml_batch *batch;
    struct opiml_error err = {0};
    struct hash128 digest;
    int rc;

    while ((rc = opiml_feed_next(feed, &batch, &err)) == 1)
        opiml_batch_release(batch);
    if (rc < 0)
        fail_msg("%s", err.message);
    opiml_feed_stats(feed, stats);
    digest = (struct hash128){stats->digest[0], stats->digest[1]};
    if (token)
        memcpy(token, stats->token, OPIML_TOKEN_BYTES);
    free(stats);
    opiml_feed_close(feed);
    return digest;
}

#endif
