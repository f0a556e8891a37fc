/* Costs of operators: known ones are found in points that follow them. */
#include "harness.h"

#include <math.h>

#include "pipeline/calibration.h"

static void expect(double value, double wanted) {
    if (!(fabs(value - wanted) <= 1e-6 * fmax(1, fabs(wanted))))
        fail_msg("%g is not %g", value, wanted);
}

static void costs_are_found(void **state) {
    static const double costs[][3] = {
        {100, 2, 3}, {0, 12.5, 0.25}, {5000, 0, 0}, {0, 0, 0.2}, {700, 0.05, 0}};
    static const double bytes[][2] = {{1e3, 5e3}, {4e3, 5e3}, {2e4, 1.5e5}, {1e5, 1.5e5}};

    for (size_t i = 0; i < COUNT_OF(costs); i++) {
        struct calibration_point points[COUNT_OF(bytes)];
        struct calibration_cost cost;

        for (size_t p = 0; p < COUNT_OF(bytes); p++)
            points[p] = (struct calibration_point){bytes[p][0], bytes[p][1],
                                                   costs[i][0] + costs[i][1] * bytes[p][0] +
                                                       costs[i][2] * bytes[p][1]};
        calibration_fit(points, COUNT_OF(bytes), &cost);
        expect(cost.row_ns, costs[i][0]);
        expect(cost.in_ns, costs[i][1]);
        expect(cost.out_ns, costs[i][2]);
        assert_true(cost.error < 1e-6);
    }
}

/* What falls where bytes rise is no cost by the byte; none is negative. */
static void none_is_below_0(void **state) {
    static const struct calibration_point falls[] = {
        {1e3, 1e3, 900}, {1e4, 1e3, 500}, {1e5, 1e3, 400}};
    static const struct calibration_point one[] = {{1e3, 2e3, 500}},
                                          zero[] = {{0, 0, 0}, {0, 0, 0}};
    struct calibration_cost cost;

    calibration_fit(falls, 3, &cost);
    assert_true(cost.row_ns > 0 && cost.in_ns >= 0 && cost.out_ns >= 0);
    calibration_fit(one, 1, &cost);
    expect(cost.row_ns + 1e3 * cost.in_ns + 2e3 * cost.out_ns, 500);
    calibration_fit(zero, 2, &cost);
    expect(cost.row_ns, 0);
    calibration_fit(zero, 0, &cost);
    expect(cost.row_ns + cost.in_ns + cost.out_ns + cost.error, 0);
}

static void a_pipeline_is_known_by_its_operators(void **state) {
    struct harness data = harness_make(100);
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "ops:\n  - cast: {field: x, to: f32}\n"
                                "  - gaussian_noise: {field: x, std: [0, 1]}\nbatch: {size: 8}\n");
    struct calibration_cost cost = {.row_ns = 10, .in_ns = 2, .out_ns = 3}, found;
    struct profile profile = {
        .classes = 1, .ops = 2, .class[0] = {.op_ns = {1, 1}, .bytes = {100, 200, 300}}};
    double age;

    setenv("XDG_CACHE_HOME", data.folder, 1);
    assert_false(calibration_covers(pipeline));
    assert_false(calibration_apply(pipeline, &profile));
    calibration_put(pipeline->op[0]->op, &cost);
    assert_true(calibration_find(pipeline->op[0]->op, &found, &age));
    assert_true(found.in_ns == 2 && age < 100);
    assert_false(calibration_covers(pipeline));
    cost.row_ns = 1000;
    calibration_put(pipeline->op[1]->op, &cost);
    assert_true(calibration_covers(pipeline));
    assert_true(calibration_apply(pipeline, &profile));
    expect(profile.class[0].op_ns[0], 10 + 2 * 100 + 3 * 200);
    expect(profile.class[0].op_ns[1], 1000 + 2 * 200 + 3 * 300);
    assert_int_equal(profile.origin, PROFILE_CALIBRATED);
    opiml_pipeline_close(pipeline);
    harness_remove(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_found),
        cmocka_unit_test(none_is_below_0),
        cmocka_unit_test(a_pipeline_is_known_by_its_operators),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
