/* opiml: finds the verb, reads its options, runs it, and turns its error into a line and a status.
 */
#include <signal.h>
#include <sys/resource.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "nn/nn.h"
#include "screen.h"
#include "verb.h"

#define VERB(name) extern const struct verb verb_##name;
#include "verb_list.inc"
#undef VERB

const struct verb *const verb_table[] = {
#define VERB(name) &verb_##name,
#include "verb_list.inc"
#undef VERB
    NULL,
};

bool verb_is_noun(const char *noun) {
    size_t length = strlen(noun);

    for (size_t i = 0; verb_table[i]; i++)
        if (strncmp(verb_table[i]->name, noun, length) == 0 && verb_table[i]->name[length] == ' ')
            return true;
    return false;
}

const struct verb *verb_find(char **words, int count, int *ret_used) {
    for (int used = count < 2 ? count : 2; used > 0; used--) {
        char name[64];

        snprintf(name, sizeof(name), "%s%s%s", words[0], used == 2 ? " " : "",
                 used == 2 ? words[1] : "");
        for (size_t i = 0; verb_table[i]; i++) {
            if (strcmp(verb_table[i]->name, name) == 0) {
                *ret_used = used;
                return verb_table[i];
            }
        }
    }
    return NULL;
}

/* The first words of all names, or the second ones of a noun. */
static size_t list_words(const char *noun, char (*to)[32], const char **words, size_t room) {
    size_t length = noun ? strlen(noun) : 0, count = 0;

    for (size_t i = 0; verb_table[i] && count + 1 < room; i++) {
        const char *name = verb_table[i]->name;

        if (noun && !(strncmp(name, noun, length) == 0 && name[length] == ' '))
            continue;
        if (noun)
            name += length + 1;
        snprintf(to[count], sizeof(to[count]), "%.*s", (int)strcspn(name, " "), name);
        if (count && strcmp(to[count], to[count - 1]) == 0)
            continue;
        words[count] = to[count];
        count++;
    }
    words[count] = NULL;
    return count;
}

int verb_unknown(char **words, int count, struct opiml_error *err) {
    char names[64][32];
    const char *list[64], *near;
    const char *noun = verb_is_noun(words[0]) ? words[0] : NULL;
    AUTO_TEXT struct text all = {0};

    list_words(noun, names, list, COUNT_OF(list));
    for (size_t i = 0; list[i]; i++)
        text_printf(&all, "%s%s", i ? ", " : "", list[i]);
    if (noun && count < 2)
        return opiml_fail(err, OPIML_EINVAL, "%s what? It has %s", noun, all.at);
    near = text_nearest(words[noun != NULL], list);
    if (near)
        return opiml_fail(err, OPIML_EINVAL, "no verb \"%s%s%s\"; did you mean \"%s%s%s\"?",
                          noun ? noun : "", noun ? " " : "", words[noun != NULL], noun ? noun : "",
                          noun ? " " : "", near);
    return opiml_fail(err, OPIML_EINVAL, "no verb \"%s%s%s\"; there are %s", noun ? noun : "",
                      noun ? " " : "", words[noun != NULL], all.at);
}

/* What was printed must have reached its place: a full disk behind `> file` is an error. */
static int close_output(struct opiml_error *err) {
    bool bad = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) != 0 || bad)
        return errno ? base_fail_errno(err, errno, "standard output")
                     : opiml_fail(err, OPIML_EIO, "standard output: not all could be written");
    return 0;
}

static void print_error_json(int code, const char *message) {
    AUTO_JS struct js *root = js_object();
    struct js *error = js_object();
    AUTO_FREE char *text = NULL;

    js_set(error, "code", js_text(opiml_code_name(code)));
    js_set(error, "exit", js_int(opiml_code_exit(code)));
    js_set(error, "message", js_text(message));
    js_set(root, "error", error);
    text = js_dump(root, 2);
    if (text)
        puts(text);
}

static int fail(const char *verb, const struct opiml_error *err) {
    fflush(stdout);
    fprintf(stderr, "opiml: %s%s%s\n", verb, verb[0] ? ": " : "", err->message);
    return opiml_code_exit(err->code);
}

static int run_verb(const struct verb *verb, int argc, char **argv) {
    AUTO_FREE void *config = base_alloc(verb->config_bytes);
    struct opiml_error err = {0};
    struct call call = {.verb = verb, .config = config, .args = argv};
    bool help = false;
    int rc;

    if (!config) {
        base_fail_memory(&err, verb->config_bytes, "options");
        return fail(verb->name, &err);
    }
    if (options_parse(verb, config, argc, argv, &call.count, &help, &err) < 0)
        return fail(verb->name, &err);
    if (help) {
        help_verb(verb, HELP_TEXT);
        return close_output(&err) < 0 ? fail(verb->name, &err) : 0;
    }
    rc = verb->run(&call, &err);
    if (rc < 0) {
        err.code = rc;
        if (options_flag(verb, config, "json") && !call.reported)
            print_error_json(rc, err.message);
        return fail(verb->name, &err);
    }
    return close_output(&err) < 0 ? fail(verb->name, &err) : 0;
}

/* As many descriptors as this process may have: a mix of datasets keeps many files open. */
static void allow_files(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    const struct verb *verb;
    struct opiml_error err = {0};
    const char *levels = getenv("OPIML_LOG");
    char version[] = "version";
    int used = 0;

    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like a full disk */
    allow_files();
    if (levels && log_configure(levels, &err) < 0)
        return fail("OPIML_LOG", &err);
    if (argc < 2) {
        help_overview(stderr, NULL);
        return opiml_code_exit(OPIML_EINVAL);
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    verb = verb_find(argv + 1, argc - 1, &used);
    if (verb && verb->openmp)
        nn_threads_settle(argv);
    if (verb)
        return run_verb(verb, argc - 1 - used, argv + 1 + used);
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
        (argc > 2 && verb_is_noun(argv[1]) &&
         (strcmp(argv[2], "-h") == 0 || strcmp(argv[2], "--help") == 0))) {
        help_overview(stdout, argv[1][0] == '-' ? NULL : argv[1]);
        return close_output(&err) < 0 ? fail("help", &err) : 0;
    }
    verb_unknown(argv + 1, argc - 1, &err);
    return fail("", &err);
}
