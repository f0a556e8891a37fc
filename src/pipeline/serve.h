/* One feed for all consumers of a host: a process makes the host's slice of every batch, once, with
 * one set of threads, reads, links and caches, and one plan of where rows are made; the consumers,
 * ranks that follow one another, get their slices of it through memory that both see. This is the
 * side that serves; join.h is the consumer's. Both are of one user.
 *
 * Consumers say where they begin, all alike, so a round begins when all have come, and ends when
 * each has what it asked for or has gone. */
#ifndef PIPELINE_SERVE_H
#define PIPELINE_SERVE_H

#include <opiml/feed.h>

#include "base/base.h"

#define SERVE_CONSUMERS_MAX 256
#define SERVE_NAME_MAX 63
#define SERVE_PLACES 3 /* slices of a consumer: one is read, one waits, one is made */

/* ---- what both sides say, in this order; fixed size, of one machine and version ---- */

#define SERVE_MAGIC 0x5653504fu /* "OPSV" */
#define SERVE_VERSION 1

enum serve_wish {
    SERVE_BATCHES, /* is answered with a welcome, when all have come */
    SERVE_INDEX    /* of data set `dataset`: with a struct handed_index, at once */
};

struct serve_hello {
    uint32_t magic, version;
    uint32_t wish, dataset;
    uint32_t rank, world;
    uint64_t pipeline, fingerprint; /* hashes of what is asked for */
    uint64_t first, batches;        /* counted over epochs; UINT64_MAX: without end */
    char token[OPIML_TOKEN_BYTES];  /* that it goes on from; "": from the start */
};

struct serve_welcome {
    uint32_t magic, version;
    int32_t code; /* 0: a link's memory of place_bytes comes next; else why not */
    uint32_t reserved;
    uint64_t place_bytes;
    char why[512];
};

/* Fill in the abstract socket's address. OPIML_EINVAL: not a name of letters, digits, '.', '_' and
 * '-', of up to SERVE_NAME_MAX. */
struct sockaddr_un;
int serve_address(const char *name, struct sockaddr_un *ret_address, uint32_t *ret_bytes,
                  struct opiml_error *err);
/* Whether who is at the other end of a connection is of this process's user, or root. */
bool serve_same_user(int fd);

/* ---- the side that serves ---- */

struct serve;

/* What the consumers of a round have asked for, alike. */
struct serve_round {
    uint32_t rank, world; /* the host's, among hosts: its feed's */
    uint64_t first, batches;
    char token[OPIML_TOKEN_BYTES];
};

/* Be there under a name, for so many consumers (1 to SERVE_CONSUMERS_MAX). OPIML_EBUSY: another
 * process serves under it. */
int serve_open(const char *name, uint32_t consumers, struct serve **ret_serve,
               struct opiml_error *err);
/* Wait for all consumers of the next round. One that asks for something else than the others is
 * told so and turned away. OPIML_ECANCELED after serve_cancel. */
int serve_gather(struct serve *serve, const struct opiml_pipeline *pipeline,
                 struct serve_round *ret_round, struct opiml_error *err);
/* Give them the batches of a feed that stands at round->first, for this host's rank and world.
 * Returns 0 when nobody is left who wants more; *ret_batches have been taken from the feed by then,
 * however it ends. A failure of the feed is told to the consumers. */
int serve_run(struct serve *serve, const struct opiml_pipeline *pipeline,
              const struct serve_round *round, struct opiml_feed *feed, uint64_t *ret_batches,
              struct opiml_error *err);
/* Instead of serve_run: there will be no feed. */
void serve_refuse(struct serve *serve, const struct opiml_error *why);
/* Wake serve_gather, and serve_run where it waits for a consumer; its feed is to be cancelled, too.
 * Any thread; async-signal-safe. */
void serve_cancel(struct serve *serve);
void serve_close(struct serve *serve); /* NULL is fine */

#endif
