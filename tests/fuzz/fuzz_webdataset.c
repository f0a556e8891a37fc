/* How the members of an archive make samples: names up to the first dot, extensions, labels as
 * text. A line NAME=CONTENT per member, and one that is "--" between shards; the archives around
 * them are whole (fuzz_tar has those that are not). */
#include "records.h"

#define BLOCK 512
#define SHARDS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct shard {
    uint8_t *at;
    size_t bytes, room;
};

static void add_block(struct shard *shard, const void *data, size_t bytes) {
    size_t whole = base_align_up(bytes, BLOCK);

    if (shard->bytes + whole > shard->room) {
        size_t room = (shard->bytes + whole) * 2;
        uint8_t *grown = base_realloc(shard->at, room);

        if (!grown)
            abort();
        shard->at = grown;
        shard->room = room;
    }
    memset(shard->at + shard->bytes, 0, whole);
    if (bytes > 0)
        memcpy(shard->at + shard->bytes, data, bytes);
    shard->bytes += whole;
}

static void add_header(struct shard *shard, const char *name, char type, size_t bytes) {
    char header[BLOCK] = {0}, octal[32];
    unsigned sum = 0;

    memcpy(header, name, strnlen(name, 100));
    snprintf(octal, sizeof(octal), "%011zo", bytes);
    memcpy(header + 124, octal, 12);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (uint8_t)header[i];
    snprintf(octal, sizeof(octal), "%06o", sum);
    memcpy(header + 148, octal, 7);
    add_block(shard, header, sizeof(header));
}

/* One member; a name too long for a header stands before it. */
static void add_member(struct shard *shard, char *line, size_t bytes) {
    char *equals = memchr(line, '=', bytes);
    size_t name = equals ? (size_t)(equals - line) : bytes;
    size_t content = equals ? bytes - name - 1 : 0;
    AUTO_FREE char *text = base_printf("%.*s", (int)name, line);

    if (!text)
        abort();
    if (strlen(text) > 100) {
        add_header(shard, "././@LongLink", 'L', strlen(text));
        add_block(shard, text, strlen(text));
    }
    add_header(shard, text, text[0] && text[strlen(text) - 1] == '/' ? '5' : '0', content);
    add_block(shard, line + bytes - content, content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[SHARDS] = {"0.tar", "1.tar", "2.tar", "3.tar"};
    const struct format *format = format_find("webdataset");
    struct shard shards[SHARDS] = {0};
    struct source_listing listing = {0};
    struct records records;
    size_t count = 1;

    if (size > 16384)
        return 0;
    AUTO_FREE char *text = base_alloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    for (size_t at = 0; at < size;) {
        char *stop = memchr(text + at, '\n', size - at);
        size_t bytes = stop ? (size_t)(stop - text) - at : size - at;

        if (bytes == 2 && memcmp(text + at, "--", 2) == 0 && count < SHARDS)
            count++;
        else
            add_member(&shards[count - 1], text + at, bytes);
        at += bytes + 1;
    }
    records_init(&records);
    for (size_t i = 0; i < count; i++) {
        add_block(&shards[i], (uint8_t[2 * BLOCK]){0}, 2 * BLOCK);
        records_add(&records, keys[i], shards[i].at, shards[i].bytes);
    }
    records_use(&records, format, NULL, &listing);
    for (size_t i = 0; i < SHARDS; i++)
        base_free(shards[i].at);
    return 0;
}
