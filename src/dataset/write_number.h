/* Numbers as text, in the fewest digits that read back as the same bits. */
#ifndef DATASET_WRITE_NUMBER_H
#define DATASET_WRITE_NUMBER_H

#include <opiml/batch.h>

#include "base/text.h"

/* Append an element of any type but f16 and bf16. NaN and infinities are "nan", "inf" and "-inf".
 * The thread's locale has to be "C". */
void write_number(struct text *to, uint32_t dtype, const uint8_t *at);
/* Whether a float's bits are such that text can hold them: a number, an infinity, or the one NaN.
 * Other types always are. */
bool write_plain_float(uint32_t dtype, const uint8_t *at, bool *ret_finite);

#endif
