/* JSON objects read where they lie. */
#include "../test.h"

#include "base/base.h"
#include "dataset/jsonl.h"

static struct jsonl row;
static struct jsonl_value key, value;
static struct opiml_error err;

/* A copy with nothing behind it, for ASan; given back by the next call. */
static void begin(const char *text) {
    static uint8_t *copy;
    size_t bytes = strlen(text);

    free(copy);
    copy = malloc(bytes + !bytes);
    memcpy(copy, text, bytes);
    jsonl_init(&row, copy, (uint32_t)bytes);
}

static int count_members(const char *text) {
    int rc, count = 0;

    begin(text);
    while ((rc = jsonl_next(&row, &key, &value, &err)) == 1)
        count++;
    return rc < 0 ? rc : count;
}

static void members_come_in_order(void **state) {
    static const struct {
        const char *key, *value;
        enum jsonl_kind kind;
    } wanted[] = {{"a", "1", JSONL_NUMBER},       {"b", "x\\\"y", JSONL_TEXT},
                  {"c", "[1, [2]]", JSONL_ARRAY}, {"d", "{\"e\": \"]\"}", JSONL_OBJECT},
                  {"f", "true", JSONL_BOOL},      {"g", "null", JSONL_NULL},
                  {"h", "-1.5e+3", JSONL_NUMBER}};

    begin(" { \"a\" : 1,\"b\":\"x\\\"y\", \"c\":[1, [2]] , \"d\":{\"e\": \"]\"},\"f\":true,"
          "\"g\":null,\"h\":-1.5e+3}\r\n");
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_int_equal(jsonl_next(&row, &key, &value, &err), 1);
        assert_int_equal(key.bytes, strlen(wanted[i].key));
        assert_memory_equal(key.at, wanted[i].key, key.bytes);
        assert_int_equal(value.kind, wanted[i].kind);
        assert_int_equal(value.bytes, strlen(wanted[i].value));
        assert_memory_equal(value.at, wanted[i].value, value.bytes);
    }
    assert_int_equal(jsonl_next(&row, &key, &value, &err), 0);
    assert_int_equal(count_members("{}"), 0);
}

static void other_texts_are_refused(void **state) {
    static const char *const bad[] = {"",           "[]",          "{",          "{\"a\"",
                                      "{\"a\":",    "{\"a\":1",    "{\"a\":1,}", "{,}",
                                      "{\"a\" 1}",  "{\"a\":1}x",  "{\"a\":[1}", "{\"a\":[1",
                                      "{\"a\":\"x", "{\"a\":\"\\", "{a:1}",      "{\"a\":nul}",
                                      "{\"a\":.5}", "{\"a\":1 2}", "{\"a\":-}",  "{\"a\":\"\t\"}"};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (count_members(bad[i]) != OPIML_ECORRUPT)
            fail_msg("%s", bad[i]);
    char deep[256] = "{\"a\":";
    memset(deep + 5, '[', 100);
    assert_int_equal(count_members(deep), OPIML_ELIMIT);
}

static void escapes_are_resolved(void **state) {
    static const struct {
        const char *from, *to;
    } good[] = {{"plain", "plain"},
                {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
                {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
                {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"}};
    static const char *const bad[] = {"\\x",     "\\u12",          "\\ud800",
                                      "\\ude00", "\\ud800\\u0041", "\\u12g4"};
    uint8_t to[64];

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct jsonl_value text = {.kind = JSONL_TEXT,
                                   .at = (const uint8_t *)good[i].from,
                                   .bytes = (uint32_t)strlen(good[i].from)};

        assert_int_equal(jsonl_text(&text, to, &err), strlen(good[i].to));
        assert_memory_equal(to, good[i].to, strlen(good[i].to));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct jsonl_value text = {
            .kind = JSONL_TEXT, .at = (const uint8_t *)bad[i], .bytes = (uint32_t)strlen(bad[i])};

        assert_int_equal(jsonl_text(&text, to, &err), OPIML_ECORRUPT);
    }
}

static int numbers(const char *text, uint32_t dtype, void *to, uint64_t room,
                   struct jsonl_shape *shape) {
    locale_t locale = number_locale();
    struct jsonl_value from = {.kind = *text == '[' ? JSONL_ARRAY : JSONL_NUMBER,
                               .at = (const uint8_t *)text,
                               .bytes = (uint32_t)strlen(text)};
    int rc = jsonl_numbers(&from, dtype, to, room, locale, shape, &err);

    freelocale(locale);
    return rc;
}

static void arrays_have_shapes(void **state) {
    static const struct {
        const char *text;
        uint32_t ndim;
        int64_t first, second;
    } good[] = {{"5", 0, 0, 0},  {"[1,2,3]", 1, 3, 0}, {"[[1,2],[3,4],[5,6]]", 2, 3, 2},
                {"[]", 1, 0, 0}, {"[[],[]]", 2, 2, 0}, {"[ [true] , [false] ]", 2, 2, 1}};
    static const char *const bad[] = {"[1,[2]]", "[[1],2]", "[[1],[2,3]]",   "[[],1]", "[[1],[]]",
                                      "[\"a\"]", "[1,]",    "[[[[[[1]]]]]]", "[null]", "[1 2]"};
    struct jsonl_shape shape;

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (numbers(good[i].text, 0, NULL, 0, &shape) < 0)
            fail_msg("%s: %s", good[i].text, err.message);
        assert_int_equal(shape.ndim, good[i].ndim);
        assert_true(shape.ndim < 1 || shape.size[0] == good[i].first);
        assert_true(shape.ndim < 2 || shape.size[1] == good[i].second);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (numbers(bad[i], 0, NULL, 0, &shape) != OPIML_ECORRUPT)
            fail_msg("%s", bad[i]);
}

static void numbers_become_types(void **state) {
    struct jsonl_shape shape;
    int16_t shorts[4] = {0};
    float floats[2];

    assert_int_equal(numbers("[1,-2,300]", OPIML_I16, shorts, 2, &shape), 0);
    assert_true(shape.count == 3 && shorts[0] == 1 && shorts[1] == -2 && shorts[2] == 0);
    assert_int_equal(numbers("[1e2, 0.5]", OPIML_F32, floats, 2, &shape), 0);
    assert_true(floats[0] == 100 && floats[1] == 0.5f && !shape.whole);
    assert_int_equal(numbers("[40000]", OPIML_I16, shorts, 4, &shape), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "\"40000\" is no i16"));
    assert_int_equal(numbers("[1.5]", OPIML_I16, shorts, 4, &shape), OPIML_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_order), cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(escapes_are_resolved),  cmocka_unit_test(arrays_have_shapes),
        cmocka_unit_test(numbers_become_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
