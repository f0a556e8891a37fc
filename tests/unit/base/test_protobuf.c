/* Written messages against the bytes of the format's own documentation. */
#include "../test.h"

#include "base/protobuf.h"

static void check(struct text *text, const char *bytes, size_t count) {
    assert_false(text->failed);
    assert_int_equal(text->count, count);
    assert_memory_equal(text->at, bytes, count);
    text_release(text);
}
#define CHECK(text, literal) check(text, literal, sizeof(literal) - 1)

static void numbers_are_varints(void **state) {
    struct text to = {0};

    protobuf_add_int(&to, 1, 150);
    CHECK(&to, "\x08\x96\x01");
    protobuf_add_int(&to, 1, 0);
    CHECK(&to, "\x08\x00");
    protobuf_add_int(&to, 1, -2);
    CHECK(&to, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    protobuf_add_int(&to, 16, 1); /* a tag of two bytes */
    CHECK(&to, "\x80\x01\x01");
    protobuf_add_varint(&to, 86942);
    CHECK(&to, "\x9e\xa7\x05");
    protobuf_add_float(&to, 2, 1);
    CHECK(&to, "\x15\x00\x00\x80\x3f");
}

static void bytes_have_their_length(void **state) {
    struct text to = {0}, inner = {0};

    protobuf_add_text(&to, 2, "testing");
    CHECK(&to, "\x12\x07testing");
    protobuf_add_bytes(&to, 2, NULL, 0);
    CHECK(&to, "\x12\x00");
    protobuf_add_int(&inner, 1, 150);
    protobuf_add_message(&to, 3, &inner);
    CHECK(&to, "\x1a\x03\x08\x96\x01");
    inner.failed = true;
    protobuf_add_message(&to, 3, &inner);
    assert_true(to.failed);
    text_release(&to);
    text_release(&inner);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_varints),
        cmocka_unit_test(bytes_have_their_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
