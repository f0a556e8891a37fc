/* Verbs: what `opiml NAME` does. A verb is a file verb_*.c and a word in meson.build; its table
 * serves parsing, help, manual, completion and did-you-mean. */
#ifndef APP_VERB_H
#define APP_VERB_H

#include "base/base.h"

/* Option types and the C type of the member that a row's offset points to. */
enum option_type {
    OPTION_FLAG,   /* bool */
    OPTION_INT,    /* int64_t */
    OPTION_NUM,    /* double */
    OPTION_BYTES,  /* uint64_t; "8MiB" */
    OPTION_TEXT,   /* const char *, borrowed from argv */
    OPTION_PATH,   /* the same; completed as a file name */
    OPTION_CHOICE, /* uint32_t: the index in `choices` */
};

/* One option. A table ends with a row whose name is NULL. */
struct option {
    const char *name;   /* "epochs": given as --epochs N or --epochs=N */
    const char *value;  /* what the help calls the value; NULL for flags */
    const char *preset; /* the default as text; NULL: zero, and the help names none */
    const char *help;
    size_t offset;
    enum option_type type;
    const char *choices; /* OPTION_CHOICE: "a|b|c" */
    double least, most;  /* inclusive range of numbers; both 0: any */
};

/* The row that every verb with machine-readable output has. */
#define OPTION_JSON(type)                                                                          \
    { "json", NULL, NULL, "Write JSON instead of text", offsetof(type, json), OPTION_FLAG }

/* One run of a verb. */
struct call {
    const struct verb *verb;
    void *config; /* the verb's struct, filled by its options */
    char **args;  /* what is not an option; borrowed from argv */
    int count;
    bool reported; /* the verb printed its JSON itself, with the error inside */
};

struct verb {
    const char *name;  /* as typed: "feed", "data make" */
    const char *args;  /* "PIPELINE", "URI [N|KEY]"; "" for none */
    const char *help;  /* one line */
    const char *about; /* paragraphs, separated by empty lines; indented lines stay as they are */
    const char *examples;         /* pairs of lines: a command, then what it does */
    const struct option *options; /* NULL: none but --help */
    size_t config_bytes;
    int args_least, args_most; /* -1: any number */
    bool openmp;               /* it computes with OpenMP's threads */
    const char *words; /* "a|b|c" that the first argument completes to, VERBS or OPERATORS; NULL:
                          files */
    /* 0, or a negative code with *err set, which main prints once. */
    int (*run)(struct call *call, struct opiml_error *err);
};

/* Every verb in the order of meson.build, NULL-terminated. */
extern const struct verb *const verb_table[];
/* By its words, which may be fewer than `count`; *ret_used says how many. NULL when there is none.
 */
const struct verb *verb_find(char **words, int count, int *ret_used);
/* OPIML_EINVAL that names what `words` may have meant. */
int verb_unknown(char **words, int count, struct opiml_error *err);
/* `noun` starts names of two words ("data"). */
bool verb_is_noun(const char *noun);

/* Fill *config (zeroed) from defaults and arguments; args that are no options are moved to the
 * front of argv, *ret_count of them. *ret_help: -h or --help was among them. */
int options_parse(const struct verb *verb, void *config, int argc, char **argv, int *ret_count,
                  bool *ret_help, struct opiml_error *err);
/* The flag of that name in a verb's config; false when it has none. */
bool options_flag(const struct verb *verb, const void *config, const char *name);

enum help_form { HELP_TEXT, HELP_MARKDOWN, HELP_MAN };
/* A verb's page on standard output. */
void help_verb(const struct verb *verb, enum help_form form);
/* All verbs, or those of a noun, on a stream. */
void help_overview(FILE *to, const char *noun);
/* The same as a Markdown page with links. */
void help_overview_markdown(void);
void help_overview_man(void);

#endif
