/* Messages of links over connections. */
#include "net/wire.h"

struct wire_part wire_part(uint64_t number, uint64_t frame_bytes, uint32_t stripe,
                           uint32_t stripes) {
    uint64_t parts = base_min_u64(stripes, frame_bytes / WIRE_PART_LEAST + 1);
    uint64_t each = base_align_up((frame_bytes + parts - 1) / parts, 4096);
    uint64_t mine = (stripe + number) % stripes; /* small frames take turns on the stripes */
    struct wire_part part = {0};

    if (mine < parts && mine * each < frame_bytes)
        part = (struct wire_part){mine * each, base_min_u64(each, frame_bytes - mine * each)};
    return part;
}

int wire_check(const struct wire *wire, enum wire_kind kind, uint32_t stripe, uint64_t number,
               uint64_t most_bytes, struct opiml_error *err) {
    if (wire->magic != WIRE_MAGIC || wire->kind != kind || wire->stripe != stripe ||
        wire->reserved != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "link: a message that cannot stand here");
    if (wire->number != number)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "link: message number %" PRIu64 " where %" PRIu64 " is next",
                          wire->number, number);
    if (wire->bytes > most_bytes)
        return opiml_fail(err, OPIML_ELIMIT,
                          "link: a frame of %" PRIu64 " bytes does not fit the receiver's %" PRIu64,
                          wire->bytes, most_bytes);
    return 0;
}

bool wire_same(const uint8_t *a, const uint8_t *b, size_t bytes) {
    uint8_t differs = 0;

    for (size_t i = 0; i < bytes; i++)
        differs |= a[i] ^ b[i];
    return differs == 0;
}

int wire_end(const struct wire *end, const char *text, struct opiml_error *err) {
    if (end->code == 0)
        return 0;
    if (end->code == OPIML_ECANCELED) /* which is what this end says when it was shut itself */
        return opiml_fail(err, OPIML_EIO, "link: the other end was stopped");
    /* EBUSY is for who takes frames to say to itself: that it holds all. */
    return opiml_fail(err, end->code < 0 && end->code != OPIML_EBUSY ? end->code : OPIML_EIO,
                      "%.*s", (int)end->bytes, text);
}
