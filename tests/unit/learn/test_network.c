/* The network of a training file: which arithmetic it takes by itself. */
#include "learn/network.h"

#include "../test.h"

static const struct learn_fields images = {
    .label = 1, .channels = 3, .height = 16, .width = 16, .classes = 4};

static int build(uint32_t name, uint32_t width, uint32_t precision, bool plain,
                 struct learn_network *ret_network, struct opiml_error *err) {
    const struct learn_config config = {
        .model = {.name = name, .width = width, .classes = 4, .levels = 1, .depth = 8},
        .precision = precision,
        .kernels = plain ? 2 : 0,
        .threads = 1,
    };
    struct learn_fields fields = images;

    if (name == NN_MLP)
        fields.height = fields.width = 1;
    *ret_network = (struct learn_network){0};
    return learn_network_build(&config, &fields, 2, ret_network, err);
}

/* What `precision: auto` takes; `plain` kernels know f32 alone. */
static const char *taken(uint32_t name, uint32_t width, bool plain) {
    struct learn_network network;
    const char *precision;

    assert_int_equal(build(name, width, LEARN_AUTO, plain, &network, NULL), 0);
    assert_int_equal(network.threads, 1);
    precision = learn_network_precision(&network);
    nn_net_destroy(network.net);
    return precision;
}

static bool bf16_here(void) {
    const struct nn_kernels *kernels;
    char version[64];

    assert_int_equal(nn_kernels_open("auto", 1, &kernels, version, sizeof(version), NULL), 0);
    return nn_kernels_have_bf16(kernels);
}

static void auto_is_bf16_where_it_can_be(void **state) {
    const char *best = bf16_here() ? "bf16" : "f32";

    assert_string_equal(taken(NN_RESNET9, 16, false), best);
    assert_string_equal(taken(NN_RESNET, 32, false), best);
    assert_string_equal(taken(NN_RESNET9, 8, false), "f32");
    assert_string_equal(taken(NN_MLP, 16, false), "f32");
    assert_string_equal(taken(NN_RESNET9, 16, true), "f32");
}

static void what_is_asked_for_is_done_or_refused(void **state) {
    struct opiml_error err = {0};
    struct learn_network network;

    assert_int_equal(build(NN_RESNET9, 16, LEARN_F32, false, &network, NULL), 0);
    assert_string_equal(learn_network_precision(&network), "f32");
    nn_net_destroy(network.net);
    assert_int_equal(build(NN_RESNET9, 16, LEARN_BF16, true, &network, &err), OPIML_ENODEV);
    nn_net_destroy(network.net);
    if (!bf16_here())
        skip();
    assert_int_equal(build(NN_RESNET9, 24, LEARN_BF16, false, &network, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "multiples of 16"));
    nn_net_destroy(network.net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_is_bf16_where_it_can_be),
        cmocka_unit_test(what_is_asked_for_is_done_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
