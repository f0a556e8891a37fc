/* The table of operators: built-in ones and those of shared objects on OPIML_OP_PATH. */
#ifndef OP_REGISTRY_H
#define OP_REGISTRY_H

#include <stdbool.h>

#include <opiml/op.h>

/* Every operator, NULL-terminated, built-in ones first. Users' objects are loaded at the first call
 * (from any thread; the answer stays the same for the life of the process); op_load_error says what
 * went wrong with the first of them that was left out (NULL: nothing). */
const struct opiml_op *const *op_list(void);
const struct opiml_op *op_find(const char *name); /* NULL when there is none */
const char *op_load_error(void);
/* Version and codec of an implementation: tiers whose ids differ do not share the operator. */
uint64_t op_implementation(const struct opiml_op *op);
/* Check a table for the mistakes a user can make; a one-line reason, or NULL when it is fine. The
 * reason is a constant. */
const char *op_table_problem(const struct opiml_op *op);

#define OP_TABLE_MAX 256        /* operators, built-in and users' */
#define OP_OBJECTS_MAX 64       /* shared objects of users */
#define OP_OBJECT_OPS_MAX 64    /* operators in one of them */
#define OP_PATH_BYTES_MAX 16384 /* of OPIML_OP_PATH */

/* What op_list hands out, for those who want a table of their own. */
struct op_table {
    const struct opiml_op *ops[OP_TABLE_MAX + 1]; /* NULL-terminated */
    size_t count;
    void *objects[OP_OBJECTS_MAX]; /* dlopen's handles, in order of loading */
    size_t object_count;
    char problem[1024]; /* the first one met; empty: none */
};

/* Fill *table with the built-in operators and those of `path`: shared objects and folders of them
 * (every *.so, in bytewise order of names), divided by ':'; NULL or empty: none. What cannot be
 * loaded, has a problem or a name that is taken is left out and told in `problem`. Runs the
 * objects' constructors, as dlopen does: the path must be as trusted as the program. */
void op_table_init(struct op_table *table, const char *path);
/* Closes the objects, whose operators must no longer be in use. */
void op_table_release(struct op_table *table);

#endif
