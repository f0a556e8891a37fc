/* Formats are told by their first bytes; the codec has an identity. */
#include "pictures.h"

static struct opiml_error err;

static void formats_are_told_apart(void **state) {
    struct picture_jpeg jpeg = {.width = 30, .height = 20};
    struct picture_png png = {
        .width = 17, .height = 9, .type = SPNG_COLOR_TYPE_TRUECOLOR, .depth = 8};
    struct codec *codec;
    struct codec_picture picture;
    size_t jpeg_bytes, png_bytes;
    uint8_t *jpeg_file = picture_make_jpeg(&jpeg, &jpeg_bytes);
    uint8_t *png_file = picture_make_png(&png, &png_bytes);

    (void)state;
    assert_int_equal(codec_create(&codec, &err), 0);
    for (int round = 0; round < 3; round++) { /* in turns, and left open now and then */
        assert_int_equal(codec_open(codec, jpeg_file, jpeg_bytes, &picture, &err), 0);
        assert_int_equal(picture.width, 30);
        assert_true(picture.reducible);
        if (round)
            codec_drop(codec);
        assert_int_equal(codec_open(codec, png_file, png_bytes, &picture, &err), 0);
        assert_int_equal(picture.width, 17);
        assert_false(picture.reducible);
    }
    codec_drop(codec);
    codec_drop(codec);
    codec_destroy(codec);
    codec_destroy(NULL);
    free(jpeg_file);
    free(png_file);
}

static void strangers_are_named(void **state) {
    static const struct {
        const char *bytes, *word;
        size_t count;
    } cases[] = {
        {"", "empty", 0},
        {"GIF89a..", "GIF", 8},
        {"RIFF....WEBPVP8 ", "WebP", 16},
        {"<html>", "web page", 6},
        {"\xFF\xD8", "neither JPEG nor PNG", 2},
        {"\x89PNG", "neither JPEG nor PNG", 4},
        {"hello, world", "neither JPEG nor PNG", 12},
    };
    struct codec *codec;
    struct codec_picture picture;

    (void)state;
    assert_int_equal(codec_create(&codec, &err), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(
            codec_open(codec, (const uint8_t *)cases[i].bytes, cases[i].count, &picture, &err),
            OPIML_ECORRUPT);
        assert_non_null(strstr(err.message, cases[i].word));
    }
    codec_destroy(codec);
}

/* The libjpeg-turbo of Debian 12; all releases since its integer DCT was last changed agree,
 * whatever its vector code. */
static void identity_is_stable(void **state) {
    (void)state;
    assert_true(codec_id() == UINT64_C(0xc82a8604f7898fac));
    assert_true(codec_id() == codec_id());
}

static void memory_may_run_out(void **state) {
    struct codec *codec = NULL;
    uint64_t n = 1;

    (void)state;
    for (;; n++) {
        base_alloc_fail_at(n);
        if (codec_create(&codec, &err) == 0)
            break;
        assert_null(codec);
        assert_int_equal(err.code, OPIML_ENOMEM);
    }
    base_alloc_fail_at(0);
    assert_int_equal(n, 6);
    codec_destroy(codec);
    base_alloc_fail_at(1);
    assert_true(codec_id() == 0);
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_told_apart),
        cmocka_unit_test(strangers_are_named),
        cmocka_unit_test(identity_is_stable),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
