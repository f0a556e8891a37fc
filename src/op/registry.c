/* The table of operators. The build writes op_list.inc from the list in meson.build; users'
 * operators come from shared objects. */
#include "op/registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <endian.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/hash.h"
#include "base/text.h"

#define OP(name) extern const struct opiml_op op_##name;
#include "op/op_list.inc"
#undef OP

static const struct opiml_op *const built_in[] = {
#define OP(name) &op_##name,
#include "op/op_list.inc"
#undef OP
    NULL,
};

/* ---- is a table fit for use? ---- */

#define NAME_LONGEST 36 /* a label is the name and "#12", and both fit in OPIML_NAME_BYTES */

/* A name stands in YAML as a plain key. "cache", "label" and "place" mean
 * something else there. */
static const char *name_problem(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t length;

    if (!name || !name[0])
        return "it has no name";
    length = strlen(name);
    if (length > NAME_LONGEST)
        return "its name is longer than 36 characters";
    if (strspn(name, letters) != length || (name[0] >= '0' && name[0] <= '9'))
        return "its name is not of the form [a-z_][a-z0-9_]*";
    if (strcmp(name, "cache") == 0 || strcmp(name, "label") == 0 || strcmp(name, "place") == 0)
        return "its name is a word of the pipeline file";
    return NULL;
}

static size_t param_bytes(uint32_t type) {
    switch (type) {
    case OPIML_PARAM_BOOL: return sizeof(bool);
    case OPIML_PARAM_U32:
    case OPIML_PARAM_CHOICE: return sizeof(uint32_t);
    case OPIML_PARAM_U64:
    case OPIML_PARAM_I64:
    case OPIML_PARAM_F64: return 8;
    case OPIML_PARAM_TEXT: return OPIML_TEXT_MAX;
    case OPIML_PARAM_U32_LIST: return sizeof(struct opiml_u32_list);
    case OPIML_PARAM_F64_LIST: return sizeof(struct opiml_f64_list);
    case OPIML_PARAM_TEXT_LIST: return sizeof(struct opiml_text_list);
    }
    return 0;
}

static const char *params_problem(const struct opiml_op *op) {
    for (const struct opiml_param *row = op->params; row && row->name; row++) {
        size_t bytes = param_bytes(row->type);

        if (!row->name[0])
            return "a parameter has an empty name";
        if (!row->help)
            return "a parameter has no help";
        if (bytes == 0)
            return "a parameter has a type that does not exist";
        if (op->params_bytes < bytes || row->offset > op->params_bytes - bytes)
            return "a parameter lies past params_bytes";
        if (row->type == OPIML_PARAM_CHOICE && (!row->choices || !row->choices[0]))
            return "a parameter of type CHOICE has no choices";
        if (!(row->least <= row->most))
            return "a parameter's least is above its most";
        for (const struct opiml_param *other = op->params; other != row; other++)
            if (strcmp(other->name, row->name) == 0)
                return "two parameters have the same name";
    }
    return NULL;
}

const char *op_table_problem(const struct opiml_op *op) {
    const char *problem;

    /* Nothing behind these two may be looked at before they are right. */
    if (op->abi != OPIML_OP_ABI)
        return "it was built for another ABI version: build it with this opiml's headers";
    if (op->size != sizeof(*op))
        return "its size is not sizeof(struct opiml_op): build it with this opiml's headers";
    if ((problem = name_problem(op->name)) || (problem = params_problem(op)))
        return problem;
    if (!op->help || !op->help[0])
        return "it has no help";
    if (op->version == 0)
        return "its version is 0: start with 1";
    if (op->flags & ~(uint32_t)(OPIML_OP_RANDOM | OPIML_OP_INTEGER | OPIML_OP_MAY_DROP |
                                OPIML_OP_GROUP | OPIML_OP_HOST_ONLY | OPIML_OP_VIEW))
        return "it has flags that do not exist";
    if (!op->check)
        return "it has no check";
    if (!op->open != !op->close)
        return "it has one of open and close: both or neither";
    if (op->flags & OPIML_OP_GROUP) {
        if (!op->run_group || op->run)
            return "OPIML_OP_GROUP needs run_group, and no run";
        if (op->flags & OPIML_OP_MAY_DROP)
            return "OPIML_OP_GROUP and OPIML_OP_MAY_DROP exclude one another";
    } else if (!op->run || op->run_group) {
        return "it needs run, and run_group only with OPIML_OP_GROUP";
    }
    return NULL;
}

/* ---- filling a table ---- */

static void note(struct op_table *table, const char *format, ...) OPIML_PRINTF(2, 3);

/* The first problem counts: later ones are often its consequence. */
static void note(struct op_table *table, const char *format, ...) {
    va_list args;

    if (table->problem[0])
        return;
    va_start(args, format);
    vsnprintf(table->problem, sizeof(table->problem), format, args);
    va_end(args);
}

static const struct opiml_op *find(const struct op_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->ops[i]->name, name) == 0)
            return table->ops[i];
    return NULL;
}

static void add(struct op_table *table, const struct opiml_op *op, const char *from) {
    const char *problem = op_table_problem(op);

    if (problem) {
        bool named = op->abi == OPIML_OP_ABI && op->size == sizeof(*op) && op->name && op->name[0];

        note(table, "%s: operator %.64s: %s", from, named ? op->name : "?", problem);
    } else if (find(table, op->name)) {
        note(table, "%s: operator %s: the name is taken", from, op->name);
    } else if (table->count == OP_TABLE_MAX) {
        note(table, "%s: operator %s: more than %d operators", from, op->name, OP_TABLE_MAX);
    } else {
        table->ops[table->count++] = op;
    }
}

static void load_object(struct op_table *table, const char *path) {
    const struct opiml_op *const *ops;
    void *object;

    if (table->object_count == OP_OBJECTS_MAX) {
        note(table, "%s: more than %d objects on OPIML_OP_PATH", path, OP_OBJECTS_MAX);
        return;
    }
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        const char *why = dlerror();

        note(table, "%s", why ? why : path);
        return;
    }
    table->objects[table->object_count++] = object;
    ops = dlsym(object, OPIML_OP_EXPORT_SYMBOL);
    if (!ops) {
        note(table, "%s: it does not export \"%s\", an array of operators that ends in NULL", path,
             OPIML_OP_EXPORT_SYMBOL);
        return;
    }
    for (size_t i = 0; ops[i]; i++) {
        if (i == OP_OBJECT_OPS_MAX) {
            note(table, "%s: more than %d operators: is \"%s\" ended by NULL?", path,
                 OP_OBJECT_OPS_MAX, OPIML_OP_EXPORT_SYMBOL);
            return;
        }
        add(table, ops[i], path);
    }
}

static int is_object(const struct dirent *entry) {
    return text_ends(entry->d_name, ".so");
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_folder(struct op_table *table, const char *folder) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_object, by_bytes);

    if (count < 0) {
        note(table, "%s: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = text_path(folder, entries[i]->d_name);

        if (path)
            load_object(table, path);
        else
            note(table, "%s: out of memory", folder);
        free(entries[i]);
    }
    free(entries);
}

static void load_entry(struct op_table *table, const char *entry) {
    AUTO_FREE char *path = NULL;
    struct stat info;

    if (stat(entry, &info) < 0) {
        note(table, "OPIML_OP_PATH: %s: %s", entry, strerror(errno));
        return;
    }
    if (S_ISDIR(info.st_mode)) {
        load_folder(table, entry);
        return;
    }
    /* dlopen looks for a name without slash in the system's folders. */
    path = text_path(".", entry);
    if (path)
        load_object(table, path);
    else
        note(table, "%s: out of memory", entry);
}

/* Users' objects call opiml_fail and its like. A program that links opiml exports them; a Python
 * process has loaded libopiml.so for itself alone, so lift it into the global scope first. */
static void share_symbols(void) {
    Dl_info self;

    if (dladdr((const void *)&built_in, &self) && self.dli_fname)
        dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
    dlerror();
}

void op_table_init(struct op_table *table, const char *path) {
    AUTO_FREE char *copy = NULL;
    char *rest, *entry;

    memset(table, 0, sizeof(*table));
    for (size_t i = 0; built_in[i]; i++)
        add(table, built_in[i], "built-in");
    if (!path || !path[0])
        return;
    if (strlen(path) >= OP_PATH_BYTES_MAX) {
        note(table, "OPIML_OP_PATH is longer than %d bytes", OP_PATH_BYTES_MAX - 1);
        return;
    }
    if (!(copy = base_strdup(path))) {
        note(table, "OPIML_OP_PATH: out of memory");
        return;
    }
    share_symbols();
    for (rest = copy; (entry = strsep(&rest, ":"));)
        if (entry[0])
            load_entry(table, entry);
}

void op_table_release(struct op_table *table) {
    while (table->object_count > 0)
        dlclose(table->objects[--table->object_count]);
    memset(table, 0, sizeof(*table));
}

/* ---- the process's own table: filled once, never changed, never freed ---- */

static struct op_table shared;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void init_shared(void) {
    /* Not in a program that runs with more rights than its caller. */
    op_table_init(&shared, secure_getenv("OPIML_OP_PATH"));
}

static const struct op_table *get_shared(void) {
    pthread_once(&shared_once, init_shared);
    return &shared;
}

const struct opiml_op *const *op_list(void) {
    return get_shared()->ops;
}

const struct opiml_op *op_find(const char *name) {
    return find(get_shared(), name);
}

const char *op_load_error(void) {
    const struct op_table *table = get_shared();

    return table->problem[0] ? table->problem : NULL;
}

uint64_t op_implementation(const struct opiml_op *op) {
    uint64_t id[2] = {op->version, op->codec_id ? op->codec_id() : 0};

    for (size_t i = 0; i < COUNT_OF(id); i++)
        id[i] = htole64(id[i]);
    return hash_64(id, sizeof(id), hash_64(op->name, strlen(op->name), 0));
}
