/* The header of .npy files (NumPy Enhancement Proposal 1; numpy.lib.format, versions 1 to 3). */
#ifndef DATASET_NPY_H
#define DATASET_NPY_H

#include "dataset/array.h"

#define NPY_HEAD_BYTES_MAX                                                                         \
    KIB(8) /* of a header that array files have; NumPy's own limit is 10,000 */

/* Read a header of `bytes` bytes, the file's beginning; elements may follow. OPIML_ECORRUPT, or
 * OPIML_ENOTSUP for types that have no counterpart here. */
int npy_parse(const uint8_t *data, uint64_t bytes, struct array *ret_array,
              struct opiml_error *err);

#endif
