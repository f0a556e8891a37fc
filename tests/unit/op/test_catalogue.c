/* The catalogue names every operator with all of its parameters. */
#include "op_harness.h"

#include "op/catalogue.h"
#include "op/registry.h"

static void everything_is_in_it(void **state) {
    AUTO_TEXT struct text page = {0};

    (void)state;
    op_catalogue(&page);
    assert_false(page.failed);
    for (const struct opiml_op *const *op = op_list(); *op; op++) {
        AUTO_TEXT struct text heading = {0};
        const char *section, *next;

        text_printf(&heading, "\n## %s\n\n%s.\n", (*op)->name, (*op)->help);
        section = strstr(page.at, heading.at);
        if (!section) {
            fail_msg("%s is missing", (*op)->name);
            return; /* fail_msg does not, but gcc cannot know */
        }
        next = strstr(section + 4, "\n## ");
        for (const struct opiml_param *row = (*op)->params; row && row->name; row++) {
            AUTO_TEXT struct text start = {0};
            const char *found;

            text_printf(&start, "\n| `%s` | ", row->name);
            found = strstr(section, start.at);
            if (!found || (next && found > next))
                fail_msg("%s: %s is missing", (*op)->name, row->name);
        }
    }
}

/* A table's row has as many cells as its head, whatever stands in them. */
static void cells_are_escaped(void **state) {
    static const struct opiml_param rows[] = {
        {"mode", "a|b", "One | or the other", 0, OPIML_PARAM_CHOICE, "a|b|c", 0, 0},
        {"name", "", "Text", 0, OPIML_PARAM_TEXT, NULL, 0, 0},
        {"must", NULL, "Number", 0, OPIML_PARAM_F64, NULL, -1, 2.5},
        {0}};
    struct opiml_op op = {.name = "x",
                          .help = "Do",
                          .about = "More",
                          .version = 3,
                          .params = rows,
                          .flags = OPIML_OP_RANDOM | OPIML_OP_MAY_DROP};
    AUTO_TEXT struct text section = {0};

    (void)state;
    op_catalogue_one(&op, &section);
    assert_non_null(
        strstr(section.at, "## x\n\nDo.\n\nMore\n\nTraits: random, drops. Version 3.\n"));
    assert_non_null(
        strstr(section.at, "| `mode` | a\\|b\\|c | `a\\|b` | One \\| or the other |\n"));
    assert_non_null(strstr(section.at, "| empty | Text |\n"));
    assert_non_null(strstr(section.at, ", -1 to 2.5 | must be given | Number |\n"));
    op.params = NULL;
    op.flags = 0;
    text_release(&section);
    op_catalogue_one(&op, &section);
    assert_null(strstr(section.at, "| parameter"));
    assert_non_null(strstr(section.at, "Traits: none."));
}

static void out_of_memory_is_seen(void **state) {
    AUTO_TEXT struct text page = {0};

    (void)state;
    op_list();
    base_alloc_fail_at(3);
    op_catalogue(&page);
    base_alloc_fail_at(0);
    assert_true(page.failed || page.count > 0);
    text_release(&page);
    base_alloc_fail_at(1);
    op_catalogue(&page);
    base_alloc_fail_at(0);
    assert_true(page.failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_in_it),
        cmocka_unit_test(cells_are_escaped),
        cmocka_unit_test(out_of_memory_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
