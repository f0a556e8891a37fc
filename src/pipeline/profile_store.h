/* Profiles that were measured earlier on this machine, so that a second start needs no measuring.
 * One is known by all that it depends on: what the pipeline's operators are and how they are made
 * here, the data and where they lie, the classes, the processor and opiml's version. */
#ifndef PIPELINE_PROFILE_STORE_H
#define PIPELINE_PROFILE_STORE_H

#include "pipeline/profile.h"

#define PROFILE_STORE_AGE_S 86400 /* past it a profile is measured anew */

struct js;

struct profile_request {
    const struct opiml_pipeline *pipeline;
    const struct profile_classes *classes;
    uint64_t most_ns; /* 0: half a second */
    bool anew;        /* measure, whatever is known */
};
/* A profile that is kept, or one by this machine's calibration, or one that is measured now and
 * kept. Processors are always those of now. Fails as profile_make does. */
int profile_recall(const struct profile_request *request, struct profile *ret_profile,
                   struct opiml_error *err);

/* A profile as JSON, and back: OPIML_ECORRUPT where it is none of so many classes and operators. */
struct js *profile_write(const struct profile *profile);
int profile_read(const struct js *from, uint32_t classes, uint32_t ops, struct profile *ret_profile,
                 struct opiml_error *err);

#endif
