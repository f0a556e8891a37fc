#include "dataset/pattern.h"

#include <fnmatch.h>

#define BRACES_MAX 64

bool pattern_is_glob(const char *text) {
    return strpbrk(text, "*?[") != NULL;
}

bool pattern_is(const char *text) {
    return strpbrk(text, "*?[{") != NULL;
}

void pattern_release(struct pattern *pattern) {
    for (size_t i = 0; i < pattern->count; i++)
        base_free(pattern->names[i]);
    base_free(pattern->names);
    memset(pattern, 0, sizeof(*pattern));
}

/* The brace that closes the one at text[0]; *ret_list is set when a comma of its own or ".." is
 * inside. NULL: none. */
static const char *closing(const char *text, bool *ret_list) {
    int depth = 0;
    bool list = false;
    for (const char *at = text; *at; at++) {
        if (*at == '{')
            depth++;
        else if (*at == '}' && --depth == 0) {
            *ret_list = list;
            return at;
        } else if (depth == 1 && (*at == ',' || (at[0] == '.' && at[1] == '.')))
            list = true;
    }
    return NULL;
}

static bool read_number(const char *text, size_t length, int64_t *ret_number, int *ret_width) {
    size_t at = length > 0 && text[0] == '-' ? 1 : 0;
    int64_t number = 0;
    if (at == length || length > 12)
        return false;
    bool padded = text[at] == '0' && length - at > 1;
    for (; at < length; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        number = number * 10 + (text[at] - '0');
    }
    *ret_number = text[0] == '-' ? -number : number;
    if (padded && (int)length > *ret_width)
        *ret_width = (int)length;
    return true;
}

/* "000..099": false when the text is no range. */
static bool read_range(const char *text, size_t length, int64_t *ret_from, int64_t *ret_to,
                       int *ret_width) {
    const char *dots = memmem(text, length, "..", 2);
    *ret_width = 0;
    return dots && read_number(text, dots - text, ret_from, ret_width) &&
           read_number(dots + 2, text + length - dots - 2, ret_to, ret_width);
}

static int expand(const char *text, size_t done, struct pattern *pattern, struct opiml_error *err);

static int add(const char *name, struct pattern *pattern, struct opiml_error *err) {
    if (pattern->count == PATTERN_NAMES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a pattern that stands for more than %d names",
                          PATTERN_NAMES_MAX);
    pattern->bytes += strlen(name) + 1;
    if (pattern->bytes > PATTERN_TOTAL_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a pattern that stands for names of more than 128 MiB");
    if (pattern->count == pattern->room) {
        size_t room = pattern->room ? pattern->room * 2 : 16;
        char **grown = base_realloc(pattern->names, room * sizeof(*grown));
        if (!grown)
            return base_fail_memory(err, room * sizeof(*grown), "a pattern");
        pattern->names = grown;
        pattern->room = room;
    }
    char *copy = base_strdup(name);
    if (!copy)
        return base_fail_memory(err, strlen(name), "a pattern");
    pattern->names[pattern->count++] = copy;
    return 0;
}

/* Go on with text[0..open), one alternative, and what stands behind the closing brace. */
static int expand_with(const char *text, size_t open, const char *middle, size_t middle_bytes,
                       const char *rest, struct pattern *pattern, struct opiml_error *err) {
    if (open + middle_bytes + strlen(rest) >= PATTERN_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a name of more than %d bytes in a pattern",
                          PATTERN_BYTES_MAX - 1);
    AUTO_FREE char *name =
        base_printf("%.*s%.*s%s", (int)open, text, (int)middle_bytes, middle, rest);
    if (!name)
        return base_fail_memory(err, open + middle_bytes, "a pattern");
    return expand(name, open, pattern, err);
}

static int expand_range(const char *text, const char *open, const char *close, int64_t from,
                        int64_t to, int width, struct pattern *pattern, struct opiml_error *err) {
    char number[32];
    int64_t step = from <= to ? 1 : -1;
    for (int64_t i = from;; i += step) {
        int n = snprintf(number, sizeof(number), "%0*" PRId64, width, i);
        int rc = expand_with(text, open - text, number, n, close + 1, pattern, err);
        if (rc < 0 || i == to)
            return rc;
    }
}

/* Resolve what stands in text past `done` bytes. Each step deals with one pair of braces, so that
 * BRACES_MAX bounds the recursion. */
static int expand(const char *text, size_t done, struct pattern *pattern, struct opiml_error *err) {
    const char *open = text + done, *close;
    int64_t from, to;
    int width;
    bool list = false;
    for (;; open++) {
        open = strchr(open, '{');
        if (!open)
            return add(text, pattern, err);
        close = closing(open, &list);
        if (close && list)
            break;
    }
    if (read_range(open + 1, close - open - 1, &from, &to, &width))
        return expand_range(text, open, close, from, to, width, pattern, err);
    int depth = 0;
    const char *part = open + 1;
    bool commas = false;
    for (const char *at = open + 1; at <= close; at++) {
        if (*at == '{')
            depth++;
        if (at < close && *at == '}')
            depth--;
        if ((*at != ',' || depth > 0) && at < close)
            continue;
        if (at == close && !commas) /* "{a..b}": no list after all */
            return expand(text, close - text, pattern, err);
        int rc = expand_with(text, open - text, part, at - part, close + 1, pattern, err);
        if (rc < 0)
            return rc;
        part = at + 1;
        commas = true;
    }
    return 0;
}

int pattern_expand(const char *text, struct pattern *ret_pattern, struct opiml_error *err) {
    struct pattern pattern = {0};
    size_t braces = 0;
    for (const char *at = text; *at; at++)
        braces += *at == '{';
    if (strlen(text) >= PATTERN_BYTES_MAX || braces > BRACES_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a pattern longer than %d bytes or with more than %d braces",
                          PATTERN_BYTES_MAX - 1, BRACES_MAX);
    int rc = expand(text, 0, &pattern, err);
    if (rc < 0) {
        pattern_release(&pattern);
        return rc;
    }
    *ret_pattern = pattern;
    return 0;
}

/* The part of a name that stands for so many folders; false when no more stands behind them. */
static bool cut_after(const char *name, size_t folders, char to[PATTERN_BYTES_MAX]) {
    const char *at = name;
    for (size_t i = 0; i < folders; i++) {
        at = strchr(i ? at + 1 : at, '/');
        if (!at)
            return false;
    }
    memcpy(to, name, (size_t)(at - name));
    to[at - name] = '\0';
    return true;
}

bool pattern_leads_into(const struct pattern *pattern, const char *folder) {
    char part[PATTERN_BYTES_MAX];
    size_t folders = 1;
    for (const char *at = folder; *at; at++)
        folders += *at == '/';
    for (size_t i = 0; i < pattern->count; i++)
        if (cut_after(pattern->names[i], folders, part) && fnmatch(part, folder, FNM_PATHNAME) == 0)
            return true;
    return false;
}

size_t pattern_fixed(const char *name) {
    size_t bytes = strcspn(name, "*?[");
    if (name[bytes])
        while (bytes > 0 && name[bytes] != '/')
            bytes--;
    return bytes;
}

bool pattern_matches(const struct pattern *pattern, const char *key) {
    for (size_t i = 0; i < pattern->count; i++)
        if (fnmatch(pattern->names[i], key, FNM_PATHNAME) == 0)
            return true;
    return false;
}

int pattern_check_there(const struct pattern *pattern, const char *uri, pattern_look is_there,
                        void *context, struct opiml_error *err) {
    const char *before = "";
    size_t before_bytes = 0;
    for (size_t i = 0; pattern->count > 1 && i < pattern->count; i++) {
        const char *name = pattern->names[i];
        size_t bytes = pattern_fixed(name);
        bool there = false;
        if (bytes == before_bytes && memcmp(name, before, bytes) == 0)
            continue;
        AUTO_FREE char *fixed = base_printf("%.*s", (int)bytes, name);
        if (!fixed)
            return base_fail_memory(err, bytes, "a name");
        int rc = is_there(context, fixed, name[bytes] != '\0', &there, err);
        if (rc < 0)
            return rc;
        if (!there)
            return opiml_fail(err, OPIML_ENOENT, "%s: there is no %s, which its braces name", uri,
                              fixed);
        before = name;
        before_bytes = bytes;
    }
    return 0;
}
