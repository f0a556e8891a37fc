/* What profiles share, however their rows come. */
#ifndef PIPELINE_PROFILE_INSIDE_H
#define PIPELINE_PROFILE_INSIDE_H

#include "pipeline/profile.h"
#include "pipeline/stage.h"

#define PROFILE_NS UINT64_C(500000000) /* that measuring takes, where nothing else is said */
#define PROFILE_WARM_ROWS 2            /* of a class, that are not counted */

/* What measures: one thread, in at most the pipeline's pool. `route` NULL: records are read. */
int profile_plan(const struct opiml_pipeline *pipeline, const struct route *route,
                 struct plan **ret_plan, struct opiml_error *err);
uint32_t profile_class_of(const struct profile_classes *classes, uint64_t record_bytes);
/* Add what became of a row; of `ops` row operators. */
void profile_class_add(struct profile_class *class, const struct run_trace *trace, uint32_t ops);
/* Sums become means. A class that no usable record was found of costs what its neighbour does;
 * `name` is the pipeline's. OPIML_EIO: of none was any. */
int profile_finish(struct profile *profile, const char *name, struct opiml_error *err);
/* Bytes in a second, with many reads in flight, as the reader would have them; 0: it cannot be
 * told. Takes PROFILE_READS_BYTES; the slot's first task is overwritten. */
#define PROFILE_READS_BYTES MIB(16)
int profile_reads(const struct plan *plan, struct slot *slot, double *ret_bytes_per_s,
                  struct opiml_error *err);
/* Measure reading anew, and lower the other times, by what a run of the plan's rows takes: where
 * records are light. `came`: of all records, those that come to each operator. Takes about
 * `most_ns`, at most four seconds; where nothing comes in time, nothing is changed. */
void profile_run(const struct plan *plan, const struct profile_classes *classes, const double *came,
                 uint64_t most_ns, struct profile *profile);
/* Of a row, in group operators, which are not run: see there. */
double profile_group_ns(const struct opiml_pipeline *pipeline);

#endif
