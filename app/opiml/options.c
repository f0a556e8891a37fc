/* Options: argv → a verb's config struct, by its table. */
#include "base/text.h"
#include "verb.h"

static const struct option none[] = {{0}};

static const struct option *rows_of(const struct verb *verb) {
    return verb->options ? verb->options : none;
}

static int choice_of(const char *choices, const char *text) {
    size_t bytes = strlen(text);
    int i = 0;

    for (const char *at = choices; at; i++) {
        const char *end = strchrnul(at, '|');

        if ((size_t)(end - at) == bytes && memcmp(at, text, bytes) == 0)
            return i;
        at = *end ? end + 1 : NULL;
    }
    return -1;
}

static int check_range(const struct option *row, double value, struct opiml_error *err) {
    if ((row->least != 0 || row->most != 0) && !(value >= row->least && value <= row->most))
        return opiml_fail(err, OPIML_EINVAL, "--%s is a number from %.15g to %.15g, not %.15g",
                          row->name, row->least, row->most, value);
    return 0;
}

static int set_int(const struct option *row, void *at, const char *text, struct opiml_error *err) {
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end || errno != 0)
        return opiml_fail(err, OPIML_EINVAL, "--%s is a whole number, not \"%s\"", row->name, text);
    *(int64_t *)at = value;
    return check_range(row, (double)value, err);
}

static int set_num(const struct option *row, void *at, const char *text, struct opiml_error *err) {
    char *end;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end || errno != 0 || value != value)
        return opiml_fail(err, OPIML_EINVAL, "--%s is a number, not \"%s\"", row->name, text);
    *(double *)at = value;
    return check_range(row, value, err);
}

static int set(const struct option *row, void *config, const char *text, struct opiml_error *err) {
    void *at = (char *)config + row->offset;

    switch (row->type) {
    case OPTION_FLAG: *(bool *)at = true; return 0;
    case OPTION_INT: return set_int(row, at, text, err);
    case OPTION_NUM: return set_num(row, at, text, err);
    case OPTION_BYTES:
        if (!text_parse_bytes(text, at))
            return opiml_fail(err, OPIML_EINVAL, "--%s is a size such as 64MiB, not \"%s\"",
                              row->name, text);
        return check_range(row, (double)*(uint64_t *)at, err);
    case OPTION_TEXT:
    case OPTION_PATH: *(const char **)at = text; return 0;
    case OPTION_CHOICE: {
        int choice = choice_of(row->choices, text);

        if (choice < 0)
            return opiml_fail(err, OPIML_EINVAL, "--%s is one of %s, not \"%s\"", row->name,
                              row->choices, text);
        *(uint32_t *)at = (uint32_t)choice;
        return 0;
    }
    }
    assert(!"an option type without parser");
    return OPIML_EINTERNAL;
}

static const struct option *find(const struct verb *verb, const char *name, size_t bytes) {
    for (const struct option *row = rows_of(verb); row->name; row++)
        if (strlen(row->name) == bytes && memcmp(row->name, name, bytes) == 0)
            return row;
    return NULL;
}

static int unknown(const struct verb *verb, const char *given, size_t bytes,
                   struct opiml_error *err) {
    const char *words[64] = {"help"};
    char name[64];
    size_t count = 1;
    const char *near;

    for (const struct option *row = rows_of(verb); row->name && count < COUNT_OF(words) - 1; row++)
        words[count++] = row->name;
    snprintf(name, sizeof(name), "%.*s", (int)base_min_u64(bytes, sizeof(name) - 1), given);
    near = text_nearest(name, words);
    if (near)
        return opiml_fail(err, OPIML_EINVAL, "no option --%s; did you mean --%s?", name, near);
    return opiml_fail(err, OPIML_EINVAL, "no option --%s; `opiml %s -h` lists them", name,
                      verb->name);
}

/* argv[*i] starts with "--"; moves *i when the value is the next word. */
static int parse_long(const struct verb *verb, void *config, int argc, char **argv, int *i,
                      struct opiml_error *err) {
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *row = find(verb, name, bytes);
    const char *value = equals ? equals + 1 : NULL;

    if (!row)
        return unknown(verb, name, bytes, err);
    if (row->type == OPTION_FLAG && value)
        return opiml_fail(err, OPIML_EINVAL, "--%s takes no value", row->name);
    if (row->type != OPTION_FLAG && !value) {
        if (*i + 1 == argc)
            return opiml_fail(err, OPIML_EINVAL, "--%s needs a value: --%s %s", row->name,
                              row->name, row->value);
        value = argv[++*i];
    }
    return set(row, config, value, err);
}

static int check_count(const struct verb *verb, int count, char **args, struct opiml_error *err) {
    if (count < verb->args_least)
        return opiml_fail(err, OPIML_EINVAL, "something is missing: opiml %s %s", verb->name,
                          verb->args);
    if (verb->args_most >= 0 && count > verb->args_most)
        return opiml_fail(err, OPIML_EINVAL, "\"%s\" is one argument too many: opiml %s %s",
                          args[verb->args_most], verb->name, verb->args);
    return 0;
}

int options_parse(const struct verb *verb, void *config, int argc, char **argv, int *ret_count,
                  bool *ret_help, struct opiml_error *err) {
    int count = 0, rc;
    bool only_args = false;

    for (const struct option *row = rows_of(verb); row->name; row++)
        if (row->preset && (rc = set(row, config, row->preset, err)) < 0)
            return rc;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (only_args || word[0] != '-' || !word[1]) {
            argv[count++] = argv[i];
        } else if (strcmp(word, "--") == 0) {
            only_args = true;
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            *ret_help = true;
            return 0;
        } else if (word[1] != '-') {
            return opiml_fail(err, OPIML_EINVAL, "no option %s; `opiml %s -h` lists them", word,
                              verb->name);
        } else if ((rc = parse_long(verb, config, argc, argv, &i, err)) < 0) {
            return rc;
        }
    }
    *ret_count = count;
    return check_count(verb, count, argv, err);
}

bool options_flag(const struct verb *verb, const void *config, const char *name) {
    const struct option *row = find(verb, name, strlen(name));

    return row && row->type == OPTION_FLAG && *(const bool *)((const char *)config + row->offset);
}
