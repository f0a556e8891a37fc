/* Fields as people declare them: "image:u8:32x32x3", "label:i32", "tokens:u16:*". */
#ifndef DATASET_FIELDS_H
#define DATASET_FIELDS_H

#include <opiml/op.h>

/* Append each of the list. With `max_bytes` a dimension may be '*', which varies from record to
 * record, up to so many bytes of a value; 0: none may. OPIML_EINVAL names the entry at fault. */
int fields_add(struct opiml_schema *schema, const struct opiml_text_list *list, uint64_t max_bytes,
               struct opiml_error *err);

/* The same where values of the format may vary in one dimension: most bytes of one follow from its
 * type and from those of the largest record. */
int fields_add_varying(struct opiml_schema *schema, const struct opiml_text_list *list,
                       uint64_t (*most)(uint32_t dtype, uint64_t record_bytes),
                       uint64_t record_bytes, struct opiml_error *err);

/* Order names as records without a declared order have them: "image" and "label" first, the others
 * bytewise. For qsort of char[OPIML_NAME_BYTES]. */
int fields_by_name(const void *a, const void *b);

#endif
