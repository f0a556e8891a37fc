/* Neighbours that are read at once. */
#include "pipeline/together.h"

#include <math.h>

#include "dataset/source.h"
#include "pipeline/profile.h"

#define READ_BYTES 131072.0 /* of a read: from here on its own cost counts little */
#define READ_LEAST 16384.0  /* ... and up to here much */
#define OF_BATCH 8          /* groups in a batch: all ways have rows of each */
#define OF_EPOCH 1000       /* ... and in an epoch, so that shares come out as they are meant */

uint32_t together_rows(const struct opiml_pipeline *pipeline, uint32_t world) {
    double bytes = profile_record_bytes(pipeline), rows;

    if (pipeline->mix.mode == ORDER_GLOBAL || bytes <= 0 || bytes > PROFILE_LIGHT_BYTES)
        return 1;
    rows = fmin(READ_BYTES / bytes, pipeline_slice_rows(pipeline, world) / OF_BATCH);
    return (uint32_t)fmax(1, fmin(rows, (double)pipeline->mix.positions / OF_EPOCH));
}

bool together_shares(const struct opiml_pipeline *pipeline, uint32_t world) {
    double bytes = profile_record_bytes(pipeline);

    if (pipeline->mix.mode == ORDER_GLOBAL || bytes > PROFILE_LIGHT_BYTES)
        return true;
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        if (source_is_remote(dataset_source(pipeline->dataset[d])))
            return together_rows(pipeline, world) * bytes >= READ_LEAST;
    return true; /* what lies between two rows is read along */
}
