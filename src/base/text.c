/* Text. */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>

/* ---- the growing buffer ---- */

static bool make_room(struct text *text, size_t more) {
    size_t need, room;
    char *at;

    if (text->failed || __builtin_add_overflow(text->count, more + 1, &need)) {
        text->failed = true;
        return false;
    }
    if (need <= text->room)
        return true;
    room = need < 128 ? 128 : need + need / 2;
    at = base_realloc(text->at, room);
    if (!at) {
        text->failed = true;
        return false;
    }
    text->at = at;
    text->room = room;
    return true;
}

void text_add_bytes(struct text *text, const void *more, size_t count) {
    if (!make_room(text, count))
        return;
    if (count)
        memcpy(text->at + text->count, more, count);
    text->count += count;
    text->at[text->count] = 0;
}

void text_add(struct text *text, const char *more) {
    text_add_bytes(text, more, strlen(more));
}

void text_printf(struct text *text, const char *format, ...) {
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        text->failed = true;
    if (length < 0 || !make_room(text, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(text->at + text->count, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->count += (size_t)length;
}

void text_release(struct text *text) {
    base_free(text->at);
    *text = (struct text){0};
}

/* ---- small helpers ---- */

bool text_copy(char *to, size_t room, const char *from) {
    size_t length = strlen(from), fits = length < room ? length : room - 1;

    assert(room > 0);
    memcpy(to, from, fits);
    to[fits] = 0;
    return fits == length;
}

bool text_ends(const char *text, const char *suffix) {
    size_t a = strlen(text), b = strlen(suffix);

    return a >= b && memcmp(text + a - b, suffix, b) == 0;
}

bool text_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

size_t text_utf8_bytes(const char *at, size_t bytes) {
    const unsigned char *byte = (const unsigned char *)at;
    uint32_t least, code;
    size_t length;

    if (bytes == 0 || byte[0] < 0x80)
        return bytes > 0;
    if (byte[0] < 0xc0 || byte[0] >= 0xf8)
        return 0;
    length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (length > bytes)
        return 0;
    code = byte[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte[i] & 0x3f);
    }
    return code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

/* Controls of ASCII, and of Latin-1 as UTF-8 has them; the marks for directions of writing. */
static bool is_plain(const char *at, size_t bytes) {
    const unsigned char *byte = (const unsigned char *)at;

    if (bytes == 1)
        return byte[0] >= ' ' && byte[0] != 0x7f;
    if (byte[0] == 0xc2)
        return byte[1] >= 0xa0;
    if (byte[0] == 0xe2 && byte[1] == 0x80)
        return !(byte[2] == 0x8e || byte[2] == 0x8f || (byte[2] >= 0xa8 && byte[2] <= 0xae));
    return !(byte[0] == 0xe2 && byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9);
}

void text_one_line(char *line) {
    for (size_t left = strlen(line), step; left > 0; line += step, left -= step) {
        size_t length = text_utf8_bytes(line, left);

        step = length ? length : 1;
        if (!is_plain(line, step))
            memset(line, ' ', step);
    }
}

size_t text_show(char *to, size_t room, size_t used, const char *from, size_t bytes) {
    for (size_t i = 0, step; i < bytes; i += step) {
        size_t length = text_utf8_bytes(from + i, bytes - i);
        bool plain = length > 0 && is_plain(from + i, length);

        step = length ? length : 1;
        if (used + (plain ? step : 4 * step) >= room)
            break;
        for (size_t k = 0; !plain && k < step; k++)
            used += (size_t)snprintf(to + used, room - used, "\\x%02x", (unsigned char)from[i + k]);
        if (plain)
            memcpy(to + used, from + i, step);
        used += plain ? step : 0;
    }
    if (room > 0)
        to[used < room ? used : room - 1] = 0;
    return used;
}

char *text_path(const char *folder, const char *name) {
    if (name[0] == '/' || folder[0] == 0)
        return base_strdup(name);
    return base_printf("%s%s%s", folder, text_ends(folder, "/") ? "" : "/", name);
}

char *text_user_path(const char *folder, const char *name) {
    const char *home = name[0] == '~' && name[1] == '/' ? getenv("HOME") : NULL;

    return home && home[0] ? text_path(home, name + 2) : text_path(folder, name);
}

/* ---- did you mean ---- */

#define WORD_MAX 63

/* Optimal string alignment distance: insert, delete, replace, swap neighbours. */
static size_t distance(const char *a, const char *b) {
    size_t rows[3][WORD_MAX + 2], n = strlen(a), m = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (n > WORD_MAX || m > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *spare = before;

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            best = base_min_u64(best, base_min_u64(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = base_min_u64(best, before[j - 2] + 1);
            now[j] = best;
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

const char *text_nearest(const char *word, const char *const *words) {
    size_t length = strlen(word), best = SIZE_MAX;
    size_t most = length < 3 ? 0 : base_max_u64(1, length / 3); /* any word is near to "x" */
    const char *found = NULL;

    for (size_t i = 0; words[i]; i++) {
        size_t d = distance(word, words[i]);

        if (d <= most && d < best) {
            best = d;
            found = words[i];
        }
    }
    return found;
}

/* ---- numbers ---- */

/* The C library reads and writes numbers as the user's locale has them ("0,5"); files are the same
 * everywhere. glibc and musl hand out a constant for "C", so this neither allocates nor fails. */
static locale_t plain_locale(void) {
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool text_parse_double(const char *text, double *ret_number) {
    size_t sign = text[0] == '-' || text[0] == '+';
    locale_t plain;
    double number;
    char *end;

    /* strtod would take spaces, hexadecimal, "inf" and "nan" too. */
    if (text[sign + strspn(text + sign, "0123456789.eE+-")] || !strpbrk(text, "0123456789"))
        return false;
    plain = plain_locale();
    if (!plain)
        return false;
    number = strtod_l(text, &end, plain);
    freelocale(plain);
    if (*end || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

void text_add_double(struct text *text, double number) {
    locale_t plain = plain_locale(), before;
    char digits[32] = "";

    if (!plain) {
        text->failed = true;
        return;
    }
    before = uselocale(plain);
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    uselocale(before);
    freelocale(plain);
    text_add(text, digits);
}

/* ---- sizes ---- */

static const struct {
    const char *name;
    unsigned shift;
} units[] = {{"", 0},     {"B", 0},  {"k", 10},   {"K", 10}, {"KiB", 10}, {"M", 20},
             {"MiB", 20}, {"G", 30}, {"GiB", 30}, {"T", 40}, {"TiB", 40}};

bool text_parse_bytes(const char *text, uint64_t *ret_bytes) {
    unsigned long long number;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno)
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (strcmp(end, units[i].name) == 0) {
            if (number > UINT64_MAX >> units[i].shift)
                return false;
            *ret_bytes = (uint64_t)number << units[i].shift;
            return true;
        }
    return false;
}

char *text_format_bytes(char *to, size_t room, uint64_t bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned __int128 tenths = (unsigned __int128)bytes * 10, one = 10;
    size_t unit = 0;

    /* A step up from 1023.5 already, so that no rounding writes "1024 KiB". */
    for (; unit < COUNT_OF(names) - 1 && tenths >= one * 1024 - one / 2; one <<= 10)
        unit++;
    if (unit && tenths < one * 100 - one / 20)
        snprintf(to, room, "%u.%u %s", (unsigned)((tenths + one / 20) / one),
                 (unsigned)((tenths + one / 20) % one * 10 / one), names[unit]);
    else
        snprintf(to, room, "%u %s", (unsigned)((tenths + one / 2) / one), names[unit]);
    return to;
}

char *text_format_count(char *to, size_t room, uint64_t count) {
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;

    for (int i = 0; i < length && at + 2 < room; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = 0;
    return to;
}

char *text_format_rate(char *to, size_t room, double per_s) {
    int decimals = 0;

    for (double below = 9.95; decimals < 6 && per_s > 0 && per_s < below; below /= 10)
        decimals++;
    snprintf(to, room, "%.*f", decimals, per_s);
    return to;
}
