/* Headers of NIfTI files for writing (nifti.nimh.nih.gov, nifti1.h and nifti2.h): a single file,
 * little-endian, without extensions. */
#ifndef DATASET_NIFTI_HEADER_H
#define DATASET_NIFTI_HEADER_H

#include <opiml/batch.h>

#include "base/base.h"

#define NIFTI_HEADER_MAX 544

/* Whether volumes of the type can be written: 8 to 64 bit integers but u64, f32, f64. */
bool nifti_takes_dtype(uint32_t dtype);
/* The header of an array of 1 to 5 dimensions, [..., z, y, x]; its data follow at once. NIfTI-2
 * where a side is more than NIfTI-1 holds. `affine` [3][4]: voxel [x, y, z, 1] → mm; NULL: cubes of
 * 1 mm at the origin. Returns the header's bytes. */
size_t nifti_make_header(uint32_t dtype, uint32_t ndim, const int64_t *shape, const double *affine,
                         uint8_t to[NIFTI_HEADER_MAX]);

#endif
