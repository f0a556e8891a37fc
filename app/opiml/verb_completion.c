/* opiml completion: shell functions, written from the verbs' tables. */
#include "base/text.h"
#include "dataset/format.h"
#include "dataset/writer.h"
#include "op/registry.h"
#include "verb.h"

/* "a|b" → "a b" */
static void spaced(const char *choices, struct text *to) {
    for (; *choices; choices++)
        text_add_bytes(to, *choices == '|' ? " " : choices, 1);
}

/* First words of all verbs, or second words of a noun, divided by spaces. */
static void verb_words(const char *noun, struct text *to) {
    size_t length = noun ? strlen(noun) : 0;
    const char *last = "";

    for (size_t i = 0; verb_table[i]; i++) {
        const char *name = verb_table[i]->name;
        size_t word = strcspn(name, " ");

        if (noun) {
            if (strncmp(name, noun, length) == 0 && name[length] == ' ')
                text_printf(to, "%s%s", to->count ? " " : "", name + length + 1);
        } else if (strncmp(name, last, word) != 0 || last[word] != name[word]) {
            text_printf(to, "%s%.*s", to->count ? " " : "", (int)word, name);
        }
        last = name;
    }
}

static void first_words(const struct verb *verb, struct text *to) {
    if (verb->words && strcmp(verb->words, "VERBS") == 0)
        verb_words(NULL, to);
    else if (verb->words && strcmp(verb->words, "OPERATORS") == 0)
        for (size_t i = 0; op_list()[i]; i++)
            text_printf(to, "%s%s", i ? " " : "", op_list()[i]->name);
    else if (verb->words)
        spaced(verb->words, to);
}

static void word(const char *name, struct text *to) {
    text_printf(to, "%s%s", to->count ? " " : "", name);
}

/* What an option's value may be: its choices, or the formats that there are to read, or to write.
 */
static void value_words(const struct verb *verb, const struct option *row, struct text *to) {
    if (row->type == OPTION_CHOICE)
        spaced(row->choices, to);
    else if (row->type != OPTION_TEXT || strcmp(row->value, "FORMAT") != 0)
        return;
    else if (strcmp(verb->name, "data convert") == 0 && strcmp(row->name, "format") == 0)
        for (const struct writer *const *kind = writer_kinds(); *kind; kind++)
            word((*kind)->name, to);
    else
        for (const struct format *const *kind = format_kinds(); *kind; kind++)
            word((*kind)->name, to);
}

/* The i-th verb's first word, where that is a noun that was not there before. */
static bool noun_at(size_t i, char (*to)[32]) {
    const char *name = verb_table[i]->name;

    snprintf(*to, sizeof(*to), "%.*s", (int)strcspn(name, " "), name);
    return verb_is_noun(*to) && !(i && strncmp(verb_table[i - 1]->name, *to, strlen(*to)) == 0);
}

/* Where the first argument is a verb of two words: printed for each noun, with its second words. */
static void second_words(const struct verb *verb, const char *form) {
    char noun[32];

    if (!verb->words || strcmp(verb->words, "VERBS") != 0)
        return;
    for (size_t i = 0; verb_table[i]; i++) {
        AUTO_TEXT struct text seconds = {0};

        if (!noun_at(i, &noun))
            continue;
        verb_words(noun, &seconds);
        printf(form, noun, seconds.at ? seconds.at : "");
    }
}

/* ---- bash ---- */

static void bash_verb(const struct verb *verb) {
    AUTO_TEXT struct text words = {0};

    printf("    '%s')\n        options=\"--help", verb->name);
    for (const struct option *row = verb->options; row && row->name; row++)
        printf(" --%s", row->name);
    puts("\"");
    puts("        case $before in");
    for (const struct option *row = verb->options; row && row->name; row++) {
        AUTO_TEXT struct text choices = {0};

        if (row->type == OPTION_FLAG)
            continue;
        value_words(verb, row, &choices);
        if (row->type == OPTION_PATH)
            printf("        --%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", row->name);
        else
            printf("        --%s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); return ;;\n",
                   row->name, choices.at ? choices.at : "");
    }
    puts("        esac");
    first_words(verb, &words);
    if (words.count)
        printf("        words=\"%s\"\n", words.at);
    second_words(verb, "        [ \"$before\" != %s ] || words=\"%s\"\n");
    puts("        ;;");
}

static void bash(void) {
    AUTO_TEXT struct text all = {0};

    verb_words(NULL, &all);
    puts("# bash completion of opiml; written by `opiml completion bash`\n"
         "_opiml() {\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    local verb=${COMP_WORDS[1]} options= words=\n"
         "    if [ \"$COMP_CWORD\" = 1 ]; then");
    printf("        COMPREPLY=($(compgen -W \"%s\" -- \"$word\"))\n", all.at ? all.at : "");
    puts("        return\n    fi");
    for (size_t i = 0; verb_table[i]; i++) {
        AUTO_TEXT struct text seconds = {0};
        char noun[32];

        if (!noun_at(i, &noun))
            continue;
        verb_words(noun, &seconds);
        printf("    if [ \"$verb\" = %s ]; then\n        if [ \"$COMP_CWORD\" = 2 ]; then\n"
               "            COMPREPLY=($(compgen -W \"%s\" -- \"$word\"))\n            return\n"
               "        fi\n        verb=\"%s ${COMP_WORDS[2]}\"\n    fi\n",
               noun, seconds.at ? seconds.at : "", noun);
    }
    puts("    case $verb in");
    for (size_t i = 0; verb_table[i]; i++)
        bash_verb(verb_table[i]);
    puts("    esac\n"
         "    if [ \"${word#-}\" != \"$word\" ]; then\n"
         "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "    elif [ -n \"$words\" ]; then\n"
         "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "    else\n"
         "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "    fi\n"
         "}\n"
         "complete -o filenames -F _opiml opiml");
}

/* ---- zsh ---- */

/* Within '…[help]': no quote, bracket or colon may end it. */
static void zsh_text(const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh_verb(const struct verb *verb) {
    AUTO_TEXT struct text words = {0};

    printf("    '%s')\n", verb->name);
    second_words(verb, "        if [[ $words[CURRENT-1] = %s ]]; then\n            compadd -- %s\n"
                       "            return\n        fi\n");
    printf("        _arguments '(- *)'{-h,--help}'[Show the manual]'");
    for (const struct option *row = verb->options; row && row->name; row++) {
        AUTO_TEXT struct text choices = {0};

        printf(" \\\n            '--%s%s[", row->name, row->type == OPTION_FLAG ? "" : "=");
        zsh_text(row->help);
        printf("]");
        value_words(verb, row, &choices);
        if (choices.count) {
            printf(":%s:(%s)", row->value, choices.at);
        } else if (row->type == OPTION_PATH) {
            printf(":%s:_files", row->value);
        } else if (row->type != OPTION_FLAG) {
            printf(":%s: ", row->value);
        }
        printf("'");
    }
    first_words(verb, &words);
    if (words.count)
        printf(" \\\n            '*:argument:(%s)'\n", words.at);
    else
        printf(" \\\n            '*:file:_files'\n");
    puts("        ;;");
}

static void zsh(void) {
    AUTO_TEXT struct text all = {0};

    verb_words(NULL, &all);
    puts("#compdef opiml\n# zsh completion of opiml; written by `opiml completion zsh`\n"
         "_opiml() {\n    local verb=$words[2]");
    printf("    if (( CURRENT == 2 )); then\n        compadd -- %s\n        return\n    fi\n",
           all.at ? all.at : "");
    for (size_t i = 0; verb_table[i]; i++) {
        AUTO_TEXT struct text seconds = {0};
        char noun[32];

        if (!noun_at(i, &noun))
            continue;
        verb_words(noun, &seconds);
        printf(
            "    if [[ $verb = %s ]]; then\n        if (( CURRENT == 3 )); then\n"
            "            compadd -- %s\n            return\n        fi\n"
            "        verb=\"%s $words[3]\"\n        shift words\n        (( CURRENT-- ))\n    fi\n",
            noun, seconds.at ? seconds.at : "", noun);
    }
    puts("    shift words\n    (( CURRENT-- ))\n    case $verb in");
    for (size_t i = 0; verb_table[i]; i++)
        zsh_verb(verb_table[i]);
    puts("    esac\n}\ncompdef _opiml opiml");
}

/* ---- fish ---- */

static void fish_text(const char *text) {
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void fish_verb(const struct verb *verb) {
    const char *second = strchr(verb->name, ' ');
    char noun[32], when[160];

    snprintf(noun, sizeof(noun), "%.*s", (int)strcspn(verb->name, " "), verb->name);
    if (second)
        snprintf(when, sizeof(when),
                 "__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s", noun,
                 second + 1);
    else
        snprintf(when, sizeof(when), "__fish_seen_subcommand_from %s", noun);
    if (second) {
        printf("complete -c opiml -n '__fish_seen_subcommand_from %s' -a %s -d ", noun, second + 1);
        fish_text(verb->help);
    } else {
        printf("complete -c opiml -n __fish_use_subcommand -a %s -d ", noun);
        fish_text(verb->help);
    }
    puts("");
    for (const struct option *row = verb->options; row && row->name; row++) {
        AUTO_TEXT struct text choices = {0};

        printf("complete -c opiml -n '%s' -l %s", when, row->name);
        value_words(verb, row, &choices);
        if (choices.count) {
            printf(" -x -a '%s'", choices.at);
        } else if (row->type == OPTION_PATH) {
            printf(" -r");
        } else if (row->type != OPTION_FLAG) {
            printf(" -x");
        }
        printf(" -d ");
        fish_text(row->help);
        puts("");
    }
}

static void fish(void) {
    puts("# fish completion of opiml; written by `opiml completion fish`");
    for (size_t i = 0; verb_table[i]; i++) {
        const char *name = verb_table[i]->name;
        size_t word = strcspn(name, " ");

        if (name[word] && (!i || strncmp(verb_table[i - 1]->name, name, word + 1) != 0))
            printf("complete -c opiml -n __fish_use_subcommand -a %.*s\n", (int)word, name);
        fish_verb(verb_table[i]);
    }
}

static int completion_run(struct call *call, struct opiml_error *err) {
    static const struct {
        const char *name;
        void (*write)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        if (strcmp(call->args[0], shells[i].name) == 0) {
            shells[i].write();
            return 0;
        }
    }
    return opiml_fail(err, OPIML_EINVAL, "no completion for \"%s\"; there is bash, zsh and fish",
                      call->args[0]);
}

const struct verb verb_completion = {
    .name = "completion",
    .args = "bash|zsh|fish",
    .help = "Write a shell's completion of verbs, options and values",
    .about =
        "Writes a script for the named shell to standard output. It is made of the tables that "
        "the program itself parses with, so it knows every verb, option and choice.",
    .examples = "opiml completion bash > ~/.local/share/bash-completion/completions/opiml\n"
                "For bash, from the next shell on.\n"
                "opiml completion zsh > ~/.zfunc/_opiml\n"
                "For zsh, when ~/.zfunc is in fpath.\n"
                "opiml completion fish > ~/.config/fish/completions/opiml.fish\n"
                "For fish.\n",
    .args_least = 1,
    .args_most = 1,
    .words = "bash|zsh|fish",
    .run = completion_run,
};
