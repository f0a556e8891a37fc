/* tf.train.Example: its features, in both encodings of lists, and damage at every byte. */
#include "helper.h"
#include "tfrecord.h"

#include "dataset/example.h"

static struct proto features, message;

static void seal(void) {
    message.bytes = 0;
    proto_field(&message, 1, features.at, features.bytes);
    features.bytes = 0;
}

static struct example_feature only(void) {
    struct example example;
    struct example_feature feature, more;

    seal();
    example_init(&example, message.at, message.bytes);
    assert_int_equal(example_next(&example, &feature, NULL), 1);
    assert_int_equal(example_next(&example, &more, NULL), 0);
    return feature;
}

static void features_are_told_by_name_and_kind(void **state) {
    const float floats[] = {1.5f, -2};
    const int64_t ints[] = {0, -1, INT64_MAX};
    enum example_kind kinds[] = {EXAMPLE_BYTES, EXAMPLE_FLOATS, EXAMPLE_INTS, EXAMPLE_NONE};
    const char *names[] = {"image", "box", "n", "none"};
    struct example_feature feature;
    struct example example;

    proto_bytes(&features, "image", "abc", 3);
    proto_floats(&features, "box", floats, 2);
    proto_ints(&features, "n", ints, 3);
    proto_feature(&features, "none", 0, NULL);
    seal();
    example_init(&example, message.at, message.bytes);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(example_next(&example, &feature, NULL), 1);
        assert_int_equal(feature.kind, kinds[i]);
        assert_int_equal(feature.name_bytes, strlen(names[i]));
        assert_memory_equal(feature.name, names[i], feature.name_bytes);
    }
    assert_int_equal(example_next(&example, &feature, NULL), 0);
}

static void lists_are_read_packed_or_not(void **state) {
    const float floats[] = {1.5f, -2, 3};
    const int64_t ints[] = {0, -1, INT64_MAX, 127};
    struct proto *list = calloc(1, sizeof(*list));
    struct example_feature feature;
    struct example_bytes bytes;
    int64_t numbers[8];
    float to[8];

    proto_bytes(&features, "a", "xyz", 3);
    feature = only();
    assert_int_equal(example_get_bytes(&feature, &bytes, 1, NULL), 1);
    assert_memory_equal(bytes.at, "xyz", 3);
    proto_floats(&features, "a", floats, 3);
    feature = only();
    assert_int_equal(example_get_floats(&feature, to, 2, NULL), 3); /* told, though not stored */
    assert_true(to[0] == 1.5f && to[1] == -2);
    proto_ints(&features, "a", ints, 4);
    feature = only();
    assert_int_equal(example_get_ints(&feature, OPIML_I64, numbers, 8, NULL), 4);
    assert_memory_equal(numbers, ints, sizeof(ints));
    /* One number a field, as writers of proto2 do, mixed with packed ones. */
    proto_varint(list, 1 << 3);
    proto_varint(list, 300);
    proto_field(list, 1, "\x05\x06", 2);
    proto_feature(&features, "a", 3, list);
    feature = only();
    assert_int_equal(example_get_ints(&feature, OPIML_I64, numbers, 8, NULL), 3);
    assert_true(numbers[0] == 300 && numbers[1] == 5 && numbers[2] == 6);
    list->bytes = 0;
    proto_varint(list, 1 << 3 | 5);
    proto_raw(list, floats + 2, 4);
    proto_feature(&features, "a", 2, list);
    feature = only();
    assert_int_equal(example_get_floats(&feature, to, 8, NULL), 1);
    assert_true(to[0] == 3);
    free(list);
}

static void integers_fit_or_are_refused(void **state) {
    static const struct {
        uint32_t dtype;
        int64_t least, most;
    } types[] = {{OPIML_U8, 0, UINT8_MAX},          {OPIML_I8, INT8_MIN, INT8_MAX},
                 {OPIML_U16, 0, UINT16_MAX},        {OPIML_I16, INT16_MIN, INT16_MAX},
                 {OPIML_I32, INT32_MIN, INT32_MAX}, {OPIML_I64, INT64_MIN, INT64_MAX}};
    struct opiml_error err;
    int64_t to[2];

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        int64_t fits[] = {types[i].least, types[i].most};
        struct example_feature feature;

        proto_ints(&features, "a", fits, 2);
        feature = only();
        assert_int_equal(example_get_ints(&feature, types[i].dtype, to, 2, NULL), 2);
        if (types[i].dtype == OPIML_I64)
            continue;
        for (int k = 0; k < 2; k++) {
            int64_t over = fits[k] + (k ? 1 : -1);

            proto_ints(&features, "a", &over, 1);
            feature = only();
            assert_int_equal(example_get_ints(&feature, types[i].dtype, to, 2, &err),
                             OPIML_ECORRUPT);
            assert_non_null(strstr(err.message, "does not fit into"));
        }
    }
}

/* Whatever a byte becomes, reading ends, and within the message. */
static void damage_is_told_or_harmless(void **state) {
    const int64_t ints[] = {1, 1000};
    uint8_t *copy;

    proto_bytes(&features, "image", "abcdefgh", 8);
    proto_ints(&features, "label", ints, 2);
    seal();
    for (size_t cut = 0; cut <= message.bytes; cut++) {
        for (int flip = 0; flip < 256; flip += cut == message.bytes ? 256 : 5) {
            struct example_feature feature;
            struct example_bytes bytes;
            struct example example;
            int64_t numbers[2];

            copy = malloc(message.bytes); /* with nothing behind it, for ASan */
            memcpy(copy, message.at, message.bytes);
            if (cut < message.bytes)
                copy[cut] ^= (uint8_t)flip;
            example_init(&example, copy, message.bytes);
            while (example_next(&example, &feature, NULL) == 1) {
                example_get_bytes(&feature, &bytes, 1, NULL);
                example_get_ints(&feature, OPIML_I64, numbers, 2, NULL);
            }
            free(copy);
        }
        copy = malloc(cut + 1);
        memcpy(copy, message.at, cut);
        struct example example;
        struct example_feature feature;
        int rc;

        example_init(&example, copy, cut);
        while ((rc = example_next(&example, &feature, NULL)) == 1)
            ;
        assert_int_equal(rc, cut == 0 || cut == message.bytes ? 0 : OPIML_ECORRUPT);
        free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_told_by_name_and_kind),
        cmocka_unit_test(lists_are_read_packed_or_not),
        cmocka_unit_test(integers_fit_or_are_refused),
        cmocka_unit_test(damage_is_told_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
