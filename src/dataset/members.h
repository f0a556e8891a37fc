/* Files that hold several named arrays (.npz, safetensors): what their formats share. */
#ifndef DATASET_MEMBERS_H
#define DATASET_MEMBERS_H

#include "base/text.h"
#include "dataset/arrays.h"

struct members_ops {
    const char *one; /* what a member is called: "tensor" */
    bool bare;       /* pieces are elements alone */
    int (*open)(struct source *source, const struct source_object *object, const void *params,
                void **ret_file, struct opiml_error *err);
    void (*close)(void *file);
    /* The i-th member's name, as a field's; false past the last. Empty: it is no array. */
    bool (*name)(void *file, size_t i, const char **ret_name, size_t *ret_bytes);
    /* Append what there is where no member has a name, as an error says it. NULL: "it holds no"
     * members. */
    void (*none)(void *file, struct text *to);
    /* Of the member of that name: its piece but the object, and its array; arrays_complete'd.
     * OPIML_ENOENT when there is none. */
    int (*look)(void *file, const char *name, struct arrays_part *part, struct opiml_error *err);
};

/* Each file is a record whose fields are these members, or without a list all those of the first
 * sound file; with `rows` each row that they have in common. Damaged files become bad records. */
int members_build(const struct members_ops *ops, struct source *source,
                  const struct source_listing *listing, const void *params,
                  const struct opiml_text_list *fields, bool rows, struct index_draft *draft,
                  struct opiml_error *err);

#endif
