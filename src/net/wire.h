/* What links over connections say to one another: 32 bytes, little-endian, before each part of a
 * frame, and alone for credits and the end.
 *
 *   frame    sender    `number` counts frames from 0 on every stripe; `bytes` is the whole frame's.
 *                      Behind it comes the stripe's part, which wire_part tells
 *   credit   receiver  memory number `number` was posted, of `bytes`; on the first stripe
 *   end      sender    after `number` frames, on every stripe; `code` is 0 or why, and on the first
 *                      stripe `bytes` of text follow
 *   beat     sender    it is there, and has nothing to send yet; before frame `number`
 *
 * Where memory is shared, `stripe` says the place in it instead: nothing stands behind a frame,
 * which lies there, and a credit gives a place back. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "base/base.h"

#define WIRE_MAGIC 0x4b4c504fu /* "OPLK" */
#define WIRE_STRIPES_MAX 16
#define WIRE_DEPTH_MAX 64
#define WIRE_PLACES_MAX 256 /* of shared memory */
#define WIRE_TEXT_MAX 1019
/* Frames of up to so many bytes go over one stripe, and parts of larger ones have at least as many:
 * smaller ones cost more in calls than they gain. */
#define WIRE_PART_LEAST (256 * 1024)

/* What a consumer says first on each connection to a node's data port, 64 bytes: whose it is. */
#define WIRE_HELLO_MAGIC 0x484c504fu /* "OPLH" */
#define WIRE_VERSION 3
#define WIRE_TICKET_BYTES 32
#define WIRE_SHARED                                                                                \
    UINT16_MAX /* in place of a stripe: frames are to come through shared memory                   \
                */
#define WIRE_UCX (UINT16_MAX - 1) /* likewise: through UCX, and what is said of them here */
struct wire_hello {
    uint32_t magic;
    uint16_t version, stripe;
    uint8_t ticket[WIRE_TICKET_BYTES], reserved[24];
};

/* What who shares memory says first, its descriptor beside it. */
#define WIRE_MEMORY_MAGIC 0x4d4c504fu /* "OPLM" */
struct wire_memory {
    uint32_t magic;
    uint16_t version, places;
    uint64_t place_bytes;
};

/* What the receiver says first where frames come through UCX; behind it stands its address, which
 * only UCX reads. Credits and the end follow on this connection. */
#define WIRE_UCX_MAGIC 0x554c504fu /* "OPLU" */
#define WIRE_KEY_BYTES 32
#define WIRE_ADDRESS_MAX KIB(16)
struct wire_address {
    uint32_t magic;
    uint16_t version, reserved;
    uint32_t bytes, reserved_too;
    uint8_t key[WIRE_KEY_BYTES]; /* that it knows the sender's messages by */
};

enum wire_kind { WIRE_FRAME = 1, WIRE_CREDIT, WIRE_END, WIRE_BEAT };

struct wire {
    uint32_t magic;
    uint16_t kind, stripe;
    uint64_t number, bytes;
    int32_t code;
    uint32_t reserved;
};

static inline struct wire wire_make(enum wire_kind kind, uint32_t stripe, uint64_t number,
                                    uint64_t bytes) {
    return (struct wire){.magic = WIRE_MAGIC,
                         .kind = (uint16_t)kind,
                         .stripe = (uint16_t)stripe,
                         .number = number,
                         .bytes = bytes};
}

/* What stands before each frame that goes through UCX, where anybody may send something. */
struct wire_message {
    struct wire frame;
    uint8_t key[WIRE_KEY_BYTES];
};
/* An end's number where frames before it are lost: no more of them come. */
#define WIRE_LOST UINT64_MAX

struct wire_part {
    uint64_t offset, bytes;
};
/* The part of a frame that a stripe carries: a pure function, so that nobody needs to send it. */
struct wire_part wire_part(uint64_t number, uint64_t frame_bytes, uint32_t stripe,
                           uint32_t stripes);

/* Whether `wire` may stand here: of this kind, on this stripe, of this number and with at most so
 * many bytes behind it. OPIML_ECORRUPT says what is wrong; OPIML_ELIMIT when it is too large. */
int wire_check(const struct wire *wire, enum wire_kind kind, uint32_t stripe, uint64_t number,
               uint64_t most_bytes, struct opiml_error *err);
/* Whether two keys, or tickets, are the same: in one time, whatever they have in common. */
bool wire_same(const uint8_t *a, const uint8_t *b, size_t bytes);
/* What the receiver returns for an end that was looked at, and the text behind it: 0, or the
 * sender's failure. Codes that a link says of itself become OPIML_EIO. */
int wire_end(const struct wire *end, const char *text, struct opiml_error *err);

#endif
