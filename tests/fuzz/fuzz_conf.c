/* Parameters from YAML and from the command line, one row of every type. */
#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct config {
    bool flag;
    uint32_t count, mode;
    uint64_t bytes;
    int64_t shift;
    double p;
    char name[OPIML_TEXT_MAX];
    struct opiml_u32_list size;
    struct opiml_f64_list mean;
    struct opiml_text_list fields;
};

#define AT(member) offsetof(struct config, member)

static const struct opiml_param rows[] = {
    {"flag", "false", "A flag", AT(flag), OPIML_PARAM_BOOL, NULL, 0, 0},
    {"count", "3", "A count", AT(count), OPIML_PARAM_U32, NULL, 1, 100},
    {"mode", "none", "A mode", AT(mode), OPIML_PARAM_CHOICE, "none|global|block", 0, 0},
    {"bytes", "64MiB", "A size", AT(bytes), OPIML_PARAM_U64, NULL, 0, 0},
    {"shift", "0", "A shift", AT(shift), OPIML_PARAM_I64, NULL, 0, 0},
    {"p", "0.5", "A chance", AT(p), OPIML_PARAM_F64, NULL, 0, 1},
    {"name", "", "A name", AT(name), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"size", "224,224", "A size", AT(size), OPIML_PARAM_U32_LIST, NULL, 1, 65536},
    {"mean", "", "Means", AT(mean), OPIML_PARAM_F64_LIST, NULL, 0, 0},
    {"fields", "", "Fields", AT(fields), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {0},
};

static void format(const struct config *config, struct text *to) {
    for (const struct opiml_param *row = rows; row->name; row++) {
        text_printf(to, "%s=", row->name);
        conf_format(row, config, to);
        text_add(to, "\n");
    }
}

/* What is canonical text for a number or a choice is taken back, as the same value. */
static void set_again(const struct config *config) {
    struct config other = {0};

    for (const struct opiml_param *row = rows; row->name; row++) {
        AUTO_TEXT struct text one = {0}, two = {0};

        if (row->type == OPIML_PARAM_TEXT || row->type == OPIML_PARAM_TEXT_LIST)
            continue; /* quoted, for hashes only */
        conf_format(row, config, &one);
        if (conf_set(rows, &other, row->name, one.at, NULL) < 0)
            __builtin_trap();
        conf_format(row, &other, &two);
        if (strcmp(one.at, two.at) != 0)
            __builtin_trap();
    }
}

static void set_each(const char *text) {
    for (const struct opiml_param *row = rows; row->name; row++) {
        struct config config = {0}, before;

        conf_defaults(rows, &config);
        before = config;
        if (conf_set(rows, &config, row->name, text, NULL) < 0 &&
            memcmp(&config, &before, sizeof(config)) != 0)
            __builtin_trap();
        set_again(&config);
    }
}

/* With a first byte of '=' the rest is a command line's value, else all is a document. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_YAML struct yaml *yaml = NULL;
    AUTO_TEXT struct text text = {0};
    struct opiml_error err = {0};
    struct config config = {0};

    if (size > 0 && data[0] == '=') {
        text_add_bytes(&text, data + 1, size - 1);
        set_each(text.at);
        return 0;
    }
    if (yaml_parse((const char *)data, size, "fuzz.yaml", &yaml, NULL) < 0)
        return 0;
    if (conf_read(rows, &config, yaml, yaml->root, "op", &err) < 0) {
        if (err.message[0] == 0 || strchr(err.message, '\n'))
            __builtin_trap();
        return 0;
    }
    set_again(&config);
    format(&config, &text);
    return 0;
}
