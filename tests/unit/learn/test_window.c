/* Windows over volumes: they cover everything, and are blended as they should be. */
#include "learn_harness.h"

#include <math.h>

#include "learn/window.h"

#define SIDE 4
#define CLASSES 2

/* Logits of each voxel by itself (kernel 0), or of what is around it. */
static struct nn_net *make(uint32_t batch, bool around) {
    struct nn_net *net;
    int at;

    assert_int_equal(nn_net_create(&nn_kernels_plain, batch, &net, NULL), 0);
    at = nn_input_volume(net, 1, SIDE, SIDE, SIDE, NULL);
    if (around)
        at = nn_conv(net, at, "c", 2, 3, 1, 1, NULL);
    assert_true(nn_logits(net, at, "l", CLASSES, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 3, NULL), 0);
    return net;
}

static void fill(float *image, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        image[i] = (float)((i * 2654435761u >> 8) % 1000) / 500.0f - 1;
}

/* What each voxel gives by itself does not depend on where windows lie. */
static void windows_cover_volumes_of_any_size(void **state) {
    static const uint32_t sizes[][3] = {{4, 4, 4}, {4, 5, 9}, {13, 4, 6}, {2, 7, 3}, {1, 1, 1}};
    static const double overlaps[] = {0, 0.5, 0.9};

    for (size_t s = 0; s < COUNT_OF(sizes); s++)
        for (size_t o = 0; o < COUNT_OF(overlaps); o++) {
            uint64_t voxels = (uint64_t)sizes[s][0] * sizes[s][1] * sizes[s][2];
            struct nn_net *net = make(1 + s % 3, false);
            const float *w = nn_net_param(net, 0)->value, *b = nn_net_param(net, 1)->value;
            struct learn_window window;
            float image[512], *logits;

            fill(image, voxels);
            assert_int_equal(learn_window_init(&window, net, overlaps[o], NULL), 0);
            for (int again = 0; again < 2; again++) {
                assert_int_equal(learn_window_run(&window, image, sizes[s], &logits, NULL), 0);
                for (uint32_t c = 0; c < CLASSES; c++)
                    for (uint64_t v = 0; v < voxels; v++)
                        assert_true(fabsf(logits[c * voxels + v] - (w[c] * image[v] + b[c])) <
                                    1e-5f);
            }
            learn_window_release(&window);
            nn_net_destroy(net);
        }
}

/* Two windows along x, blended by hand. */
static void overlaps_are_weighted_by_a_gaussian(void **state) {
    const uint32_t size[] = {SIDE, SIDE, 6};
    struct nn_net *net = make(1, true);
    float image[SIDE * SIDE * 6], parts[2][CLASSES * SIDE * SIDE * SIDE], *logits;
    struct learn_window window;

    fill(image, COUNT_OF(image));
    for (uint32_t p = 0; p < 2; p++) {
        for (uint32_t line = 0; line < SIDE * SIDE; line++)
            memcpy(nn_net_input(net)->data + line * SIDE, image + line * 6 + 2 * p,
                   SIDE * sizeof(float));
        assert_int_equal(nn_net_forward(net, false, NULL), 0);
        memcpy(parts[p], nn_net_output(net)->data, sizeof(parts[p]));
    }
    assert_int_equal(learn_window_init(&window, net, 0.5, NULL), 0);
    assert_int_equal(learn_window_run(&window, image, size, &logits, NULL), 0);
    for (uint32_t at = 0; at < CLASSES * SIDE * SIDE; at++)
        for (uint32_t x = 0; x < 6; x++) {
            double sum = 0, total = 0;

            for (uint32_t p = 0; p < 2; p++) {
                double from = ((double)x - 2 * p - 1.5) / (SIDE / 8.0);

                if (x < 2 * p || x >= 2 * p + SIDE)
                    continue;
                sum += exp(-0.5 * from * from) * (double)parts[p][at * SIDE + x - 2 * p];
                total += exp(-0.5 * from * from);
            }
            assert_true(fabs((double)logits[at * 6 + x] - sum / total) < 1e-5);
        }
    learn_window_release(&window);
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_volumes_of_any_size),
        cmocka_unit_test(overlaps_are_weighted_by_a_gaussian),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
