/* opiml help: the pages of all verbs. */
#include "verb.h"

struct help_config {
    uint32_t form;
};

static const struct option help_options[] = {
    {"form", "FORM", "text", "How the page is written", offsetof(struct help_config, form),
     OPTION_CHOICE, "text|markdown|man"},
    {0},
};

/* Another word behind a verb: perhaps one that the verb itself tells about, as `ops` does. */
static int too_many(const struct verb *verb, const char *word, struct opiml_error *err) {
    if (verb->words && strcmp(verb->words, "OPERATORS") == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "\"%s\" is one argument too many; `opiml %s %s` tells about that", word,
                          verb->name, word);
    return opiml_fail(err, OPIML_EINVAL, "\"%s\" is one argument too many behind `opiml help %s`",
                      word, verb->name);
}

static int help_run(struct call *call, struct opiml_error *err) {
    const struct help_config *config = call->config;
    const struct verb *verb;
    int used = 0;

    if (call->count == 0 || (call->count == 1 && verb_is_noun(call->args[0]))) {
        if (config->form == HELP_MARKDOWN)
            help_overview_markdown();
        else if (config->form == HELP_MAN && call->count == 0)
            help_overview_man();
        else
            help_overview(stdout, call->count ? call->args[0] : NULL);
        return 0;
    }
    verb = verb_find(call->args, call->count, &used);
    if (!verb)
        return verb_unknown(call->args, call->count, err);
    if (used != call->count)
        return too_many(verb, call->args[used], err);
    help_verb(verb, (enum help_form)config->form);
    return 0;
}

const struct verb verb_help = {
    .name = "help",
    .args = "[VERB]",
    .help = "Show the verbs, or a verb's page",
    .about = "Without VERB lists the verbs; with it shows the page that `opiml VERB -h` shows. "
             "--form man writes a manual page for man(1).",
    .examples = "opiml help feed\n"
                "What `opiml feed` does and which options it has.\n"
                "opiml help data make --form man | man -l -\n"
                "The same as a manual page.\n",
    .options = help_options,
    .config_bytes = sizeof(struct help_config),
    .args_least = 0,
    .args_most = 2,
    .words = "VERBS",
    .run = help_run,
};
