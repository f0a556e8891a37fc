/* Compressing (over ISA-L, several times zlib's speed). */
#include "base/deflate.h"

#include <isa-l/igzip_lib.h>

static uint32_t buffer_bytes(uint32_t level) {
    return level == 1   ? ISAL_DEF_LVL1_DEFAULT
           : level == 2 ? ISAL_DEF_LVL2_DEFAULT
                        : ISAL_DEF_LVL3_DEFAULT;
}

int64_t deflate_all(enum inflate_kind kind, uint32_t level, const struct deflate_piece *pieces,
                    size_t count, void *to, size_t room, struct opiml_error *err) {
    AUTO_FREE struct isal_zstream *stream = base_alloc(sizeof(*stream));
    AUTO_FREE uint8_t *buffer = base_realloc(NULL, buffer_bytes(level)); /* it is set up there */
    uint64_t total = 0;

    assert(level >= 1 && level <= DEFLATE_LEVEL_MAX && count > 0);
    if (!stream || !buffer)
        return base_fail_memory(err, buffer_bytes(level), "compressing");
    for (size_t i = 0; i < count; i++)
        total += pieces[i].bytes;
    if (total > INT32_MAX || room > UINT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than 2 GiB to be compressed");
    isal_deflate_init(stream);
    stream->level = level;
    stream->level_buf = buffer;
    stream->level_buf_size = buffer_bytes(level);
    stream->gzip_flag = kind == INFLATE_GZIP   ? IGZIP_GZIP
                        : kind == INFLATE_ZLIB ? IGZIP_ZLIB
                                               : IGZIP_DEFLATE;
    stream->next_out = to;
    stream->avail_out = (uint32_t)room;
    for (size_t i = 0; i < count; i++) {
        stream->next_in = (uint8_t *)pieces[i].data;
        stream->avail_in = (uint32_t)pieces[i].bytes;
        stream->end_of_stream = i + 1 == count;
        if (isal_deflate(stream) != COMP_OK)
            return opiml_fail(err, OPIML_EINTERNAL, "compressing failed");
        if (stream->avail_in > 0 || stream->avail_out == 0)
            return opiml_fail(err, OPIML_ELIMIT, "compressed data of more than %zu bytes", room);
    }
    return (int64_t)(room - stream->avail_out);
}
