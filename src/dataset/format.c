#include "dataset/format.h"

#include <limits.h>
#include <strings.h>

#define FORMAT(kind) extern const struct format format_##kind;
#include "format_list.inc"
#undef FORMAT

#define NUMBER_DIGITS_MAX 20

const struct format *const *format_kinds(void) {
    static const struct format *const kinds[] = {
#define FORMAT(kind) &format_##kind,
#include "format_list.inc"
#undef FORMAT
        NULL,
    };
    return kinds;
}

bool format_name_is(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
            return false;
    return *a == *b;
}

const struct format *format_find(const char *name) {
    for (const struct format *const *kind = format_kinds(); *kind; kind++)
        if (format_name_is((*kind)->name, name))
            return *kind;
    return NULL;
}

bool format_has_extension(const char *key, const char *const *extensions) {
    const char *dot = strrchr(key, '.');
    if (!dot || strchr(dot, '/'))
        return false;
    for (; *extensions; extensions++)
        if (strcasecmp(dot + 1, *extensions) == 0)
            return true;
    return false;
}

const struct format *format_find_compressed(const char *key) {
    static const char *const extensions[] = {"gz", "bz2", "xz", "zst", NULL};
    char name[NAME_MAX + 1];
    const char *slash = strrchr(key, '/'), *last = slash ? slash + 1 : key;
    if (!format_has_extension(last, extensions) || strlen(last) > NAME_MAX)
        return NULL;
    size_t bytes = (size_t)(strrchr(last, '.') - last);
    memcpy(name, last, bytes);
    name[bytes] = '\0';
    for (const struct format *const *kind = format_kinds(); *kind; kind++)
        if ((*kind)->takes(name))
            return *kind;
    return NULL;
}

bool format_fit(const struct opiml_field *field, uint64_t elements, int64_t shape[OPIML_MAX_DIMS]) {
    uint64_t rest = 1;
    int varying = -1;
    for (uint32_t d = 0; d < field->ndim; d++) {
        shape[d] = field->shape[d];
        if (shape[d] >= 0)
            rest *= (uint64_t)shape[d]; /* a schema's shapes do not overflow */
        else if (varying >= 0)
            return false;
        else
            varying = (int)d;
    }
    if (varying < 0)
        return elements == rest;
    if (rest == 0 || elements % rest != 0 || elements / rest > INT64_MAX)
        return false;
    shape[varying] = (int64_t)(elements / rest);
    return true;
}

bool format_take(const struct opiml_field *field, const uint8_t *data, uint64_t bytes,
                 uint8_t **scratch, struct opiml_value *ret_value) {
    size_t each = opiml_dtype_bytes(field->dtype);
    *ret_value = (struct opiml_value){.data = (uint8_t *)data, .bytes = bytes};
    if (bytes % each != 0 || bytes > field->max_bytes ||
        !format_fit(field, bytes / each, ret_value->shape))
        return false;
    if ((uintptr_t)data % each == 0)
        return true;
    ret_value->data = memcpy(*scratch, data, bytes);
    *scratch += base_align_up(bytes, 8);
    return true;
}

bool format_put_int(uint32_t dtype, void *to, int64_t number) {
    size_t bytes = opiml_dtype_bytes(dtype);
    bool sign = dtype == OPIML_I8 || dtype == OPIML_I16 || dtype == OPIML_I32 || dtype == OPIML_I64;
    int64_t most = bytes == 8 ? INT64_MAX : (INT64_C(1) << (8 * bytes - sign)) - 1;
    memcpy(to, &number, bytes); /* little-endian */
    return number <= most && number >= (sign ? -most - 1 : 0);
}

bool format_read_i32(const uint8_t *data, uint64_t bytes, int32_t *ret_number) {
    int64_t number = 0;
    while (bytes > 0 && (data[0] == ' ' || data[0] == '\t')) {
        data++;
        bytes--;
    }
    while (bytes > 0 && strchr(" \t\r\n", data[bytes - 1]) && data[bytes - 1])
        bytes--;
    bool negative = bytes > 0 && data[0] == '-';
    uint64_t i = bytes > 0 && (data[0] == '-' || data[0] == '+');
    if (i == bytes || bytes > NUMBER_DIGITS_MAX)
        return false;
    for (; i < bytes; i++) {
        if (data[i] < '0' || data[i] > '9')
            return false;
        number = number * 10 + (data[i] - '0');
        if (number > (int64_t)INT32_MAX + 1)
            return false;
    }
    number = negative ? -number : number;
    if (number > INT32_MAX)
        return false;
    *ret_number = (int32_t)number;
    return true;
}
