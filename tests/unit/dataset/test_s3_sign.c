/* Signatures against the vectors that AWS publishes: of the signing key, of the test suite for
 * Signature Version 4, and of S3's own examples. */
#include "../test.h"

#include "dataset/s3_sign.h"

static void the_signing_key(void **state) {
    uint8_t key[SHA256_BYTES];
    char hex[SHA256_HEX];

    assert_true(s3_sign_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215T000000Z",
                            "us-east-1", "iam", key));
    sha256_hex(key, hex);
    assert_string_equal(hex, "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

static void expect(const struct s3_request *request, struct s3_signer signer, const char *secret,
                   const char *wanted) {
    AUTO_TEXT struct text scratch = {0}, value = {0};
    uint8_t key[SHA256_BYTES];

    assert_true(s3_sign_key(secret, signer.time, signer.region, signer.service, key));
    signer.key = key;
    s3_sign(request, &signer, &scratch, &value);
    assert_false(value.failed);
    assert_string_equal(value.at, wanted);
}

#define SUITE                                                                                      \
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "            \
    "SignedHeaders=host;x-amz-date, Signature="

static void the_test_suite(void **state) {
    static const struct {
        const char *path, *query, *signature;
    } cases[] = {
        {"/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"/", "Param1=value1&Param2=value2",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    };
    const struct s3_header headers[] = {{"host", "example.amazonaws.com"},
                                        {"x-amz-date", "20150830T123600Z"}};
    const struct s3_signer signer = {"AKIDEXAMPLE", "us-east-1", "service", "20150830T123600Z",
                                     NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct s3_request request = {"GET", cases[i].path,    cases[i].query, headers,
                                           2,     S3_NOTHING_SHA256};
        char wanted[256];

        snprintf(wanted, sizeof(wanted), SUITE "%s", cases[i].signature);
        expect(&request, signer, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", wanted);
    }
}

/* "Authenticating Requests: Using the Authorization Header", examples of GET. */
static void the_examples_of_s3(void **state) {
    const struct s3_header ranged[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                       {"range", "bytes=0-9"},
                                       {"x-amz-content-sha256", S3_NOTHING_SHA256},
                                       {"x-amz-date", "20130524T000000Z"}};
    const struct s3_header plain[] = {ranged[0], ranged[2], ranged[3]};
    const struct s3_signer signer = {"AKIAIOSFODNN7EXAMPLE", "us-east-1", "s3", "20130524T000000Z",
                                     NULL};
    const char *secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const struct s3_request object = {"GET", "/test.txt", "", ranged, 4, S3_NOTHING_SHA256};
    const struct s3_request list = {"GET", "/", "max-keys=2&prefix=J", plain, 3, S3_NOTHING_SHA256};

    expect(&object, signer, secret,
           "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
           "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
           "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    expect(&list, signer, secret,
           "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
           "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
           "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void expect_code(const char *from, bool slashes, const char *wanted) {
    AUTO_TEXT struct text text = {0};

    text_add(&text, "");
    s3_encode(from, slashes, &text);
    assert_string_equal(text.at, wanted);
}

static void codes(void **state) {
    expect_code("a/b c+d.~_-", true, "a/b%20c%2Bd.~_-");
    expect_code("a/b", false, "a%2Fb");
    expect_code("\xC3\xA9&=?#%*'()", true, "%C3%A9%26%3D%3F%23%25%2A%27%28%29");
}

static void spaces_in_values(void **state) {
    const struct s3_header wide[] = {{"host", "  a   b  "}}, narrow[] = {{"host", "a b"}};
    const struct s3_signer signer = {"A", "r", "s3", "20130524T000000Z", (const uint8_t[32]){0}};
    struct s3_request request = {"GET", "/", "", wide, 1, S3_NOTHING_SHA256};
    AUTO_TEXT struct text scratch = {0}, one = {0}, other = {0};

    s3_sign(&request, &signer, &scratch, &one);
    request.headers = narrow;
    s3_sign(&request, &signer, &scratch, &other);
    assert_string_equal(one.at, other.at);
}

static void memory_running_out(void **state) {
    const struct s3_header headers[] = {{"host", "a"}};
    const struct s3_signer signer = {"A", "r", "s3", "20130524T000000Z", (const uint8_t[32]){0}};
    const struct s3_request request = {"GET", "/", "", headers, 1, S3_NOTHING_SHA256};

    for (uint64_t n = 1;; n++) {
        AUTO_TEXT struct text scratch = {0}, value = {0};
        base_alloc_fail_at(n);
        s3_sign(&request, &signer, &scratch, &value);
        base_alloc_fail_at(0);
        if (!value.failed)
            break;
        assert_true(n < 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signing_key),    cmocka_unit_test(the_test_suite),
        cmocka_unit_test(the_examples_of_s3), cmocka_unit_test(codes),
        cmocka_unit_test(spaces_in_values),   cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
