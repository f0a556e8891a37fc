/* Profiles: what a pipeline's rows cost on one machine, measured with some of its own records: the
 * time of each operator, and the bytes of a row wherever the chain can be cut. Records are told
 * apart by the bytes that they are stored in, since most costs follow from them. */
#ifndef PIPELINE_PROFILE_H
#define PIPELINE_PROFILE_H

#include "pipeline/pipeline.h"
#include "pipeline/route.h"

#define PROFILE_SAMPLES 24 /* of each class */
#define PROFILE_GLANCES 3  /* ... where that is enough */
/* Records of up to so many bytes are light: so many times more of them are taken, and then many at
 * once. */
#define PROFILE_LIGHT_BYTES 4096
#define PROFILE_LIGHT_SAMPLES 16

/* How records are told apart: a class holds those of at most bytes_max that no earlier one does. */
struct profile_classes {
    uint32_t count;
    uint64_t bytes_max[SHARE_SIZES_MAX]; /* the last one's is UINT64_MAX */
    double share[SHARE_SIZES_MAX];       /* of the records; their sum is 1 */
};
/* One class where sizes hardly differ, else quarters. Looks at some records' entries in the index.
 */
void profile_classes(const struct opiml_pipeline *pipeline, struct profile_classes *ret_classes);

/* The mean of all records' bytes, by the same looks. */
double profile_record_bytes(const struct opiml_pipeline *pipeline);

/* Means over rows of one class. Times are a processor's. */
struct profile_class {
    double read_ns, parse_ns;
    double read_bytes;                  /* what is read where the first operator follows */
    double record_bytes;                /* ... and where it does not */
    double op_ns[PIPELINE_OPS_MAX];     /* by row that begins with row operators, not by run */
    double bytes[PIPELINE_OPS_MAX + 1]; /* of a frame's row before each operator, and at the end;
                                           rows that are not there any more are holes */
    uint32_t samples;                   /* rows that this was measured with; 0: none was usable */
};

/* Where a profile's times come from. */
enum profile_origin {
    PROFILE_MEASURED = 1, /* just now */
    PROFILE_KEPT,         /* measured earlier */
    PROFILE_CALIBRATED,   /* operators: by this machine's calibration (calibration.h) */
    PROFILE_BORROWED,     /* of another machine, since the data cannot be read here */
};

struct profile {
    uint32_t classes, ops; /* ops: row operators */
    double group_ns;       /* of a row, in group operators, which follow */
    double read_bytes_per_s;
    double cores; /* that may be used */
    struct profile_class class[SHARE_SIZES_MAX];
    enum profile_origin origin;
    double age_s; /* of what was not measured just now */
};

/* Measure on one thread: records are read, parsed and taken through the row operators. Takes as
 * long as that takes, at most about `most_ns` (0: half a second) and one row more; then how fast
 * bytes come, and of light records what a run takes (profile_inside.h), some seconds where they
 * hardly come. Messages as of a feed's. profile_recall (profile_store.h) measures only what is not
 * known. */
int profile_make(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                 uint64_t most_ns, struct profile *ret_profile, struct opiml_error *err);
/* The same of rows that come over a route from another machine, in so many batches from the first
 * on; what is before its cut is 0 then. Takes one batch at least. The link stays the caller's, but
 * nothing comes over it any more. OPIML_ETIMEDOUT: nothing came in time. */
int profile_make_behind(const struct opiml_pipeline *pipeline,
                        const struct profile_classes *classes, const struct route *route,
                        uint64_t batches, uint64_t most_ns, struct profile *ret_profile,
                        struct opiml_error *err);
/* All the memory that one of these two takes, of the pipeline's pool as it is; `route` NULL: the
 * first one. OPIML_ELIMIT names the pool that would do. */
int profile_needs(const struct opiml_pipeline *pipeline, const struct route *route,
                  uint64_t *ret_bytes, struct opiml_error *err);
/* Where the data cannot be read: nothing but what is known without them. Times and bytes are to be
 * borrowed from who can. */
void profile_blank(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                   struct profile *ret_profile);
/* The same with PROFILE_GLANCES records of each class: enough to know bytes and how reading goes,
 * where something else says what operators cost. */
int profile_glance(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                   struct profile *ret_profile, struct opiml_error *err);

#endif
