/* Configuration rows. */
#include "base/conf.h"

/* ---- what a row holds ---- */

/* Any one value, on its way into a configuration: what fails to be read changes nothing there. */
union value {
    struct opiml_text_list text_list; /* the largest comes first: {0} clears all */
    bool flag;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    double f64;
    char text[OPIML_TEXT_MAX];
    uint32_t count; /* of every list */
    struct opiml_u32_list u32_list;
    struct opiml_f64_list f64_list;
};

/* By type: the member's size and alignment, its name in the manual and in "… is not a whole
 * number". */
static const struct {
    size_t bytes, alignment;
    const char *name, *one;
} types[] = {
    [OPIML_PARAM_BOOL] = {sizeof(bool), 1, "true or false", "true or false"},
    [OPIML_PARAM_U32] = {4, 4, "whole number", "a whole number"},
    [OPIML_PARAM_U64] = {8, _Alignof(uint64_t), "whole number or size", "a whole number"},
    [OPIML_PARAM_I64] = {8, _Alignof(int64_t), "whole number, may be negative", "a whole number"},
    [OPIML_PARAM_F64] = {8, _Alignof(double), "number", "a number"},
    [OPIML_PARAM_TEXT] = {OPIML_TEXT_MAX, 1, "text", "a text"},
    [OPIML_PARAM_CHOICE] = {4, 4, "choice", "one of the choices"},
    [OPIML_PARAM_U32_LIST] = {sizeof(struct opiml_u32_list), _Alignof(struct opiml_u32_list),
                              "list of whole numbers", "a list of whole numbers"},
    [OPIML_PARAM_F64_LIST] = {sizeof(struct opiml_f64_list), _Alignof(struct opiml_f64_list),
                              "list of numbers", "a list of numbers"},
    [OPIML_PARAM_TEXT_LIST] = {sizeof(struct opiml_text_list), _Alignof(struct opiml_text_list),
                               "list of texts", "a list of texts"},
};

static bool is_known(uint32_t type) {
    return type < COUNT_OF(types) && types[type].bytes > 0;
}

/* The type of a list's entries, 0 for what is no list. */
static uint32_t entry_type(uint32_t type) {
    switch (type) {
    case OPIML_PARAM_U32_LIST: return OPIML_PARAM_U32;
    case OPIML_PARAM_F64_LIST: return OPIML_PARAM_F64;
    case OPIML_PARAM_TEXT_LIST: return OPIML_PARAM_TEXT;
    default: return 0;
    }
}

static void keep(const struct opiml_param *row, void *config, const union value *value) {
    memcpy((char *)config + row->offset, value, types[row->type].bytes);
}

/* ---- one value from text ---- */

/* What may be wrong with a text. */
enum fault { FINE, WRONG_TYPE, OUT_OF_RANGE, NO_CHOICE, TOO_LONG, TOO_MANY, NO_LIST };

static bool in_range(const struct opiml_param *row, double value) {
    return (row->least == 0 && row->most == 0) || (value >= row->least && value <= row->most);
}

static bool parse_i64(const char *text, int64_t *ret_number) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');

    if (digits[0] == 0 || digits[strspn(digits, "0123456789")])
        return false;
    errno = 0;
    *ret_number = strtoll(text, NULL, 10);
    return errno == 0;
}

static enum fault read_bool(const char *text, bool *ret_flag) {
    static const char *const words[] = {"false", "true", "False", "True", "FALSE", "TRUE"};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *ret_flag = i % 2;
            return FINE;
        }
    return WRONG_TYPE;
}

static enum fault read_choice(const char *choices, const char *text, uint32_t *ret_index) {
    size_t length = strlen(text);

    for (uint32_t i = 0;; i++) {
        size_t n = strcspn(choices, "|");

        if (n == length && memcmp(choices, text, n) == 0) {
            *ret_index = i;
            return FINE;
        }
        if (choices[n] == 0)
            return NO_CHOICE;
        choices += n + 1;
    }
}

static enum fault read_u32(const struct opiml_param *row, const char *text, uint32_t *ret_number) {
    int64_t number;

    if (!parse_i64(text, &number))
        return WRONG_TYPE;
    if (number < 0 || number > UINT32_MAX || !in_range(row, (double)number))
        return OUT_OF_RANGE;
    *ret_number = (uint32_t)number;
    return FINE;
}

static enum fault read_f64(const struct opiml_param *row, const char *text, double *ret_number) {
    if (!text_parse_double(text, ret_number))
        return WRONG_TYPE;
    *ret_number += 0.0; /* -0 becomes 0: equal values, equal canonical text */
    return in_range(row, *ret_number) ? FINE : OUT_OF_RANGE;
}

/* A value that is no list. */
static enum fault read_one(const struct opiml_param *row, const char *text, union value *value) {
    switch (row->type) {
    case OPIML_PARAM_BOOL: return read_bool(text, &value->flag);
    case OPIML_PARAM_U32: return read_u32(row, text, &value->u32);
    case OPIML_PARAM_U64:
        if (!text_parse_bytes(text, &value->u64))
            return WRONG_TYPE;
        return in_range(row, (double)value->u64) ? FINE : OUT_OF_RANGE;
    case OPIML_PARAM_I64:
        if (!parse_i64(text, &value->i64))
            return WRONG_TYPE;
        return in_range(row, (double)value->i64) ? FINE : OUT_OF_RANGE;
    case OPIML_PARAM_F64: return read_f64(row, text, &value->f64);
    case OPIML_PARAM_CHOICE: return read_choice(row->choices, text, &value->u32);
    default: return text_copy(value->text, OPIML_TEXT_MAX, text) ? FINE : TOO_LONG;
    }
}

/* One more entry of a list. */
static enum fault add_entry(const struct opiml_param *row, const char *text, union value *list) {
    uint32_t at = list->count;
    enum fault fault = TOO_MANY;

    if (at == OPIML_LIST_MAX)
        return TOO_MANY;
    if (row->type == OPIML_PARAM_U32_LIST)
        fault = read_u32(row, text, &list->u32_list.at[at]);
    else if (row->type == OPIML_PARAM_F64_LIST)
        fault = read_f64(row, text, &list->f64_list.at[at]);
    else
        fault = text_copy(list->text_list.at[at], OPIML_NAME_BYTES, text) ? FINE : TOO_LONG;
    list->count += fault == FINE;
    return fault;
}

/* "224,224", "[224, 224]"; "" and "[]" are empty. Entries have no commas and brackets in them.
 * `entry` is left with the one that was refused. */
static enum fault read_list(const struct opiml_param *row, const char *text, union value *list,
                            char entry[OPIML_TEXT_MAX]) {
    size_t length = strlen(text);
    const char *end = text + length;
    bool more = true;

    list->count = 0;
    if (length > 0 && (text[0] == '[') != (end[-1] == ']'))
        return NO_LIST;
    if (length > 1 && text[0] == '[') {
        text++;
        end--;
    }
    if (text + strspn(text, " ") >= end)
        return FINE;
    while (more) {
        enum fault fault;
        size_t n;

        text += strspn(text, " ");
        n = strcspn(text, ",[]");
        more = text + n < end;
        if ((more && text[n] != ',') || n >= OPIML_TEXT_MAX)
            return NO_LIST;
        memcpy(entry, text, n);
        text += n + 1;
        while (n > 0 && entry[n - 1] == ' ')
            n--;
        entry[n] = 0;
        if (n == 0)
            return NO_LIST;
        if ((fault = add_entry(row, entry, list)) != FINE)
            return fault;
    }
    return FINE;
}

/* `got` is left with what was refused: the text or an entry of its list. */
static enum fault read_text(const struct opiml_param *row, const char *text, union value *value,
                            char got[OPIML_TEXT_MAX]) {
    enum fault fault;

    if (!entry_type(row->type)) {
        text_copy(got, OPIML_TEXT_MAX, text);
        return read_one(row, text, value);
    }
    fault = read_list(row, text, value, got);
    if (fault == NO_LIST)
        text_copy(got, OPIML_TEXT_MAX, text);
    return fault;
}

/* ---- complaints ---- */

static void add_range(const struct opiml_param *row, uint32_t type, struct text *to) {
    bool any = row->least == 0 && row->most == 0; /* that the type holds */

    if (any && type == OPIML_PARAM_I64) {
        text_printf(to, "%" PRId64 " to %" PRId64, INT64_MIN, INT64_MAX);
        return;
    }
    if (any && type != OPIML_PARAM_F64) {
        text_printf(to, "0 to %" PRIu64, type == OPIML_PARAM_U32 ? UINT32_MAX : UINT64_MAX);
        return;
    }
    text_add_double(to, row->least);
    text_add(to, " to ");
    text_add_double(to, row->most);
}

/* "a whole number from 0 to 10" */
static void add_type(const struct opiml_param *row, uint32_t type, struct text *to) {
    bool natural = type == OPIML_PARAM_U32 || type == OPIML_PARAM_U64;
    bool number = natural || type == OPIML_PARAM_I64 || type == OPIML_PARAM_F64;

    text_add(to, types[type].one);
    if (natural || (number && (row->least != 0 || row->most != 0))) {
        text_add(to, " from ");
        add_range(row, type, to);
    }
    if (type == OPIML_PARAM_U64)
        text_add(to, ", or a size such as 64MiB");
}

/* "a|b|c" as ", "-separated words, and the one that `text` may have meant. */
static void add_choices(const char *choices, const char *text, struct text *to) {
    AUTO_FREE char *copy = base_strdup(choices);
    const char *words[64], *near;
    size_t count = 0;

    for (char *at = copy, *bar; at && count < COUNT_OF(words) - 1; at = bar) {
        bar = strchr(at, '|');
        if (bar)
            *bar++ = 0;
        words[count++] = at;
    }
    words[count] = NULL;
    near = text_nearest(text, words);
    if (near)
        text_printf(to, "did you mean \"%s\"? ", near);
    text_add(to, near ? "It takes " : "it takes ");
    for (size_t i = 0; i < count; i++)
        text_printf(to, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);
}

/* What is wrong with `got`, the row's value or one entry of its list. */
static void complain(const struct opiml_param *row, uint32_t type, enum fault fault,
                     const char *got, struct text *to) {
    switch (fault) {
    case OUT_OF_RANGE:
        text_printf(to, "%.40s is out of range: ", got);
        add_range(row, type, to);
        break;
    case NO_CHOICE:
        text_printf(to, "no \"%.40s\"; ", got);
        add_choices(row->choices, got, to);
        break;
    case TOO_LONG:
        text_printf(to, "\"%.40s...\" is too long: at most %d bytes", got,
                    (type == row->type ? OPIML_TEXT_MAX : OPIML_NAME_BYTES) - 1);
        break;
    case TOO_MANY: text_printf(to, "at most %d entries", OPIML_LIST_MAX); break;
    case NO_LIST:
        text_printf(to, "\"%.40s\" is not %s, written \"a,b\" or \"[a, b]\"", got,
                    types[row->type].one);
        break;
    default:
        if (got[0])
            text_printf(to, "\"%.40s\" is not ", got);
        else
            text_add(to, "wants ");
        add_type(row, type, to);
        text_add(to, got[0] ? "" : " and got nothing");
    }
}

/* ---- rows ---- */

static const struct opiml_param *find_row(const struct opiml_param *rows, const char *key) {
    for (const struct opiml_param *row = rows; row->name; row++)
        if (strcmp(row->name, key) == 0)
            return row;
    return NULL;
}

/* "unknown key …" with the key that was meant, or else all there are. */
static void complain_key(const struct opiml_param *rows, const char *const *sections,
                         const char *key, struct text *to) {
    const char *names[128], *near;
    size_t count = 0;

    for (size_t i = 0; sections && sections[i] && count < COUNT_OF(names) - 1; i++)
        names[count++] = sections[i];
    for (const struct opiml_param *row = rows; row->name && count < COUNT_OF(names) - 1; row++)
        names[count++] = row->name;
    names[count] = NULL;
    near = text_nearest(key, names);
    text_printf(to, "unknown key \"%.100s\"; ", key);
    if (near) {
        text_printf(to, "did you mean \"%s\"?", near);
        return;
    }
    text_add(to, count ? "it takes " : "it takes none");
    for (size_t i = 0; i < count; i++)
        text_printf(to, "%s%s", i ? ", " : "", names[i]);
}

const char *conf_table_problem(const struct opiml_param *rows, size_t config_bytes) {
    for (const struct opiml_param *row = rows; row->name; row++) {
        char got[OPIML_TEXT_MAX];
        union value value;

        if (!is_known(row->type))
            return "a parameter of unknown type";
        if (row->offset > config_bytes || types[row->type].bytes > config_bytes - row->offset)
            return "a parameter outside its struct";
        if (row->offset % types[row->type].alignment)
            return "a parameter whose offset is not aligned";
        if (row->type == OPIML_PARAM_CHOICE && !row->choices)
            return "a choice without choices";
        if (!row->help)
            return "a parameter without help";
        if (find_row(rows, row->name) != row)
            return "two parameters of one name";
        if (!(row->least <= row->most))
            return "a range without numbers in it";
        if (row->preset && read_text(row, row->preset, &value, got) != FINE)
            return "a default that the parameter itself refuses";
    }
    return NULL;
}

void conf_defaults(const struct opiml_param *rows, void *config) {
    for (const struct opiml_param *row = rows; row->name; row++) {
        char got[OPIML_TEXT_MAX];
        union value value = {0};

        if (!row->preset)
            continue;
        if (read_text(row, row->preset, &value, got) != FINE)
            assert(!"the table has a bad default; see conf_table_problem");
        keep(row, config, &value);
    }
}

/* ---- from YAML ---- */

static int fail_value(const struct opiml_param *row, uint32_t type, enum fault fault,
                      const struct yaml *yaml, const struct yaml_node *node, const char *what,
                      struct opiml_error *err) {
    static const char *const kinds[] = {"a text", "a list", "a mapping"};
    AUTO_TEXT struct text why = {0};

    if (node->kind != YAML_SCALAR)
        text_printf(&why, "wants %s, not %s", types[type].one, kinds[node->kind]);
    else
        complain(row, type, fault, node->text, &why);
    if (fault == WRONG_TYPE && node->kind == YAML_SCALAR && node->quoted)
        text_add(&why, " (a quoted value is a text)");
    if (why.failed)
        return base_fail_memory(err, why.room, "a message");
    return yaml_fail(yaml, node, err, "%s: %s: %s", what, row->name, why.at);
}

/* Sizes may stand in quotes, for the space in "64 MiB"; other numbers that do are a mistake. */
static bool may_be_quoted(uint32_t type) {
    return type == OPIML_PARAM_TEXT || type == OPIML_PARAM_CHOICE || type == OPIML_PARAM_U64;
}

static int read_value(const struct opiml_param *row, void *config, const struct yaml *yaml,
                      const struct yaml_node *node, const char *what, struct opiml_error *err) {
    uint32_t inner = entry_type(row->type), type = inner ? inner : row->type;
    bool list = inner && node->kind == YAML_SEQUENCE;
    const struct yaml_node *entry = list ? node->child : node;
    union value value = {0};

    if (inner && node->kind == YAML_MAPPING)
        return fail_value(row, row->type, WRONG_TYPE, yaml, node, what, err);
    for (; entry; entry = list ? entry->next : NULL) {
        enum fault fault = WRONG_TYPE;

        if (entry->kind == YAML_SCALAR && (!entry->quoted || may_be_quoted(type)))
            fault =
                inner ? add_entry(row, entry->text, &value) : read_one(row, entry->text, &value);
        if (fault != FINE)
            return fail_value(row, type, fault, yaml, entry, what, err);
    }
    keep(row, config, &value);
    return 0;
}

static int fail_key(const struct opiml_param *rows, const char *const *sections,
                    const struct yaml *yaml, const struct yaml_node *node, const char *what,
                    struct opiml_error *err) {
    AUTO_TEXT struct text why = {0};

    complain_key(rows, sections, node->key, &why);
    if (why.failed)
        return base_fail_memory(err, why.room, "a message");
    return yaml_fail_key(yaml, node, err, "%s: %s", what, why.at);
}

static int fail_missing(const struct opiml_param *row, const struct yaml *yaml,
                        const struct yaml_node *node, const char *what, struct opiml_error *err) {
    if (!node && yaml)
        node = yaml->root;
    if (!node)
        return opiml_fail(err, OPIML_EINVAL, "%s: \"%s\" is missing (%s)", what, row->name,
                          row->help);
    return yaml_fail_key(yaml, node, err, "%s: \"%s\" is missing (%s)", what, row->name, row->help);
}

static bool is_section(const char *const *sections, const char *key) {
    for (size_t i = 0; sections && sections[i]; i++)
        if (strcmp(sections[i], key) == 0)
            return true;
    return false;
}

int conf_read(const struct opiml_param *rows, void *config, const struct yaml *yaml,
              const struct yaml_node *node, const char *what, struct opiml_error *err) {
    return conf_read_head(rows, NULL, config, yaml, node, what, err);
}

int conf_read_head(const struct opiml_param *rows, const char *const *sections, void *config,
                   const struct yaml *yaml, const struct yaml_node *node, const char *what,
                   struct opiml_error *err) {
    bool empty = !node || (node->kind == YAML_SCALAR && node->text[0] == 0 && !node->quoted);
    int rc;

    conf_defaults(rows, config);
    if (!empty && node->kind != YAML_MAPPING)
        return yaml_fail(yaml, node, err, "%s: wants \"key: value\" pairs", what);
    for (const struct yaml_node *entry = empty ? NULL : node->child; entry; entry = entry->next) {
        const struct opiml_param *row = find_row(rows, entry->key);

        if (!row && is_section(sections, entry->key))
            continue;
        rc = row ? read_value(row, config, yaml, entry, what, err)
                 : fail_key(rows, sections, yaml, entry, what, err);
        if (rc < 0)
            return rc;
    }
    for (const struct opiml_param *row = rows; row->name; row++)
        if (!row->preset && (empty || !yaml_get(node, row->name)))
            return fail_missing(row, yaml, node, what, err);
    return 0;
}

/* ---- from the command line ---- */

int conf_set(const struct opiml_param *rows, void *config, const char *key, const char *text,
             struct opiml_error *err) {
    const struct opiml_param *row = find_row(rows, key);
    AUTO_TEXT struct text why = {0};
    char got[OPIML_TEXT_MAX] = "";
    union value value = {0};
    enum fault fault;
    uint32_t inner;

    if (!row) {
        complain_key(rows, NULL, key, &why);
        return why.failed ? base_fail_memory(err, why.room, "a message")
                          : opiml_fail(err, OPIML_EINVAL, "%s", why.at);
    }
    fault = read_text(row, text, &value, got);
    if (fault == FINE) {
        keep(row, config, &value);
        return 0;
    }
    inner = fault == NO_LIST ? 0 : entry_type(row->type);
    complain(row, inner ? inner : row->type, fault, got, &why);
    return why.failed ? base_fail_memory(err, why.room, "a message")
                      : opiml_fail(err, OPIML_EINVAL, "%s: %s", key, why.at);
}

/* ---- back to text ---- */

static void format_choice(const char *choices, uint32_t index, struct text *to) {
    while (index > 0 && *choices) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
        index--;
    }
    text_add_bytes(to, choices, strcspn(choices, "|"));
}

/* In quotes where it could be taken for something else: two texts never look alike. */
static void format_text(const char *from, struct text *to) {
    bool plain = from[0] != 0;

    for (const char *at = from; *at && plain; at++)
        plain = (unsigned char)*at > ' ' && !strchr("\"\\,[]", *at);
    if (plain) {
        text_add(to, from);
        return;
    }
    text_add(to, "\"");
    for (; *from; from++)
        if ((unsigned char)*from < ' ')
            text_printf(to, "\\x%02x", (unsigned)*from);
        else
            text_printf(to, "%s%c", *from == '"' || *from == '\\' ? "\\" : "", *from);
    text_add(to, "\"");
}

static void format_list(const struct opiml_param *row, const union value *list, struct text *to) {
    text_add(to, "[");
    for (uint32_t i = 0; i < list->count && i < OPIML_LIST_MAX; i++) {
        text_add(to, i ? "," : "");
        if (row->type == OPIML_PARAM_U32_LIST)
            text_printf(to, "%" PRIu32, list->u32_list.at[i]);
        else if (row->type == OPIML_PARAM_F64_LIST)
            text_add_double(to, list->f64_list.at[i]);
        else
            format_text(list->text_list.at[i], to);
    }
    text_add(to, "]");
}

void conf_format(const struct opiml_param *row, const void *config, struct text *to) {
    union value value = {0};

    memcpy(&value, (const char *)config + row->offset, types[row->type].bytes);
    switch (row->type) {
    case OPIML_PARAM_BOOL: text_add(to, value.flag ? "true" : "false"); break;
    case OPIML_PARAM_U32: text_printf(to, "%" PRIu32, value.u32); break;
    case OPIML_PARAM_U64: text_printf(to, "%" PRIu64, value.u64); break;
    case OPIML_PARAM_I64: text_printf(to, "%" PRId64, value.i64); break;
    case OPIML_PARAM_F64: text_add_double(to, value.f64); break;
    case OPIML_PARAM_TEXT: format_text(value.text, to); break;
    case OPIML_PARAM_CHOICE: format_choice(row->choices, value.u32, to); break;
    default: format_list(row, &value, to);
    }
}

void conf_type_text(const struct opiml_param *row, struct text *to) {
    if (row->type == OPIML_PARAM_CHOICE && row->choices)
        text_add(to, row->choices);
    else
        text_add(to, is_known(row->type) ? types[row->type].name : "?");
}

/* ---- kinds of files ---- */

int conf_check_kind(const struct yaml *yaml, const char *wanted, struct opiml_error *err) {
    static const struct {
        const char *kind, *file, *verb;
    } kinds[] = {{"pipeline", "pipeline file", "opiml feed"},
                 {"train", "training file", "opiml train"}};
    const struct yaml_node *node = yaml_get(yaml->root, "kind");
    const char *named = "file";

    if (!node || node->kind != YAML_SCALAR || strcmp(node->text, wanted) == 0)
        return 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].kind, wanted) == 0)
            named = kinds[i].file;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].kind, node->text) == 0)
            return yaml_fail(yaml, node, err, "this is a %s, for `%s`; a %s is wanted here",
                             kinds[i].file, kinds[i].verb, named);
    return 0; /* no kind at all: the row says what it takes */
}

int conf_path(const char *path, char name[OPIML_TEXT_MAX], struct opiml_error *err) {
    AUTO_FREE char *folder = base_strdup(path);
    AUTO_FREE char *joined = NULL;
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return base_fail_memory(err, strlen(path), "a file's name");
    if (!name[0])
        return 0;
    *(slash ? slash + 1 : folder) = 0;
    joined = text_user_path(folder, name);
    if (!joined)
        return base_fail_memory(err, strlen(path), "a file's name");
    if (!text_copy(name, OPIML_TEXT_MAX, joined))
        return opiml_fail(err, OPIML_ELIMIT, "%s: a name longer than %d bytes", joined,
                          OPIML_TEXT_MAX - 1);
    return 0;
}
