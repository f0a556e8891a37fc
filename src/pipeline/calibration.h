/* What operators cost on this machine, in whatever pipeline: a row of an implementation takes so
 * long, and so much longer for each byte that goes in and for each that comes out (of an image
 * three bytes are a pixel). `opiml node calibrate` measures it, and it is kept (measured.h). */
#ifndef PIPELINE_CALIBRATION_H
#define PIPELINE_CALIBRATION_H

#include "pipeline/profile.h"

#define CALIBRATION_AGE_S (30 * 86400.0) /* past it an operator is measured anew */
#define CALIBRATION_POINTS_MAX 256

struct calibration_point {
    double in, out, ns; /* bytes of a row before and behind the operator; its time */
};

struct calibration_cost {
    double row_ns, in_ns, out_ns; /* of a row, a byte before and one behind; none below 0 */
    double error;                 /* of the points: the mean difference, as a share of their mean */
    uint32_t points;
};

/* The cost that fits best, by least squares. No points: all is 0. */
void calibration_fit(const struct calibration_point *points, uint32_t count,
                     struct calibration_cost *ret_cost);

/* What is known of an operator's implementation. */
bool calibration_find(const struct opiml_op *op, struct calibration_cost *ret_cost,
                      double *ret_age_s);
void calibration_put(const struct opiml_op *op, const struct calibration_cost *cost);

/* Whether all row operators of a pipeline are known. */
bool calibration_covers(const struct opiml_pipeline *pipeline);
/* The times of its operators by what is known, in a profile that has the bytes of their rows. False
 * where one is not known any more: nothing has changed. */
bool calibration_apply(const struct opiml_pipeline *pipeline, struct profile *profile);

#endif
