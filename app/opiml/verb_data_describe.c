/* opiml data describe: a dataset as Croissant metadata, or such metadata as a dataset. */
#include "base/file.h"
#include "dataset/croissant.h"
#include "records.h"
#include "screen.h"
#include "verb.h"

struct describe_config {
    const char *out, *format;
    struct croissant_about about;
    bool json;
};

#define AT(member) offsetof(struct describe_config, member)

static const struct option describe_options[] = {
    {"out", "FILE", NULL, "Write to this file instead of standard output", AT(out), OPTION_PATH},
    {"name", "NAME", NULL, "The name; else the last of the URI", AT(about.name), OPTION_TEXT},
    {"description", "TEXT", NULL, "What it is", AT(about.description), OPTION_TEXT},
    {"license", "URL", NULL, "Under which terms it may be used", AT(about.license), OPTION_TEXT},
    {"url", "URL", NULL, "Its home page", AT(about.url), OPTION_TEXT},
    {"creator", "NAME", NULL, "Who made it", AT(about.creator), OPTION_TEXT},
    {"published", "DATE", NULL, "When, as in 2026-01-31 (ISO 8601)", AT(about.published),
     OPTION_TEXT},
    {"format", "FORMAT", NULL, "The format, when it cannot be found by looking", AT(format),
     OPTION_TEXT},
    OPTION_JSON(struct describe_config),
    {0},
};

/* ---- metadata that are there ---- */

static int show_json(const struct croissant *croissant, struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    struct js *list = js_array();
    AUTO_FREE char *text = NULL;

    js_set(root, "name", js_text(croissant->name));
    js_set(root, "description", js_text(croissant->description));
    js_set(root, "license", js_text(croissant->license));
    for (size_t i = 0; i < croissant->count; i++) {
        const struct croissant_files *files = &croissant->files[i];
        struct js *one = js_object();

        js_set(one, "id", js_text(files->id));
        js_set(one, "pattern", js_text(files->pattern));
        js_set(one, "patterns", js_text(files->patterns.at));
        js_set(one, "encoding", js_text(files->encoding));
        js_set(one, "encodings", js_text(files->encodings.at));
        js_set(one, "format", files->format ? js_text(files->format) : js_null());
        js_set(one, "dataset", files->why ? js_null() : js_text(files->dataset.at));
        js_set(one, "why", files->why ? js_text(files->why) : js_null());
        js_add(list, one);
    }
    js_set(root, "files", list);
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static void show_text(const struct croissant *croissant) {
    char shown[SCREEN_NAME_BYTES];

    printf("%s\n", screen_name(shown, croissant->name));
    if (croissant->description[0])
        printf("  %s\n", screen_name(shown, croissant->description));
    if (croissant->license[0])
        printf("  license  %s\n", screen_name(shown, croissant->license));
    for (size_t i = 0; i < croissant->count; i++) {
        const struct croissant_files *files = &croissant->files[i];

        printf("  files    %s", screen_name(shown, files->patterns.at));
        printf(" (%s)\n", screen_name(shown, files->encodings.at));
        if (files->why)
            printf("    not read: %s\n", files->why);
        else
            printf("    in a pipeline file beside it: dataset: %s\n",
                   screen_name(shown, files->dataset.at));
    }
}

static int read_metadata(const char *path, bool json, struct opiml_error *err) {
    CLEANUP(croissant_release) struct croissant croissant = {0};
    AUTO_FREE char *data = NULL;
    struct opiml_error why = {0};
    size_t bytes = 0;
    int rc = file_read(path, CROISSANT_BYTES_MAX, &data, &bytes, err);

    if (rc < 0)
        return rc;
    if ((rc = croissant_read(data, bytes, &croissant, &why)) < 0)
        return opiml_fail(err, rc, "%s: %s", path, why.message);
    if (json)
        return show_json(&croissant, err);
    show_text(&croissant);
    return 0;
}

/* ---- metadata of a dataset ---- */

/* What a catalogue asks for, and files do not tell. */
static void tell_missing(const struct croissant_about *about) {
    const struct {
        const char *name, *given;
    } wanted[] = {{"license", about->license},
                  {"url", about->url},
                  {"creator", about->creator},
                  {"published", about->published}};
    AUTO_TEXT struct text names = {0};

    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (!wanted[i].given)
            text_printf(&names, "%s--%s", names.count ? ", " : "", wanted[i].name);
    if (names.count)
        fprintf(stderr, "opiml: data describe: a catalogue also wants %s\n", names.at);
}

static int write_metadata(const struct describe_config *config, const char *uri,
                          struct opiml_error *err) {
    CLEANUP(records_close_at) struct dataset *dataset = NULL;
    AUTO_JS struct js *document = NULL;
    AUTO_FREE char *text = NULL, *file = NULL;
    const struct dataset_ask ask = {.format = config->format, .option = "--format"};
    int rc = records_open(uri, &ask, &dataset, err);

    if (rc < 0 || (rc = croissant_make(dataset, &config->about, &document, err)) < 0)
        return rc;
    text = js_dump(document, 2);
    file = text ? base_printf("%s\n", text) : NULL;
    if (!file)
        return base_fail_memory(err, 0, "the description");
    tell_missing(&config->about);
    if (config->out)
        return file_write_atomic(config->out, file, strlen(file), err);
    fputs(file, stdout);
    return 0;
}

static int describe_run(struct call *call, struct opiml_error *err) {
    const struct describe_config *config = call->config;
    const char *uri = call->args[0], *published = config->about.published;

    if (published && !croissant_is_date(published))
        return opiml_fail(err, OPIML_EINVAL,
                          "--published: \"%s\" is no date as ISO 8601 has it, such as 2026-01-31",
                          published);
    if (text_ends(uri, ".json") || text_ends(uri, ".jsonld"))
        return read_metadata(uri, config->json, err);
    return write_metadata(config, uri, err);
}

const struct verb verb_data_describe = {
    .name = "data describe",
    .args = "URI",
    .help = "Write or show Croissant metadata of a dataset",
    .about =
        "Croissant is MLCommons' vocabulary for data sets in catalogues: JSON-LD that names the "
        "files, and the fields of their records with types and shapes. Of a dataset this verb "
        "writes "
        "that document, whose names of files are relative to the dataset's folder, so put it "
        "there. "
        "What files do not tell, such as the license, comes from options and is left out without "
        "them.\n\n"
        "Of such a document (*.json, *.jsonld) it shows which files there are, and for those in a "
        "format that is read here the dataset of a pipeline file. Files within archives, on other "
        "machines, and what joins and transforms say are not followed. What the vocabulary has no "
        "word for, such as files that make records together, is kept in a property of opiml's own "
        "(opiml:dataset), so that what was written here is read as it was.\n\n"
        "URI is a folder, a file or file:///... ; a pipeline file (*.yaml) stands for its dataset.",
    .examples = "opiml data describe data/train --out data/train/croissant.json\n"
                "Describe a folder of images.\n"
                "opiml data describe data/train/croissant.json\n"
                "What a document describes, and how to read it.\n",
    .options = describe_options,
    .config_bytes = sizeof(struct describe_config),
    .args_least = 1,
    .args_most = 1,
    .run = describe_run,
};
