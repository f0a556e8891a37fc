/* The operator catalogue as a Markdown page. */
#include "op/catalogue.h"

#include "base/conf.h"
#include "op/registry.h"

static const struct {
    uint32_t flag;
    const char *word, *help;
} traits[] = {
    {OPIML_OP_RANDOM, "random", "draws from the seeded random stream"},
    {OPIML_OP_INTEGER, "integer", "integer arithmetic only"},
    {OPIML_OP_MAY_DROP, "drops", "may leave a row out"},
    {OPIML_OP_GROUP, "group", "mixes the rows of a group; comes after all others"},
    {OPIML_OP_HOST_ONLY, "host", "stays with the consumer"},
    {OPIML_OP_VIEW, "view", "only passes fields on"},
};

void op_catalogue_traits(const struct opiml_op *op, struct text *to) {
    bool first = true;

    for (size_t i = 0; i < COUNT_OF(traits); i++)
        if (op->flags & traits[i].flag) {
            text_printf(to, "%s%s", first ? "" : ", ", traits[i].word);
            first = false;
        }
}

/* A "|" would end the table's cell. */
static void cell(const char *words, struct text *to) {
    for (; *words; words++)
        if (*words == '|')
            text_add(to, "\\|");
        else
            text_add_bytes(to, words, 1);
}

static void param_row(const struct opiml_param *row, struct text *to) {
    AUTO_TEXT struct text type = {0};

    conf_type_text(row, &type);
    text_printf(to, "| `%s` | ", row->name);
    cell(type.at ? type.at : "", to);
    if (row->least != 0 || row->most != 0)
        text_printf(to, ", %.10g to %.10g", row->least, row->most);
    text_add(to, " | ");
    if (!row->preset)
        text_add(to, "must be given");
    else if (!row->preset[0])
        text_add(to, "empty");
    else {
        text_add(to, "`");
        cell(row->preset, to);
        text_add(to, "`");
    }
    text_add(to, " | ");
    cell(row->help, to);
    text_add(to, " |\n");
}

void op_catalogue_one(const struct opiml_op *op, struct text *to) {
    text_printf(to, "## %s\n\n%s.\n", op->name, op->help);
    if (op->about)
        text_printf(to, "\n%s\n", op->about);
    text_add(to, "\nTraits: ");
    if (op->flags)
        op_catalogue_traits(op, to);
    else
        text_add(to, "none");
    text_printf(to, ". Version %u.\n", op->version);
    if (!op->params || !op->params->name)
        return;
    text_add(to, "\n| parameter | type | default | what |\n|---|---|---|---|\n");
    for (const struct opiml_param *row = op->params; row->name; row++)
        param_row(row, to);
}

void op_catalogue(struct text *to) {
    text_add(to,
             "# Operators\n\n"
             "Written by `./dev docs` from the operators' tables. `opiml ops NAME` shows the same "
             "in a terminal. An\noperator stands in a pipeline file's `ops` list as "
             "`- name: {parameter: value}`; `label: text` beside it keys\nits random stream. "
             "How to add one of your own: [extending](extending.md).\n\nTraits:\n\n");
    for (size_t i = 0; i < COUNT_OF(traits); i++)
        text_printf(to, "- *%s*: %s\n", traits[i].word, traits[i].help);
    for (const struct opiml_op *const *op = op_list(); *op; op++) {
        text_add(to, "\n");
        op_catalogue_one(*op, to);
    }
}
