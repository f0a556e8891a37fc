/* Plans: where values are written, and that everything fits the pool. */
#include "base/cores.h"
#include "harness.h"

#include "pipeline/plan.h"

static struct harness data;

static int make_data(void **state) {
    data = harness_make(100);
    return 0;
}

static int remove_data(void **state) {
    harness_remove(&data);
    return 0;
}

static struct plan *plan_of(struct opiml_pipeline *pipeline, uint32_t first, uint32_t last) {
    struct plan_request request = harness_request(pipeline, 2);
    struct opiml_error err = {0};
    struct plan *plan = NULL;

    request.first = first;
    request.last = last;
    request.reads = first == 0;
    request.delivers = last == pipeline->row_ops;
    if (plan_create(pipeline, &request, &plan, &err) < 0)
        fail_msg("%s", err.message);
    return plan;
}

/* The last writer of a field writes into the batch; who is read by an operator behind it does not.
 */
static void last_writers_write_into_the_batch(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - cast: {field: x, to: f64}\n  - rename: {from: x, to: y}\n"
                                "  - one_hot: {field: label, classes: 100}\n");
    struct plan *plan = plan_of(pipeline, 0, 4);

    assert_int_equal(plan->target[0][0].slot_field, -1);
    assert_int_equal(plan->target[0][0].room, 64);
    assert_int_equal(plan->target[1][0].slot_field, 0); /* by way of rename */
    assert_int_equal(plan->target[3][1].slot_field, 1);
    base_free(plan);

    /* Cut behind the first: now it is the last writer there. */
    plan = plan_of(pipeline, 0, 1);
    assert_int_equal(plan->target[0][0].slot_field, 0);
    assert_false(plan->delivers);
    base_free(plan);
    opiml_pipeline_close(pipeline);
}

/* Scratch that is alive at the same time does not overlap; what is dead is used again. */
static void scratch_is_shared_over_time(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 4}\nops:\n  - cast: {field: x, to: f32}\n"
                                "  - cast: {field: x, to: f64}\n  - cast: {field: x, to: f32}\n"
                                "  - cast: {field: x, to: f64}\n  - cast: {field: x, to: u8}\n");
    struct plan *plan = plan_of(pipeline, 0, 5);

    for (uint32_t k = 0; k + 1 < 4; k++) {
        const struct plan_target *a = &plan->target[k][0], *b = &plan->target[k + 1][0];

        assert_true(a->offset + a->room <= b->offset || b->offset + b->room <= a->offset);
    }
    assert_int_equal(plan->target[0][0].offset, plan->target[2][0].offset);
    assert_true(plan->parse_offset <= 4096);
    base_free(plan);
    opiml_pipeline_close(pipeline);
}

/* What is worth another thread: making something, mixing, a copy of some size, a cache. */
static void light_rows_stay_with_their_reader(void **state) {
    static const struct {
        const char *yaml;
        bool light;
    } cases[] = {
        {"ops: []\n", true},
        {"ops:\n  - select: {fields: [label]}\n  - rename: {from: label, to: y}\n", true},
        {"ops:\n  - cast: {field: x, to: f32}\n", false},
        {"ops:\n  - cast: {field: x, to: f32}\n  - select: {fields: [label]}\n", false},
        {"ops:\n  - filter: {where: \"label < 50\"}\n", false},
        {"ops:\n  - cache: {bytes: 1MiB}\n", false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char yaml[160];
        struct opiml_pipeline *pipeline;
        struct plan *plan;

        snprintf(yaml, sizeof(yaml), "batch: {size: 4}\n%s", cases[i].yaml);
        pipeline = harness_pipeline(&data, yaml);
        plan = plan_of(pipeline, 0, pipeline->row_ops);
        assert_int_equal(plan->in_reader, cases[i].light);
        assert_int_equal(plan->threads, cases[i].light ? 1 : 2);
        base_free(plan);
        if (pipeline->row_ops > 0) {
            plan = plan_of(pipeline, 0, pipeline->row_ops - 1); /* its rows go to another stage */
            assert_false(plan->in_reader);
            base_free(plan);
        }
        opiml_pipeline_close(pipeline);
    }
}

/* The pool that a refusal asks for. */
static uint64_t asked_for(const struct opiml_error *err) {
    const char *need = strstr(err->message, " need ");

    assert_int_equal(err->code, OPIML_ELIMIT);
    assert_non_null(strstr(err->message, "is too small: 2 batches of "));
    assert_non_null(need);
    return strtoull(need + 6, NULL, 10) * MIB(1);
}

static void what_is_asked_for_is_enough(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 60000}\nops:\n  - cast: {field: x, to: f64}\n");
    struct plan_request request = harness_request(pipeline, 2);
    struct opiml_error err = {0};
    struct plan *plan = NULL;

    request.pool_bytes = 0;
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "pool: 0 B is too small"));
    request.pool_bytes = asked_for(&err);
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), 0);
    base_free(plan);
    request.pool_bytes /= 2;
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), OPIML_ELIMIT);
    request.pool_bytes = asked_for(&err);
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), 0);
    base_free(plan);
    opiml_pipeline_close(pipeline);
}

static void everything_fits_the_pool(void **state) {
    struct opiml_pipeline *pipeline =
        harness_pipeline(&data, "batch: {size: 64}\nops:\n  - cast: {field: x, to: f32}\n");
    struct plan_request request = harness_request(pipeline, 2);
    struct opiml_error err = {0};
    struct plan *plan = NULL;

    for (uint64_t pool = KIB(16); pool <= MIB(64); pool *= 2) {
        request.pool_bytes = pool;
        if (plan_create(pipeline, &request, &plan, &err) < 0) {
            assert_int_equal(err.code, OPIML_ELIMIT);
            continue;
        }
        assert_true(plan->slots >= PLAN_SLOTS_MIN);
        assert_true(plan->total_bytes + plan->charge_bytes <= pool);
        base_free(plan);
        plan = NULL;
    }
    request.pool_bytes = KIB(16);
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), OPIML_ELIMIT);
    request = harness_request(pipeline, 0);
    assert_int_equal(plan_create(pipeline, &request, &plan, &err), 0);
    assert_int_equal(plan->threads, cores_count());
    base_free(plan);
    opiml_pipeline_close(pipeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_writers_write_into_the_batch),
        cmocka_unit_test(scratch_is_shared_over_time),
        cmocka_unit_test(light_rows_stay_with_their_reader),
        cmocka_unit_test(what_is_asked_for_is_enough),
        cmocka_unit_test(everything_fits_the_pool),
    };

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
