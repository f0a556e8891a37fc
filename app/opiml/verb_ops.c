/* opiml ops: the operator catalogue, from the operators' own tables. */
#include "base/conf.h"
#include "base/json.h"
#include "op/catalogue.h"
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
    op_catalogue_traits(op, &words);
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

static int print_markdown(const struct opiml_op *only, struct opiml_error *err) {
    AUTO_TEXT struct text page = {0};

    if (only)
        op_catalogue_one(only, &page);
    else
        op_catalogue(&page);
    if (page.failed)
        return base_fail_memory(err, page.room, "the catalogue");
    fputs(page.at ? page.at : "", stdout);
    return 0;
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
    struct js *one = js_object(), *params = js_array();
    AUTO_TEXT struct text traits = {0};
    char id[24];

    js_set(one, "name", js_text(op->name));
    js_set(one, "help", js_text(op->help));
    js_set(one, "version", js_int(op->version));
    snprintf(id, sizeof(id), "%016" PRIx64, op_implementation(op));
    js_set(one, "implementation", js_text(id));
    op_catalogue_traits(op, &traits);
    js_set(one, "traits", js_text(traits.at ? traits.at : ""));
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
    if (config->markdown)
        return print_markdown(op, err);
    if (op)
        show_op(op);
    else
        list_ops();
    return 0;
}

const struct verb verb_ops = {
    .name = "ops",
    .args = "[NAME]",
    .words = "OPERATORS",
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
