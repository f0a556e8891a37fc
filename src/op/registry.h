/* The table of operators: built-in ones and those of shared objects on OPIML_OP_PATH. */
#ifndef OP_REGISTRY_H
#define OP_REGISTRY_H

#include <opiml/op.h>

/* Every operator, NULL-terminated, built-in ones first. Users' objects are loaded at the first call;
 * op_load_error says what went wrong with one of them (NULL: nothing), and they are left out. */
const struct opiml_op *const *op_list(void);
const struct opiml_op *op_find(const char *name); /* NULL when there is none */
const char *op_load_error(void);
/* Version and codec of an implementation: tiers whose ids differ do not share the operator. */
uint64_t op_implementation(const struct opiml_op *op);
/* Check a table for the mistakes a user can make; a one-line reason, or NULL when it is fine. */
const char *op_table_problem(const struct opiml_op *op);

#endif
