#include "dataset/write_number.h"

#define DIGITS_F32 9  /* that any f32 reads back from */
#define DIGITS_F64 15 /* that whole numbers below 2^53 have */
#define PLACES_MAX 22 /* 10^22 is the last power of ten that a double holds */
#define TEXT_MAX 40

static const double powers[PLACES_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- whole numbers ---- */

static void add_whole(struct text *to, int64_t number) {
    char digits[24], *at = digits + sizeof(digits);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        *--at = '-';
    text_add_bytes(to, at, (size_t)(digits + sizeof(digits) - at));
}

static int64_t whole(uint32_t dtype, const uint8_t *at) {
    switch (dtype) {
#define WHOLE(OPIML_TYPE, type)                                                                    \
    case OPIML_TYPE: {                                                                             \
        type x;                                                                                    \
        memcpy(&x, at, sizeof(x));                                                                 \
        return (int64_t)x;                                                                         \
    }
        WHOLE(OPIML_U8, uint8_t)
        WHOLE(OPIML_I8, int8_t)
        WHOLE(OPIML_U16, uint16_t)
        WHOLE(OPIML_I16, int16_t)
        WHOLE(OPIML_I32, int32_t)
        WHOLE(OPIML_I64, int64_t)
#undef WHOLE
    default: return 0;
    }
}

/* ---- floats ---- */

/* `number`, which is digits / 10^places, without zeros at its end. */
static void add_decimal(struct text *to, bool negative, uint64_t number, int places) {
    char digits[TEXT_MAX], *at = digits + sizeof(digits);
    while (places > 0 && number % 10 == 0) {
        number /= 10;
        places--;
    }
    for (int i = 0; i < places; i++, number /= 10)
        *--at = (char)('0' + number % 10);
    if (places > 0)
        *--at = '.';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    if (negative)
        *--at = '-';
    text_add_bytes(to, at, (size_t)(digits + sizeof(digits) - at));
}

/* Places behind the point that give so many digits; negative for numbers that are too large. */
static int places_of(double number, int digits) {
    int places = digits - 1;
    while (places > 0 && number >= powers[digits - places])
        places--;
    while (places <= PLACES_MAX && number < powers[0] &&
           number * powers[places] < powers[digits - 1])
        places++;
    return number < powers[digits - 1] && places <= PLACES_MAX ? places : -1;
}

/* Whole numbers below 2^53 and powers of ten up to 10^22 are doubles, and so their quotient is the
 * double that reading the decimal gives (Clinger, "How to Read Floating Point Numbers Accurately",
 * PLDI 1990): no digits need to be parsed to know that they read back. The f32 is that double
 * rounded once more, which is the same unless the double lies halfway between two of them. */
static bool add_fast_f32(struct text *to, float x) {
    double number = x < 0 ? -(double)x : (double)x;
    if (!(number >= 1e-5 && number < 1e8))
        return false;
    for (int digits = 6; digits <= DIGITS_F32; digits++) {
        int places = places_of(number, digits);
        if (places < 0)
            continue;
        uint64_t scaled = (uint64_t)(number * powers[places] + 0.5), bits;
        double back = (double)scaled / powers[places];
        memcpy(&bits, &back, sizeof(bits));
        if ((float)back != (float)number || (bits & 0x1fffffff) == 0x10000000)
            continue;
        add_decimal(to, x < 0, scaled, places);
        return true;
    }
    return false;
}

static bool add_fast_f64(struct text *to, double x) {
    double number = x < 0 ? -x : x;
    if (!(number >= 1e-5 && number < 1e14))
        return false;
    int places = places_of(number, DIGITS_F64);
    if (places < 0)
        return false;
    uint64_t scaled = (uint64_t)(number * powers[places] + 0.5);
    if ((double)scaled / powers[places] != number)
        return false;
    add_decimal(to, x < 0, scaled, places);
    return true;
}

static void add_f32(struct text *to, float x) {
    char digits[TEXT_MAX] = "nan";
    if (add_fast_f32(to, x))
        return;
    for (int precision = 6; x == x && precision <= DIGITS_F32; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, (double)x);
        if (strtof(digits, NULL) == x)
            break;
    }
    text_add(to, digits);
}

static void add_f64(struct text *to, double x) {
    char digits[TEXT_MAX] = "nan";
    if (add_fast_f64(to, x))
        return;
    for (int precision = DIGITS_F64; x == x && precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    text_add(to, digits);
}

void write_number(struct text *to, uint32_t dtype, const uint8_t *at) {
    if (dtype == OPIML_F32) {
        float x;
        memcpy(&x, at, sizeof(x));
        add_f32(to, x);
    } else if (dtype == OPIML_F64) {
        double x;
        memcpy(&x, at, sizeof(x));
        add_f64(to, x);
    } else {
        add_whole(to, whole(dtype, at));
    }
}

bool write_plain_float(uint32_t dtype, const uint8_t *at, bool *ret_finite) {
    uint64_t bits = 0;
    bool wide = dtype == OPIML_F64;
    *ret_finite = true;
    if (dtype != OPIML_F32 && !wide)
        return true;
    memcpy(&bits, at, wide ? 8 : 4);
    uint64_t exponent = wide ? 0x7ff0000000000000 : 0x7f800000;
    uint64_t fraction = wide ? 0x000fffffffffffff : 0x007fffff;
    *ret_finite = (bits & exponent) != exponent;
    return *ret_finite || !(bits & fraction) ||
           bits == (wide ? UINT64_C(0x7ff8000000000000) : UINT64_C(0x7fc00000));
}
