/* Ids of a node's resources. */
#include "node/id.h"

#include <sys/random.h>

int id_check(const char *id, struct opiml_error *err) {
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (!id[0] || (id[length] == 0 && length >= 4 && length <= ID_MAX && id[0] >= 'a'))
        return 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "\"%.80s\" is no id: 4 to 63 of a-z, 0-9 and -, beginning with a letter", id);
}

int id_make(char letter, char to[ID_MAX + 1], struct opiml_error *err) {
    uint64_t number[2];

    if (getrandom(number, sizeof(number), 0) != sizeof(number))
        return base_fail_errno(err, errno, "random numbers");
    snprintf(to, ID_MAX + 1, "%c-%016" PRIx64 "%016" PRIx64, letter, number[0], number[1]);
    return 0;
}
