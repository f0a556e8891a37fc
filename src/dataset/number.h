/* Numbers as text files have them, read alike on every machine and in every locale. */
#ifndef DATASET_NUMBER_H
#define DATASET_NUMBER_H

#include <locale.h>

#include "base/base.h"

/* Leave out blanks and tabs on both sides. */
void number_trim(const uint8_t **at, uint32_t *bytes);
/* A whole number, with blanks around it; false for anything else. */
bool number_i64(const uint8_t *at, uint32_t bytes, int64_t *ret_number);
/* The bits of an f64, or with `narrow` of an f32 that was rounded once: decimal, or nan or inf in
 * any case; nothing at all is nan, of which there is one. False for what is no number, or none of
 * that type. `locale` is number_locale's. */
bool number_float(const uint8_t *at, uint32_t bytes, bool narrow, locale_t locale,
                  uint64_t *ret_bits);
int number_hex_digit(char c); /* its value; -1: it is none */
locale_t number_locale(void); /* "C"; to be given to freelocale */

#endif
