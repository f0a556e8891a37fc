/* Cross-entropy of classes: softmax, and binary. */
#include <math.h>

#include "nn/nn.h"

void nn_softmax(const float *logits, uint32_t classes, float *probabilities) {
    float most = logits[0];
    double sum = 0;

    for (uint32_t k = 1; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    for (uint32_t k = 0; k < classes; k++) {
        probabilities[k] = expf(logits[k] - most);
        sum += probabilities[k];
    }
    for (uint32_t k = 0; k < classes; k++)
        probabilities[k] = (float)(probabilities[k] / sum);
}

static uint32_t largest(const float *values, uint32_t count) {
    uint32_t best = 0;

    for (uint32_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

uint32_t nn_labels_within(const float *logits, uint32_t rows, uint32_t classes,
                          const int32_t *labels, uint32_t k) {
    uint32_t within = 0;

    for (uint32_t r = 0; r < rows; r++) {
        const float *z = logits + (size_t)r * classes;
        uint32_t label = (uint32_t)labels[r], before = 0;

        for (uint32_t i = 0; i < classes; i++)
            before += z[i] > z[label] || (z[i] == z[label] && i < label);
        within += before < k;
    }
    return within;
}

double nn_cross_entropy(const float *logits, uint32_t rows, uint32_t classes, const int32_t *labels,
                        const float *shares, float smoothing, float *grad, uint32_t *ret_correct) {
    double loss = 0;
    uint32_t correct = 0;

    for (uint32_t r = 0; r < rows; r++) {
        const float *z = logits + (size_t)r * classes;
        float *g = grad + (size_t)r * classes;
        uint32_t target;

        nn_softmax(z, classes, g);
        target = labels ? (uint32_t)labels[r] : largest(shares + (size_t)r * classes, classes);
        correct += largest(z, classes) == target;
        for (uint32_t k = 0; k < classes; k++) {
            float want = labels ? k == target : shares[(size_t)r * classes + k];

            want = want * (1 - smoothing) + smoothing / (float)classes;
            if (want > 0)
                loss -= want * log(g[k] < 1e-30f ? 1e-30f : g[k]);
            g[k] = (g[k] - want) / (float)rows;
        }
    }
    *ret_correct = correct;
    return rows ? loss / rows : 0;
}

double nn_binary_cross_entropy(const float *logits, uint32_t rows, const int32_t *labels,
                               float *grad, uint32_t *ret_correct) {
    double loss = 0;
    uint32_t correct = 0;

    for (uint32_t r = 0; r < rows; r++) {
        double z = logits[r], wrong = labels[r] ? -z : z; /* far above 0: quite wrong */

        /* log(1 + exp(wrong)), without overflow */
        loss += (wrong > 0 ? wrong : 0) + log1p(exp(-fabs(wrong)));
        grad[r] = (float)((1 / (1 + exp(-z)) - labels[r]) / rows);
        correct += (z > 0) == (labels[r] != 0);
    }
    *ret_correct = correct;
    return rows ? loss / rows : 0;
}
