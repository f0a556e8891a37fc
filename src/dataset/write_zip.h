/* The structure of a zip archive (PKWARE APPNOTE 6.3, 4.3): what stands before, between and behind
 * the members' bytes. Sizes and offsets that 32 bits do not hold go into the zip64 extra field
 * (4.5.3). */
#ifndef DATASET_WRITE_ZIP_H
#define DATASET_WRITE_ZIP_H

#include "base/text.h"
#include "dataset/zip.h"

#define WRITE_ZIP_CRC_AT 14 /* where the CRC stands in a local header */

/* {.limit = UINT32_MAX}. */
struct write_zip {
    uint64_t limit; /* numbers from here on are zip64; tests lower it */
    uint64_t count;
    bool large; /* some member is zip64 */
    struct text directory;
};

/* The local header of a member at member->offset, which is here that of the header. */
void write_zip_local(const struct write_zip *zip, const struct zip_member *member, struct text *to);
/* The same member into the directory, once its CRC is known. */
void write_zip_add(struct write_zip *zip, const struct zip_member *member);
/* The directory and the end, which begin at `offset`. */
void write_zip_end(struct write_zip *zip, uint64_t offset, struct text *to);
void write_zip_release(struct write_zip *zip);

#endif
