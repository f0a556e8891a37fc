/* What the verbs of `opiml pki` share. */
#ifndef APP_PKI_H
#define APP_PKI_H

#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "tls/authority.h"
#include "verb.h"

int64_t pki_now(void); /* seconds since 1970 */
/* Show the certificate in a file, judged by the CA's (NULL: not judged): as text, or into `list`
 * when it is not NULL. */
int pki_show(const char *path, const char *ca, struct js *list, struct opiml_error *err);
/* The same for one that was just made, as text or as JSON. `ca` NULL: it is the CA's own. */
int pki_show_made(const char *path, const char *ca, bool json, struct opiml_error *err);

#endif
