/* Fusion is a matter of the two operators and their parameters, nothing else. */
#include "op_harness.h"

#include "op/crop.h"
#include "op/decode.h"
#include "op/fuse.h"

extern const struct opiml_op op_decode, op_random_resized_crop, op_center_crop, op_resize;
extern const struct opiml_op op_decode_crop, op_decode_center_crop, op_decode_resize;
extern const struct opiml_op op_random_flip;

static const struct {
    const struct opiml_op *second, *fused;
} pairs[] = {
    {&op_random_resized_crop, &op_decode_crop},
    {&op_center_crop, &op_decode_center_crop},
    {&op_resize, &op_decode_resize},
};

static void pairs_become_one(void **state) {
    struct opiml_error err;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct decode_params decode;
        struct crop_params crop = {0}, *fused;
        const struct opiml_op *op = NULL;
        void *params = NULL;

        conf_defaults(op_decode.params, &decode);
        conf_defaults(pairs[i].second->params, &crop);
        decode.max_pixels = 1234;
        crop.box.size = (struct opiml_u32_list){2, {30, 20}};
        assert_int_equal(op_fuse(&op_decode, &decode, pairs[i].second, &crop, &op, &params, &err),
                         1);
        fused = params;
        assert_ptr_equal(op, pairs[i].fused);
        assert_int_equal(fused->max_pixels, 1234);
        assert_string_equal(fused->field, "image");
        assert_memory_equal(&fused->box.size, &crop.box.size, sizeof(crop.box.size));
        /* It is as random as its second half: what is cached must not be. */
        assert_int_equal(op->flags, pairs[i].second->flags);
        base_free(params);
    }
}

static void others_stay_two(void **state) {
    struct decode_params decode = {.field = "image"};
    struct crop_params crop = {.field = "image"};
    const struct opiml_op *op = NULL;
    void *params = NULL;

    (void)state;
    assert_int_equal(op_fuse(&op_decode, &decode, &op_random_flip, &crop, &op, &params, NULL), 0);
    assert_int_equal(op_fuse(&op_resize, &crop, &op_center_crop, &crop, &op, &params, NULL), 0);
    assert_int_equal(op_fuse(&op_decode, &decode, &op_decode, &decode, &op, &params, NULL), 0);
    strcpy(crop.field, "mask"); /* another field */
    assert_int_equal(op_fuse(&op_decode, &decode, &op_resize, &crop, &op, &params, NULL), 0);
    assert_null(op);
    assert_null(params);
}

static void memory_may_run_out(void **state) {
    struct decode_params decode = {.field = "image"};
    struct crop_params crop = {.field = "image"};
    const struct opiml_op *op = NULL;
    struct opiml_error err;
    void *params = NULL;

    (void)state;
    base_alloc_fail_at(1);
    assert_int_equal(op_fuse(&op_decode, &decode, &op_resize, &crop, &op, &params, &err),
                     OPIML_ENOMEM);
    base_alloc_fail_at(0);
    assert_null(op);
    assert_null(params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_become_one),
        cmocka_unit_test(others_stay_two),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
