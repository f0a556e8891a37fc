/* JSON from files and peers: what is read is written, and read again as the same. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct js *value) {
    const char *key = NULL;
    size_t count = 0;

    for (size_t i = 0; i < js_count(value); i++)
        if (js_at(value, i))
            look_at(js_at(value, i));
    while ((key = js_next_key(value, key))) {
        look_at(js_get(value, key));
        count++;
    }
    if (count && count != js_count(value))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_JS struct js *value = NULL, *again = NULL;
    AUTO_FREE char *text = NULL, *twice = NULL;

    if (js_parse((const char *)data, size, &value, NULL) < 0)
        return 0;
    look_at(value);
    text = js_dump(value, 2);
    if (!text || js_parse(text, strlen(text), &again, NULL) < 0)
        __builtin_trap();
    twice = js_dump(again, 2);
    if (!twice || strcmp(text, twice) != 0)
        __builtin_trap();
    return 0;
}
