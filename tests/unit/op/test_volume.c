/* Windows and turns of volumes, against plain loops, through an operator made for that. */
#include "volumes.h"

#include "op/volume.h"

struct params {
    struct volume_set set;
    struct volume_padding padding;
    struct opiml_f64_list at;
    struct opiml_u32_list size, axes, back; /* axes: turn in place of cutting */
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    VOLUME_PADDING_PARAMS(struct params),
    {"at", "", "?", offsetof(struct params, at), OPIML_PARAM_F64_LIST, NULL, 0, 0},
    {"size", "", "?", offsetof(struct params, size), OPIML_PARAM_U32_LIST, NULL, 0, 0},
    {"axes", "", "?", offsetof(struct params, axes), OPIML_PARAM_U32_LIST, NULL, 0, 0},
    {"back", "", "?", offsetof(struct params, back), OPIML_PARAM_U32_LIST, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t size[3];
    int rc = volume_check(&p->set, in, size, err);

    if (rc < 0 || (rc = volume_padding_check(&p->padding, &p->set, in, err)) < 0 ||
        (rc = volume_sides_check("size", &p->size, size, err)) < 0)
        return rc;
    for (uint32_t d = 0; d < 3 && p->axes.count == 3; d++)
        size[d] = -1;
    return volume_shape(&p->set, in, size, volume_most_voxels(&p->set, in), shape, err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct volume_turn turn = {0};
    int64_t from[3], at[3], size[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) {
        if (p->axes.count == 3) {
            turn.axis[d] = p->axes.at[d];
            turn.back[d] = p->back.at[d] != 0;
        } else {
            at[d] = (int64_t)p->at.at[d];
            size[d] = p->size.at[d];
        }
    }
    if (p->axes.count == 3)
        return volume_turn(call, &p->set, from, &turn, err);
    return volume_window(call, &p->set, &p->padding, from, at, size, err);
}

static const struct opiml_op probe = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "probe",
    .help = "?",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};

static const double affine[] = {2, 0, 0, -1, 0, 3, 0.5, -2, 0, 0, 4, 7};

static void make(struct op_bench *b, uint32_t dtype, const int64_t size[3]) {
    op_bench_init(b, &probe);
    volumes_field(b, "image", dtype, 2, size);
    volumes_field(b, "label", OPIML_U8, 0, size);
    op_bench_field(b, "affine", OPIML_F64, 2, (int64_t[]){3, 4}, 0);
    op_bench_value(b, "affine", affine, sizeof(affine), NULL);
}

/* Where the affine puts voxel (z, y, x). */
static void place(const uint8_t *data, int64_t z, int64_t y, int64_t x, double ret[3]) {
    double a[12];

    memcpy(a, data, sizeof(a));
    for (int r = 0; r < 3; r++)
        ret[r] = a[4 * r] * (double)x + a[4 * r + 1] * (double)y + a[4 * r + 2] * (double)z +
                 a[4 * r + 3];
}

static void expect_place(const struct op_bench *b, const int64_t out[3], const int64_t in[3]) {
    double got[3], wanted[3];

    place(b->out[2].data, out[0], out[1], out[2], got);
    place((const uint8_t *)affine, in[0], in[1], in[2], wanted);
    assert_memory_equal(got, wanted, sizeof(got));
}

/* Whatever the type, element i of the output comes from some element of the input, or is `fill`. */
static void expect_element(const struct op_bench *b, uint32_t f, int64_t out, int64_t in,
                           const uint8_t *fill) {
    size_t each = opiml_dtype_bytes(b->in_schema.fields[f].dtype);

    assert_memory_equal(b->out[f].data + (size_t)out * each,
                        in < 0 ? fill : b->in[f].data + (size_t)in * each, each);
}

static void expect_window(const struct op_bench *b, const int64_t from[3], const int64_t at[3],
                          const int64_t size[3], enum border_mode mode) {
    const struct params *p = b->params;
    int64_t out = 0;

    for (int64_t c = 0; c < 2; c++)
        for (int64_t z = 0; z < size[0]; z++)
            for (int64_t y = 0; y < size[1]; y++)
                for (int64_t x = 0; x < size[2]; x++, out++) {
                    int64_t i[3] = {at[0] + z, at[1] + y, at[2] + x}, in = 0;
                    bool outside = false;

                    for (int d = 0; d < 3; d++) {
                        outside |= i[d] < 0 || i[d] >= from[d];
                        in = in * from[d] + border_index(i[d], from[d], mode);
                    }
                    if (outside && mode == BORDER_CONSTANT)
                        in = -1;
                    expect_element(b, 0, out, in < 0 ? -1 : in + c * from[0] * from[1] * from[2],
                                   p->padding.fill[0]);
                    if (c == 0)
                        expect_element(b, 1, out, in, p->padding.fill[1]);
                }
    expect_place(b, SIZE(0, 0, 0), at);
    expect_place(b, SIZE(1, 2, 3), SIZE(at[0] + 1, at[1] + 2, at[2] + 3));
}

static void windows_are_right(void **state) {
    static const uint32_t dtypes[] = {OPIML_U8, OPIML_I16, OPIML_F32, OPIML_F64};
    static const char *const modes[] = {"constant", "reflect", "edge"};
    const int64_t from[] = {3, 4, 5};
    uint8_t noise[2 * 60 * 8];

    op_bench_noise(noise, sizeof(noise), 1);
    for (uint32_t t = 0; t < COUNT_OF(dtypes) * COUNT_OF(modes); t++) {
        for (int64_t turn = 0; turn < 60; turn++) {
            struct op_bench b;
            int64_t at[] = {turn % 5 - 2, turn % 7 - 3, turn % 13 - 7};
            int64_t size[] = {1 + turn % 4, 1 + turn % 3, 1 + turn % 11};
            char text[200];

            make(&b, dtypes[t % COUNT_OF(dtypes)], from);
            volumes_value(&b, "image", noise, from);
            volumes_value(&b, "label", noise + 7, from);
            snprintf(text, sizeof(text),
                     "{fields: [image, label], affine: affine, mode: %s, value: [7, 255], at: "
                     "[%d, %d, %d], size: [%d, %d, %d]}",
                     modes[t / COUNT_OF(dtypes)], (int)at[0], (int)at[1], (int)at[2], (int)size[0],
                     (int)size[1], (int)size[2]);
            assert_int_equal(op_bench_open(&b, text), 0);
            assert_int_equal(op_bench_compare(&b, 0), 0);
            expect_window(&b, from, at, size, (enum border_mode)(t / COUNT_OF(dtypes)));
            op_bench_release(&b);
        }
    }
}

static void turns_are_right(void **state) {
    static const uint32_t dtypes[] = {OPIML_U8, OPIML_U16, OPIML_I32, OPIML_I64};
    static const uint32_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const int64_t from[] = {3, 18, 35};
    static uint8_t noise[2 * 3 * 18 * 35 * 8];

    op_bench_noise(noise, sizeof(noise), 2);
    for (uint32_t turn = 0; turn < 4 * 6 * 8; turn++) {
        const uint32_t *axis = orders[turn % 6];
        int64_t size[] = {from[axis[0]], from[axis[1]], from[axis[2]]}, out = 0;
        uint32_t back = turn / 6 % 8;
        struct op_bench b;
        char text[200];

        make(&b, dtypes[turn / 48], SIZE(-1, -1, -1));
        volumes_value(&b, "image", noise, from);
        volumes_value(&b, "label", noise + 7, from);
        snprintf(text, sizeof(text),
                 "{fields: [image, label], affine: affine, axes: [%u, %u, %u], back: [%u, %u, %u]}",
                 axis[0], axis[1], axis[2], back & 1, back & 2, back & 4);
        assert_int_equal(op_bench_open(&b, text), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        for (int64_t c = 0; c < 2; c++)
            for (int64_t z = 0; z < size[0]; z++)
                for (int64_t y = 0; y < size[1]; y++)
                    for (int64_t x = 0; x < size[2]; x++, out++) {
                        const int64_t o[] = {z, y, x};
                        int64_t i[3];

                        for (int d = 0; d < 3; d++)
                            i[axis[d]] = back & 1u << d ? size[d] - 1 - o[d] : o[d];
                        expect_element(&b, 0, out,
                                       ((c * from[0] + i[0]) * from[1] + i[1]) * from[2] + i[2],
                                       NULL);
                        if (c == 0 && y == 1 && x % 17 == 0)
                            expect_place(&b, o, i);
                    }
        op_bench_release(&b);
    }
}

static void rows_that_do_not_fit_are_bad(void **state) {
    const double wrong[] = {1, 0, 0, 1e13, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t noise[1000] = {0};
    struct op_bench b;

    make(&b, OPIML_U8, SIZE(-1, -1, -1));
    volumes_value(&b, "image", noise, SIZE(3, 4, 5));
    volumes_value(&b, "label", noise, SIZE(3, 4, 6));
    assert_int_equal(op_bench_open(&b, "{fields: [image, label], affine: affine, at: [0, 0, 0], "
                                       "size: [1, 1, 1]}"),
                     0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "label"));
    volumes_value(&b, "label", noise, SIZE(3, 0, 5));
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    volumes_value(&b, "label", noise, SIZE(3, 4, 5));
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_value(&b, "affine", wrong, sizeof(wrong), NULL);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "affine"));
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    make(&b, OPIML_I16, SIZE(3, 4, 5));
    volumes_field(&b, "other", OPIML_U8, 0, SIZE(3, 4, 6));
    op_bench_field(&b, "flat", OPIML_U8, 2, (int64_t[]){3, 4}, 0);
    op_bench_field(&b, "loose", OPIML_U8, 4, (int64_t[]){-1, 3, 4, 5}, 60);
    op_bench_field(&b, "none", OPIML_U8, 3, (int64_t[]){0, 4, 5}, 0);
    op_bench_refuses(&b, "{fields: [imag]}", "fields|imag|did you mean");
    op_bench_refuses(&b, "{fields: [image, other]}", "other|one size");
    op_bench_refuses(&b, "{fields: [image, image]}", "image|twice");
    op_bench_refuses(&b, "{fields: [flat]}", "flat|2 dimensions");
    op_bench_refuses(&b, "{fields: [loose]}", "loose|channels");
    op_bench_refuses(&b, "{fields: [none]}", "none|0 voxels");
    op_bench_refuses(&b, "{fields: []}", "fields|empty");
    op_bench_refuses(&b, "{affine: flat}", "affine|flat|[3, 4]");
    op_bench_refuses(&b, "{affine: missing}", "affine|missing");
    op_bench_refuses(&b, "{value: 0.5}", "value|0.5|i16");
    op_bench_refuses(&b, "{value: 40000}", "value|40000|i16");
    op_bench_refuses(&b, "{fields: [label], value: -1}", "value|-1|u8");
    op_bench_refuses(&b, "{fields: [label], value: 256}", "value|256|u8");
    op_bench_refuses(&b, "{value: [1, 2, 3]}", "value|3 numbers");
    op_bench_refuses(&b, "{size: [1, 2]}", "size|2 numbers");
    op_bench_refuses(&b, "{size: [65536, 65536, 1]}", "2 GiB");
    op_bench_release(&b);
}

static void axes_are_read(void **state) {
    struct opiml_text_list list = {2, {"x", "z"}};
    struct opiml_error err;
    bool axes[3];

    assert_int_equal(volume_axes_check("axes", &list, axes, NULL), 0);
    assert_true(axes[0] && !axes[1] && axes[2]);
    strcpy(list.at[1], "xy");
    assert_int_equal(volume_axes_check("axes", &list, axes, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "\"xy\""));
    strcpy(list.at[1], "");
    assert_int_equal(volume_axes_check("axes", &list, axes, NULL), OPIML_EINVAL);
    list.count = 0;
    assert_int_equal(volume_axes_check("axes", &list, axes, NULL), OPIML_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_right),
        cmocka_unit_test(turns_are_right),
        cmocka_unit_test(rows_that_do_not_fit_are_bad),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(axes_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
