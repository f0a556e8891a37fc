/* Routes: who makes which rows of each batch, and how far, before the consumer's stage takes them.
 */
#ifndef PIPELINE_ROUTE_H
#define PIPELINE_ROUTE_H

#include "batch/frame.h"
#include "net/link.h"

#define ROUTES_MAX 16
#define SHARE_SIZES_MAX 8
#define SHARE_CLASSES_MAX 32 /* sizes, for each set of holders */
#define SHARE_WHOLE 65536
#define ROUTE_FROM_BYTES 320

/* A class of records, by who holds them and the bytes that they are stored in. Classes come in
 * groups of the same holders. A record is of the first group all of whose nodes hold it, and in
 * that of the first class that is large enough; of those, the share has the ones whose number falls
 * into [first, end) of SHARE_WHOLE: so many neighbours, that are better read at once, together. */
struct share_class {
    uint64_t bytes_max;
    uint32_t first, end;
    uint32_t holders;  /* a bit for each node, as dataset_holders has them; 0: whoever does */
    uint32_t together; /* 0 is 1 */
};

/* Some of the rows. Which ones follows from the record alone, so that both ends of a link find the
 * same, and a record goes the same way in every epoch. */
struct share {
    uint32_t classes; /* 0: all rows */
    struct share_class class[SHARE_CLASSES_MAX];
};

/* A record, as far as its way follows from it. */
struct share_record {
    uint64_t sample; /* its number among those of all data sets */
    uint64_t bytes;  /* that it is stored in; not looked at where all classes are of one size */
    uint32_t holders;
};

/* OPIML_EINVAL: too many classes, out of order, or a range that is none. */
int share_check(const struct share *share, struct opiml_error *err);
/* The class of a record; the count of classes: it has none. */
uint32_t share_find(const struct share *share, const struct share_record *record);
/* Whether a share has a record. */
bool share_has(const struct share *share, const struct share_record *record);

struct route {
    struct link *link;    /* the receiving end; NULL: the stage reads these rows itself */
    uint32_t cut;         /* operators that ran before they arrive; 0 without a link */
    uint32_t depth;       /* of the link */
    uint64_t frame_bytes; /* its largest frame */
    struct share share;
    struct frame_origin origin;  /* of its frames: others are refused */
    char from[ROUTE_FROM_BYTES]; /* what messages about it begin with; "": its taker says */
};

struct routes {
    uint32_t count;
    struct route route[ROUTES_MAX];
};

/* What the station of a route's link is called. */
#define ROUTE_NAME_BYTES 16
char *route_name(uint32_t route, char to[ROUTE_NAME_BYTES]);
/* The first route that has a record; the count when none has. */
uint32_t routes_find(const struct routes *routes, const struct share_record *record);
/* Whether every record that has a class has exactly one route: their classes are the same, the
 * ranges of each class make up the whole, and each group has a class for every size. */
bool routes_cover(const struct routes *routes);

#endif
