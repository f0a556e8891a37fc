#include "db/copy.h"

/* Types that are known; all others come by a cast. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_UUID = 2950
};
#define EPOCH_US INT64_C(946684800000000) /* 2000-01-01, where its times begin, since 1970 */

#define HEADER_BYTES 19 /* a signature, flags, the length of what follows */

enum db_type copy_type(uint32_t oid) {
    switch (oid) {
    case OID_BOOL: return DB_BOOL;
    case OID_BYTEA: return DB_BYTES;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: return DB_INT;
    case OID_FLOAT4:
    case OID_FLOAT8: return DB_REAL;
    case OID_NAME:
    case OID_TEXT:
    case OID_VARCHAR: return DB_TEXT;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ: return DB_TIME;
    case OID_DATE: return DB_DATE;
    case OID_NUMERIC: return DB_NUMERIC;
    case OID_UUID: return DB_UUID;
    default: return DB_OTHER;
    }
}

/* Numbers come in the order of the network. */
static uint64_t read_big(const uint8_t *at, uint32_t bytes) {
    uint64_t number = 0;
    for (uint32_t i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

static int64_t read_signed(const uint8_t *at, uint32_t bytes) {
    uint32_t shift = 64 - 8 * bytes;
    return (int64_t)(read_big(at, bytes) << shift) >> shift;
}

static double read_real(const uint8_t *at, uint32_t bytes) {
    uint64_t bits = read_big(at, bytes);
    uint32_t narrow = (uint32_t)bits;
    float single;
    double number;
    memcpy(&single, &narrow, sizeof(single));
    memcpy(&number, &bits, sizeof(number));
    return bytes == 4 ? (double)single : number;
}

void copy_value(uint32_t oid, const uint8_t *at, uint32_t bytes, struct db_value *to) {
    bool whole = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    *to = (struct db_value){.type = copy_type(oid), .at = at, .bytes = bytes};
    switch (to->type) {
    case DB_BOOL: to->integer = bytes == 1 && at[0]; break;
    case DB_INT:
        if (whole)
            to->integer = read_signed(at, bytes);
        else
            to->type = DB_NULL;
        break;
    case DB_REAL:
        if (bytes == 4 || bytes == 8)
            to->real = read_real(at, bytes);
        else
            to->type = DB_NULL;
        break;
    case DB_TIME:
        to->integer = bytes == 8 ? read_signed(at, 8) : 0;
        if (to->integer == INT64_MIN) /* "-infinity" */
            break;
        if (__builtin_add_overflow(to->integer, EPOCH_US, &to->integer))
            to->integer = INT64_MAX; /* "infinity", and what no server has */
        break;
    case DB_TEXT:
    case DB_BYTES: break;
    default: to->type = DB_BYTES; /* nobody asks for it without a cast */
    }
}

uint64_t copy_header(const uint8_t *at, size_t bytes) {
    static const uint8_t signature[] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};
    if (bytes < HEADER_BYTES || memcmp(at, signature, sizeof(signature)) != 0)
        return 0;
    return HEADER_BYTES + read_big(at + HEADER_BYTES - 4, 4);
}

int copy_row(const uint32_t *oids, uint32_t count, const uint8_t *at, size_t bytes,
             struct db_value *values) {
    const uint8_t *end = at + bytes;
    if (bytes < 2)
        return -1;
    int64_t here = read_signed(at, 2);
    at += 2;
    if (here == -1)
        return 0;
    if (here != (int64_t)count)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (end - at < 4)
            return -1;
        int64_t length = read_signed(at, 4);
        at += 4;
        values[i] = (struct db_value){.type = DB_NULL};
        if (length < 0)
            continue;
        if (end - at < length)
            return -1;
        copy_value(oids[i], at, (uint32_t)length, &values[i]);
        at += length;
    }
    return 1;
}
