/* The area under the ROC curve. */
#include "learn/auc.h"

#define BITS 20
#define VALUES (1u << BITS)

int learn_auc_init(struct learn_auc *auc, struct opiml_error *err) {
    auc->bins = base_alloc_array((size_t)VALUES * 2, sizeof(*auc->bins));
    return auc->bins ? 0 : base_fail_memory(err, VALUES * 16, "counts of scores");
}

void learn_auc_release(struct learn_auc *auc) {
    base_free(auc->bins);
    auc->bins = NULL;
}

/* In the order of the numbers: negative ones have their bits turned. */
static uint32_t value_of(float score) {
    uint32_t bits;

    memcpy(&bits, &score, sizeof(bits));
    bits = bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
    return bits >> (32 - BITS);
}

void learn_auc_add(struct learn_auc *auc, const float *scores, const int32_t *labels,
                   uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        auc->bins[2 * (size_t)value_of(scores[i]) + (labels[i] != 0)]++;
}

double learn_auc_value(const struct learn_auc *auc) {
    double pairs = 0, below = 0, positive = 0;

    for (size_t v = 0; v < VALUES; v++) {
        double negatives = (double)auc->bins[2 * v], positives = (double)auc->bins[2 * v + 1];

        pairs += positives * (below + negatives / 2);
        below += negatives;
        positive += positives;
    }
    return below > 0 && positive > 0 ? pairs / below / positive : -1;
}
