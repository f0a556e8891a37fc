/* The header of NIfTI files (nifti.nimh.nih.gov, nifti1.h and nifti2.h): single-file NIfTI-1 and
 * NIfTI-2 of either byte order. */
#ifndef DATASET_NIFTI_H
#define DATASET_NIFTI_H

#include "dataset/array.h"

/* Read a header of `bytes` bytes, the file's beginning. The array's dimensions are the file's in
 * reverse, [..., z, y, x], as x varies fastest; RGB has one more at the end. Scaled where the
 * header has a slope and an intercept other than 1 and 0. OPIML_ECORRUPT, or OPIML_ENOTSUP for what
 * has no counterpart here. */
int nifti_parse(const uint8_t *data, uint64_t bytes, struct array *ret_array,
                struct opiml_error *err);

#endif
