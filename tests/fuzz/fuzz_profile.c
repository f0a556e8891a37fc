/* Kept profiles are files that anybody may have written to: what is read is a profile, or refused.
 */
#include <math.h>

#include "base/json.h"
#include "pipeline/profile_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is what is written. */
static void check(const struct profile *profile) {
    AUTO_JS struct js *again = profile_write(profile);
    struct profile back;

    for (uint32_t c = 0; c < profile->classes; c++)
        for (uint32_t k = 0; k <= profile->ops; k++)
            if (!isfinite(profile->class[c].bytes[k]) || profile->class[c].bytes[k] < 0)
                abort();
    if (profile_read(again, profile->classes, profile->ops, &back, NULL) < 0 ||
        memcmp(back.class, profile->class, sizeof(back.class)) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_JS struct js *value = NULL;
    struct profile profile;

    if (js_parse((const char *)data, size, &value, NULL) < 0)
        return 0;
    for (uint32_t classes = 1; classes <= 2; classes++)
        for (uint32_t ops = 0; ops <= 2; ops++)
            if (profile_read(value, classes, ops, &profile, NULL) == 0)
                check(&profile);
    return 0;
}
