/* A source whose bytes lie on another machine: it has names, and nothing can be read. */
#ifndef DATASET_ELSEWHERE_H
#define DATASET_ELSEWHERE_H

#include "dataset/source.h"

/* As the source of that other machine calls itself and its objects. `where` says which machine:
 * "node 192.0.2.7:50251". Whatever is asked of it fails with OPIML_ENOENT and says so. */
int elsewhere_open(const char *uri, const char *prefix, const char *where,
                   struct source **ret_source, struct opiml_error *err);
/* Whether data that could not be opened, with this code, may be there for another machine. */
bool elsewhere_may_be(int code);
bool elsewhere_is(const struct source *source);

#endif
