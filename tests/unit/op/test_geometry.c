/* Boxes: torchvision's rules, by hand and by counting. */
#include "op_harness.h"

#include "op/geometry.h"

static struct opiml_error err;

static struct geometry_params params(uint32_t kind, uint32_t size_count, uint32_t height,
                                     uint32_t width) {
    struct geometry_params p = {.size = {size_count, {height, width}},
                                .scale = {2, {0.08, 1}},
                                .ratio = {2, {3.0 / 4, 4.0 / 3}}};

    p.kind = kind;
    return p;
}

static struct geometry place(struct geometry_params *p, uint32_t height, uint32_t width) {
    struct geometry geometry;
    struct opiml_rng none = {{0}, {0}, {0}, 0}, before = none;

    assert_int_equal(geometry_check(p, p->kind, &err), 0);
    geometry_place(p, height, width, &none, &geometry);
    assert_memory_equal(&none, &before, sizeof(none)); /* nothing is drawn */
    return geometry;
}

static void check_axis(const struct geometry_axis *axis, uint32_t in) {
    assert_int_equal(axis->in, in);
    assert_true(axis->length > 0 && axis->out > 0);
    assert_true(axis->low < axis->high && axis->high <= in);
    assert_true(axis->from >= (uint64_t)axis->low * GEOMETRY_UNIT);
    assert_true(axis->from + axis->length <= (uint64_t)axis->high * GEOMETRY_UNIT);
    assert_true(axis->at + axis->out <= axis->total);
}

static void expect(const struct geometry_axis *axis, double from, double length, uint32_t at,
                   uint32_t out) {
    assert_int_equal(axis->from, (uint64_t)(from * GEOMETRY_UNIT + 0.5));
    assert_int_equal(axis->length, (uint64_t)(length * GEOMETRY_UNIT + 0.5));
    assert_int_equal(axis->at, at);
    assert_int_equal(axis->out, out);
}

static void center_is_the_middle(void **state) {
    struct geometry_params p = params(GEOMETRY_CENTER, 2, 10, 20);
    struct geometry g;

    (void)state;
    g = place(&p, 13, 25); /* halves go to the even number: 1.5 → 2, 2.5 → 2 */
    expect(&g.y, 2, 10, 0, 10);
    expect(&g.x, 2, 20, 0, 20);
    assert_int_equal(g.y.low, 2);
    assert_int_equal(g.y.high, 12);
    g = place(&p, 7, 25); /* too low: zeros above and below */
    expect(&g.y, 0, 7, 1, 7);
    assert_int_equal(g.y.total, 10);
    expect(&g.x, 2, 20, 0, 20);
}

/* 500 × 375 → 341 × 256 → the middle 224: numbers of torchvision. */
static void center_resizes_first(void **state) {
    struct geometry_params p = params(GEOMETRY_CENTER, 1, 224, 0);
    struct geometry g;

    (void)state;
    p.resize = 256;
    g = place(&p, 375, 500);
    expect(&g.y, 16.0 * 375 / 256, 224.0 * 375 / 256, 0, 224);
    expect(&g.x, 58.0 * 500 / 341, 224.0 * 500 / 341, 0, 224); /* (341 - 224) / 2 = 58.5 → 58 */
    assert_int_equal(g.x.low, 0);                              /* the filter sees beyond the box */
    assert_int_equal(g.x.high, 500);
    g = place(&p, 500, 375);
    expect(&g.x, 16.0 * 375 / 256, 224.0 * 375 / 256, 0, 224);
    p.resize = 100; /* smaller than the crop */
    g = place(&p, 200, 400);
    expect(&g.y, 0, 200, 62, 100);
    expect(&g.x, 0, 400, 12, 200);
}

static void resize_is_the_whole(void **state) {
    struct geometry_params both = params(GEOMETRY_RESIZE, 2, 30, 40);
    struct geometry_params one = params(GEOMETRY_RESIZE, 1, 100, 0);
    struct geometry g = place(&both, 7, 1000);

    (void)state;
    expect(&g.y, 0, 7, 0, 30);
    expect(&g.x, 0, 1000, 0, 40);
    assert_false(both.ragged);
    g = place(&one, 375, 500);
    assert_true(one.ragged);
    assert_int_equal(g.y.total, 100);
    assert_int_equal(g.x.total, 133); /* cut, not rounded */
    g = place(&one, 500, 375);
    assert_int_equal(g.y.total, 133);
    assert_int_equal(g.x.total, 100);
    g = place(&one, 10, 5000);      /* four times `size` at most */
    assert_int_equal(g.y.total, 1); /* 400 × 100 / 50000 */
    assert_int_equal(g.x.total, 400);
    one.max_size = 120;
    g = place(&one, 375, 500);
    assert_int_equal(g.y.total, 90);
    assert_int_equal(g.x.total, 120);
}

static void random_boxes_are_as_told(void **state) {
    struct geometry_params p = params(GEOMETRY_RANDOM, 1, 224, 0);
    double area = 0, log_like = 0;
    uint32_t rounds = 20000, wide = 0, touches[4] = {0};

    (void)state;
    assert_int_equal(geometry_check(&p, GEOMETRY_RANDOM, &err), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        struct opiml_rng rng;
        struct geometry g;
        double h, w;

        rng_init(&rng, 1, 2, i, 3);
        geometry_place(&p, 300, 300, &rng, &g);
        check_axis(&g.y, 300);
        check_axis(&g.x, 300);
        h = (double)g.y.length / GEOMETRY_UNIT;
        w = (double)g.x.length / GEOMETRY_UNIT;
        assert_true(w / h > 0.73 && w / h < 1.37);
        assert_true(h * w / 90000 > 0.078);
        area += h * w / 90000;
        log_like += w > h ? 1 : w < h ? -1 : 0;
        wide += w > h;
        touches[0] += g.y.low == 0;
        touches[1] += g.x.low == 0;
        touches[2] += g.y.high == 300;
        touches[3] += g.x.high == 300;
    }
    /* Uniform from 0.08 to 1, less those that do not fit. By the same rules in floating point, with
     * another generator: 0.480. */
    assert_true(area / rounds > 0.472 && area / rounds < 0.488);
    assert_true(wide > rounds * 46 / 100 && wide < rounds * 54 / 100);
    assert_true(log_like / rounds > -0.05 && log_like / rounds < 0.05);
    for (int i = 0; i < 4; i++)
        assert_true(touches[i] > rounds / 200);
}

/* Where the draw fits, the box is that of the formula in floating point. */
static void random_boxes_follow_the_formula(void **state) {
    struct geometry_params p = params(GEOMETRY_RANDOM, 1, 64, 0);

    (void)state;
    p.scale.at[0] = p.scale.at[1] = 0.25;
    p.ratio.at[0] = p.ratio.at[1] = 1;
    assert_int_equal(geometry_check(&p, GEOMETRY_RANDOM, &err), 0);
    for (uint32_t height = 1; height < 400; height += 13)
        for (uint32_t width = 1; width < 400; width += 7) {
            struct opiml_rng rng;
            struct geometry g;
            double root = 0;

            rng_init(&rng, 1, height, width, 3);
            geometry_place(&p, height, width, &rng, &g);
            check_axis(&g.y, height);
            check_axis(&g.x, width);
            if (g.y.length != g.x.length)
                continue; /* the fallback */
            while (root * root < height * width / 4.0)
                root += 1.0 / 1024;
            if (root + 1 < height && root + 1 < width)
                assert_true(abs((int)g.y.length - (int)(root * GEOMETRY_UNIT)) <=
                            GEOMETRY_UNIT * 51 / 100);
        }
}

static void what_fits_nowhere_falls_back(void **state) {
    struct geometry_params p = params(GEOMETRY_RANDOM, 2, 10, 10);
    struct opiml_rng rng;
    struct geometry g;

    (void)state;
    p.scale.at[0] = 1;
    assert_int_equal(geometry_check(&p, GEOMETRY_RANDOM, &err), 0);
    rng_init(&rng, 1, 1, 1, 1);
    geometry_place(&p, 100, 1000, &rng, &g); /* too wide: the middle at 4:3 */
    expect(&g.y, 0, 100, 0, 10);
    expect(&g.x, 433, 133, 0, 10);
    geometry_place(&p, 1000, 90, &rng, &g); /* too high: 3:4 */
    expect(&g.x, 0, 90, 0, 10);
    expect(&g.y, 440, 120, 0, 10);
    geometry_place(&p, 1, 65535, &rng, &g);
    expect(&g.x, 32767, 1, 0, 10);
}

static void every_size_works(void **state) {
    static const uint32_t sides[] = {1, 2, 3, 7, 223, 224, 225, 65534, 65535};
    struct geometry_params all[] = {
        params(GEOMETRY_RANDOM, 1, 224, 0),   params(GEOMETRY_CENTER, 1, 224, 0),
        params(GEOMETRY_CENTER, 2, 1, 16384), params(GEOMETRY_RESIZE, 1, 224, 0),
        params(GEOMETRY_RESIZE, 2, 16384, 1),
    };

    (void)state;
    all[1].resize = 256;
    all[2].resize = 16384;
    for (size_t k = 0; k < COUNT_OF(all); k++) {
        assert_int_equal(geometry_check(&all[k], all[k].kind, &err), 0);
        for (size_t i = 0; i < COUNT_OF(sides) * COUNT_OF(sides); i++) {
            uint32_t height = sides[i / COUNT_OF(sides)], width = sides[i % COUNT_OF(sides)], by;
            struct opiml_rng rng;
            struct geometry g;

            rng_init(&rng, i, 0, 0, 0);
            geometry_place(&all[k], height, width, &rng, &g);
            check_axis(&g.y, height);
            check_axis(&g.x, width);
            assert_true(g.y.total <= all[k].height || all[k].ragged);
            assert_true((uint64_t)g.y.total * g.x.total <= (uint64_t)all[k].height * all[k].width);
            by = geometry_reduction(&g);
            assert_true(by == 1 || (g.y.length >= (uint64_t)by * g.y.out * GEOMETRY_UNIT &&
                                    g.x.length >= (uint64_t)by * g.x.out * GEOMETRY_UNIT));
        }
    }
}

static void reduction_stays_above_the_output(void **state) {
    struct geometry_params p = params(GEOMETRY_RESIZE, 2, 100, 100);
    static const struct {
        uint32_t height, width, by;
    } cases[] = {{99, 99, 1},   {199, 400, 1}, {200, 200, 2},   {399, 1000, 2},
                 {400, 400, 4}, {800, 799, 4}, {800, 10000, 8}, {9999, 9999, 8}};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        struct geometry g = place(&p, cases[k].height, cases[k].width);

        assert_int_equal(geometry_reduction(&g), cases[k].by);
    }
}

static void refuses(struct geometry_params p, const char *name) {
    assert_int_equal(geometry_check(&p, p.kind, &err), OPIML_EINVAL);
    assert_memory_equal(err.message, name, strlen(name));
}

static void mistakes_are_named(void **state) {
    struct geometry_params p = params(GEOMETRY_RANDOM, 3, 10, 10);

    (void)state;
    refuses(p, "size: 3 numbers");
    p.size.count = 0;
    refuses(p, "size: ");
    p = params(GEOMETRY_CENTER, 1, 0, 0);
    refuses(p, "size: 0");
    p = params(GEOMETRY_RANDOM, 1, 10, 0);
    p.scale.at[0] = 0;
    refuses(p, "scale: ");
    p.scale.at[0] = 0.9;
    p.scale.at[1] = 0.8;
    refuses(p, "scale: ");
    p.scale.at[1] = __builtin_nan("");
    refuses(p, "scale: ");
    p = params(GEOMETRY_RANDOM, 1, 10, 0);
    p.ratio.count = 1;
    refuses(p, "ratio: 1 number;");
    p = params(GEOMETRY_CENTER, 1, 10, 0);
    p.resize = GEOMETRY_OUT_MAX + 1;
    refuses(p, "resize: ");
    p = params(GEOMETRY_RESIZE, 1, 10, 0);
    p.max_size = 9;
    refuses(p, "max_size: 9");
    p = params(GEOMETRY_RESIZE, 2, 10, 10);
    p.max_size = 20;
    refuses(p, "max_size: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(center_is_the_middle),
        cmocka_unit_test(center_resizes_first),
        cmocka_unit_test(resize_is_the_whole),
        cmocka_unit_test(random_boxes_are_as_told),
        cmocka_unit_test(random_boxes_follow_the_formula),
        cmocka_unit_test(what_fits_nowhere_falls_back),
        cmocka_unit_test(every_size_works),
        cmocka_unit_test(reduction_stays_above_the_output),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
