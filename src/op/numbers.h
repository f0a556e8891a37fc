/* Fields of numbers that leave as f32: what the operators on intensities share. */
#ifndef OP_NUMBERS_H
#define OP_NUMBERS_H

#include <opiml/op.h>

#define NUMBERS_CHUNK 1024 /* at once, on the stack */

/* Find the field and make it f32 in what leaves. Whole numbers and f32 or f64, of any shape, or
 * OPIML_EINVAL. */
int numbers_check(const char *name, const struct opiml_schema *in, struct opiml_op_shape *shape,
                  uint32_t *ret_index, struct opiml_error *err);
/* Whether numbers_load takes elements of a type. */
bool numbers_takes(uint32_t dtype);
/* Set the output's shape and bytes; returns its elements. */
size_t numbers_begin(struct opiml_op_call *call, uint32_t index);
/* Elements at any address as f32, rounded to nearest even where they do not fit; a NaN stays one.
 */
void numbers_load(uint32_t dtype, const uint8_t *from, size_t n, float *to);
/* A list of one or two numbers, as a range; OPIML_EINVAL when the second is below the first. */
int numbers_range(const char *param, const struct opiml_f64_list *list, double ret[2],
                  struct opiml_error *err);
/* A number drawn from a range: one draw. */
float numbers_draw(struct opiml_rng *rng, const double range[2]);

#endif
