/* Ids of a node's resources, as OPI has them. */
#ifndef NODE_ID_H
#define NODE_ID_H

#include "base/base.h"

#define ID_MAX 63

/* 4 to 63 of a-z, 0-9 and -, beginning with a letter; or "", for the server to make one. Else
 * OPIML_EINVAL. */
int id_check(const char *id, struct opiml_error *err);
/* One that nobody has: a letter, and 32 random digits. */
int id_make(char letter, char to[ID_MAX + 1], struct opiml_error *err);

#endif
