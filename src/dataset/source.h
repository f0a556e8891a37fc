/* Sources: where bytes lie. One file per source, source_*.c; the build writes the table. */
#ifndef DATASET_SOURCE_H
#define DATASET_SOURCE_H

#include "base/base.h"

/* What a source knows of one object. Lists are in bytewise order of `key`. */
struct source_object {
    const char *key; /* relative to the root, '/' between parts; never absolute, never with ".." */
    uint64_t bytes;
    uint64_t modified_ns;
};

struct source_listing {
    struct source_object *objects;
    size_t count;
    /* Every folder that was looked through, in bytewise order of key; the root's key is "". A
     * change to what a folder holds changes its modified_ns. For the root, whose own time changes
     * when an index is put there, `bytes` is a hash of the names in it instead, and modified_ns is
     * 0. */
    struct source_object *folders;
    size_t folder_count;
    void *memory; /* what the keys lie in */
};
void source_listing_release(struct source_listing *listing);
/* For those who make listings: keep a copy of `bytes` bytes of a key, with a closing zero, in
 * listing.memory; NULL when memory is out. join moves all that lies in `more` over. */
char *source_keep(void **memory, const char *key, size_t bytes);
void source_keep_join(void **memory, void *more);
/* ... compare two objects by key, for qsort; and put all in order. OPIML_EINVAL: one comes twice,
 * by what a user wrote (`uri`). */
int source_by_key(const void *a, const void *b);
int source_listing_sort(struct source_listing *listing, const char *uri, struct opiml_error *err);

/* What tells that an object is another than before. */
struct source_stamp {
    uint64_t bytes, modified_ns;
};

/* One range of one object. The caller owns it until source_wait returns it. */
struct source_read {
    uint32_t object; /* number given by source_bind */
    uint32_t bytes;  /* wanted */
    uint64_t offset;
    uint8_t *to;   /* 64-byte aligned; 4096 when the queue is direct */
    uint32_t room; /* at `to`; at least source_room(bytes) */
    bool whole;    /* the range is the whole object: a longer object is an error (stale) */
    uint32_t skip; /* out: the data start at to + skip, which is source_skip() */
    int result;    /* out: 0, or OPIML_ENOENT, OPIML_ESTALE (short, grown or modified), ...;
                      OPIML_ECANCELED: see failure */
    int errnum;    /* out: errno behind the result, 0 without one */
    /* out: a better reason than errnum's, or NULL; lies there as long as the source is open */
    const char *why;
    void *user;
};

/* Bytes that were read. */
struct source_bytes {
    const uint8_t *at;
    uint32_t bytes;
};

struct source;       /* an opened root: thread-safe */
struct source_queue; /* one thread's asynchronous reads */

struct source_ops {
    const char *name;   /* "file" */
    const char *scheme; /* "file"; URIs without a scheme are files */
    const char *alias;  /* another scheme that means the same; NULL: none */
    const char *help;
    const char *format; /* the one format of what lies here; NULL: any may */
    bool path;          /* what stands behind the scheme is a path, which counts from the base */
    /* Every byte has its price: a read takes nothing that lies between what is wanted. */
    bool exact;
    int (*open)(const char *uri, struct source **ret_source, struct opiml_error *err);
    void (*close)(struct source *source);
    /* Everything below the root (or the one object that it is), sorted; of a pattern what matches
     * it. Names that begin with a dot are left out. May block for long. */
    int (*list)(struct source *source, struct source_listing *ret_listing, struct opiml_error *err);
    /* A blocking read of a range, for indexing; short only at the end. Bytes or a negative code. */
    int64_t (*read)(struct source *source, const char *key, void *to, size_t bytes, uint64_t offset,
                    struct opiml_error *err);
    /* Size and time now; OPIML_ENOENT when it is gone. Folders too, as list tells of them (the
     * root's key is ""). ret_object->key is `key`. May block. */
    int (*stat)(struct source *source, const char *key, struct source_object *ret_object,
                struct opiml_error *err);
    int (*queue_open)(struct source *source, uint32_t depth, bool direct, void *buffers,
                      size_t buffers_bytes, struct source_queue **ret_queue,
                      struct opiml_error *err);
    void (*queue_close)(struct source_queue *queue);
    /* Takes up to `count` reads; returns how many (0: full, wait first). Never blocks. */
    uint32_t (*submit)(struct source_queue *queue, struct source_read *const *reads,
                       uint32_t count);
    /* Waits until a read is done, source_wake is called, or timeout_ns (UINT64_MAX: none) is over;
     * returns how many of `done` were filled: none, too, when it is time to call it again. */
    uint32_t (*wait)(struct source_queue *queue, struct source_read **done, uint32_t room,
                     uint64_t timeout_ns);
    void (*wake)(struct source_queue *queue); /* any thread; makes wait return, now or next time */
    /* By the thread that submits, before it ends: wait for reads in flight, or give them up, and
     * the source with them (abandoned). That thread must not end then, since the kernel would have
     * it wait for them. NULL: closing waits. */
    void (*settle)(struct source_queue *queue);
    /* Why reads came back with OPIML_ECANCELED: the source cannot be read any more, which is no
     * fault of any object's. Fills err and returns its code. NULL: such reads there are none. */
    int (*failure)(struct source *source, struct opiml_error *err);
};

struct source {
    const struct source_ops *ops;
    char *uri;    /* as the user wrote it, absolute */
    char *prefix; /* an object's URI is this followed by its key */
    char
        *local; /* the root's path in this machine's file system, a folder or one file; else NULL */
    bool single;     /* the root is one object */
    bool pattern;    /* the URI names several objects: "train-{000..099}.tar", "*.csv" */
    bool stamps_all; /* a folder's stamp changes with every object below it */
    /* Reads were given up that may still come: their memory, and what the source was told, stay. */
    _Atomic bool abandoned;
    _Atomic uint64_t cpu_ns; /* that threads of its queues took, which have ended */
    const char *(*key)(void *context, uint32_t object); /* set by source_bind */
    /* Set by source_bind_stamps; may be NULL. */
    struct source_stamp (*stamp)(void *context, uint32_t object);
    void *key_context;
};

/* Open by URI: "file:///data", "/data" or "data" (relative to `base`, a folder; NULL: the current).
 */
int source_open(const char *uri, const char *base, struct source **ret_source,
                struct opiml_error *err);
/* A file that the program has made itself, by its path: no client's word leads there. */
int source_open_own(const char *path, struct source **ret_source, struct opiml_error *err);
void source_close(struct source *source); /* NULL is fine */
/* Object numbers in reads mean what `key` says. Called once, before queues are opened. */
void source_bind(struct source *source, const char *(*key)(void *context, uint32_t object),
                 void *context);
/* What objects were like when they were indexed: a read that finds another size or time is stale
 * (OPIML_ESTALE), whatever it read. Same context and time as source_bind. */
void source_bind_stamps(struct source *source,
                        struct source_stamp (*stamp)(void *context, uint32_t object));
/* Open a queue: `depth` reads in flight; `direct` bypasses the page cache where the file system
 * can; `buffers` is where reads will land (registered with the kernel where that pays). */
int source_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                      size_t buffers_bytes, struct source_queue **ret_queue,
                      struct opiml_error *err);
/* Whether its bytes come over a network: from a store, or a file system of another machine. */
bool source_is_remote(const struct source *source);
/* Room that a read of that many bytes needs at its target. */
uint32_t source_room(uint32_t bytes, bool direct);
/* Where in that room the data begin: numbers that are aligned in their object are so in memory, and
 * reads whose targets lie as far from one another as their offsets give one run of bytes. */
static inline uint32_t source_skip(uint64_t offset, bool direct) {
    return (uint32_t)(offset % (direct ? 4096 : 64));
}
/* How many seconds a variable of the environment gives, from 1 to a day; `usual` when it is not
 * set. OPIML_EINVAL: it is no such number. */
int source_seconds(const char *variable, uint32_t usual, uint32_t *ret_seconds,
                   struct opiml_error *err);
/* A key as sources use them: relative, no empty, "." or ".." part, shorter than 4096 bytes. */
bool source_key_safe(const char *key);
/* All kinds, NULL-terminated, for help and completion. */
const struct source_ops *const *source_kinds(void);

/* In a process that serves others: from now on sources open only what lies in one of these folders
 * or below it (NULL at the end; none: nothing). A root with a scheme, "s3://bucket/folder", is for
 * sources of that scheme. Not while sources are being opened. */
#define SOURCE_ROOTS_MAX 16
/* In such a process: what others know as `uri` lies here below `path`, a folder (or is that file).
 * Roots are looked at as for the path. Not while sources are being opened. OPIML_EINVAL: no URI
 * with a scheme, or no absolute path. */
#define SOURCE_ALIASES_MAX 64
int source_alias(const char *uri, const char *path, struct opiml_error *err);
int source_confine(const char *const *roots, struct opiml_error *err);
bool source_is_confined(void); /* whether this is such a process */
/* For sources that open no file below a root by themselves: whether `path` is in one of the
 * folders, or, where it is NULL, the URI one of the roots. */
int source_check_confined(const char *uri, const char *path, struct opiml_error *err);

#endif
