#include <stddef.h>

#include "base/hash.h"
#include "dataset/dataset_inside.h"
#include "dataset/writer.h"

static const struct opiml_param common_rows[] = {
    {"uri", NULL,
     "Where the data lie: a path, file:///folder, s3://bucket/folder, or a pattern "
     "(x-{00..99}.tar)",
     offsetof(struct dataset_common, uri), OPIML_PARAM_TEXT},
    {"format", "auto", "What the files hold; auto looks at their names",
     offsetof(struct dataset_common, format), OPIML_PARAM_TEXT},
    {"index", "auto",
     "auto: look at folders, shards and some of many files for changes; full: at every file; "
     "rebuild: always anew; keep: at nothing, so that what has come since is left out",
     offsetof(struct dataset_common, index), OPIML_PARAM_CHOICE, "auto|full|rebuild|keep"},
    {"direct", "false", "Read past the page cache (O_DIRECT)",
     offsetof(struct dataset_common, direct), OPIML_PARAM_BOOL},
    {"weight", "1", "Share among several datasets", offsetof(struct dataset_common, weight),
     OPIML_PARAM_F64},
    {NULL},
};

void dataset_name_formats(struct text *text, const char *words[FORMATS_MAX + 1]) {
    size_t count = 0;
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        assert(count < FORMATS_MAX);
        text_printf(text, "%s%s", count ? ", " : "", (*kind)->name);
        if (words)
            words[count] = (*kind)->name;
        count++;
    }
}

static int fail_format(const char *name, struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    const char *words[FORMATS_MAX + 1] = {0};
    dataset_name_formats(&names, words);
    const char *near = text_nearest(name, words);
    return opiml_fail(err, OPIML_EINVAL, "there is no format \"%s\"%s%s%s; there are auto, %s",
                      name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "",
                      names.at ? names.at : "");
}

int dataset_choose_format(const char *name, const struct format **ret_format,
                          struct opiml_error *err) {
    *ret_format = NULL;
    if (!name || strcmp(name, "auto") == 0)
        return 0;
    *ret_format = format_find(name);
    return *ret_format ? 0 : fail_format(name, err);
}

int dataset_choose_policy(const char *name, uint32_t *ret_policy, struct opiml_error *err) {
    struct dataset_common common;
    conf_defaults(common_rows, &common);
    int rc = name ? conf_set(common_rows, &common, "index", name, err) : 0;
    *ret_policy = common.index;
    return rc;
}

#define ROWS_MAX 32

/* The common rows and those of the format behind them, over one block of memory. */
static size_t join_rows(const struct format *format, struct opiml_param rows[ROWS_MAX]) {
    size_t count = 0, shift = base_align_up(sizeof(struct dataset_common), 16);
    for (const struct opiml_param *row = common_rows; row->name; row++)
        rows[count++] = *row;
    for (const struct opiml_param *row = format ? format->params : NULL; row && row->name; row++) {
        assert(count + 1 < ROWS_MAX);
        rows[count] = *row;
        rows[count++].offset += shift;
    }
    rows[count] = (struct opiml_param){0};
    return shift + (format ? format->params_bytes : 0);
}

static bool is_common(const char *key) {
    for (const struct opiml_param *row = common_rows; row->name; row++)
        if (strcmp(row->name, key) == 0)
            return true;
    return false;
}

int dataset_read_config(const struct format *format, const struct yaml *yaml,
                        const struct yaml_node *node, void **ret_config, struct opiml_error *err) {
    struct opiml_param rows[ROWS_MAX];
    struct yaml_node copy = *node;
    size_t bytes = join_rows(format, rows);
    AUTO_FREE void *config = base_alloc(bytes);
    AUTO_FREE struct yaml_node *children = base_alloc_array(node->count, sizeof(*children));
    if (!config || !children)
        return base_fail_memory(err, bytes, "a dataset's parameters");
    uint32_t count = 0;
    for (const struct yaml_node *child = node->child; child; child = child->next) {
        if (!format && !is_common(child->key))
            continue;
        assert(count < node->count);
        children[count] = *child;
        if (strcmp(child->key, "uri") == 0 && child->kind == YAML_SCALAR)
            children[count].text = "";
        children[count].next = NULL;
        if (count > 0)
            children[count - 1].next = &children[count];
        count++;
    }
    copy.count = count;
    copy.child = count ? children : NULL;
    int rc = conf_read(rows, config, yaml, &copy, "dataset", err);
    if (rc < 0)
        return rc;
    *ret_config = TAKE(config);
    return 0;
}

int dataset_read_params(const struct format *format, const struct dataset_request *request,
                        void **ret_params, struct opiml_error *err) {
    AUTO_FREE void *config = NULL, *params = base_alloc(format->params_bytes);
    if (!params)
        return base_fail_memory(err, format->params_bytes, "a format's parameters");
    if (request->node) {
        int rc = dataset_read_config(format, request->yaml, request->node, &config, err);
        if (rc < 0)
            return rc;
        if (format->params_bytes > 0)
            memcpy(params, (char *)config + base_align_up(sizeof(struct dataset_common), 16),
                   format->params_bytes);
    } else if (format->params)
        conf_defaults(format->params, params);
    *ret_params = TAKE(params);
    return 0;
}

void dataset_params_text(const struct format *format, const void *params, struct text *text) {
    for (const struct opiml_param *row = format->params; row && row->name; row++) {
        text_printf(text, "\n%s=", row->name);
        conf_format(row, params, text);
    }
}

int dataset_params_hash(const struct dataset *dataset, uint64_t *ret_hash,
                        struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    dataset_params_text(dataset->format, dataset->params, &text);
    if (text.failed)
        return base_fail_memory(err, text.count, "a format's parameters");
    *ret_hash = hash_64(text.at, text.count, 0);
    return 0;
}

static void add_parameter(const struct opiml_param *row, const void *params, struct text *to) {
    const void *at = (const char *)params + row->offset;
    const struct opiml_text_list *list = at;
    text_printf(to, ", %s: ", row->name);
    if (row->type == OPIML_PARAM_TEXT) {
        write_quoted(to, at);
    } else if (row->type == OPIML_PARAM_TEXT_LIST) {
        for (uint32_t i = 0; i < list->count; i++) {
            text_add(to, i ? ", " : "[");
            write_quoted(to, list->at[i]);
        }
        text_add(to, list->count ? "]" : "[]");
    } else {
        conf_format(row, params, to);
    }
}

void dataset_mapping(const struct dataset *dataset, struct text *to) {
    const struct source *source = dataset->source;
    const struct format *format = dataset->format;
    const char *slash = source->single ? strrchr(source->uri, '/') : NULL;
    AUTO_FREE void *defaults = base_alloc(format->params_bytes + 1);
    text_add(to, "{uri: ");
    if (source->ops->format || !source->local)
        write_quoted(to, source->uri);
    else if (source->pattern)
        write_quoted(to, source->uri + strlen(source->prefix));
    else
        write_quoted(to, slash ? slash + 1 : ".");
    text_printf(to, ", format: %s", format->name);
    if (!defaults)
        to->failed = true;
    else if (format->params)
        conf_defaults(format->params, defaults);
    for (const struct opiml_param *row = format->params; defaults && row && row->name; row++) {
        AUTO_TEXT struct text usual = {0}, here = {0};
        conf_format(row, defaults, &usual);
        conf_format(row, dataset->params, &here);
        to->failed |= usual.failed || here.failed;
        if (!to->failed && strcmp(usual.at, here.at) != 0)
            add_parameter(row, dataset->params, to);
    }
    text_add(to, "}");
}
