/* XML: what is read, and what is refused. */
#include "../test.h"

#include "base/xml.h"

static int write_down(void *context, const char *path, const char *text, size_t bytes,
                      struct opiml_error *err) {
    assert_int_equal(strlen(text), bytes);
    text_add(context, path);
    text_add(context, "=");
    text_add_bytes(context, text, bytes);
    text_add(context, "\n");
    return strcmp(text, "stop") == 0 ? opiml_fail(err, OPIML_ECANCELED, "stopped") : 0;
}

static void expect(const char *document, const char *wanted) {
    AUTO_TEXT struct text got = {0};
    struct opiml_error err = {0};

    if (xml_read(document, strlen(document), write_down, &got, &err) < 0)
        fail_msg("%s: %s", document, err.message);
    assert_string_equal(got.at, wanted);
}

static void refuse(const char *document, const char *why) {
    AUTO_TEXT struct text got = {0};
    struct opiml_error err = {0};

    assert_int_equal(xml_read(document, strlen(document), write_down, &got, &err), OPIML_ECORRUPT);
    if (!strstr(err.message, why))
        fail_msg("%s: \"%s\" lacks \"%s\"", document, err.message, why);
}

static void documents(void **state) {
    expect(
        "<?xml version=\"1.0\"?>\n<a xmlns='u&amp;v' x = \"1\"><b>one</b><c/> <b> two </b></a>\n",
        "a/b=one\na/c=\na/b= two \na= \n");
    expect("<s:a xmlns:s=\"u\"><s:b>1</s:b></s:a>", "a/b=1\na=\n");
    expect("<!-- x --><a>1&lt;2 &amp;&#38;&#x26; &quot;&apos;&gt;<!-- <b> -->z</a><!-- y -->",
           "a=1<2 &&& \"'>z\n");
    expect("<a>&#233;&#x20AC;&#x1F600;</a>", "a=\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n");
    expect("<a><![CDATA[<b>&amp;]]></a>", "a=<b>&amp;\n");
    expect("<a >x</a >", "a=x\n");
}

static void not_xml(void **state) {
    static const char *const cases[][2] = {
        {"", "ends early"},
        {"text", "outside"},
        {"<a>", "ends early"},
        {"<a></b>", "another element"},
        {"</a>", "another element"},
        {"<a/><b/>", "a second element"},
        {"<a/>x", "outside"},
        {"<a b></a>", "without a value"},
        {"<a b=c></a>", "without quotes"},
        {"<a b=\"c></a>", "it ends within"},
        {"<a", "a name that is empty"},
        {"<>", "a name that is empty"},
        {"<a>&nbsp;</a>", "entity"},
        {"<a>&#0;</a>", "entity"},
        {"<a>&#xD800;</a>", "entity"},
        {"<a>&#x110000;</a>", "entity"},
        {"<a>&amp</a>", "entity"},
        {"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type"},
        {"<![CDATA[x]]>", "outside"},
        {"<a><!-- x</a>", "it ends within"},
        {"<a></a x>", "does not end"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        refuse(cases[i][0], cases[i][1]);
}

static void bounds(void **state) {
    AUTO_TEXT struct text deep = {0}, name = {0}, large = {0};

    for (int i = 0; i < 17; i++)
        text_add(&deep, "<a>");
    refuse(deep.at, "16 deep");
    text_add(&name, "<");
    for (int i = 0; i < 65; i++)
        text_add(&name, "n");
    text_add(&name, "/>");
    refuse(name.at, "longer than 64");
    text_add(&large, "<a>");
    for (int i = 0; i < 65537; i++)
        text_add(&large, "x");
    text_add(&large, "</a>");
    refuse(large.at, "64 KiB");
    large.at[large.count - 5] = '<'; /* one less */
    memcpy(large.at + large.count - 5, "</a>", 5);
    struct text got = {0};
    assert_int_equal(xml_read(large.at, strlen(large.at), write_down, &got, NULL), 0);
    text_release(&got);
}

static void the_caller_may_stop(void **state) {
    AUTO_TEXT struct text got = {0};
    struct opiml_error err;
    const char *document = "<a><b>stop</b><c>no</c></a>";

    assert_int_equal(xml_read(document, strlen(document), write_down, &got, &err), OPIML_ECANCELED);
    assert_string_equal(got.at, "a/b=stop\n");
}

static int count(void *context, const char *path, const char *text, size_t bytes,
                 struct opiml_error *err) {
    ++*(int *)context;
    return 0;
}

static void memory_running_out(void **state) {
    const char *document = "<a><b>text</b></a>";
    struct opiml_error err;

    for (uint64_t n = 1;; n++) {
        int calls = 0;
        base_alloc_fail_at(n);
        int rc = xml_read(document, strlen(document), count, &calls, &err);
        base_alloc_fail_at(0);
        if (rc == 0)
            break;
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(n < 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(not_xml),
        cmocka_unit_test(bounds),
        cmocka_unit_test(the_caller_may_stop),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
