/* Reading the headers of a tar archive: ustar, GNU long names and large sizes, pax paths and sizes.
 */
#ifndef DATASET_TAR_H
#define DATASET_TAR_H

#include "dataset/peek.h"

#define TAR_NAME_BYTES 4096
#define TAR_EXTRA_BYTES_MAX KIB(64) /* of one pax header or long name */

struct tar {
    struct peek peek;
    uint64_t bytes; /* of the archive */
    uint64_t at;    /* where the next header stands */
    char name[TAR_NAME_BYTES], long_name[TAR_NAME_BYTES];
    bool has_long_name, has_long_bytes;
    uint64_t long_bytes;
};

struct tar_member {
    const char *name; /* without "./" at its beginning; valid until the next call */
    char type;        /* '0' a file, '5' a folder, '1' and '2' links, ... */
    uint64_t offset;  /* of its data */
    uint64_t bytes;   /* all of them lie within the archive */
};

int tar_init(struct tar *tar, peek_read read, void *context, uint64_t bytes,
             struct opiml_error *err);
void tar_release(struct tar *tar);
/* 1: *ret_member is set; 0: the end, marked as such, with nothing but padding behind it; negative:
 * "at offset N: reason" in err. */
int tar_next(struct tar *tar, struct tar_member *ret_member, struct opiml_error *err);

#endif
