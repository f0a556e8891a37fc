/* Numbers in text. */
#include "dataset/number.h"

#include <math.h>
#include <strings.h>

#define NUMBER_BYTES_MAX 127

void number_trim(const uint8_t **at, uint32_t *bytes) {
    while (*bytes > 0 && (**at == ' ' || **at == '\t')) {
        (*at)++;
        (*bytes)--;
    }
    while (*bytes > 0 && ((*at)[*bytes - 1] == ' ' || (*at)[*bytes - 1] == '\t'))
        (*bytes)--;
}

int number_hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool number_i64(const uint8_t *at, uint32_t bytes, int64_t *ret_number) {
    int64_t number = 0;
    number_trim(&at, &bytes);
    bool negative = bytes > 0 && *at == '-';
    uint32_t i = bytes > 0 && (*at == '-' || *at == '+');
    if (i == bytes)
        return false;
    for (; i < bytes; i++) {
        int64_t digit = at[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, negative ? -digit : digit, &number))
            return false;
    }
    *ret_number = number;
    return true;
}

/* A cell as text for strtod: decimal, or nan or inf in any case. An empty one is nan. */
static bool number_text(const uint8_t *at, uint32_t bytes, char text[NUMBER_BYTES_MAX + 1]) {
    number_trim(&at, &bytes);
    if (bytes == 0) {
        memcpy(text, "nan", sizeof("nan"));
        return true;
    }
    if (bytes > NUMBER_BYTES_MAX)
        return false;
    if (memchr(at, 0, bytes))
        return false;
    memcpy(text, at, bytes);
    text[bytes] = '\0';
    const char *body = text + (text[0] == '-' || text[0] == '+');
    return strcasecmp(body, "nan") == 0 || strcasecmp(body, "inf") == 0 ||
           strspn(text, "0123456789+-.eE") == bytes;
}

bool number_float(const uint8_t *at, uint32_t bytes, bool narrow, locale_t locale,
                  uint64_t *ret_bits) {
    char text[NUMBER_BYTES_MAX + 1], *end;
    if (!number_text(at, bytes, text))
        return false;
    if (narrow) {
        float number = strtof_l(text, &end, locale);
        uint32_t bits = 0x7fc00000;
        if (isinf(number) && !isinf(strtod_l(text, &end, locale)))
            return false; /* a number, but not of this type */
        if (number == number)
            memcpy(&bits, &number, sizeof(bits));
        *ret_bits = bits;
    } else {
        double number = strtod_l(text, &end, locale);
        *ret_bits = 0x7ff8000000000000;
        if (number == number)
            memcpy(ret_bits, &number, sizeof(number));
    }
    return end != text && *end == '\0';
}

locale_t number_locale(void) {
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}
