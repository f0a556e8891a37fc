#include "dataset/mix.h"

#include <math.h>

#include "base/text.h"

#define WEIGHT_ONE 4294967296.0 /* weights are rounded to 2^-32 of their sum */

/* The share of each as a whole number; their sum, or 0 when the weights are bad. */
static uint64_t fixed_weights(uint32_t datasets, const uint64_t *records, const double *weights,
                              uint64_t *fixed) {
    double sum = 0;
    uint64_t total = 0;
    for (uint32_t d = 0; weights && d < datasets; d++) {
        if (!(weights[d] >= 0) || !isfinite(weights[d]))
            return 0;
        sum += weights[d];
    }
    if (weights && !(sum > 0 && isfinite(sum)))
        return 0;
    for (uint32_t d = 0; d < datasets; d++) {
        fixed[d] = weights ? (uint64_t)(weights[d] / sum * WEIGHT_ONE + 0.5) : records[d];
        total += fixed[d];
    }
    return total;
}

/* Largest remainder: each gets the whole part of its share; what is left goes one by one to those
 * with the largest fraction, the first of equals first. */
static void share_out(struct mix *mix, const uint64_t *fixed, uint64_t total) {
    unsigned __int128 rest[MIX_MAX];
    uint64_t left = mix->positions;
    for (uint32_t d = 0; d < mix->datasets; d++) {
        unsigned __int128 share = (unsigned __int128)mix->positions * fixed[d];
        mix->quota[d] = (uint64_t)(share / total);
        rest[d] = share % total;
        left -= mix->quota[d];
    }
    for (; left > 0; left--) {
        uint32_t best = 0;
        for (uint32_t d = 1; d < mix->datasets; d++)
            if (rest[d] > rest[best])
                best = d;
        mix->quota[best]++;
        rest[best] = 0;
    }
}

int mix_init(struct mix *mix, uint32_t datasets, const uint64_t *records,
             const struct choices *choices, const double *weights, uint64_t positions,
             enum order_mode mode, uint64_t block, uint64_t window, uint64_t seed,
             struct opiml_error *err) {
    struct mix made = {.datasets = datasets,
                       .positions = positions,
                       .mode = mode,
                       .block = block,
                       .window = window,
                       .seed = seed};
    uint64_t fixed[MIX_MAX], sum = 0, chosen = 0;
    if (choices)
        made.choices = *choices;
    if (datasets == 0 || datasets > MIX_MAX)
        return opiml_fail(err, OPIML_EINVAL, "a mix of %u datasets; it may be 1 to %d", datasets,
                          MIX_MAX);
    for (uint32_t d = 0; d < datasets; d++) {
        if (records[d] == 0)
            return opiml_fail(err, OPIML_EINVAL, "dataset %u of the mix has no records", d + 1);
        if (__builtin_add_overflow(sum, records[d], &sum) || sum > INT64_MAX)
            return opiml_fail(err, OPIML_ELIMIT, "more than 2^63 records");
        made.records[d] = records[d];
        made.chosen[d] = choices_count(&made.choices, records[d]);
        if (made.chosen[d] == 0)
            return opiml_fail(err, OPIML_EINVAL,
                              "of the %" PRIu64 " record%s of dataset %u none is left to deliver",
                              records[d], text_s(records[d]), d + 1);
        chosen += made.chosen[d];
    }
    if (made.positions == 0)
        made.positions = chosen;
    if (made.positions > INT64_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than 2^63 positions");
    uint64_t total = fixed_weights(datasets, made.chosen, weights, fixed);
    if (total == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "weights of a mix are numbers from 0, at least one of them above");
    share_out(&made, fixed, total);
    *mix = made;
    return 0;
}

/* Of `all` positions the first group has `mine`, spread evenly. Whether `position` is one of them;
 * *position becomes the rank within its group. */
static bool take_share(uint64_t mine, uint64_t all, uint64_t *position) {
    uint64_t before = (uint64_t)((unsigned __int128)*position * mine / all);
    uint64_t after = (uint64_t)(((unsigned __int128)*position + 1) * mine / all);
    *position = after > before ? before : *position - before;
    return after > before;
}

void mix_find(const struct mix *mix, uint64_t epoch, uint64_t position, struct mix_at *ret_at) {
    uint64_t left = mix->positions, base = 0, all = 0;
    uint32_t d = 0;
    assert(position < mix->positions);
    /* The first dataset against all others, then the second against the rest, and so on. */
    for (; d + 1 < mix->datasets; d++) {
        if (mix->quota[d] > 0 && take_share(mix->quota[d], left, &position))
            break;
        left -= mix->quota[d];
        base += mix->records[d];
    }
    for (uint32_t i = 0; i < mix->datasets; i++)
        all += mix->records[i];
    /* A dataset is gone through pass after pass, without regard to where epochs end. */
    uint64_t count = mix->chosen[d];
    unsigned __int128 begin = (unsigned __int128)epoch * mix->quota[d];
    unsigned __int128 rank = begin + position;
    uint64_t pass = (uint64_t)(rank / count);
    struct order order = {.mode = mix->mode,
                          .count = count,
                          .block = mix->block,
                          .window = mix->window,
                          .seed = mix->seed + d * 0x9e3779b97f4a7c15,
                          .epoch = pass};
    ret_at->dataset = d;
    ret_at->record = order_at(&order, (uint64_t)(rank % count));
    if (mix->choices.count > 0)
        ret_at->record = choices_at(&mix->choices, mix->records[d], pass, ret_at->record);
    ret_at->sample = ret_at->record + base + (pass - (uint64_t)(begin / count)) * all;
}
