/* Configuration rows. */
#include "base/conf.h"

#include <math.h>

/* ---- one value from text ---- */

/* Why a text is not what a row wants; NULL when it is and was stored at `to`. `list` says that `to` is an
 * entry of a list. */
static const char *store_number(const struct opiml_param *row, const char *text, double *ret) {
    char *end;

    if (!(text[0] == '-' || text[0] == '+' || text[0] == '.' || (text[0] >= '0' && text[0] <= '9')))
        return "a number";
    *ret = strtod(text, &end);
    if (*end || !isfinite(*ret) || strpbrk(text, "xXpP"))
        return "a number";
    return NULL;
}

static const char *store_integer(const char *text, bool negative, int64_t *ret_signed,
                                 uint64_t *ret_unsigned) {
    char *end;

    if (!(text[0] >= '0' && text[0] <= '9') && !(negative && text[0] == '-'))
        return negative ? "a whole number" : "a whole number from 0";
    errno = 0;
    if (negative)
        *ret_signed = strtoll(text, &end, 10);
    else
        *ret_unsigned = strtoull(text, &end, 10);
    return *end || errno ? "a whole number" : NULL;
}

static bool in_range(const struct opiml_param *row, double value) {
    return (row->least == 0 && row->most == 0) || (value >= row->least && value <= row->most);
}

static const char *store_bool(const char *text, bool *ret) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return "true or false";
    *ret = text[0] == 't';
    return NULL;
}

static const char *store_choice(const struct opiml_param *row, const char *text, uint32_t *ret) {
    const char *at = row->choices;
    size_t length = strlen(text);

    for (uint32_t i = 0; at; i++) {
        const char *bar = strchr(at, '|');
        size_t n = bar ? (size_t)(bar - at) : strlen(at);

        if (n == length && memcmp(at, text, n) == 0) {
            *ret = i;
            return NULL;
        }
        at = bar ? bar + 1 : NULL;
    }
    return row->choices;
}

static const char *store_u32(const struct opiml_param *row, const char *text, uint32_t *to) {
    const char *want;
    uint64_t u = 0;

    if ((want = store_integer(text, false, NULL, &u)))
        return want;
    if (u > UINT32_MAX)
        return "a number below 2^32";
    *to = (uint32_t)u;
    return in_range(row, (double)u) ? NULL : "";
}

/* Returns NULL, what was wanted, or "" for a number out of the row's range. */
static const char *store(const struct opiml_param *row, const char *text, void *to) {
    const char *want;

    switch (row->type) {
    case OPIML_PARAM_BOOL:
        return store_bool(text, to);
    case OPIML_PARAM_CHOICE:
        return store_choice(row, text, to);
    case OPIML_PARAM_TEXT:
        return text_copy(to, OPIML_TEXT_MAX, text) ? NULL : "a shorter text";
    case OPIML_PARAM_U32:
        return store_u32(row, text, to);
    case OPIML_PARAM_U64:
        if (!text_parse_bytes(text, to))
            return "a whole number, with KiB, MiB or GiB behind it if you like";
        return in_range(row, (double)*(uint64_t *)to) ? NULL : "";
    case OPIML_PARAM_I64:
        if ((want = store_integer(text, true, to, NULL)))
            return want;
        return in_range(row, (double)*(int64_t *)to) ? NULL : "";
    case OPIML_PARAM_F64:
        if ((want = store_number(row, text, to)))
            return want;
        return in_range(row, *(double *)to) ? NULL : "";
    default:
        return "a list";
    }
}

/* ---- lists ---- */

static uint32_t *list_count(void *to) {
    return to; /* every list starts with its count */
}

static const char *store_entry(const struct opiml_param *row, const char *text, void *to) {
    uint32_t at = *list_count(to);
    const char *want;

    if (at == OPIML_LIST_MAX)
        return "a shorter list";
    if (row->type == OPIML_PARAM_U32_LIST) {
        want = store_u32(row, text, &((struct opiml_u32_list *)to)->at[at]);
    } else if (row->type == OPIML_PARAM_F64_LIST) {
        double *value = &((struct opiml_f64_list *)to)->at[at];

        want = store_number(row, text, value);
        if (!want && !in_range(row, *value))
            want = "";
    } else {
        want = text_copy(((struct opiml_text_list *)to)->at[at], OPIML_NAME_BYTES, text)
                   ? NULL
                   : "a shorter text";
    }
    if (!want)
        ++*list_count(to);
    return want;
}

static bool is_list(const struct opiml_param *row) {
    return row->type == OPIML_PARAM_U32_LIST || row->type == OPIML_PARAM_F64_LIST ||
           row->type == OPIML_PARAM_TEXT_LIST;
}

/* "224,224" or "[224, 224]" */
static const char *store_list(const struct opiml_param *row, const char *text, void *to) {
    *list_count(to) = 0;
    while (*text) {
        char entry[OPIML_TEXT_MAX];
        const char *want;
        size_t n;

        text += strspn(text, " ,[]");
        n = strcspn(text, ",]");
        if (n == 0)
            break;
        if (n >= sizeof(entry))
            return "a shorter text";
        memcpy(entry, text, n);
        entry[n] = 0;
        while (n > 0 && entry[n - 1] == ' ')
            entry[--n] = 0;
        if ((want = store_entry(row, entry, to)))
            return want;
        text += strcspn(text, ",]");
    }
    return NULL;
}

static const char *store_any(const struct opiml_param *row, const char *text, void *config) {
    void *to = (char *)config + row->offset;

    return is_list(row) ? store_list(row, text, to) : store(row, text, to);
}

void conf_defaults(const struct opiml_param *rows, void *config) {
    for (const struct opiml_param *row = rows; row->name; row++)
        if (row->preset) {
            const char *want = store_any(row, row->preset, config);

            assert(!want); /* a table with a bad default is a broken program */
        }
}

/* ---- YAML ---- */

static const char *nearest_key(const struct opiml_param *rows, const char *key) {
    const char *names[128];
    size_t count = 0;

    for (const struct opiml_param *row = rows; row->name && count < COUNT_OF(names) - 1; row++)
        names[count++] = row->name;
    names[count] = NULL;
    return text_nearest(key, names);
}

static int unknown_key(const struct opiml_param *rows, const struct yaml *yaml,
                       const struct yaml_node *node, const char *what, struct opiml_error *err) {
    const char *near = nearest_key(rows, node->key);
    AUTO_TEXT struct text all = {0};

    if (near)
        return yaml_fail_key(yaml, node, err, "%s: unknown key \"%s\"; did you mean \"%s\"?", what,
                             node->key, near);
    for (const struct opiml_param *row = rows; row->name; row++)
        text_printf(&all, "%s%s", row == rows ? "" : ", ", row->name);
    return yaml_fail_key(yaml, node, err, "%s: unknown key \"%s\"; it takes %s", what, node->key,
                         all.at ? all.at : "none");
}

static const struct opiml_param *find_row(const struct opiml_param *rows, const char *key) {
    for (const struct opiml_param *row = rows; row->name; row++)
        if (strcmp(row->name, key) == 0)
            return row;
    return NULL;
}

/* The sentence behind "decode: size: ". */
static void complain(const struct opiml_param *row, const char *want, const char *got,
                     struct text *to) {
    if (want[0] == 0)
        text_printf(to, "%.40s is out of range: %.10g to %.10g", got, row->least, row->most);
    else if (row->type == OPIML_PARAM_CHOICE)
        text_printf(to, "no \"%.40s\"; choose %s", got, row->choices);
    else
        text_printf(to, "\"%.40s\" is not %s", got, want);
}

static int fail_value(const struct opiml_param *row, const struct yaml *yaml,
                      const struct yaml_node *node, const char *what, const char *want,
                      struct opiml_error *err) {
    AUTO_TEXT struct text why = {0};

    if (node->kind == YAML_SCALAR)
        complain(row, want, node->text, &why);
    else
        text_printf(&why, "wants %s", want[0] ? want : "other values");
    return yaml_fail(yaml, node, err, "%s: %s: %s", what, row->name, why.at ? why.at : want);
}

static int read_value(const struct opiml_param *row, void *config, const struct yaml *yaml,
                      const struct yaml_node *node, const char *what, struct opiml_error *err) {
    void *to = (char *)config + row->offset;
    const char *want = NULL;

    if (is_list(row) && node->kind != YAML_MAPPING) {
        const struct yaml_node *entry = node->kind == YAML_SEQUENCE ? node->child : node;

        *list_count(to) = 0;
        for (; entry; entry = node->kind == YAML_SEQUENCE ? entry->next : NULL) {
            want = entry->kind == YAML_SCALAR ? store_entry(row, entry->text, to) : "a plain value";
            if (want)
                return fail_value(row, yaml, entry, what, want, err);
        }
        return 0;
    }
    want = node->kind == YAML_SCALAR ? store(row, node->text, to) : "one value";
    return want ? fail_value(row, yaml, node, what, want, err) : 0;
}

int conf_read(const struct opiml_param *rows, void *config, const struct yaml *yaml,
              const struct yaml_node *node, const char *what, struct opiml_error *err) {
    bool empty = !node || (node->kind == YAML_SCALAR && node->text[0] == 0);
    int rc;

    conf_defaults(rows, config);
    if (!empty && node->kind != YAML_MAPPING)
        return yaml_fail(yaml, node, err, "%s: wants \"key: value\" pairs", what);
    for (const struct yaml_node *entry = empty ? NULL : node->child; entry; entry = entry->next) {
        const struct opiml_param *row = find_row(rows, entry->key);

        if (!row)
            return unknown_key(rows, yaml, entry, what, err);
        if ((rc = read_value(row, config, yaml, entry, what, err)) < 0)
            return rc;
    }
    for (const struct opiml_param *row = rows; row->name; row++)
        if (!row->preset && (empty || !yaml_get(node, row->name)))
            return yaml_fail_key(yaml, node ? node : yaml->root, err, "%s: \"%s\" is missing (%s)",
                                 what, row->name, row->help);
    return 0;
}

int conf_set(const struct opiml_param *rows, void *config, const char *key, const char *text,
             struct opiml_error *err) {
    const struct opiml_param *row = find_row(rows, key);
    AUTO_TEXT struct text why = {0};
    const char *want, *near;

    if (!row) {
        near = nearest_key(rows, key);
        return opiml_fail(err, OPIML_ENOENT, "unknown key \"%s\"%s%s%s", key,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    want = store_any(row, text, config);
    if (!want)
        return 0;
    complain(row, want, text, &why);
    return opiml_fail(err, OPIML_EINVAL, "%s: %s", key, why.at ? why.at : want);
}

/* ---- back to text ---- */

static void format_choice(const struct opiml_param *row, uint32_t index, struct text *to) {
    const char *at = row->choices;

    while (index-- > 0 && at) {
        at = strchr(at, '|');
        at = at ? at + 1 : NULL;
    }
    if (at)
        text_add_bytes(to, at, strcspn(at, "|"));
}

static void format_list(const struct opiml_param *row, const void *from, struct text *to) {
    uint32_t count = *(const uint32_t *)from;

    text_add(to, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            text_add(to, ",");
        if (row->type == OPIML_PARAM_U32_LIST)
            text_printf(to, "%u", ((const struct opiml_u32_list *)from)->at[i]);
        else if (row->type == OPIML_PARAM_F64_LIST)
            text_printf(to, "%.17g", ((const struct opiml_f64_list *)from)->at[i]);
        else
            text_add(to, ((const struct opiml_text_list *)from)->at[i]);
    }
    text_add(to, "]");
}

void conf_format(const struct opiml_param *row, const void *config, struct text *to) {
    const void *from = (const char *)config + row->offset;

    switch (row->type) {
    case OPIML_PARAM_BOOL:
        text_add(to, *(const bool *)from ? "true" : "false");
        break;
    case OPIML_PARAM_U32:
        text_printf(to, "%u", *(const uint32_t *)from);
        break;
    case OPIML_PARAM_U64:
        text_printf(to, "%" PRIu64, *(const uint64_t *)from);
        break;
    case OPIML_PARAM_I64:
        text_printf(to, "%" PRId64, *(const int64_t *)from);
        break;
    case OPIML_PARAM_F64:
        text_printf(to, "%.17g", *(const double *)from);
        break;
    case OPIML_PARAM_TEXT:
        text_add(to, from);
        break;
    case OPIML_PARAM_CHOICE:
        format_choice(row, *(const uint32_t *)from, to);
        break;
    default:
        format_list(row, from, to);
    }
}

void conf_type_text(const struct opiml_param *row, struct text *to) {
    static const char *const names[] = {
        [OPIML_PARAM_BOOL] = "true or false",
        [OPIML_PARAM_U32] = "whole number",
        [OPIML_PARAM_U64] = "whole number or size",
        [OPIML_PARAM_I64] = "whole number, may be negative",
        [OPIML_PARAM_F64] = "number",
        [OPIML_PARAM_TEXT] = "text",
        [OPIML_PARAM_U32_LIST] = "list of whole numbers",
        [OPIML_PARAM_F64_LIST] = "list of numbers",
        [OPIML_PARAM_TEXT_LIST] = "list of texts",
    };

    text_add(to, row->type == OPIML_PARAM_CHOICE ? row->choices : names[row->type]);
}
