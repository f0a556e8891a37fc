/* What operators' checks ask of their input fields, with messages that help. */
#ifndef OP_FIELD_H
#define OP_FIELD_H

#include <opiml/op.h>

/* The parameter that names the field an operator works on; stands in most tables. */
#define OP_FIELD_PARAM(type, preset)                                                               \
    { "field", preset, "Field to work on", offsetof(type, field), OPIML_PARAM_TEXT, NULL, 0, 0 }

/* The field's index. OPIML_EINVAL when there is none: the message has `param`, the nearest field
 * and all of them. */
int op_field_find(const struct opiml_schema *schema, const char *param, const char *name,
                  uint32_t *ret_index, struct opiml_error *err);
/* The same, and it must be an image: [height, width, channels] of u8 with a fixed number of
 * channels (1 to 4). */
int op_field_image(const struct opiml_schema *schema, const char *name, uint32_t *ret_index,
                   struct opiml_error *err);
/* Uniform in [0, bound) from exactly one draw, so that an operator takes the same number of draws
 * whatever comes out (opiml_rng_below may take more). Off uniform by at most bound / 2^32. */
static inline uint32_t op_draw_below(struct opiml_rng *rng, uint32_t bound) {
    return (uint32_t)((uint64_t)opiml_rng_u32(rng) * bound >> 32);
}

#endif
