/* opiml version: which program, made of what, choosing which kernels. */
#include <sys/utsname.h>

#include "base/cores.h"
#include "base/json.h"
#include "base/text.h"
#include "op/kernels.h"
#include "op/registry.h"
#include "verb.h"

struct version_config {
    bool json;
};

static const struct option version_options[] = {
    OPTION_JSON(struct version_config),
    {0},
};

/* Libraries as the build found them. */
static const struct {
    const char *name, *version;
} libraries[] = {
#define LIBRARY(name, version) {name, version},
#include "library_list.inc"
#undef LIBRARY
};

static const char *compiler(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

static int print_json(const struct utsname *system, struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    struct js *list = js_object(), *ops = js_object();
    AUTO_FREE char *text = NULL;

    js_set(root, "version", js_text(OPIML_VERSION));
    js_set(root, "compiler", js_text(compiler()));
    js_set(root, "machine", js_text(system->machine));
    js_set(root, "cores", js_int(cores_count()));
    js_set(root, "kernels", js_text(kernels_get()->name));
    for (size_t i = 0; i < COUNT_OF(libraries); i++)
        js_set(list, libraries[i].name, js_text(libraries[i].version));
    js_set(root, "libraries", list);
    for (size_t i = 0; op_list()[i]; i++) {
        char id[24];

        snprintf(id, sizeof(id), "%016" PRIx64, op_implementation(op_list()[i]));
        js_set(ops, op_list()[i]->name, js_text(id));
    }
    js_set(root, "operators", ops);
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static int version_run(struct call *call, struct opiml_error *err) {
    const struct version_config *config = call->config;
    struct utsname system;

    if (uname(&system) < 0)
        return base_fail_errno(err, errno, "uname");
    if (config->json)
        return print_json(&system, err);
    printf("opiml " OPIML_VERSION "\n");
    printf("  built by   %s\n", compiler());
    printf("  machine    %s, %u core%s, %s kernels\n", system.machine, cores_count(),
           text_s(cores_count()), kernels_get()->name);
    for (size_t i = 0; i < COUNT_OF(libraries); i++)
        printf("  %-10s %s\n", libraries[i].name, libraries[i].version);
    return 0;
}

const struct verb verb_version = {
    .name = "version",
    .args = "",
    .help = "Show the program's version, libraries and kernels",
    .about = "Shows what this program was built of and which vector kernels it has chosen on this "
             "machine. JSON also has every operator's implementation id: two machines whose ids of "
             "an operator are the same give the same bytes.",
    .examples = "opiml version --json | jq .operators.decode\n"
                "The implementation id of one operator.\n",
    .options = version_options,
    .config_bytes = sizeof(struct version_config),
    .args_least = 0,
    .args_most = 0,
    .run = version_run,
};
