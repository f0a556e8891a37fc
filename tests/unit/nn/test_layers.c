/* Sums over pixels: totals are those of the pieces. */
#include "nn_layers.h"

static void totals_are_sums_of_pieces(void **state) {
    struct nn_layer layer = {.kind = NN_PRELU};
    struct nn_tensor x = {.n = 2, .c = 16, .d = 1, .h = 41, .w = 40, .block = 16};

    assert_int_equal(nn_pieces(&x), 4);
    assert_int_equal(layer_piece_pixels(&x, 0), NN_PIECE);
    assert_int_equal(layer_piece_pixels(&x, 3), 41 * 40 - 3 * NN_PIECE);
    assert_int_equal(layer_sums_alloc(&layer, &x, &x, NULL), 0);
    for (uint32_t n = 0; n < 2; n++)
        for (uint32_t piece = 0; piece < 4; piece++)
            for (uint32_t k = 0; k < 32; k++)
                layer_piece(&layer, &x, n, 0, piece)[k] = n * 100 + piece * 10 + k;
    layer_total(&layer, &x);
    assert_true(layer.totals[0] == 0 + 10 + 20 + 30);
    assert_true(layer.totals[3] == 60 + 4 * 3);
    assert_true(layer.totals[2 * 16 + 16] == 4 * 100 + 60 + 4 * 16);
    layer_release(&layer);
}

static void failing_allocations_are_errors(void **state) {
    static const enum nn_kind kinds[] = {NN_NORM, NN_PRELU, NN_LOGITS};
    struct nn_tensor x = {.n = 2, .c = 16, .d = 1, .h = 4, .w = 4, .block = 16};

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        for (uint64_t n = 1; n <= (kinds[i] == NN_NORM ? 3 : kinds[i] == NN_PRELU ? 2 : 1); n++) {
            struct nn_layer layer = {.kind = kinds[i]};

            base_alloc_fail_at(n);
            assert_int_equal(layer_sums_alloc(&layer, &x, &x, NULL), OPIML_ENOMEM);
            base_alloc_fail_at(0);
            layer_release(&layer);
        }
}

static void gradients_are_added(void **state) {
    float to[3] = {1, 2, 3}, from[3] = {10, 20, 30};
    struct nn_tensor t = {.n = 1, .c = 1, .d = 1, .h = 1, .w = 3, .block = 1, .count = 3};

    layer_accumulate(&t, to, from);
    assert_true(to[0] == 11 && to[1] == 22 && to[2] == 33);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_sums_of_pieces),
        cmocka_unit_test(failing_allocations_are_errors),
        cmocka_unit_test(gradients_are_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
