/* Looking through a folder and all folders below it, by several threads. */
#ifndef DATASET_WALK_H
#define DATASET_WALK_H

#include <sys/stat.h>

#include "dataset/pattern.h"
#include "dataset/source.h"

/* Open a path below `root` (a descriptor of a folder) that never leaves it: no "..", and no link
 * that leads out. "" is the root itself. A descriptor, or a negative errno: EXDEV for a link that
 * leads out of the root. */
int walk_open(int root, const char *path, int flags);
/* The same where there is no openat2 (kernels before 5.6, some sandboxes and emulators): looks
 * where a path led before it is opened. walk_open goes over to it by itself. */
int walk_open_checked(int root, const char *path, int flags);

/* Everything below `root` as source_listing says; with a pattern (else NULL) the files that match
 * it, and only the folders that it leads into are looked through. Links to files are followed as
 * long as they stay below the root; a link to a folder is an error, so that no walk can loop. Names
 * that begin with a dot and what is neither file nor folder are left out. `name` stands for the
 * root in messages. Up to `threads` threads. */
int walk_folder(int root, const char *name, const struct pattern *pattern, uint32_t threads,
                struct source_listing *ret_listing, struct opiml_error *err);
/* The hash of the names in the root: of names and kinds, in any order. */
int walk_names_hash(int root, const char *name, uint64_t *ret_hash, struct opiml_error *err);
/* What the listing says of an object; a link is followed within the root. Negative errno on
 * failure: ENODEV for what is neither file nor folder. */
int walk_stat(int root, const char *path, struct source_object *ret_object, bool *ret_folder);

/* A file's time as listings have it. */
static inline uint64_t walk_modified_ns(const struct stat *stat) {
    return (uint64_t)stat->st_mtim.tv_sec * 1000000000u + (uint64_t)stat->st_mtim.tv_nsec;
}

#endif
