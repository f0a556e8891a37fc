/* Files of named arrays, with files that are made up: what is named, what is taken, what is bad. */
#include "../test.h"

#include "base/base.h"
#include "dataset/members.h"

/* A file's key says what it is: "bad" cannot be opened, "part" has a damaged "x". */
struct file {
    const char *key;
};

static int file_open(struct source *source, const struct source_object *object, const void *params,
                     void **ret_file, struct opiml_error *err) {
    struct file *file;

    if (strcmp(object->key, "bad") == 0)
        return opiml_fail(err, OPIML_ECORRUPT, "bad");
    if (strcmp(object->key, "closed") == 0)
        return opiml_fail(err, OPIML_EACCES, "closed");
    *ret_file = file = calloc(1, sizeof(*file));
    file->key = object->key;
    return 0;
}

static bool file_name(void *context, size_t i, const char **ret_name, size_t *ret_bytes) {
    static const char *const names[] = {"x", "", "image", "a"};

    *ret_name = names[i % 4];
    *ret_bytes = strlen(*ret_name);
    return i < 4;
}

static int file_look(void *context, const char *name, struct arrays_part *part,
                     struct opiml_error *err) {
    const struct file *file = context;

    if (strcmp(name, "none") == 0)
        return OPIML_ENOENT;
    if (strcmp(file->key, "part") == 0 && strcmp(name, "x") == 0)
        return opiml_fail(err, OPIML_ECORRUPT, "damaged");
    part->array = (struct array){.dtype = OPIML_U8, .ndim = 1, .shape = {4}};
    part->piece.bytes = part->piece.full = 4;
    return 0;
}

static const struct members_ops ops = {.one = "thing",
                                       .bare = true,
                                       .open = file_open,
                                       .close = free,
                                       .name = file_name,
                                       .look = file_look};

static int build(const char *first, const char *second, const char *field,
                 struct index_draft *draft, struct opiml_error *err) {
    struct source_object objects[] = {{.key = first, .bytes = 4}, {.key = second, .bytes = 4}};
    const struct source_listing listing = {.objects = objects, .count = 2};
    struct source source = {.uri = "u", .prefix = "p/"};
    struct opiml_text_list fields = {.count = field != NULL};

    if (field)
        snprintf(fields.at[0], sizeof(fields.at[0]), "%s", field);
    assert_int_equal(index_draft_init(draft, &listing, NULL), 0);
    return members_build(&ops, &source, &listing, NULL, &fields, false, draft, err);
}

static const struct index_piece *piece(const struct index_draft *draft, size_t record, size_t f) {
    return (const struct index_piece *)(const void *)draft->rows.tails + record * draft->pieces + f;
}

static void all_of_the_first_sound_file(void **state) {
    struct index_draft draft;

    assert_int_equal(build("bad", "good", NULL, &draft, NULL), 0);
    assert_int_equal(draft.schema.count, 3);
    assert_string_equal(draft.schema.fields[0].name, "image");
    assert_string_equal(draft.schema.fields[1].name, "a");
    assert_int_equal(draft.rows.count, 2);
    assert_int_equal(piece(&draft, 0, 0)->form, 0); /* which parsing will find to be no array */
    assert_int_equal(piece(&draft, 1, 2)->form, ARRAYS_BARE);
    index_draft_release(&draft);
}

static void named_ones_in_order(void **state) {
    struct index_draft draft;
    struct opiml_error err;

    assert_int_equal(build("part", "good", "x", &draft, NULL), 0);
    assert_int_equal(draft.schema.count, 1);
    assert_int_equal(piece(&draft, 0, 0)->form, 0);
    assert_int_equal(piece(&draft, 1, 0)->form, ARRAYS_BARE);
    index_draft_release(&draft);
    assert_int_equal(build("good", "good", "none", &draft, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "p/good: no thing \"none\", which `fields` names");
    index_draft_release(&draft);
}

static void failures_are_told(void **state) {
    struct index_draft draft;
    struct opiml_error err;

    assert_int_equal(build("good", "closed", NULL, &draft, &err), OPIML_EACCES);
    assert_string_equal(err.message, "p/closed: closed");
    index_draft_release(&draft);
    assert_int_equal(build("bad", "bad", NULL, &draft, &err), OPIML_ECORRUPT);
    index_draft_release(&draft);
    assert_int_equal(build("part", "part", "x", &draft, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "no file has a sound array for \"x\""));
    index_draft_release(&draft);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_the_first_sound_file),
        cmocka_unit_test(named_ones_in_order),
        cmocka_unit_test(failures_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
