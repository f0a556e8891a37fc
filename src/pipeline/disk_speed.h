/* How fast a folder's disk is read: a file without a name is written there and read back, past the
 * page cache where the file system can. Kept (measured.h). */
#ifndef PIPELINE_DISK_SPEED_H
#define PIPELINE_DISK_SPEED_H

#include "base/base.h"

#define DISK_SPEED_AGE_S 86400.0
#define DISK_SPEED_BYTES MIB(32) /* of the file */

/* Bytes in a second. Takes as long as to write and read the file. OPIML_EIO and others: that cannot
 * be done there. */
int disk_speed_measure(const char *folder, double *ret_bytes_per_s, struct opiml_error *err);
/* What is kept, unless it is to be measured `anew`; else measured and kept. The folder is made when
 * missing. 0: it cannot be measured. */
double disk_speed_recall(const char *folder, bool anew);

#endif
