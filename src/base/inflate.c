/* Uncompressing (over ISA-L, several times zlib's speed). */
#include "base/inflate.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

static int begin(struct inflate_state *state, enum inflate_kind kind, const void *from,
                 size_t bytes, void *to, size_t room, struct opiml_error *err) {
    if (bytes > INT32_MAX || room > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "compressed data of more than 2 GiB");
    isal_inflate_init(state);
    state->crc_flag = kind == INFLATE_GZIP   ? ISAL_GZIP
                      : kind == INFLATE_ZLIB ? ISAL_ZLIB
                                             : ISAL_DEFLATE;
    state->next_in = (uint8_t *)from;
    state->avail_in = (uint32_t)bytes;
    state->next_out = to;
    state->avail_out = (uint32_t)room;
    return 0;
}

static int fail_damaged(int rc, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "compressed data: %s",
                      rc == ISAL_INCORRECT_CHECKSUM ? "the CRC is wrong" : "damaged");
}

int64_t inflate_all(enum inflate_kind kind, const void *from, size_t bytes, void *to, size_t room,
                    struct opiml_error *err) {
    struct inflate_state state;
    uint8_t none;
    int rc = begin(&state, kind, from, bytes, room ? to : &none, room, err);

    if (rc < 0)
        return rc;
    for (;;) {
        if ((rc = isal_inflate(&state)) < 0)
            return fail_damaged(rc, err);
        if (state.block_state != ISAL_BLOCK_FINISH)
            return state.avail_in == 0 && state.avail_out > 0
                       ? opiml_fail(err, OPIML_ECORRUPT, "compressed data: they end too early")
                       : opiml_fail(err, OPIML_ELIMIT, "compressed data: more than they should be");
        if (kind != INFLATE_GZIP || state.avail_in == 0)
            return (int64_t)(room - state.avail_out);
        isal_inflate_reset(&state);
        state.crc_flag = ISAL_GZIP;
    }
}

int64_t inflate_some(enum inflate_kind kind, const void *from, size_t bytes, void *to, size_t room,
                     struct opiml_error *err) {
    struct inflate_state state;
    int rc = begin(&state, kind, from, bytes, to, room, err);

    if (rc < 0)
        return rc;
    rc = isal_inflate(&state);
    return rc < 0 ? fail_damaged(rc, err) : (int64_t)(room - state.avail_out);
}

uint32_t inflate_crc32(const void *data, size_t bytes) {
    return inflate_crc32_more(0, data, bytes);
}

uint32_t inflate_crc32_more(uint32_t crc, const void *data, size_t bytes) {
    const uint8_t *at = data;

    while (bytes > 0) {
        uint64_t step = bytes > INT32_MAX ? INT32_MAX : bytes;

        crc = crc32_gzip_refl(crc, at, step);
        at += step;
        bytes -= step;
    }
    return crc;
}
