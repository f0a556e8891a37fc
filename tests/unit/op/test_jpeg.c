/* JPEG: a window equals the same part of the whole picture, bit for bit, for every sampling; damage
 * is told. */
#include "pictures.h"

#include "op/jpeg.h"

static struct op_jpeg *jpeg;
static struct opiml_error err;

static int setup(void **state) {
    (void)state;
    return op_jpeg_create(&jpeg, &err);
}

static int teardown(void **state) {
    (void)state;
    op_jpeg_destroy(jpeg);
    return 0;
}

static int open_and_read(const uint8_t *file, size_t bytes, struct codec_window *window) {
    struct codec_picture picture;
    int rc = op_jpeg_open(jpeg, file, bytes, &picture, &err);

    return rc < 0 ? rc : op_jpeg_rows(jpeg, window, &err);
}

static uint32_t reduced(uint32_t side, uint32_t by) {
    return (side + by - 1) / by;
}

/* The whole picture, the simple way. */
static uint8_t *read_whole(const uint8_t *file, size_t bytes, const struct picture_jpeg *what,
                           uint32_t by, int *ret) {
    uint32_t width = reduced(what->width, by), height = reduced(what->height, by);
    uint8_t *whole = op_bench_buffer((size_t)width * height * 3, 0x11);
    struct codec_window window = {.reduction = by,
                                  .right = width,
                                  .bottom = height,
                                  .plain = true,
                                  .to = whole,
                                  .stride = (size_t)width * 3};

    *ret = open_and_read(file, bytes, &window);
    op_bench_guard(whole, (size_t)width * height * 3, "whole");
    return whole;
}

static void compare_window(const uint8_t *file, size_t bytes, const uint8_t *whole, uint32_t width,
                           struct codec_window window, const char *name) {
    size_t row = (size_t)(window.right - window.left) * 3;
    uint32_t height = window.bottom - window.top;
    struct picture_sink sink = {.to = op_bench_buffer(row * height, 0x22), .row = row};
    uint8_t *part = picture_cut(whole, width, &window);

    window.row = picture_take;
    window.context = &sink;
    if (open_and_read(file, bytes, &window) < 0)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(sink.rows, height);
    op_bench_guard(sink.to, row * height, name);
    if (memcmp(sink.to, part, row * height) != 0)
        fail_msg("%s: window [%u, %u) x [%u, %u) reduced by %u differs", name, window.left,
                 window.right, window.top, window.bottom, window.reduction);
    free(sink.to);
    free(part);
}

/* A pair a < b with b at most `most`. */
static void draw_range(struct opiml_rng *rng, uint32_t most, uint32_t *ret_a, uint32_t *ret_b) {
    uint32_t a = opiml_rng_below(rng, most), b = opiml_rng_below(rng, most);

    /* Every fourth one touches an edge. */
    if (opiml_rng_below(rng, 4) == 0)
        a = 0;
    if (opiml_rng_below(rng, 4) == 0)
        b = most - 1;
    *ret_a = a < b ? a : b;
    *ret_b = (a < b ? b : a) + 1;
}

static void check_windows(const struct picture_jpeg *what, const char *name, uint32_t count,
                          struct opiml_rng *rng) {
    size_t bytes;
    uint8_t *file = picture_make_jpeg(what, &bytes);

    for (uint32_t by = 1; by <= 8; by *= 2) {
        uint32_t width = reduced(what->width, by), height = reduced(what->height, by);
        int rc;
        uint8_t *whole = read_whole(file, bytes, what, by, &rc);

        if (rc < 0)
            fail_msg("%s: %s", name, err.message);
        for (uint32_t i = 0; i < count; i++) {
            struct codec_window window = {.reduction = by};

            draw_range(rng, width, &window.left, &window.right);
            draw_range(rng, height, &window.top, &window.bottom);
            compare_window(file, bytes, whole, width, window, name);
        }
        free(whole);
    }
    free(file);
}

static const struct {
    const char *name;
    struct picture_jpeg what;
} kinds[] = {
    {"4:4:4", {.h = 1, .v = 1}},
    {"4:2:2", {.h = 2, .v = 1}},
    {"4:2:0", {.h = 2, .v = 2}},
    {"4:4:0", {.h = 1, .v = 2}},
    {"4:1:1", {.h = 4, .v = 1}},
    {"4:1:0", {.h = 4, .v = 2}},
    {"3x1", {.h = 3, .v = 1}},
    {"1x4", {.h = 1, .v = 4}},
    {"grey", {.channels = 1}},
    {"grey 2x2", {.channels = 1, .h = 2, .v = 2}},
    {"CMYK", {.channels = 4}},
    {"YCCK 4:2:0", {.channels = 4, .ycck = true, .h = 2, .v = 2}},
    {"4:2:0 progressive", {.h = 2, .v = 2, .progressive = true}},
    {"4:4:4 progressive", {.progressive = true}},
    {"4:2:2 progressive", {.h = 2, .v = 1, .progressive = true}},
    {"grey progressive", {.channels = 1, .progressive = true}},
    {"4:2:0 in three scans", {.h = 2, .v = 2, .scans_apart = true}},
    {"4:2:0 with restarts", {.h = 2, .v = 2, .restart = 3}},
    {"4:4:4 with restarts", {.restart = 1}},
    {"4:2:0 arithmetic", {.h = 2, .v = 2, .arithmetic = true}},
};

static void windows_equal_the_whole(void **state) {
    uint32_t rounds = getenv("OPIML_SOAK") ? 400 : 6;
    struct opiml_rng rng;

    (void)state;
    rng_init(&rng, 1, 2, 3, 4);
    for (uint32_t k = 0; k < COUNT_OF(kinds); k++)
        for (uint32_t round = 0; round < rounds; round++) {
            struct picture_jpeg what = kinds[k].what;
            uint32_t most = round % 3 == 0 ? 24 : round % 3 == 1 ? 70 : 180;

            what.width = 1 + opiml_rng_below(&rng, most);
            what.height = 1 + opiml_rng_below(&rng, most);
            what.seed = round;
            check_windows(&what, kinds[k].name, 8, &rng);
        }
}

/* Every window of a small picture that is larger than the sampling's units. */
static void every_window(void **state) {
    struct picture_jpeg what = {.width = 21, .height = 19, .h = 2, .v = 2};
    size_t bytes;
    uint8_t *file, *whole;
    int rc;

    (void)state;
    file = picture_make_jpeg(&what, &bytes);
    whole = read_whole(file, bytes, &what, 1, &rc);
    assert_int_equal(rc, 0);
    for (uint32_t left = 0; left < what.width; left += 2)
        for (uint32_t right = left + 1; right <= what.width; right += 3)
            for (uint32_t top = 0; top < what.height; top++)
                for (uint32_t bottom = top + 1; bottom <= what.height; bottom += 4)
                    compare_window(file, bytes, whole, what.width,
                                   (struct codec_window){.reduction = 1,
                                                         .left = left,
                                                         .right = right,
                                                         .top = top,
                                                         .bottom = bottom},
                                   "4:2:0");
    free(whole);
    free(file);
}

/* A window may go straight to memory, and its receiver may have enough. */
static void windows_go_where_they_are_sent(void **state) {
    struct picture_jpeg what = {.width = 50, .height = 40, .h = 2, .v = 2};
    uint8_t part[10 * 20 * 3], *file, *whole, *cut;
    struct codec_window window = {
        .reduction = 1, .left = 13, .right = 23, .top = 11, .bottom = 31, .to = part, .stride = 30};
    struct picture_sink sink = {.to = part, .row = 30, .most = 3};
    size_t bytes;
    int rc;

    (void)state;
    file = picture_make_jpeg(&what, &bytes);
    whole = read_whole(file, bytes, &what, 1, &rc);
    cut = picture_cut(whole, what.width, &window);
    assert_int_equal(open_and_read(file, bytes, &window), 0);
    assert_memory_equal(part, cut, sizeof(part));
    window.to = NULL;
    window.row = picture_take;
    window.context = &sink;
    assert_int_equal(open_and_read(file, bytes, &window), 0);
    assert_int_equal(sink.rows, 3);
    free(cut);
    free(whole);
    free(file);
}

/* Against the colours that went in: this is no test of libjpeg, but of how it is asked. */
static void colours_are_right(void **state) {
    static const struct picture_jpeg whats[] = {
        {.width = 48, .height = 48, .quality = 100},
        {.width = 48, .height = 48, .quality = 100, .channels = 1},
        {.width = 48, .height = 48, .quality = 100, .channels = 4},
        {.width = 48, .height = 48, .quality = 100, .channels = 4, .adobe = true},
        {.width = 48, .height = 48, .quality = 100, .channels = 4, .ycck = true},
    };

    (void)state;
    for (size_t k = 0; k < COUNT_OF(whats); k++) {
        const struct picture_jpeg *what = &whats[k];
        uint32_t channels = what->channels ? (uint32_t)what->channels : 3;
        uint8_t *pixels = picture_pixels(48, 48, channels, 0), *file, *whole;
        size_t bytes;
        uint32_t worst = 0;
        int rc;

        file = picture_make_jpeg(what, &bytes);
        whole = read_whole(file, bytes, what, 1, &rc);
        assert_int_equal(rc, 0);
        for (size_t i = 0; i < (size_t)48 * 48; i++)
            for (size_t c = 0; c < 3; c++) {
                const uint8_t *in = pixels + i * channels;
                bool inverted = what->adobe || what->ycck;
                int ink = inverted ? 255 - in[c % channels] : in[c % channels];
                int black = channels < 4 ? 0 : inverted ? 255 - in[3] : in[3];
                int wanted = channels == 1   ? in[0]
                             : channels == 3 ? in[c]
                                             : (255 - ink) * (255 - black) / 255;
                uint32_t away = (uint32_t)abs(whole[3 * i + c] - wanted);

                worst = away > worst ? away : worst;
            }
        assert_true(worst <= 6);
        free(pixels);
        free(whole);
        free(file);
    }
}

/* ---- memory and limits ---- */

static void scans_are_charged(void **state) {
    static const struct {
        struct picture_jpeg what;
        uint64_t blocks;
    } cases[] = {
        {{.width = 17, .height = 9}, 0},
        {{.width = 17, .height = 9, .progressive = true}, 3 * 3 * 2},
        {{.width = 17, .height = 9, .h = 2, .v = 2, .progressive = true}, 4 * 2 + 2 * 2},
        {{.width = 17, .height = 9, .scans_apart = true}, 3 * 3 * 2},
    };

    (void)state;
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        struct codec_picture picture;
        size_t bytes;
        uint8_t *file = picture_make_jpeg(&cases[k].what, &bytes);

        assert_int_equal(op_jpeg_open(jpeg, file, bytes, &picture, &err), 0);
        assert_int_equal(picture.width, 17);
        assert_int_equal(picture.height, 9);
        assert_true(picture.reducible);
        assert_int_equal(picture.memory_bytes, cases[k].blocks * 128);
        op_jpeg_drop(jpeg);
        free(file);
    }
}

/* The last of several scans over and over. */
static void endless_scans_are_refused(void **state) {
    struct picture_jpeg what = {.width = 16, .height = 16, .scans_apart = true};
    size_t bytes, last = 0, scan;
    uint8_t *file = picture_make_jpeg(&what, &bytes), *longer;
    int rc;

    (void)state;
    for (size_t i = 0; i + 1 < bytes; i++)
        if (file[i] == 0xFF && file[i + 1] == 0xDA)
            last = i;
    scan = bytes - 2 - last;
    longer = malloc(bytes + OP_JPEG_SCANS_MAX * scan);
    memcpy(longer, file, bytes - 2);
    for (size_t i = 0; i < OP_JPEG_SCANS_MAX; i++)
        memcpy(longer + bytes - 2 + i * scan, file + last, scan);
    memcpy(longer + bytes - 2 + OP_JPEG_SCANS_MAX * scan, "\xFF\xD9", 2);
    free(read_whole(longer, bytes + OP_JPEG_SCANS_MAX * scan, &what, 1, &rc));
    assert_int_equal(rc, OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "scans"));
    free(longer);
    free(file);
}

/* ---- damage ---- */

static void cut_off_files_are_refused(void **state) {
    struct picture_jpeg what = {.width = 64, .height = 64, .h = 2, .v = 2};
    struct codec_window top = {.reduction = 1, .right = 64, .bottom = 1, .row = picture_take};
    uint8_t row[64 * 3];
    size_t bytes;
    uint8_t *file;

    (void)state;
    file = picture_make_jpeg(&what, &bytes);
    for (size_t left = 0; left < bytes; left++) {
        struct picture_sink sink = {.to = row, .row = sizeof(row)};
        uint8_t *part = malloc(left ? left : 1); /* of its own, for the sanitizer */

        memcpy(part, file, left);
        top.context = &sink;
        /* Even where the part that is wanted is complete. */
        assert_int_equal(open_and_read(part, left, &top), OPIML_ECORRUPT);
        assert_non_null(strstr(err.message, "JPEG: "));
        free(part);
    }
    free(file);
}

/* What follows the picture is nobody's business. */
static void trailing_bytes_are_fine(void **state) {
    struct picture_jpeg what = {.width = 20, .height = 20};
    size_t bytes;
    uint8_t *file = picture_make_jpeg(&what, &bytes), *longer = calloc(1, bytes + 100);
    int rc;

    (void)state;
    memcpy(longer, file, bytes);
    free(read_whole(longer, bytes + 100, &what, 1, &rc));
    assert_int_equal(rc, 0);
    free(longer);
    free(file);
}

/* A damaged file gives the same answer both ways: the same bytes, or no bytes. */
static void damage_is_told_both_ways(void **state) {
    uint32_t rounds = getenv("OPIML_SOAK") ? 20000 : 60, bad = 0, good = 0;
    struct opiml_rng rng;

    (void)state;
    rng_init(&rng, 5, 6, 7, 8);
    for (uint32_t round = 0; round < rounds * COUNT_OF(kinds); round++) {
        struct picture_jpeg what = kinds[round % COUNT_OF(kinds)].what;
        uint32_t by = 1u << opiml_rng_below(&rng, 4);
        struct codec_window window = {.reduction = by, .row = picture_take};
        uint8_t rows[2][64 * 64 * 3];
        struct picture_sink sinks[2];
        size_t bytes;
        uint8_t *file;
        int rc[2];

        what.width = 1 + opiml_rng_below(&rng, 64);
        what.height = 1 + opiml_rng_below(&rng, 64);
        draw_range(&rng, reduced(what.width, by), &window.left, &window.right);
        draw_range(&rng, reduced(what.height, by), &window.top, &window.bottom);
        file = picture_make_jpeg(&what, &bytes);
        for (uint32_t i = 0; i < 1 + round % 3; i++)
            file[bytes / 3 + opiml_rng_below(&rng, (uint32_t)(bytes - bytes / 3 - 2))] ^=
                (uint8_t)(1u << opiml_rng_below(&rng, 8));
        for (uint32_t i = 0; i < 2; i++) {
            struct codec_picture picture;

            sinks[i] = (struct picture_sink){.to = rows[i],
                                             .row = (size_t)(window.right - window.left) * 3};
            window.plain = i;
            window.context = &sinks[i];
            memset(rows[i], 0, sizeof(rows[i]));
            rc[i] = op_jpeg_open(jpeg, file, bytes, &picture, &err);
            if (rc[i] == 0 && (picture.width != what.width || picture.height != what.height)) {
                op_jpeg_drop(jpeg); /* the header was hit */
                rc[i] = OPIML_ECORRUPT;
            }
            if (rc[i] == 0)
                rc[i] = op_jpeg_rows(jpeg, &window, &err);
        }
        if (rc[0] != rc[1])
            fail_msg("%s, round %u: %d and %d: %s", kinds[round % COUNT_OF(kinds)].name, round,
                     rc[0], rc[1], err.message);
        bad += rc[0] < 0;
        good += rc[0] == 0;
        if (rc[0] == 0)
            assert_memory_equal(rows[0], rows[1], sizeof(rows[0]));
        free(file);
    }
    assert_true(bad > 0 && good > 0);
}

/* The tables of one file must not serve the next, or its pixels would hang on what came before. */
static void pictures_do_not_meet(void **state) {
    struct picture_jpeg what = {.width = 40, .height = 30, .h = 2, .v = 2, .usual_tables = true};
    struct picture_jpeg bare = what;
    size_t bytes, bare_bytes;
    uint8_t *file, *bare_file;
    int rc;

    (void)state;
    bare.no_tables = true;
    file = picture_make_jpeg(&what, &bytes);
    bare_file = picture_make_jpeg(&bare, &bare_bytes);
    free(read_whole(bare_file, bare_bytes, &bare, 1, &rc));
    assert_int_equal(rc, OPIML_ECORRUPT);
    free(read_whole(file, bytes, &what, 1, &rc));
    assert_int_equal(rc, 0);
    free(read_whole(bare_file, bare_bytes, &bare, 1, &rc));
    assert_int_equal(rc, OPIML_ECORRUPT);
    free(file);
    free(bare_file);
}

static void memory_may_run_out(void **state) {
    struct op_jpeg *other = NULL;

    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(op_jpeg_create(&other, &err), OPIML_ENOMEM);
        assert_null(other);
        base_alloc_fail_at(0);
    }
    op_jpeg_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_equal_the_whole),
        cmocka_unit_test(every_window),
        cmocka_unit_test(windows_go_where_they_are_sent),
        cmocka_unit_test(colours_are_right),
        cmocka_unit_test(scans_are_charged),
        cmocka_unit_test(endless_scans_are_refused),
        cmocka_unit_test(cut_off_files_are_refused),
        cmocka_unit_test(trailing_bytes_are_fine),
        cmocka_unit_test(damage_is_told_both_ways),
        cmocka_unit_test(pictures_do_not_meet),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
