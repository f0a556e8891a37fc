/* Inside the file source: what its root, its io_uring queue and its queue of plain reads share. */
#ifndef DATASET_SOURCE_FILE_H
#define DATASET_SOURCE_FILE_H

#include <pthread.h>

#include "dataset/source.h"

struct file_source {
    struct source base;
    int root;     /* descriptor of the folder that no path leaves */
    char *folder; /* its path */
    bool own;     /* the program's own file: none of those that are served */
    char *object; /* the one key, or the pattern below the folder; NULL: everything */
    pthread_mutex_t lock;
    struct opiml_error failure; /* under the lock: why nothing can be read any more; see filer.h */
};

/* The source's folder, opened by its path; a descriptor, or a negative code. Served folders are
 * looked at as when the source was opened. */
int file_root_open(const struct file_source *file, struct opiml_error *err);

/* What a queue of either kind can do; see source_ops. */
struct source_queue {
    void (*close)(struct source_queue *queue);
    uint32_t (*submit)(struct source_queue *queue, struct source_read *const *reads,
                       uint32_t count);
    uint32_t (*wait)(struct source_queue *queue, struct source_read **done, uint32_t room,
                     uint64_t timeout_ns);
    void (*wake)(struct source_queue *queue);
    /* The object's descriptors are not used for what is submitted from now on. */
    void (*forget)(struct source_queue *queue, uint32_t object);
    /* Give back up to `room` reads and drop all others: what the kernel does with any of them is
     * not looked at any more, but may still be done. Then only wait, wake; never close. */
    uint32_t (*abandon)(struct source_queue *queue, struct source_read **done, uint32_t room);
};

/* io_uring. OPIML_ENOTSUP when the kernel does not allow it here. */
int file_ring_open(struct file_source *source, uint32_t depth, bool direct, void *buffers,
                   size_t buffers_bytes, struct source_queue **ret_queue, struct opiml_error *err);
/* Plain reads by a few threads. */
int file_pool_open(struct file_source *source, uint32_t depth, bool direct,
                   struct source_queue **ret_queue, struct opiml_error *err);

/* One read as a range of a file: with O_DIRECT it starts and ends at borders of 4096 bytes. What is
 * wanted lands where source_skip says, also where a direct queue has to do without. */
struct file_plan {
    uint64_t begin; /* file offset of the first byte read */
    uint32_t lead;  /* where it lands, from `to` */
    uint32_t skip;  /* where the first byte wanted lands */
    uint64_t ask;   /* bytes to ask for: one more than needed when a longer object is an error */
    uint64_t need;  /* bytes that must come */
};
struct file_plan file_plan_read(const struct source_read *read, bool asked_direct, bool direct);
/* When no more bytes will come: fill the read's results from the `got` bytes that did. */
void file_finish_read(const struct file_source *source, struct source_read *read,
                      const struct file_plan *plan, uint64_t got);
/* Close a descriptor, if it is one, and forget it. */
static inline void file_shut(int *fd) {
    base_close_fd(fd);
    *fd = -1;
}
/* The code for an errno of an open or a read. */
int file_code(int errnum);
/* Fails a read whose object is another than when it was indexed, or cannot be looked at any more;
 * asked after it was read, so that what was read is what was indexed. `fd` is its descriptor, or
 * -1: then its path is looked at, which is in the kernel's memory since the object was opened by
 * it. */
void file_check(const struct file_source *source, struct source_read *read, int fd);

#endif
