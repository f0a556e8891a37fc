/* Optimisers and learning rate schedules. */
#include <math.h>

#include "nn/nn.h"

#define NORM_PARTS 16 /* summed apart, so that the sum does not depend on the threads */

/* PyTorch's form: weight decay joins the gradient, momentum starts with the first gradient. */
static void sgd(const struct nn_optimizer_conf *conf, struct nn_param *param, float lr) {
    float mu = (float)conf->momentum, decay = param->decays ? (float)conf->weight_decay : 0;
    float *m = param->state[0], *w = param->value;
    const float *grad = param->grad;
    bool nesterov = conf->nesterov;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < param->count; i++) {
        float g = grad[i] + decay * w[i];

        m[i] = mu * m[i] + g;
        w[i] -= lr * (nesterov ? g + mu * m[i] : m[i]);
    }
}

static double norm(const float *values, uint64_t count) {
    double parts[NORM_PARTS] = {0}, sum = 0;

#pragma omp parallel for schedule(static)
    for (uint32_t k = 0; k < NORM_PARTS; k++)
        for (uint64_t i = count * k / NORM_PARTS; i < count * (k + 1) / NORM_PARTS; i++)
            parts[k] += (double)values[i] * (double)values[i];
    for (uint32_t k = 0; k < NORM_PARTS; k++)
        sum += parts[k];
    return sqrt(sum);
}

/* You, Gitman and Ginsburg, "Large batch training of convolutional networks" (2017): each layer's
 * learning rate in proportion to its weights' norm over its gradient's. As in MLPerf's reference,
 * what takes no weight decay (biases, normalisation) is not scaled, and the learning rate is within
 * the momentum. */
static void lars(const struct nn_optimizer_conf *conf, struct nn_param *param, double lr) {
    float mu = (float)conf->momentum, decay = 0, rate = (float)lr;
    float *m = param->state[0], *w = param->value;
    const float *grad = param->grad;

    if (param->decays) {
        double weights = norm(w, param->count), gradient = norm(grad, param->count);

        decay = (float)conf->weight_decay;
        if (weights > 0 && gradient > 0)
            rate = (float)(lr * conf->trust * weights /
                           (gradient + conf->weight_decay * weights + conf->epsilon));
    }
#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < param->count; i++) {
        m[i] = mu * m[i] + rate * (grad[i] + decay * w[i]);
        w[i] -= m[i];
    }
}

/* Loshchilov and Hutter, "Decoupled weight decay regularization" (2019). */
static void adamw(const struct nn_optimizer_conf *conf, struct nn_param *param, float lr,
                  uint64_t step) {
    float b1 = (float)conf->beta1, b2 = (float)conf->beta2, epsilon = (float)conf->epsilon;
    float decay = param->decays ? lr * (float)conf->weight_decay : 0;
    float c1 = (float)(1 / (1 - pow(conf->beta1, (double)step)));
    float c2 = (float)(1 / (1 - pow(conf->beta2, (double)step)));
    float *m = param->state[0], *v = param->state[1], *w = param->value;
    const float *grad = param->grad;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < param->count; i++) {
        m[i] = b1 * m[i] + (1 - b1) * grad[i];
        v[i] = b2 * v[i] + (1 - b2) * grad[i] * grad[i];
        w[i] -= decay * w[i] + lr * (m[i] * c1) / (sqrtf(v[i] * c2) + epsilon);
    }
}

void nn_optimizer_step(const struct nn_optimizer_conf *conf, struct nn_net *net, double lr,
                       uint64_t step) {
    for (uint32_t i = 0; i < nn_net_params(net); i++) {
        struct nn_param *param = nn_net_param(net, i);

        if (!param->grad)
            continue;
        switch (conf->name) {
        case NN_ADAMW: adamw(conf, param, (float)lr, step); break;
        case NN_LARS: lars(conf, param, lr); break;
        default: sgd(conf, param, (float)lr);
        }
    }
}

double nn_schedule_lr(const struct nn_schedule_conf *conf, double peak, uint64_t s,
                      uint64_t steps) {
    double at = ((double)s + 1) / (double)steps, rise = conf->warmup, least = conf->final * peak;
    double share;

    if (conf->name == NN_CONSTANT)
        rise = 0;
    if (at <= rise)
        return peak * at / rise;
    share = rise < 1 ? (at - rise) / (1 - rise) : 1;
    switch (conf->name) {
    case NN_STEP:
        return peak * pow(conf->gamma, floor(((double)s / (double)steps) * conf->epochs /
                                             (conf->every ? conf->every : 1)));
    case NN_COSINE: return least + (peak - least) * 0.5 * (1 + cos(M_PI * share));
    case NN_ONE_CYCLE: /* linear up, linear down: Smith and Topin, "Super-convergence" (2017) */
        return least + (peak - least) * (1 - share);
    default: return peak;
    }
}
