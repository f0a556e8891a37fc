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

#define NIFTI_AFFINE 12 /* numbers of an affine, three rows of four */

/* Where voxels lie: row r of the affine times [x, y, z, 1] is millimetres to the right, to the
 * front and to the top. From the sform, else the qform, else from the voxels' size alone (x flipped
 * and the middle at 0), as nibabel's get_best_affine has it. `data` as for nifti_parse, which it
 * has passed. OPIML_ECORRUPT for numbers that are none. */
int nifti_affine(const uint8_t *data, uint64_t bytes, double ret_affine[NIFTI_AFFINE],
                 struct opiml_error *err);

#endif
