/* Encoded pictures → rows of RGB, whatever the format. The format is told by the first bytes. */
#ifndef OP_CODEC_H
#define OP_CODEC_H

#include "base/base.h"

#define CODEC_CHANNELS 3     /* red, green, blue; u8 */
#define CODEC_SIDE_MAX 65500 /* pixels of a side, libjpeg's own limit */
#define CODEC_PAD 64         /* bytes behind a row that its receiver may read */

/* What a file's header says. */
struct codec_picture {
    uint32_t width, height;
    uint64_t memory_bytes; /* held while rows are read, beyond a few rows: to be charged */
    bool reducible;        /* rows can come reduced by 2, 4 or 8 */
};

/* Which rows are wanted. Coordinates are those of the reduced picture, whose sides are rounded up.
 */
struct codec_window {
    uint32_t reduction; /* 1; 2, 4, 8 only where the picture is reducible */
    uint32_t left, right, top, bottom;
    bool plain; /* the simple way: no column or row is left out of decoding. The bytes are the same
                 */
    /* Where the rows go. With `to`: there, `stride` bytes apart; nothing is written behind the last
     * pixel of a row. Else to `row`, one by one from the top; true says that it wants no more. */
    uint8_t *to;
    size_t stride;
    bool (*row)(void *context, const uint8_t *row);
    void *context;
};

struct codec; /* one thread's; holds the libraries' memory from picture to picture */

int codec_create(struct codec **ret_codec, struct opiml_error *err);
void codec_destroy(struct codec *codec); /* NULL is fine */
/* Read the header. `data` is borrowed until codec_rows or codec_drop. OPIML_ECORRUPT for what is no
 * JPEG or PNG, is damaged, or ends too early. */
int codec_open(struct codec *codec, const uint8_t *data, size_t bytes, struct codec_picture *ret,
               struct opiml_error *err);
/* Decode the window; the picture is closed afterwards, whatever comes out. OPIML_ECORRUPT on any
 * damage found on the way, OPIML_ENOMEM. Rows may have gone out before an error. */
int codec_rows(struct codec *codec, const struct codec_window *window, struct opiml_error *err);
/* Close a picture without reading it. Harmless when there is none. */
void codec_drop(struct codec *codec);

/* A hash of what the libraries make of a small picture, whole and in parts: where it differs, so
 * may other pictures. 0 when it cannot be decoded. */
uint64_t codec_id(void);

#endif
