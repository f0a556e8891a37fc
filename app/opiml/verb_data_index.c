/* opiml data index: build a dataset's index, or look whether it still fits. */
#include "base/clock.h"
#include "records.h"
#include "screen.h"
#include "verb.h"

struct index_config {
    const char *format;
    bool rebuild, check, json;
};

#define AT(member) offsetof(struct index_config, member)

static const struct option index_options[] = {
    {"rebuild", NULL, NULL, "Build the index anew, whatever is there", AT(rebuild), OPTION_FLAG},
    {"check", NULL, NULL,
     "Look at every file, not only at folders, shards and some of many files, and build anew when "
     "one has changed",
     AT(check), OPTION_FLAG},
    {"format", "FORMAT", NULL, "The format, when it cannot be found by looking", AT(format),
     OPTION_TEXT},
    OPTION_JSON(struct index_config),
    {0},
};

static uint32_t count_classes(const struct dataset *dataset) {
    uint32_t count = 0;

    while (dataset_class(dataset, count))
        count++;
    return count;
}

static int show_json(const struct dataset *dataset, double seconds, struct opiml_error *err) {
    const struct opiml_schema *schema = dataset_schema(dataset);
    AUTO_JS struct js *root = js_object();
    struct js *names = js_array(), *fields = js_array();
    AUTO_FREE char *text = NULL;
    AUTO_TEXT struct text hint = {0};
    const char *left_out;
    char print[24];

    js_set(root, "uri", js_text(dataset_uri(dataset)));
    js_set(root, "format", js_text(dataset_format_name(dataset)));
    js_set(root, "records", js_u64(dataset_count(dataset)));
    js_set(root, "classes", js_int(count_classes(dataset)));
    for (uint32_t k = 0; dataset_class(dataset, k); k++)
        js_add(names, js_text(dataset_class(dataset, k)));
    js_set(root, "class_names", names);
    for (uint32_t f = 0; f < schema->count; f++) {
        AUTO_TEXT struct text type = {0};
        struct js *one = js_object();

        record_format_type(&schema->fields[f], schema->fields[f].shape, &type);
        js_set(one, "name", js_text(schema->fields[f].name));
        js_set(one, "type", js_text(type.at));
        js_add(fields, one);
    }
    js_set(root, "fields", fields);
    dataset_hint(dataset, &hint);
    js_set(root, "hint", hint.count ? js_text(hint.at) : js_null());
    js_set(root, "left_out", js_u64(dataset_left_out(dataset, &left_out)));
    js_set(root, "left_out_names", js_text(left_out));
    snprintf(print, sizeof(print), "%016" PRIx64, dataset_fingerprint(dataset));
    js_set(root, "fingerprint", js_text(print));
    js_set(root, "largest_record", js_int(dataset_max_read(dataset)));
    js_set(root, "elapsed_s", js_num(seconds));
    js_set(root, "records_per_s",
           js_num(seconds > 0 ? (double)dataset_count(dataset) / seconds : 0));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static void show_left_out(const struct dataset *dataset) {
    const char *names;
    uint64_t files = dataset_left_out(dataset, &names);
    char count[32], shown[SCREEN_NAME_BYTES];

    if (files > 0)
        printf("  left out     %s file%s of other kinds: %s\n",
               text_format_count(count, sizeof(count), files), text_s(files),
               screen_name(shown, names));
}

static void show_hint(const struct dataset *dataset) {
    AUTO_TEXT struct text hint = {0};

    dataset_hint(dataset, &hint);
    if (hint.count)
        printf("  hint         %s\n", hint.at);
}

static void show_text(const struct dataset *dataset, double seconds) {
    const struct opiml_schema *schema = dataset_schema(dataset);
    char count[32], bytes[32];

    printf("%s\n", dataset_uri(dataset));
    printf("  format       %s\n", dataset_format_name(dataset));
    printf("  records      %s, the largest of %s\n",
           text_format_count(count, sizeof(count), dataset_count(dataset)),
           text_format_bytes(bytes, sizeof(bytes), dataset_max_read(dataset)));
    if (dataset_class(dataset, 0)) {
        printf("  classes      %u:", count_classes(dataset));
        for (uint32_t k = 0; k < 12 && dataset_class(dataset, k); k++) {
            char name[SCREEN_NAME_BYTES];

            printf("%s %s", k ? "," : "", screen_name(name, dataset_class(dataset, k)));
        }
        printf("%s\n", count_classes(dataset) > 12 ? ", ..." : "");
    }
    for (uint32_t f = 0; f < schema->count; f++) {
        AUTO_TEXT struct text type = {0};

        record_format_type(&schema->fields[f], schema->fields[f].shape, &type);
        printf("  %-12s %s: %s\n", f ? "" : "fields", schema->fields[f].name,
               type.at ? type.at : "");
    }
    show_left_out(dataset);
    show_hint(dataset);
    printf("  fingerprint  %016" PRIx64 "\n", dataset_fingerprint(dataset));
    printf("  opened in    %.3f s (%.0f records/s)\n", seconds,
           seconds > 0 ? (double)dataset_count(dataset) / seconds : 0);
}

static int index_run(struct call *call, struct opiml_error *err) {
    const struct index_config *config = call->config;
    CLEANUP(records_close_at) struct dataset *dataset = NULL;
    const struct dataset_ask ask = {.format = config->format,
                                    .index = config->rebuild ? "rebuild"
                                             : config->check ? "full"
                                                             : NULL,
                                    .option = "--format"};
    uint64_t start = clock_now_ns();
    double seconds;
    int rc = records_open(call->args[0], &ask, &dataset, err);

    if (rc < 0)
        return rc;
    seconds = (double)(clock_now_ns() - start) / 1e9;
    if (config->json)
        return show_json(dataset, seconds, err);
    show_text(dataset, seconds);
    return 0;
}

const struct verb verb_data_index = {
    .name = "data index",
    .args = "URI",
    .help = "Build a dataset's index, or check that it still fits",
    .about =
        "An index tells which records a dataset has and where their bytes lie. Every verb builds "
        "one "
        "when there is none or when the data have changed, so this one is only needed to do it "
        "beforehand, or to look at a dataset as a whole: its format, records, classes, fields and "
        "its fingerprint, which is a hash of names, sizes and layout, and how many files beside "
        "the "
        "data are left out because the format does not take them. Where the records are perhaps "
        "not those that were meant, such as a whole table of arrays as a single one, a hint says "
        "so.\n\n"
        "The index lies beside the data (a hidden file, .opiml-index.*), or, where that cannot be "
        "written, in $XDG_CACHE_HOME/opiml. Whenever it is opened, folders, shards and about a "
        "hundred of many single files are looked at (all of them with --check, and by data "
        "convert); when one has another size or time of last change, the index is built anew. A "
        "file changed in place that was not among those is noticed when it is read: its record is "
        "a bad one until the index is built anew.\n\n"
        "Not noticed are changes that leave size and time as they were. The fingerprint does not "
        "cover the bytes of images and of records of fixed size: a resume token made before such "
        "a file was replaced by one of the same size goes on with the new one.\n\n"
        "URI is a folder, a file or file:///... ; a pipeline file (*.yaml) stands for its dataset.",
    .examples = "opiml data index data/shapes/train\n"
                "What is in the folder.\n"
                "opiml data index train.yaml --rebuild\n"
                "Index the dataset of a pipeline anew.\n",
    .options = index_options,
    .config_bytes = sizeof(struct index_config),
    .args_least = 1,
    .args_most = 1,
    .run = index_run,
};
