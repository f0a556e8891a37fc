/* Journals of conversions: whatever they say, shards stay within their bounds, and what was read is
 * read again from the lines that were whole. */
#include "dataset/convert_job.h"

#define SHARDS 8
#define HEAD "{\"convert\": 1}\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(const char *data, size_t bytes, struct convert_shard *shards, size_t *ret_whole) {
    for (uint64_t i = 0; i < SHARDS; i++)
        shards[i] = (struct convert_shard){.first = i * 5, .count = 5};
    return convert_journal_parse(data, bytes, HEAD, shards, SHARDS, ret_whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct convert_shard shards[SHARDS] = {0}, again[SHARDS] = {0};
    size_t whole = 0, more = 0;
    if (!parse((const char *)data, size, shards, &whole))
        return 0;
    if (whole > size || (whole > 0 && data[whole - 1] != '\n'))
        __builtin_trap();
    for (int i = 0; i < SHARDS; i++)
        if (shards[i].kept > 5 || (shards[i].kept > 0 && !shards[i].done))
            __builtin_trap();
    if (whole == 0)
        return 0;
    if (!parse((const char *)data, whole, again, &more) || more != whole ||
        memcmp(shards, again, sizeof(shards)) != 0)
        __builtin_trap();
    return 0;
}
