/* Nodes that another one may call, and what it has from them. */
#include "wanted.h"

#include "node/upstream.h"

static void only_named_nodes_are_called(void **state) {
    static const char *const others[] = {"", "a", "a:1", "a:11,b:2", "b:2,", "b:22", "A:11"};
    struct upstreams *upstreams;
    struct opiml_error err;

    assert_int_equal(upstreams_create("a:11,b:2", NULL, &upstreams, NULL), 0);
    assert_int_equal(upstreams_check(upstreams, "a:11", NULL), 0);
    assert_int_equal(upstreams_check(upstreams, "b:2", NULL), 0);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(upstreams_check(upstreams, others[i], &err), OPIML_EACCES);
    assert_null(upstreams_tls(upstreams));
    upstreams_destroy(upstreams);
    assert_int_equal(upstreams_check(NULL, "a:11", &err), OPIML_EACCES);
    assert_string_equal(err.message, "upstream a:11: this node may not call it: it calls those "
                                     "that its --upstream names");
    assert_int_equal(upstreams_create(NULL, NULL, &upstreams, NULL), 0);
    assert_int_equal(upstreams_check(upstreams, "a:11", NULL), OPIML_EACCES);
    upstreams_destroy(upstreams);
    assert_int_equal(upstreams_create("a:11,b", NULL, &upstreams, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "b: no place on a network, such as HOST:PORT");
    upstreams_destroy(NULL);
    upstream_close(NULL);
}

static void who_does_not_answer_is_named(void **state) {
    struct node_remote_request request = {.at = "127.0.0.1:1", .stripes = 1};
    struct upstreams *upstreams;
    struct upstream *upstream;
    struct opiml_error err;
    struct wanted wanted;
    struct route route;

    wanted_make(&wanted);
    request.text = wanted.text;
    request.path = "/w/p.yaml";
    assert_int_equal(upstreams_create("127.0.0.1:1", NULL, &upstreams, NULL), 0);
    assert_int_equal(upstream_open(upstreams, &request, wanted.pipeline, &upstream, &route, &err),
                     OPIML_EIO);
    assert_ptr_equal(strstr(err.message, "upstream 127.0.0.1:1"), err.message);
    request.at = "127.0.0.1:2";
    assert_int_equal(upstream_open(upstreams, &request, wanted.pipeline, &upstream, &route, &err),
                     OPIML_EACCES);
    upstreams_destroy(upstreams);
    wanted_remove(&wanted);
}

static void a_way_is_checked_before_anybody_is_called(void **state) {
    const struct node_hop nobody[NODE_HOPS_MAX] = {
        {"127.0.0.1:1", 1}, {"127.0.0.1:1", 0}, {"127.0.0.1:2", 0}, {"127.0.0.1:1", 0}};
    struct upstreams *upstreams;
    struct session *session;
    struct opiml_error err;
    struct wanted wanted;

    wanted_make(&wanted);
    assert_int_equal(upstreams_create("127.0.0.1:1", NULL, &upstreams, NULL), 0);
    wanted.request.upstreams = upstreams;
    wanted.request.before = nobody;
    wanted.request.befores = 2;
    assert_int_equal(session_create(&wanted.request, &session, &err), OPIML_EINVAL);
    assert_string_equal(err.message,
                        "upstream 127.0.0.1:1: 1 operators, and 0 at the node behind it");
    wanted.request.before = nobody + 1;
    assert_int_equal(session_create(&wanted.request, &session, &err), OPIML_EACCES);
    wanted.request.before = nobody;
    wanted.request.befores = NODE_HOPS_MAX;
    assert_int_equal(session_create(&wanted.request, &session, &err), OPIML_EINVAL);
    wanted.request.befores = 1;
    wanted.request.upstreams = NULL; /* none is named */
    assert_int_equal(session_create(&wanted.request, &session, &err), OPIML_EACCES);
    upstreams_destroy(upstreams);
    wanted_remove(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_named_nodes_are_called),
        cmocka_unit_test(who_does_not_answer_is_named),
        cmocka_unit_test(a_way_is_checked_before_anybody_is_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
