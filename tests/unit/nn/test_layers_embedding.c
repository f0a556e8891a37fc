/* Embeddings: rows of the table, their gradients, and codes that are none. */
#include "nn_harness.h"

/* Two numbers and two categories of three values each. */
static struct nn_net *make(void) {
    struct nn_net *net;
    int at;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 3, &net, NULL), 0);
    at = nn_embedding(net, nn_input(net, 4, 1, 1, NULL), "e", 2, 3, 2, NULL);
    assert_true(nn_dense(net, at, "d", 2, 1, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    return net;
}

static const float rows[3][4] = {{0.5f, -1, 0, 2}, {2, 3, 2, 0}, {1, 1, 0, 7}};

static void rows_of_the_table_stand_behind_the_numbers(void **state) {
    struct nn_net *net = make();
    const struct nn_param *table = nn_net_param(net, 0), *weight = nn_net_param(net, 1);
    const struct nn_tensor *out = nn_net_output(net);

    assert_true(table->ndim == 2 && table->shape[0] == 6 && table->shape[1] == 2);
    memcpy(nn_net_input(net)->data, rows, sizeof(rows));
    assert_int_equal(nn_net_forward(net, false, NULL), 0);
    for (int n = 0; n < 3; n++) {
        int a = (int)rows[n][2], b = n == 2 ? 0 : (int)rows[n][3]; /* 7 is no code */
        const float x[6] = {rows[n][0],
                            rows[n][1],
                            table->value[2 * a],
                            table->value[2 * a + 1],
                            table->value[2 * (3 + b)],
                            table->value[2 * (3 + b) + 1]};

        for (int o = 0; o < 2; o++) {
            float sum = nn_net_param(net, 2)->value[o];

            for (int i = 0; i < 6; i++)
                sum += weight->value[6 * o + i] * x[i];
            assert_true(fabsf(sum - out->data[2 * n + o]) < 1e-5f);
        }
    }
    nn_net_destroy(net);
}

static void gradients_are_right(void **state) {
    static const int32_t labels[] = {0, 1, 1};
    struct nn_net *net = make();
    struct nn_param *table = nn_net_param(net, 0);

    memcpy(nn_net_input(net)->data, rows, sizeof(rows));
    nn_loss(net, labels, true);
    for (uint64_t i = 0; i < table->count; i++) {
        float was = table->value[i], grad = table->grad[i];
        double up, down;

        table->value[i] = was + 1e-2f;
        up = nn_loss(net, labels, false);
        table->value[i] = was - 1e-2f;
        down = nn_loss(net, labels, false);
        table->value[i] = was;
        assert_true(fabs((up - down) / 2e-2 - (double)grad) < 1e-4);
    }
    assert_true(table->grad[2] == 0 && table->grad[3] == 0); /* value 1, which no row has */
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_table_stand_behind_the_numbers),
        cmocka_unit_test(gradients_are_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
