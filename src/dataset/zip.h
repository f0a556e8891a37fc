/* The directory of a zip archive (PKWARE APPNOTE 6.3, with its zip64 fields): where members lie. */
#ifndef DATASET_ZIP_H
#define DATASET_ZIP_H

#include "dataset/peek.h"

#define ZIP_MEMBERS_MAX 65536
#define ZIP_DIRECTORY_BYTES_MAX MIB(64)

enum { ZIP_STORED = 0, ZIP_DEFLATED = 8 }; /* methods */

struct zip_member {
    char *name;
    uint32_t method, crc;
    uint64_t offset; /* of its data */
    uint64_t bytes;  /* as stored; all of them lie within the archive */
    uint64_t full;   /* uncompressed */
};

struct zip {
    struct zip_member *members;
    size_t count;
};

/* Read the directory of an archive of so many bytes. OPIML_ECORRUPT with "at offset N",
 * OPIML_ENOTSUP for members that are encrypted. */
int zip_open(struct zip *zip, struct peek *peek, uint64_t bytes, struct opiml_error *err);
void zip_release(struct zip *zip);

#endif
