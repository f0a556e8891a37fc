/* mixup: who is mixed with whom, how much, and who is left alone. */
#include "op_harness.h"

#include "base/hash.h"
#include "op/half.h"

extern const struct opiml_op op_mixup;

#define ROWS 8
#define PIXELS 15
#define CLASSES 3

struct group {
    struct opiml_value cells[ROWS][2], *rows[ROWS];
    bool live[ROWS];
};

/* Row r: all pixels 10 r + 5 in the dtype, and the one-hot vector of class r % 3. */
static void make_group(struct group *g, uint32_t dtype) {
    memset(g, 0, sizeof(*g));
    for (uint32_t r = 0; r < ROWS; r++) {
        struct opiml_value *image = &g->cells[r][0], *label = &g->cells[r][1];
        float x = 10.0f * (float)r + 5;

        image->bytes = image->capacity = PIXELS * opiml_dtype_bytes(dtype);
        image->data = op_bench_buffer(image->bytes, 0);
        for (uint32_t i = 0; i < PIXELS; i++)
            if (dtype == OPIML_U8)
                image->data[i] = (uint8_t)x;
            else if (dtype == OPIML_F32)
                ((float *)image->data)[i] = x;
            else
                ((uint16_t *)image->data)[i] =
                    dtype == OPIML_F16 ? half_from_f32(x) : bf16_from_f32(x);
        label->bytes = label->capacity = CLASSES * 4;
        label->data = op_bench_buffer(label->bytes, 0);
        ((float *)label->data)[r % CLASSES] = 1;
        g->rows[r] = g->cells[r];
        g->live[r] = true;
    }
}

static void free_group(struct group *g) {
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t f = 0; f < 2; f++) {
            op_bench_guard(g->cells[r][f].data, g->cells[r][f].bytes, "row");
            free(g->cells[r][f].data);
        }
}

static float pixel(const struct group *g, uint32_t r, uint32_t dtype) {
    const uint8_t *data = g->cells[r][0].data;

    if (dtype == OPIML_U8)
        return data[0];
    if (dtype == OPIML_F32)
        return ((const float *)data)[0];
    return dtype == OPIML_F16 ? half_to_f32(((const uint16_t *)data)[0])
                              : bf16_to_f32(((const uint16_t *)data)[0]);
}

static void make(struct op_bench *b, uint32_t dtype) {
    op_bench_init(b, &op_mixup);
    op_bench_field(b, "image", dtype, 3, (int64_t[]){1, 5, 3}, 0);
    op_bench_field(b, "label", OPIML_F32, 1, (int64_t[]){CLASSES}, 0);
}

/* A pair keeps its sum, in pixels and in labels, so pairs can be told from outside. */
static void check_pairs(const struct group *g, uint32_t count, uint32_t dtype, float slack) {
    float before = 0, after = 0;

    for (uint32_t r = 0; r < count; r++) {
        const float *label = (const float *)g->cells[r][1].data;

        before += 10.0f * (float)r + 5;
        after += pixel(g, r, dtype);
        assert_true(label[0] + label[1] + label[2] > 0.9999f);
        assert_true(label[0] + label[1] + label[2] < 1.0001f);
    }
    assert_true(after > before - slack && after < before + slack);
}

static void every_type_is_mixed(void **state) {
    static const uint32_t dtypes[] = {OPIML_U8, OPIML_F16, OPIML_BF16, OPIML_F32};

    (void)state;
    for (size_t d = 0; d < COUNT_OF(dtypes); d++) {
        struct op_bench b;
        uint32_t changed = 0;

        make(&b, dtypes[d]);
        assert_int_equal(op_bench_open(&b, "{alpha: 1, group: 8}"), 0);
        assert_int_equal(b.shape.group_rows, 8);
        for (uint64_t position = 0; position < 80; position += 8) {
            struct group g;

            make_group(&g, dtypes[d]);
            assert_int_equal(op_bench_group(&b, g.rows, g.live, ROWS, position), 0);
            check_pairs(&g, ROWS, dtypes[d], dtypes[d] == OPIML_F32 ? 0.01f : 5);
            for (uint32_t r = 0; r < ROWS; r++)
                changed += pixel(&g, r, dtypes[d]) != 10.0f * (float)r + 5;
            free_group(&g);
        }
        assert_true(changed > 60);
        op_bench_release(&b);
    }
}

/* The share of the pixels is the share of the labels. */
static void images_and_labels_go_together(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, OPIML_F32);
    assert_int_equal(op_bench_open(&b, "{alpha: 0.4, group: 2}"), 0);
    for (uint64_t position = 0; position < 200; position += 2) {
        struct group g;
        float *a, *c;

        make_group(&g, OPIML_F32);
        assert_int_equal(op_bench_group(&b, g.rows, g.live, 2, position), 0);
        a = (float *)g.cells[0][1].data;
        c = (float *)g.cells[1][1].data;
        assert_true(a[0] >= 0 && a[0] <= 1 && a[2] == 0);
        assert_true(a[0] + a[1] == 1 && c[0] == a[1] && c[1] == a[0]);
        assert_true(pixel(&g, 0, OPIML_F32) == 5 * a[0] + 15 * a[1]);
        for (uint32_t i = 1; i < PIXELS; i++)
            assert_true(((float *)g.cells[0][0].data)[i] == pixel(&g, 0, OPIML_F32));
        free_group(&g);
    }
    op_bench_release(&b);
}

static void holes_and_the_odd_one_stay(void **state) {
    struct op_bench b;
    struct group g;

    (void)state;
    make(&b, OPIML_F32);
    assert_int_equal(op_bench_open(&b, "{alpha: 8, group: 2}"), 0);
    make_group(&g, OPIML_F32);
    g.live[1] = false;
    assert_int_equal(op_bench_group(&b, g.rows, g.live, 2, 0), 0);
    assert_true(pixel(&g, 0, OPIML_F32) == 5 && pixel(&g, 1, OPIML_F32) == 15);
    g.live[1] = true;
    assert_int_equal(op_bench_group(&b, g.rows, g.live, 1, 0), 0);
    assert_true(pixel(&g, 0, OPIML_F32) == 5);
    assert_int_equal(op_bench_group(&b, g.rows, g.live, 2, 0), 0);
    assert_true(pixel(&g, 0, OPIML_F32) != 5);
    free_group(&g);
    op_bench_release(&b);
}

/* A hole changes nothing for the others. */
static void holes_do_not_shift_the_stream(void **state) {
    struct op_bench b;
    struct group whole, holed;
    uint32_t same = 0;

    (void)state;
    make(&b, OPIML_F32);
    assert_int_equal(op_bench_open(&b, "{alpha: 2, group: 8}"), 0);
    make_group(&whole, OPIML_F32);
    make_group(&holed, OPIML_F32);
    holed.live[3] = false;
    assert_int_equal(op_bench_group(&b, whole.rows, whole.live, ROWS, 16), 0);
    assert_int_equal(op_bench_group(&b, holed.rows, holed.live, ROWS, 16), 0);
    for (uint32_t r = 0; r < ROWS; r++)
        same += pixel(&whole, r, OPIML_F32) == pixel(&holed, r, OPIML_F32);
    assert_int_equal(same, ROWS - 2);
    free_group(&whole);
    free_group(&holed);
    op_bench_release(&b);
}

static void the_bits_are_fixed(void **state) {
    struct op_bench b;
    uint64_t hash = 0;

    (void)state;
    make(&b, OPIML_F32);
    assert_int_equal(op_bench_open(&b, "{alpha: 0.3, group: 8}"), 0);
    for (uint64_t position = 0; position < 800; position += 8) {
        struct group g;

        make_group(&g, OPIML_F32);
        assert_int_equal(op_bench_group(&b, g.rows, g.live, ROWS, position), 0);
        for (uint32_t r = 0; r < ROWS; r++)
            hash = hash_64(g.cells[r][0].data, g.cells[r][0].bytes, hash);
        free_group(&g);
    }
    if (hash != UINT64_C(0x0a1fe0b1bea27982))
        fail_msg("0x%016" PRIx64, hash);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    op_bench_init(&b, &op_mixup);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 3}, 100);
    op_bench_field(&b, "small", OPIML_U8, 3, (int64_t[]){2, 2, 3}, 0);
    op_bench_field(&b, "label", OPIML_I64, 0, NULL, 0);
    op_bench_field(&b, "hot", OPIML_F32, 1, (int64_t[]){3}, 0);
    op_bench_refuses(&b, "{}", "field|image|differ in shape");
    op_bench_refuses(&b, "{field: small}", "label|one_hot");
    op_bench_refuses(&b, "{field: label}", "field|i64");
    op_bench_refuses(&b, "{field: hot, label: hot}", "label|itself");
    op_bench_refuses(&b, "{field: small, label: hot, alpha: 0}", "alpha");
    op_bench_refuses(&b, "{field: small, label: hot, alpha: 99}", "alpha");
    op_bench_refuses(&b, "{field: small, label: hot, group: 1}", "group");
    assert_int_equal(op_bench_check(&b, "{field: small, label: \"\"}"), 0);
    assert_int_equal(op_bench_check(&b, "{field: small, label: hot}"), 0);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_mixed),
        cmocka_unit_test(images_and_labels_go_together),
        cmocka_unit_test(holes_and_the_odd_one_stay),
        cmocka_unit_test(holes_do_not_shift_the_stream),
        cmocka_unit_test(the_bits_are_fixed),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
