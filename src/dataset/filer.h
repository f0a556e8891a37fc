/* File systems that go away: servers that do not answer, mounts that are gone and come back,
 * handles that have become stale. A queue over one of the file source's, which tries such reads
 * again, and in the end says that the whole source cannot be read. */
#ifndef DATASET_FILER_H
#define DATASET_FILER_H

#include "dataset/source_file.h"

/* Takes `inner` on success. A read that fails because its file system is not there is tried again,
 * with growing pauses, its file and if need be the source's folder opened anew, for
 * OPIML_FILER_TIMEOUT seconds (else 60); where another object can still be read, only a few times:
 * then it fails alone. Else it, and all others after it, are OPIML_ECANCELED, and filer_failure
 * says why. So they are when a file
 * system of another machine gives no answer at all for as long. OPIML_EINVAL: no such time. */
int filer_queue_open(struct file_source *source, uint32_t depth, struct source_queue *inner,
                     struct source_queue **ret_queue, struct opiml_error *err);
/* As source_ops has them. */
void filer_settle(struct source_queue *queue);
int filer_failure(struct source *source, struct opiml_error *err);
/* Whether an errno says that a file system is not there, rather than a file. EIO does where the
 * file system is another machine's. */
bool filer_is_lost(int errnum, bool remote);
/* What to do about it, to stand behind an errno's text; "" where there is nothing to say. */
const char *filer_remedy(int errnum);

#endif
