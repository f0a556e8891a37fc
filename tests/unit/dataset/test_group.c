/* Files into records by patterns. */
#include "../test.h"

#include "base/base.h"
#include "dataset/group.h"

static struct source_object objects[] = {{.key = "a_x.npy"},
                                         {.key = "a_y.npy"},
                                         {.key = "b/c_x.npy"},
                                         {.key = "b/c_y.npy"},
                                         {.key = "other.npy"}};
static const struct source_listing listing = {.objects = objects, .count = 5};
static const struct source source = {.uri = "file:///d", .prefix = "file:///d/"};

static int make(struct group *group, const char *first, const char *second,
                struct opiml_error *err) {
    struct opiml_text_list list = {.count = (uint32_t)((first != NULL) + (second != NULL))};

    if (first)
        snprintf(list.at[0], sizeof(list.at[0]), "%s", first);
    if (second)
        snprintf(list.at[1], sizeof(list.at[1]), "%s", second);
    return group_make(group, &source, &listing, &list, "data", err);
}

static void the_star_is_the_key(void **state) {
    struct group group;

    assert_int_equal(make(&group, "y:*_y.npy", "x:*_x.npy", NULL), 0);
    assert_true(group.count == 2 && group.parts == 2);
    assert_string_equal(group.names[0], "y");
    assert_memory_equal(group.keys[0], "a", group.key_bytes[0]);
    assert_memory_equal(group.keys[1], "b/c", group.key_bytes[1]);
    assert_int_equal(group.key_bytes[1], 3);
    assert_int_equal(group.objects[0], 1); /* a_y */
    assert_int_equal(group.objects[1], 0); /* a_x */
    assert_int_equal(group.objects[3], 2);
    group_release(&group);
}

static void names_make_one_record(void **state) {
    struct group group;

    assert_int_equal(make(&group, "m:other.npy", "x:a_x.npy", NULL), 0);
    assert_true(group.count == 1 && group.parts == 2 && group.key_bytes[0] == 0);
    assert_true(group.objects[0] == 4 && group.objects[1] == 0);
    group_release(&group);
}

static void without_a_list_each_is_alone(void **state) {
    struct group group;

    assert_int_equal(make(&group, NULL, NULL, NULL), 0);
    assert_true(group.count == 5 && group.parts == 1 && group.objects[4] == 4);
    assert_string_equal(group.names[0], "data");
    group_release(&group);
}

static void mistakes_are_named(void **state) {
    static const struct {
        const char *first, *second, *what;
    } bad[] = {{"x:*.npy", "y:*_y.npy", "\"a\" has no file for the part \"x\""},
               {"y:*_y.npy", "x:*.npy", "\"a\" has no file for the part \"x\""},
               {"x", NULL, "is not name:pattern"},
               {":a", NULL, "is not name:pattern"},
               {"x:", NULL, "is not name:pattern"},
               {"x:*_*", NULL, "more than one '*'"},
               {"x:*_x.npy", "y:other.npy", "either each pattern has a '*', or none"},
               {"x:*_x.npy", "y:none/*", "has no file for the part \"y\""}};
    struct opiml_error err;
    struct group group;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(make(&group, bad[i].first, bad[i].second, &err), OPIML_EINVAL);
        if (!strstr(err.message, bad[i].what))
            fail_msg("%s: %s", bad[i].first, err.message);
        group_release(&group);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_star_is_the_key),
        cmocka_unit_test(names_make_one_record),
        cmocka_unit_test(without_a_list_each_is_alone),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
