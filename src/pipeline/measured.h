/* What was measured on this machine, kept in the user's cache folder so that it need not be
 * measured at every start: values by name, with when. A file that cannot be read is none, and one
 * that cannot be written is no failure: it is only slower. Any thread, and any number of processes:
 * of two that write at once one may be forgotten. */
#ifndef PIPELINE_MEASURED_H
#define PIPELINE_MEASURED_H

#include "base/json.h"

#define MEASURED_BYTES_MAX MIB(1) /* of the file */
#define MEASURED_VALUES_MAX 256   /* in it; the oldest go */
#define MEASURED_NAME_BYTES 96

/* A value that is at most so old; NULL: there is none. The caller frees it. */
struct js *measured_find(const char *name, double most_age_s, double *ret_age_s);
/* Keep a value, an object or an array, which is taken. */
void measured_put(const char *name, struct js *value);
/* What all names that hold for this machine alone end in: its processors and this opiml. */
uint64_t measured_machine(void);

#endif
