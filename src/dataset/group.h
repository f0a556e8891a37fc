/* Files that make records together: "image:imagesTr/" + "*" + ".nii.gz" and the label of the same
 * name elsewhere. */
#ifndef DATASET_GROUP_H
#define DATASET_GROUP_H

#include <opiml/op.h>

#include "dataset/source.h"

struct group {
    uint32_t parts;
    char names[OPIML_LIST_MAX][OPIML_NAME_BYTES]; /* of the parts' fields, in the order of `list` */
    size_t count;                                 /* of records, in bytewise order of their keys */
    const char **keys; /* what '*' stands for, in the listing's keys; empty without one */
    uint32_t *key_bytes;
    uint32_t *objects; /* parts × count: numbers in the listing */
};

/* `list`: NAME:PATTERN each; one '*' in a pattern stands for a record's key, the same in each part;
 * a pattern without one is a file's name, and there is one record. An empty list: each file is a
 * record with one field, `name`. A record that lacks a part is an error that names it. */
int group_make(struct group *group, const struct source *source,
               const struct source_listing *listing, const struct opiml_text_list *list,
               const char *name, struct opiml_error *err);
void group_release(struct group *group);

#endif
