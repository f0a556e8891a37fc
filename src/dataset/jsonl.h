/* JSON objects read where they lie (RFC 8259), a line each: members, texts, numbers and arrays of
 * numbers, without making a tree of them. */
#ifndef DATASET_JSONL_H
#define DATASET_JSONL_H

#include <opiml/batch.h>

#include "dataset/number.h"

#define JSONL_DEPTH_MAX 64

enum jsonl_kind { JSONL_NULL, JSONL_BOOL, JSONL_NUMBER, JSONL_TEXT, JSONL_ARRAY, JSONL_OBJECT };

/* A value's text, of the row: a text's without its quotes, an array's with its brackets. */
struct jsonl_value {
    enum jsonl_kind kind;
    const uint8_t *at;
    uint32_t bytes;
    bool escaped; /* a text with escapes, for jsonl_text */
};

struct jsonl {
    const uint8_t *at, *end;
    bool begun;
};

void jsonl_init(struct jsonl *row, const uint8_t *data, uint32_t bytes);
/* The next member of the row's object: 1, 0 at its end, with nothing behind it, or OPIML_ECORRUPT.
 */
int jsonl_next(struct jsonl *row, struct jsonl_value *ret_key, struct jsonl_value *ret_value,
               struct opiml_error *err);

/* A text without its escapes; `to` has value->bytes bytes. The bytes written, or OPIML_ECORRUPT. */
int64_t jsonl_text(const struct jsonl_value *value, uint8_t *to, struct opiml_error *err);

/* The shape of numbers: none for one alone, else of arrays in arrays of the same size. */
struct jsonl_shape {
    uint32_t ndim;
    int64_t size[OPIML_MAX_DIMS];
    uint64_t count; /* of numbers */
    bool whole;     /* all of them are whole numbers, or booleans */
};
/* Go through a number, a boolean or an array of them, and store the numbers, those past `room`
 * excepted, as `dtype` (0: store none). OPIML_ECORRUPT for others, for ragged arrays, and for what
 * the type cannot hold. */
int jsonl_numbers(const struct jsonl_value *value, uint32_t dtype, void *to, uint64_t room,
                  locale_t locale, struct jsonl_shape *ret_shape, struct opiml_error *err);

#endif
