/* The table of operators. */
#include "op/registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>

#include "base/hash.h"
#include "base/text.h"

#define OPS_MAX 256

#define OP(name) extern const struct opiml_op op_##name;
#include "op/op_list.inc"
#undef OP

static const struct opiml_op *const built_in[] = {
#define OP(name) &op_##name,
#include "op/op_list.inc"
#undef OP
    NULL};

/* Filled once, at the first look, and never changed: users' objects stay loaded. */
static struct {
    pthread_once_t once;
    const struct opiml_op *list[OPS_MAX + 1];
    uint32_t count;
    char problem[512];
} table = {.once = PTHREAD_ONCE_INIT};

static bool is_name(const char *name) {
    size_t length = strlen(name);

    if (length == 0 || length >= OPIML_NAME_BYTES - 8) /* room for "#12" in labels */
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static const char *param_problem(const struct opiml_op *op) {
    for (const struct opiml_param *row = op->params; row && row->name; row++) {
        if (row->type < OPIML_PARAM_BOOL || row->type > OPIML_PARAM_TEXT_LIST)
            return "a parameter of unknown type";
        if (row->offset >= op->params_bytes)
            return "a parameter outside its struct";
        if (row->type == OPIML_PARAM_CHOICE && !row->choices)
            return "a choice without choices";
        if (!row->help)
            return "a parameter without help";
    }
    return NULL;
}

const char *op_table_problem(const struct opiml_op *op) {
    bool group = op->flags & OPIML_OP_GROUP;

    if (op->size != sizeof(*op) || op->abi != OPIML_OP_ABI)
        return "made for another version of opiml: compile it anew";
    if (!op->name || !is_name(op->name))
        return "its name is not made of a-z, 0-9 and _";
    if (!op->help || !op->check)
        return "help or check is missing";
    if (group ? !op->run_group || op->run : !op->run || op->run_group)
        return "it needs run, or run_group with OPIML_OP_GROUP, and not both";
    if (!op->open != !op->close)
        return "open without close, or close without open";
    return param_problem(op);
}

static void note_problem(const char *path, const char *what, const char *why) {
    if (!table.problem[0])
        snprintf(table.problem, sizeof(table.problem), "%s: %s%s%s", path, what, what[0] ? ": " : "",
                 why);
}

static bool taken(const char *name) {
    for (uint32_t i = 0; i < table.count; i++)
        if (strcmp(table.list[i]->name, name) == 0)
            return true;
    return strcmp(name, "cache") == 0; /* the pipeline's own station */
}

static void load_object(const char *path) {
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct opiml_op *const *ops;

    if (!object) {
        note_problem(path, "", dlerror());
        return;
    }
    ops = dlsym(object, OPIML_OP_EXPORT_SYMBOL);
    if (!ops) {
        note_problem(path, "", "it exports no " OPIML_OP_EXPORT_SYMBOL);
        dlclose(object);
        return;
    }
    for (; *ops; ops++) {
        const char *problem = op_table_problem(*ops);

        if (!problem && taken((*ops)->name))
            problem = "an operator of that name is there already";
        if (!problem && table.count == OPS_MAX)
            problem = "too many operators";
        if (problem)
            note_problem(path, (*ops)->name ? (*ops)->name : "?", problem);
        else
            table.list[table.count++] = *ops;
    }
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_folder(const char *folder) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, by_name); /* sorted, for the same list everywhere */

    if (count < 0)
        note_problem(folder, "", strerror(errno));
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = text_path(folder, entries[i]->d_name);

        if (path && text_ends(path, ".so"))
            load_object(path);
        free(entries[i]);
    }
    free(entries);
}

static void fill(void) {
    const char *where = getenv("OPIML_OP_PATH");
    AUTO_FREE char *folders = where ? base_strdup(where) : NULL;

    for (uint32_t i = 0; built_in[i]; i++)
        table.list[table.count++] = built_in[i];
    for (char *folder = folders, *next; folder; folder = next) {
        next = strchr(folder, ':');
        if (next)
            *next++ = 0;
        if (folder[0])
            load_folder(folder);
    }
}

const struct opiml_op *const *op_list(void) {
    pthread_once(&table.once, fill);
    return table.list;
}

const struct opiml_op *op_find(const char *name) {
    for (const struct opiml_op *const *op = op_list(); *op; op++)
        if (strcmp((*op)->name, name) == 0)
            return *op;
    return NULL;
}

const char *op_load_error(void) {
    op_list();
    return table.problem[0] ? table.problem : NULL;
}

uint64_t op_implementation(const struct opiml_op *op) {
    uint64_t words[2] = {op->version, op->codec_id ? op->codec_id() : 0};

    return hash_64(words, sizeof(words), hash_64(op->name, strlen(op->name), 0));
}
