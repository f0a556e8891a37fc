/* The table of operators: built-in ones, users' objects, and all that can be wrong with those. The
 * objects are compiled here, as a user would; without a compiler for this machine those tests skip.
 */
#include "op_harness.h"

#include <dlfcn.h>

#include "op/registry.h"

#ifndef TEST_SOURCE
#define TEST_SOURCE "."
#endif

/* ---- built-in operators ---- */

static void built_in_tables_are_sound(void **state) {
    size_t count = 0;

    (void)state;
    for (const struct opiml_op *const *op = op_list(); *op; op++, count++) {
        const char *problem = op_table_problem(*op);
        if (problem)
            fail_msg("%s: %s", (*op)->name, problem);
        assert_ptr_equal(op_find((*op)->name), *op);
        /* The catalogue adds the stop. */
        assert_int_not_equal((*op)->help[strlen((*op)->help) - 1], '.');
        for (const struct opiml_op *const *other = op_list(); other != op; other++)
            assert_string_not_equal((*other)->name, (*op)->name);
    }
    assert_true(count >= 10);
    assert_null(op_find("no_such_operator"));
    assert_null(op_load_error());
}

/* Defaults must pass through the same gate as what a user writes. */
static void presets_are_valid(void **state) {
    (void)state;
    for (const struct opiml_op *const *op = op_list(); *op; op++) {
        AUTO_FREE void *params = base_alloc((*op)->params_bytes + 1);

        assert_non_null(params);
        for (const struct opiml_param *row = (*op)->params; row && row->name; row++) {
            struct opiml_error err = {0};

            if (row->preset && row->preset[0] &&
                conf_set((*op)->params, params, row->name, row->preset, &err) < 0)
                fail_msg("%s: %s: %s", (*op)->name, row->name, err.message);
        }
    }
}

static uint64_t other_codec(void) {
    return 99;
}

static void implementations_differ(void **state) {
    struct opiml_op a = *op_find("random_flip"), b = a;

    (void)state;
    assert_true(op_implementation(&a) == op_implementation(&b));
    b.version++;
    assert_true(op_implementation(&a) != op_implementation(&b));
    b = a;
    b.codec_id = other_codec;
    assert_true(op_implementation(&a) != op_implementation(&b));
    assert_true(op_implementation(&a) != op_implementation(op_find("pad")));
}

/* ---- mistakes in a table ---- */

static int no_open(const void *params, const struct opiml_op_shape *shape, void **ret_state,
                   struct opiml_error *err) {
    (void)params, (void)shape, (void)ret_state, (void)err;
    return 0;
}

static int no_group(struct opiml_op_call *call, struct opiml_value *const *rows, const bool *live,
                    uint32_t count, struct opiml_error *err) {
    (void)call, (void)rows, (void)live, (void)count, (void)err;
    return 0;
}

static void expect(const struct opiml_op *op, const char *words) {
    const char *problem = op_table_problem(op);

    if (!problem)
        fail_msg("not noticed: %s", words);
    if (!strstr(problem, words))
        fail_msg("\"%s\" is not in: %s", words, problem);
}

static void mistakes_in_a_table_are_seen(void **state) {
    const struct opiml_op good = *op_find("random_flip");
    struct opiml_op op;

    (void)state;
#define CASE(words, ...)                                                                           \
    op = good;                                                                                     \
    __VA_ARGS__;                                                                                   \
    expect(&op, words)
    CASE("ABI", op.abi++);
    CASE("sizeof", op.size -= 8);
    CASE("no name", op.name = NULL);
    CASE("no name", op.name = "");
    CASE("[a-z_]", op.name = "Two Words");
    CASE("[a-z_]", op.name = "2fast");
    CASE("longer", op.name = "a123456789012345678901234567890123456789");
    CASE("word of the pipeline file", op.name = "cache");
    CASE("word of the pipeline file", op.name = "label");
    CASE("word of the pipeline file", op.name = "place");
    CASE("no help", op.help = "");
    CASE("version", op.version = 0);
    CASE("flags", op.flags |= 1u << 20);
    CASE("no check", op.check = NULL);
    CASE("open and close", op.open = no_open);
    CASE("needs run", op.run = NULL);
    CASE("run_group only", op.run_group = no_group);
    CASE("no run", op.flags |= OPIML_OP_GROUP);
    CASE("exclude", op.run = NULL; op.run_group = no_group;
         op.flags = OPIML_OP_GROUP | OPIML_OP_MAY_DROP);
    CASE("params_bytes", op.params_bytes = 100);
}

static void mistakes_in_parameters_are_seen(void **state) {
    struct opiml_op op = *op_find("random_flip");
    struct opiml_param rows[3];

    (void)state;
    op.params = rows;
#define ROW_CASE(words, ...)                                                                       \
    memset(rows, 0, sizeof(rows));                                                                 \
    rows[0] = (struct opiml_param){"a", "1", "Help", 0, OPIML_PARAM_U32, NULL, 0, 0};              \
    assert_null(op_table_problem(&op));                                                            \
    __VA_ARGS__;                                                                                   \
    expect(&op, words)
    ROW_CASE("empty name", rows[0].name = "");
    ROW_CASE("no help", rows[0].help = NULL);
    ROW_CASE("type", rows[0].type = 77);
    ROW_CASE("past params_bytes", rows[0].offset = op.params_bytes - 2);
    ROW_CASE("past params_bytes", rows[0].offset = SIZE_MAX);
    ROW_CASE("choices", rows[0].type = OPIML_PARAM_CHOICE);
    ROW_CASE("least", rows[0].least = 2);
    ROW_CASE("same name", rows[1] = rows[0]);
}

/* ---- shared objects ---- */

static bool compile(const char *folder, const char *name, const char *source) {
    char command[8192], path[4096], file[64];
    void *object;

    if (source) {
        snprintf(file, sizeof(file), "%s.c", name);
        test_write(folder, file, source, strlen(source));
    }
    snprintf(
        command, sizeof(command),
        "cc -std=gnu17 -O1 -ffp-contract=off -fPIC -shared -I'%s/include' -o '%s/%s' '%s%s%s.c' "
        "2>/dev/null",
        TEST_SOURCE, folder, name, source ? folder : TEST_SOURCE, "/",
        source ? name : "examples/custom-op/op_invert");
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (system(command) != 0)
        return false;
    /* A cross build under an emulator has a compiler, but for another machine. */
    object = dlopen(path, RTLD_LAZY);
    if (object)
        dlclose(object);
    return object != NULL;
}

#define OBJECT(name, more)                                                                         \
    "#include <opiml/op.h>\n"                                                                      \
    "static int check(void *p, const struct opiml_schema *in, struct opiml_op_shape *s,\n"         \
    "                 struct opiml_error *e) { return 0; }\n"                                      \
    "static int run(struct opiml_op_call *c, struct opiml_error *e) { return 0; }\n"               \
    "static const struct opiml_op op = {sizeof(op), OPIML_OP_ABI, 1, 0, \"" name "\", \"Help\",\n" \
    "    .check = check, .run = run, " more "};\n"                                                 \
    "OPIML_API const struct opiml_op *const opiml_user_ops[] = {&op, NULL};\n"

static void objects_join_the_table(void **state) {
    char *folder = test_folder(), path[4200];
    static struct op_table table; /* large */
    size_t built_in;

    (void)state;
    op_table_init(&table, NULL);
    built_in = table.count;
    assert_string_equal(table.problem, "");
    op_table_release(&table);
    if (!compile(folder, "b.so", OBJECT("second", "")) ||
        !compile(folder, "a.so", OBJECT("first", "")) ||
        !compile(folder, "not-an-object", OBJECT("third", ""))) {
        test_folder_remove(folder);
        skip();
    }
    op_table_init(&table, folder); /* *.so only, in order of names */
    assert_string_equal(table.problem, "");
    assert_int_equal(table.count, built_in + 2);
    assert_string_equal(table.ops[built_in]->name, "first");
    assert_string_equal(table.ops[built_in + 1]->name, "second");
    assert_null(table.ops[table.count]);
    op_table_release(&table);
    snprintf(path, sizeof(path), "::%s/b.so::%s/not-an-object:", folder, folder);
    op_table_init(&table, path);
    assert_string_equal(table.problem, "");
    assert_int_equal(table.count, built_in + 2);
    assert_string_equal(table.ops[built_in]->name, "second");
    op_table_release(&table);
    test_folder_remove(folder);
}

/* One bad object is told and left out; the others come in. */
static void bad_objects_are_left_out(void **state) {
    static const struct {
        const char *source, *words;
    } cases[] = {
        {OBJECT("pad", ""), "pad: the name is taken"},
        {OBJECT("old", ".abi = 999"), "ABI"},
        {OBJECT("small", ".size = 8"), "sizeof"},
        {OBJECT("", ""), "no name"},
        {OBJECT("open", ".close = (void (*)(void *))check"), "open and close"},
        {"int nothing_here;\n", "does not export \"opiml_user_ops\""},
        {"extern void no_such_function(void);\n"
         "void *opiml_user_ops[] = {(void *)no_such_function, 0};\n",
         "no_such_function"},
    };
    static struct op_table table;
    char *folder = test_folder();

    (void)state;
    if (!compile(folder, "z.so", OBJECT("fine", ""))) {
        test_folder_remove(folder);
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        compile(folder, "bad.so", cases[i].source);
        op_table_init(&table, folder);
        if (!strstr(table.problem, cases[i].words) || !strstr(table.problem, "bad.so"))
            fail_msg("\"%s\" is not in: %s", cases[i].words, table.problem);
        assert_string_equal(table.ops[table.count - 1]->name, "fine");
        op_table_release(&table);
    }
    test_folder_remove(folder);
}

static void bad_paths_are_told(void **state) {
    static struct op_table table;
    char *folder = test_folder(), path[4200], *longest = malloc(OP_PATH_BYTES_MAX + 1);
    size_t built_in;

    (void)state;
    op_table_init(&table, "/no/such/folder");
    assert_non_null(strstr(table.problem, "/no/such/folder: No such file"));
    built_in = table.count;
    op_table_release(&table);
    test_write(folder, "text.so", "not an object", 13);
    snprintf(path, sizeof(path), "%s/text.so", folder);
    op_table_init(&table, path);
    assert_non_null(strstr(table.problem, "text.so"));
    assert_int_equal(table.count, built_in);
    op_table_release(&table);
    memset(longest, 'a', OP_PATH_BYTES_MAX);
    longest[OP_PATH_BYTES_MAX] = '\0';
    op_table_init(&table, longest);
    assert_non_null(strstr(table.problem, "longer than"));
    op_table_release(&table);
    for (uint64_t n = 1; n <= 3; n++) { /* built-in operators are there in any case */
        base_alloc_fail_at(n);
        op_table_init(&table, folder);
        base_alloc_fail_at(0);
        assert_int_equal(table.count, built_in);
        assert_true(table.problem[0]);
        op_table_release(&table);
    }
    free(longest);
    test_folder_remove(folder);
}

/* A user's object finds opiml_fail in the program that loads it. This program is linked without its
 * own symbols to see, so borrow those of the library beside it. */
static bool export_opiml(void) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);
    char *end;

    if (dlsym(RTLD_DEFAULT, "opiml_fail"))
        return true;
    if (length < 0)
        return false;
    path[length] = '\0';
    for (int up = 0; up < 2; up++)
        if ((end = strrchr(path, '/')))
            *end = '\0';
    strncat(path, "/src/libopiml.so", 32);
    return dlopen(path, RTLD_NOW | RTLD_GLOBAL) != NULL;
}

/* The worked example, built by its own line, at work. */
static void the_example_works(void **state) {
    static struct op_table table;
    char *folder = test_folder();
    struct op_bench b;

    (void)state;
    if (!export_opiml() || !compile(folder, "op_invert.so", NULL)) {
        print_message("skipped: no libopiml.so beside this program, or no compiler\n");
        test_folder_remove(folder);
        skip();
    }
    op_table_init(&table, folder);
    assert_string_equal(table.problem, "");
    op_bench_init(&b, table.ops[table.count - 1]);
    assert_string_equal(b.op->name, "invert");
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 1}, 64);
    op_bench_field(&b, "label", OPIML_I64, 0, NULL, 0);
    op_bench_refuses(&b, "{field: label}", "label|not u8");
    op_bench_refuses(&b, "{amount: 2}", "amount");
    op_bench_value(&b, "image", "\x00\x01\xFF", 3, (int64_t[]){1, 3, 1});
    op_bench_value(&b, "label", "12345678", 8, NULL);
    assert_int_equal(op_bench_open(&b, "{}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, "\xFF\xFE\x00", 3);
    op_bench_release(&b);
    op_table_release(&table);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_tables_are_sound),
        cmocka_unit_test(presets_are_valid),
        cmocka_unit_test(implementations_differ),
        cmocka_unit_test(mistakes_in_a_table_are_seen),
        cmocka_unit_test(mistakes_in_parameters_are_seen),
        cmocka_unit_test(objects_join_the_table),
        cmocka_unit_test(bad_objects_are_left_out),
        cmocka_unit_test(bad_paths_are_told),
        cmocka_unit_test(the_example_works),
    };

    unsetenv("OPIML_OP_PATH");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
