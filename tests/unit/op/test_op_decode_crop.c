/* decode_crop: a random part of a picture, decoded alone. */
#include "crop_cases.h"

extern const struct opiml_op op_decode_crop, op_random_resized_crop;

static void fast_is_the_reference(void **state) {
    uint32_t rounds = getenv("OPIML_SOAK") ? 20000 : 250;

    (void)state;
    crop_compare_all(&op_decode_crop, "{size: [24, 17]}", rounds);
    crop_compare_all(&op_decode_crop, "{size: 5, scale: [0.5, 1]}", rounds); /* reductions */
    crop_compare_all(&op_decode_crop, "{size: [64, 80], scale: [0.01, 0.3]}", rounds);
}

/* 40 pixels wanted of at most 79: no reduction by 2. */
static void one_is_two(void **state) {
    (void)state;
    crop_compare_parts(&op_decode_crop, &op_random_resized_crop, "{size: 40}", 120, 1, 79);
}

static void the_stream_keys_the_part(void **state) {
    struct crop_file file = crop_file(5, 90, 80);
    struct op_bench b;
    uint8_t first[16 * 16 * 3];

    (void)state;
    crop_open(&b, &op_decode_crop, "{size: 16}");
    crop_give(&b, &file);
    assert_int_equal(op_bench_run(&b, 1), 0);
    memcpy(first, b.out[0].data, sizeof(first));
    assert_int_equal(op_bench_run(&b, 2), 0);
    assert_memory_not_equal(first, b.out[0].data, sizeof(first));
    assert_int_equal(op_bench_run(&b, 1), 0);
    assert_memory_equal(first, b.out[0].data, sizeof(first));
    op_bench_release(&b);
    free(file.data);
}

/* The photographs, where they are: many pixels, real encoders. */
static void photographs_agree(void **state) {
    const char *folder = getenv("OPIML_DATA");
    char path[4096], header[512];
    struct op_bench b;
    uint32_t count = 0;
    FILE *tar;

    (void)state;
    snprintf(path, sizeof(path), "%s/imagenet-sample-250.tar", folder ? folder : TEST_SHARED);
    tar = fopen(path, "rb");
    if (!tar) {
        print_message("%s is not there\n", path);
        skip();
    }
    op_bench_init(&b, &op_decode_crop);
    op_bench_field(&b, "image", OPIML_U8, 1, (int64_t[]){-1}, MIB(16));
    assert_int_equal(op_bench_open(&b, "{size: 224}"), 0);
    while (fread(header, sizeof(header), 1, tar) == 1 && header[0]) {
        size_t bytes = strtoull(header + 124, NULL, 8), room = base_align_up(bytes, 512);
        uint8_t *data = malloc(room + 1);

        assert_int_equal(fread(data, 1, room, tar), room);
        if (bytes && count++ % (getenv("OPIML_SOAK") ? 1 : 10) == 0) {
            op_bench_value(&b, "image", data, bytes, (int64_t[]){(int64_t)bytes});
            if (op_bench_compare(&b, count) < 0)
                fail_msg("%s: %s", header, b.err.message);
        }
        free(data);
    }
    fclose(tar);
    assert_true(count >= 250);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(one_is_two),
        cmocka_unit_test(the_stream_keys_the_part),
        cmocka_unit_test(photographs_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
