/* opiml data ls: the records of a dataset, a line each. */
#include "records.h"
#include "screen.h"
#include "verb.h"

struct ls_config {
    const char *format;
    int64_t limit, from;
    bool json;
};

#define AT(member) offsetof(struct ls_config, member)

static const struct option ls_options[] = {
    {"format", "FORMAT", NULL, "The format, when it cannot be found by looking", AT(format),
     OPTION_TEXT},
    {"from", "N", "0", "The first record to show", AT(from), OPTION_INT, NULL, 0, 1e15},
    {"limit", "N", "0", "Most records to show; 0: all", AT(limit), OPTION_INT, NULL, 0, 1e15},
    {"json", NULL, NULL, "Write a JSON object a line instead of text", AT(json), OPTION_FLAG},
    {0},
};

/* Numbers and short texts; what is long is told by its size. */
static void show_text(const struct dataset *dataset, const struct record *record, const char *key) {
    const struct opiml_schema *schema = dataset_schema(dataset);

    printf("%s\t%u bytes", key, record->bytes);
    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        AUTO_TEXT struct text value = {0};

        record_format(field, &record->values[f], &value);
        printf("\t%s=%s", field->name, value.at ? value.at : "");
        if (strcmp(field->name, "label") == 0 && field->dtype == OPIML_I32 && field->ndim == 0) {
            char shown[SCREEN_NAME_BYTES];
            int32_t label;
            const char *name;

            memcpy(&label, record->values[f].data, sizeof(label));
            name = label >= 0 ? dataset_class(dataset, (uint32_t)label) : NULL;
            if (name)
                printf(" (%s)", screen_name(shown, name));
        }
    }
    putchar('\n');
}

static int show_json(const struct dataset *dataset, const struct record *record, const char *key,
                     struct opiml_error *err) {
    const struct opiml_schema *schema = dataset_schema(dataset);
    AUTO_JS struct js *one = js_object();
    struct js *fields = js_object();
    AUTO_FREE char *text = NULL;

    js_set(one, "record", js_u64(record->number));
    js_set(one, "key", js_text(key));
    js_set(one, "bytes", js_int(record->bytes));
    for (uint32_t f = 0; f < schema->count; f++)
        js_set(fields, schema->fields[f].name, record_json(&schema->fields[f], &record->values[f]));
    js_set(one, "fields", fields);
    text = js_dump(one, 0);
    if (!text)
        return base_fail_memory(err, 0, "a line");
    puts(text);
    return 0;
}

static int fail_at(const struct dataset *dataset, uint64_t record, const struct opiml_error *why,
                   struct opiml_error *err) {
    char where[1024];

    return opiml_fail(err, why->code, "record %" PRIu64 ", %s: %s", record,
                      dataset_describe(dataset, record, where, sizeof(where)), why->message);
}

/* Beside the lines, not among them. */
static void tell_hint(const struct dataset *dataset) {
    AUTO_TEXT struct text hint = {0};

    dataset_hint(dataset, &hint);
    if (hint.count)
        fprintf(stderr, "opiml: data ls: %s\n", hint.at);
}

static int ls_run(struct call *call, struct opiml_error *err) {
    const struct ls_config *config = call->config;
    CLEANUP(records_close_at) struct dataset *dataset = NULL;
    CLEANUP(record_release) struct record record = {0};
    const struct dataset_ask ask = {.format = config->format, .option = "--format"};
    uint64_t end;
    int rc = records_open(call->args[0], &ask, &dataset, err);

    if (rc < 0)
        return rc;
    end = dataset_count(dataset);
    if ((uint64_t)config->from >= end)
        return opiml_fail(err, OPIML_EINVAL,
                          "--from %" PRId64 ": %s has only %" PRIu64 " %s, from 0", config->from,
                          dataset_uri(dataset), end, end == 1 ? "record" : "records");
    call->reported = true; /* lines; an error among them would be no record */
    if (config->limit)
        end = base_min_u64(end, (uint64_t)config->from + (uint64_t)config->limit);
    signals_catch(NULL, NULL);
    for (uint64_t i = (uint64_t)config->from; i < end && rc >= 0; i++) {
        struct opiml_error why = {0};
        char key[1024];

        if (signals_seen())
            return signals_fail(err);
        dataset_key(dataset, i, key, sizeof(key));
        if ((rc = record_read(dataset, i, &record, &why)) < 0)
            return fail_at(dataset, i, &why, err);
        if (config->json)
            rc = show_json(dataset, &record, key, err);
        else
            show_text(dataset, &record, key);
    }
    if (rc >= 0 && !config->json)
        tell_hint(dataset);
    return rc;
}

const struct verb verb_data_ls = {
    .name = "data ls",
    .args = "URI",
    .help = "List the records of a dataset",
    .about =
        "Shows each record's key, its bytes and its fields, in the dataset's own order: numbers "
        "and short texts as they are, images and the like by their size. A label is followed "
        "by its class.\n\n"
        "URI is a folder, a file or file:///... ; the format is found by looking. A pipeline "
        "file (*.yaml) stands for its dataset: the way to name a format that needs "
        "parameters.\n\n"
        "A damaged record ends the list with an error that names it.",
    .examples = "opiml data ls data/shapes/train --limit 10\n"
                "The first ten records.\n"
                "opiml data ls train.yaml --json | jq .fields.label | sort -n | uniq -c\n"
                "How many records each class has.\n",
    .options = ls_options,
    .config_bytes = sizeof(struct ls_config),
    .args_least = 1,
    .args_most = 1,
    .run = ls_run,
};
