#include "write.h"

#include "dataset/format.h"

static void every_writer_is_whole(void **state) {
    for (const struct writer *const *kind = writer_kinds(); *kind; kind++) {
        const struct writer *writer = *kind;
        assert_non_null(format_find(writer->name));
        assert_ptr_equal(writer_find(writer->name), writer);
        assert_true(writer->help[0]);
        assert_true(writer->check && writer->begin && writer->append && writer->finish);
        assert_non_null(writer->release);
        if (writer->params)
            assert_null(conf_table_problem(writer->params, writer->params_bytes));
    }
    for (const struct format *const *kind = format_kinds(); *kind; kind++)
        assert_true(writer_find((*kind)->name) || (*kind)->prepare);
    /* of a database */ /* what is read is written */
    assert_ptr_equal(writer_find("image_folder"), writer_find("image-folder"));
    assert_null(writer_find("image"));
}

/* A shard that is given up leaves no file, also before anything was written. */
static void giving_up_leaves_nothing(void **state) {
    for (const struct writer *const *kind = writer_kinds(); *kind; kind++) {
        void *memory = base_alloc((*kind)->state_bytes);
        (*kind)->release(memory);
        base_free(memory);
    }
}

static void names_in_quotes(void **state) {
    AUTO_TEXT struct text text = {0};
    write_quoted(&text, "a \"b\" \\ \n\xc3\xb6");
    assert_string_equal(text.at, "\"a \\\"b\\\" \\\\ \\u000a\xc3\xb6\"");
}

static void fields_are_described(void **state) {
    struct opiml_schema schema = {0};
    const struct write_plan plan = {.schema = &schema};
    AUTO_TEXT struct text text = {0};
    struct opiml_error err;
    opiml_schema_add(&schema, "x", OPIML_U8, 3, (int64_t[]){4, 4, 3}, 0, NULL);
    opiml_schema_add(&schema, "t", OPIML_U8, 1, (int64_t[]){-1}, 9, NULL);
    opiml_schema_add(&schema, "n", OPIML_I32, 0, NULL, 0, NULL);
    write_describe_fields(&plan, &text);
    write_describe_names(&plan, &text);
    assert_string_equal(text.at, ", fields: [\"x:u8:4x4x3\", \"t:u8:*\", \"n:i32\"]"
                                 ", fields: [\"x\", \"t\", \"n\"]");
    assert_int_equal(write_check_fields(&schema, "f", false, &err), 0);
    assert_int_equal(write_check_fields(&schema, "f", true, &err), OPIML_EINVAL);
    opiml_schema_add(&schema, "forty-seven bytes are the most that a name has.", OPIML_U8, 0, NULL,
                     0, NULL);
    opiml_schema_add(&schema, "a name of thirty-eight bytes in a row.", OPIML_F32, 1,
                     (int64_t[]){10000}, 0, NULL);
    assert_int_equal(write_check_fields(&schema, "f", false, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "too long"));
}

static void names_of_folders(void **state) {
    static const char *const unsafe[] = {"", ".", "..", "../x", "/x", "x/y", "x/", ".x"};
    for (size_t i = 0; i < COUNT_OF(unsafe); i++)
        assert_false(write_folder_safe(unsafe[i]));
    assert_true(write_folder_safe("x"));
    assert_true(write_folder_safe("a cat..dog"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_writer_is_whole), cmocka_unit_test(giving_up_leaves_nothing),
        cmocka_unit_test(names_in_quotes),       cmocka_unit_test(fields_are_described),
        cmocka_unit_test(names_of_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
