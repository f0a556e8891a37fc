/* NIfTI files, plain or compressed: parameters first, then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.nii", "1.nii", "2.nii", "3.nii", "4.nii",
                                       "5.nii", "6.nii", "7.nii", "8.nii", "9.nii"};

    records_fuzz("nifti", keys, data, size);
    return 0;
}
