/* opiml ops: the operator catalogue, from the operators' own tables. */
#include "base/conf.h"
#include "base/json.h"
#include "op/registry.h"
#include "screen.h"
#include "verb.h"

struct ops_config {
    bool markdown, json;
};

static const struct option ops_options[] = {
    {"markdown", NULL, NULL, "Write the catalogue as a Markdown page",
     offsetof(struct ops_config, markdown), OPTION_FLAG},
    OPTION_JSON(struct ops_config),
    {0},
};

static const struct {
    uint32_t flag;
    const char *word, *help;
} traits[] = {
    {OPIML_OP_RANDOM, "random", "draws from the seeded random stream"},
    {OPIML_OP_INTEGER, "integer", "integer arithmetic only"},
    {OPIML_OP_MAY_DROP, "drops", "may leave a row out"},
    {OPIML_OP_GROUP, "group", "mixes the rows of a group; comes after all others"},
    {OPIML_OP_HOST_ONLY, "host", "stays with the consumer"},
};

static void format_traits(const struct opiml_op *op, struct text *to) {
    for (size_t i = 0; i < COUNT_OF(traits); i++)
        if (op->flags & traits[i].flag)
            text_printf(to, "%s%s", to->count ? ", " : "", traits[i].word);
}

static bool has_range(const struct opiml_param *row) {
    return row->least != 0 || row->most != 0;
}

/* ---- text ---- */

static void list_ops(void) {
    const struct opiml_op *const *list = op_list();

    for (size_t i = 0; list[i]; i++)
        printf("%-20s %s\n", list[i]->name, list[i]->help);
    puts("\n`opiml ops NAME` shows an operator's parameters.");
}

static void show_op(const struct opiml_op *op) {
    AUTO_TEXT struct text words = {0};

    printf("%s: %s\n", op->name, op->help);
    if (op->about)
        printf("\n%s\n", op->about);
    format_traits(op, &words);
    printf("\ntraits: %s; version %u\n", words.count ? words.at : "none", op->version);
    if (op->params)
        puts("\nparameters:");
    for (const struct opiml_param *row = op->params; row && row->name; row++) {
        AUTO_TEXT struct text type = {0};

        conf_type_text(row, &type);
        printf("  %s (%s", row->name, type.at ? type.at : "");
        if (has_range(row))
            printf(", %.10g to %.10g", row->least, row->most);
        if (!row->preset)
            printf("; must be given)\n");
        else
            printf("; default %s)\n", row->preset[0] ? row->preset : "empty");
        printf("      %s\n", row->help);
    }
}

/* ---- Markdown ---- */

/* A table's cell: "|" would end it. */
static void cell(const char *text) {
    for (; *text; text++)
        if (*text == '|')
            fputs("\\|", stdout);
        else
            putchar(*text);
}

static void op_markdown(const struct opiml_op *op) {
    AUTO_TEXT struct text words = {0};

    format_traits(op, &words);
    printf("\n## %s\n\n%s.", op->name, op->help);
    if (words.count)
        printf(" (%s)", words.at);
    puts("");
    if (op->about)
        printf("\n%s\n", op->about);
    if (!op->params || !op->params->name)
        return;
    puts("\n| parameter | type | default | what |\n|---|---|---|---|");
    for (const struct opiml_param *row = op->params; row->name; row++) {
        AUTO_TEXT struct text type = {0};

        conf_type_text(row, &type);
        printf("| `%s` | ", row->name);
        cell(type.at ? type.at : "");
        if (has_range(row))
            printf(", %.10g to %.10g", row->least, row->most);
        printf(" | ");
        cell(!row->preset ? "must be given" : row->preset[0] ? row->preset : "empty");
        printf(" | ");
        cell(row->help);
        puts(" |");
    }
}

static void catalogue(void) {
    const struct opiml_op *const *list = op_list();

    puts(
        "# Operators\n\nWritten by `./dev docs` from the operators' tables. `opiml ops NAME` shows "
        "the same in a\nterminal. An operator stands in a pipeline file's `ops` list as "
        "`- name: {parameter: value}`; `label: text`\nbeside it keys its random "
        "stream.\n\nTraits:");
    for (size_t i = 0; i < COUNT_OF(traits); i++)
        printf("%s%s: %s", i ? "; " : " ", traits[i].word, traits[i].help);
    puts(".");
    for (size_t i = 0; list[i]; i++)
        op_markdown(list[i]);
}

/* ---- JSON ---- */

static struct js *param_json(const struct opiml_param *row) {
    AUTO_TEXT struct text type = {0};
    struct js *one = js_object();

    conf_type_text(row, &type);
    js_set(one, "name", js_text(row->name));
    js_set(one, "type", js_text(type.at));
    js_set(one, "default", row->preset ? js_text(row->preset) : js_null());
    if (has_range(row)) {
        js_set(one, "least", js_num(row->least));
        js_set(one, "most", js_num(row->most));
    }
    js_set(one, "help", js_text(row->help));
    return one;
}

static struct js *op_json(const struct opiml_op *op) {
    struct js *one = js_object(), *flags = js_array(), *params = js_array();
    char id[24];

    js_set(one, "name", js_text(op->name));
    js_set(one, "help", js_text(op->help));
    js_set(one, "version", js_int(op->version));
    snprintf(id, sizeof(id), "%016" PRIx64, op_implementation(op));
    js_set(one, "implementation", js_text(id));
    for (size_t i = 0; i < COUNT_OF(traits); i++)
        if (op->flags & traits[i].flag)
            js_add(flags, js_text(traits[i].word));
    js_set(one, "traits", flags);
    for (const struct opiml_param *row = op->params; row && row->name; row++)
        js_add(params, param_json(row));
    js_set(one, "params", params);
    return one;
}

static int print_json(const struct opiml_op *only, struct opiml_error *err) {
    AUTO_JS struct js *list = js_array();
    AUTO_FREE char *text = NULL;

    for (size_t i = 0; op_list()[i]; i++)
        if (!only || only == op_list()[i])
            js_add(list, op_json(op_list()[i]));
    text = js_dump(list, 2);
    if (!text)
        return base_fail_memory(err, 0, "the catalogue");
    puts(text);
    return 0;
}

static int no_op(const char *name, struct opiml_error *err) {
    const char *names[256], *near;
    size_t count = 0;

    for (; op_list()[count] && count + 1 < COUNT_OF(names); count++)
        names[count] = op_list()[count]->name;
    names[count] = NULL;
    near = text_nearest(name, names);
    if (near)
        return opiml_fail(err, OPIML_ENOENT, "no operator \"%s\"; did you mean \"%s\"?", name,
                          near);
    return opiml_fail(err, OPIML_ENOENT, "no operator \"%s\"; `opiml ops` lists them", name);
}

static int ops_run(struct call *call, struct opiml_error *err) {
    const struct ops_config *config = call->config;
    const struct opiml_op *op = NULL;

    if (call->count && !(op = op_find(call->args[0])))
        return no_op(call->args[0], err);
    if (op_load_error())
        fprintf(stderr, "opiml: ops: left out: %s\n", op_load_error());
    if (config->json)
        return print_json(op, err);
    if (config->markdown && op)
        op_markdown(op);
    else if (config->markdown)
        catalogue();
    else if (op)
        show_op(op);
    else
        list_ops();
    return 0;
}

const struct verb verb_ops = {
    .name = "ops",
    .args = "[NAME]",
    .help = "List the operators, or show one with its parameters",
    .about =
        "Without NAME lists every operator that a pipeline file may use; with it shows the "
        "operator's parameters, their types, defaults and ranges. All of it comes from the "
        "tables that pipeline files are checked against.\n\n"
        "Operators of your own appear here too: OPIML_OP_PATH names shared objects, or folders "
        "of them, divided by colons (docs/extending.md). One that cannot be loaded is named on "
        "standard error and left out.",
    .examples = "opiml ops\n"
                "All of them, a line each.\n"
                "opiml ops random_resized_crop\n"
                "The parameters of one.\n",
    .options = ops_options,
    .config_bytes = sizeof(struct ops_config),
    .args_least = 0,
    .args_most = 1,
    .run = ops_run,
};
