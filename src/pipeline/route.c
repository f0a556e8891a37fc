/* Routes. */
#include "pipeline/route.h"

#include "base/hash.h"

int share_check(const struct share *share, struct opiml_error *err) {
    if (share->classes > SHARE_CLASSES_MAX)
        return opiml_fail(err, OPIML_EINVAL, "a share of %u classes; at most %d", share->classes,
                          SHARE_CLASSES_MAX);
    for (uint32_t c = 0; c < share->classes; c++) {
        const struct share_class *class = &share->class[c];

        if (class->end > SHARE_WHOLE || class->first > class->end)
            return opiml_fail(err, OPIML_EINVAL, "a share's class from %u to %u of %d",
                              class->first, class->end, SHARE_WHOLE);
        if (c > 0 && class->holders == class[-1].holders && class->bytes_max <= class[-1].bytes_max)
            return opiml_fail(err, OPIML_EINVAL, "a share's classes are not in order of size");
    }
    return 0;
}

uint32_t share_find(const struct share *share, const struct share_record *record) {
    uint32_t c = 0, holders;

    while (c < share->classes && (share->class[c].holders & ~record->holders) != 0)
        c++;
    if (c == share->classes)
        return c;
    holders = share->class[c].holders;
    while (c < share->classes && share->class[c].holders == holders &&
           record->bytes > share->class[c].bytes_max)
        c++;
    return c < share->classes && share->class[c].holders == holders ? c : share->classes;
}

bool share_has(const struct share *share, const struct share_record *record) {
    uint32_t at, c = share_find(share, record);
    uint64_t number;

    if (share->classes == 0)
        return true;
    if (c == share->classes)
        return false;
    number = record->sample / base_max_u64(1, share->class[c].together);
    at = (uint32_t)hash_64(&number, sizeof(number), 0) % SHARE_WHOLE;
    return at >= share->class[c].first && at < share->class[c].end;
}

char *route_name(uint32_t route, char to[ROUTE_NAME_BYTES]) {
    snprintf(to, ROUTE_NAME_BYTES, route ? "link %u" : "link", route);
    return to;
}

uint32_t routes_find(const struct routes *routes, const struct share_record *record) {
    uint32_t r = 0;

    while (r < routes->count && !share_has(&routes->route[r].share, record))
        r++;
    return r;
}

/* Whether the ranges of class c make up the whole, without an overlap. */
static bool class_covers(const struct routes *routes, uint32_t c) {
    uint32_t at = 0, sum = 0, before;

    do { /* follow the ranges from 0 on, each to the one that begins where it ends */
        before = at;
        for (uint32_t r = 0; r < routes->count; r++) {
            const struct share_class *class = &routes->route[r].share.class[c];

            if (class->first == at && class->end > at) {
                at = class->end;
                break;
            }
        }
    } while (at > before);
    for (uint32_t r = 0; r < routes->count; r++)
        sum += routes->route[r].share.class[c].end - routes->route[r].share.class[c].first;
    return at == SHARE_WHOLE && sum == SHARE_WHOLE;
}

/* Whether class c is the last of its group. */
static bool is_last(const struct share *share, uint32_t c) {
    return c + 1 == share->classes || share->class[c + 1].holders != share->class[c].holders;
}

bool routes_cover(const struct routes *routes) {
    const struct share *first = &routes->route[0].share;

    if (routes->count == 0)
        return false;
    if (first->classes == 0)
        return routes->count == 1;
    for (uint32_t c = 0; c < first->classes; c++)
        if (is_last(first, c) && first->class[c].bytes_max != UINT64_MAX)
            return false;
    for (uint32_t r = 0; r < routes->count; r++) {
        const struct share *share = &routes->route[r].share;

        if (share->classes != first->classes || share_check(share, NULL) < 0)
            return false;
        for (uint32_t c = 0; c < share->classes; c++)
            if (share->class[c].bytes_max != first->class[c].bytes_max ||
                share->class[c].holders != first->class[c].holders ||
                share->class[c].together != first->class[c].together)
                return false;
    }
    for (uint32_t c = 0; c < first->classes; c++)
        if (!class_covers(routes, c))
            return false;
    return true;
}
