/* What a node says of a pipeline's cost. */
#include "wanted.h"

#include "node/profiles.h"

static void it_is_measured_as_it_would_run(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    struct profile_classes classes;
    struct opiml_error err = {0};
    struct wanted wanted;

    wanted_make(&wanted);
    profile_classes(wanted.pipeline, &classes);
    if (node_profile_make(&wanted.request, &classes, 0, true, made, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(made->profile.ops, wanted.pipeline->row_ops);
    assert_true(made->profile.cores >= 1 && made->profile.cores <= SESSION_THREADS);
    for (uint32_t k = 0; k < wanted.pipeline->row_ops; k++) {
        assert_int_equal(made->implementations[k], wanted.implementations[k]);
        assert_true(made->profile.class[0].op_ns[k] > 0);
    }
    for (uint32_t k = 0; k <= wanted.pipeline->row_ops; k++)
        assert_string_equal(made->refusal[k], "");
    wanted_remove(&wanted);
    free(made);
}

static void cuts_that_cannot_be_are_told(void **state) {
    struct node_profile *made = calloc(1, sizeof(*made));
    struct profile_classes classes;
    struct wanted wanted;

    wanted_make(&wanted);
    profile_classes(wanted.pipeline, &classes);
    wanted.request.pool_bytes = MIB(1); /* too little for anything */
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, NULL), 0);
    for (uint32_t k = 0; k <= wanted.pipeline->row_ops; k++)
        assert_non_null(strstr(made->refusal[k], "too small"));
    wanted.request.fingerprint++;
    assert_int_equal(node_profile_make(&wanted.request, &classes, 0, true, made, NULL),
                     OPIML_ESTALE);
    wanted_remove(&wanted);
    free(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_measured_as_it_would_run),
        cmocka_unit_test(cuts_that_cannot_be_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
