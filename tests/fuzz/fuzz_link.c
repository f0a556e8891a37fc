/* A hostile other end of a link: to a receiver that has posted memory, or to a sender that waits
 * for credits. The first byte chooses the link, the role and the stripes; what follows is shared
 * out to them as (stripe, length, bytes). Over shared memory two bytes say how long that is, and
 * the rest lies in every place of the memory. */
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/net/plain.h"
#include "batch/frame.h"

#define SLOT_BYTES 4096
#define DEPTH 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_all(const int *fds, uint32_t stripes, const uint8_t *data, size_t size) {
    while (size > 2) {
        size_t bytes = base_min_u64(data[1], size - 2);

        if (send(fds[data[0] % stripes], data + 2, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
        data += 2 + bytes;
        size -= 2 + bytes;
    }
}

static void receive_all(struct link *link) {
    uint8_t *slots = base_alloc(DEPTH * SLOT_BYTES);
    volatile uint8_t sum = 0;
    uint64_t bytes;
    void *at;

    for (uint32_t i = 0; slots && i < DEPTH; i++)
        link->ops->post(link, slots + i * SLOT_BYTES, SLOT_BYTES, NULL);
    while (slots && link->ops->receive(link, &at, &bytes, NULL) == 1) {
        if (bytes)
            sum += ((uint8_t *)at)[bytes - 1];
        link->ops->post(link, at, SLOT_BYTES, NULL);
    }
    (void)sum;
    base_free(slots);
}

static void send_some(struct link *link) {
    static const uint8_t frame[SLOT_BYTES];

    while (link->ops->send(link, frame, 7, NULL) == 0)
        continue;
}

/* ---- shared memory ---- */

/* What the other end says behind the memory, or behind credits. */
static struct link *open_shared(bool receives, const struct arena *memory, const uint8_t *data,
                                size_t size) {
    struct link *lent, *borrowed;
    int fds[2], other;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
        link_shm_lend(fds[0], memory, DEPTH, SLOT_BYTES, &lent, NULL) < 0)
        abort();
    other = dup(fds[receives ? 0 : 1]);
    if (other < 0 || link_shm_borrow(fds[1], SLOT_BYTES, 1000, &borrowed, NULL) < 0)
        abort();
    say_all(&other, 1, data, size);
    shutdown(other, SHUT_WR);
    close(other);
    if (receives)
        lent->ops->close(lent);
    else
        borrowed->ops->close(borrowed);
    return receives ? borrowed : lent;
}

/* Frames are opened as a consumer does, whatever they are. */
static void receive_shared(struct link *link) {
    AUTO_FREE uint8_t *tables = base_alloc_aligned(SLOT_BYTES, 64);
    AUTO_FREE struct opiml_schema *schema = base_alloc(sizeof(*schema));
    struct opiml_value value;
    volatile uint8_t sum = 0;
    struct frame frame;
    uint64_t bytes;
    void *at;

    for (uint32_t i = 0; i < DEPTH; i++)
        link->ops->post(link, link->ops->place(link, i), SLOT_BYTES, NULL);
    while (tables && schema && link->ops->receive(link, &at, &bytes, NULL) == 1) {
        if (frame_open_apart(&frame, at, bytes, tables, SLOT_BYTES / 2, schema, NULL) == 0)
            for (uint32_t r = 0; r < frame.header->rows; r++)
                for (uint32_t f = 0; f < schema->count && frame.rows[r].status == OPIML_ROW_OK;
                     f++) {
                    frame_get(&frame, f, r, &value);
                    if (value.bytes)
                        sum += value.data[value.bytes - 1];
                }
        link->ops->post(link, at, SLOT_BYTES, NULL);
    }
    (void)sum;
}

static void send_shared(struct link *link) {
    void *at;
    int rc = 0;

    for (uint32_t i = 0; rc >= 0; i++) {
        at = link->ops->place(link, i < DEPTH ? i : DEPTH);
        rc = at ? 1 : link->ops->reclaim(link, true, &at, NULL);
        if (rc > 0)
            rc = link->ops->send_more(link, at, 7, NULL);
    }
}

static int fuzz_shared(bool receives, const uint8_t *data, size_t size) {
    size_t said = size < 2 ? 0 : base_min_u64(data[0] | data[1] << 8, size - 2);
    size_t head = base_min_u64(size, 2), left = size - head - said;
    struct arena memory;
    struct link *link;

    if (arena_init_shared(&memory, (uint64_t)DEPTH * SLOT_BYTES, "fuzz", NULL) < 0)
        abort();
    for (uint32_t i = 0; i < DEPTH; i++)
        memcpy(memory.at + (size_t)i * SLOT_BYTES, data + head + said,
               base_min_u64(left, SLOT_BYTES));
    link = open_shared(receives, &memory, data + head, said);
    if (receives)
        receive_shared(link);
    else
        send_shared(link);
    link->ops->close(link);
    arena_release(&memory);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t stripes = size ? 1 + (data[0] & 3) : 1;
    bool receives = size && (data[0] & 4);
    int ours[4], theirs[4];
    struct link *link;

    if (size > 0 && (data[0] & 8))
        return fuzz_shared(receives, data + 1, size - 1);
    for (uint32_t s = 0; s < stripes; s++) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
            abort();
        ours[s] = fds[0];
        theirs[s] = fds[1];
    }
    if (size)
        say_all(theirs, stripes, data + 1, size - 1);
    for (uint32_t s = 0; s < stripes; s++)
        shutdown(theirs[s], SHUT_WR);
    if (plain_open(ours, stripes, DEPTH, receives, &link) < 0)
        abort();
    if (receives)
        receive_all(link);
    else
        send_some(link);
    link->ops->close(link);
    for (uint32_t s = 0; s < stripes; s++)
        close(theirs[s]);
    return 0;
}
