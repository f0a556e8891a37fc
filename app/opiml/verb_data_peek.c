/* opiml data peek: one record, with its picture. */
#include <ctype.h>
#include <unistd.h>

#include "base/conf.h"
#include "op/registry.h"
#include "picture.h"
#include "png_write.h"
#include "records.h"
#include "screen.h"
#include "verb.h"

struct peek_config {
    const char *format, *png;
    int64_t width;
    bool json;
};

#define AT(member) offsetof(struct peek_config, member)

static const struct option peek_options[] = {
    {"png", "FILE", NULL, "Write the record's image to FILE as PNG", AT(png), OPTION_PATH},
    {"width", "COLUMNS", "0", "Width of an image in the terminal; 0: what fits, at most 64",
     AT(width), OPTION_INT, NULL, 0, 1000},
    {"format", "FORMAT", NULL, "The format, when it cannot be found by looking", AT(format),
     OPTION_TEXT},
    OPTION_JSON(struct peek_config),
    {0},
};

/* A record's number from "17", or from its key. */
static int find_record(const struct dataset *dataset, const char *which, uint64_t *ret_number,
                       struct opiml_error *err) {
    uint64_t count = dataset_count(dataset);
    char key[1024], *end;

    errno = 0;
    *ret_number = strtoull(which, &end, 10);
    if (isdigit((unsigned char)which[0]) && !*end && errno == 0) {
        if (*ret_number < count)
            return 0;
        return opiml_fail(err, OPIML_ENOENT, "%s: no record %s: there are %" PRIu64 ", from 0",
                          dataset_uri(dataset), which, count);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (strcmp(dataset_key(dataset, i, key, sizeof(key)), which) == 0) {
            *ret_number = i;
            return 0;
        }
    }
    return opiml_fail(err, OPIML_ENOENT,
                      "%s: no record has the key \"%s\"; `opiml data ls` shows the keys",
                      dataset_uri(dataset), which);
}

static void show_fields(const struct dataset *dataset, const struct record *record) {
    const struct opiml_schema *schema = dataset_schema(dataset);

    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        AUTO_TEXT struct text type = {0};
        AUTO_TEXT struct text value = {0};

        record_format_type(field, record->values[f].shape, &type);
        record_format(field, &record->values[f], &value);
        printf("  %-16s %-20s %s", field->name, type.at ? type.at : "", value.at ? value.at : "");
        if (strcmp(field->name, "label") == 0 && field->dtype == OPIML_I32 && field->ndim == 0) {
            char name[SCREEN_NAME_BYTES];
            int32_t label;

            memcpy(&label, record->values[f].data, sizeof(label));
            if (label >= 0 && dataset_class(dataset, (uint32_t)label))
                printf(" (%s)", screen_name(name, dataset_class(dataset, (uint32_t)label)));
        }
        putchar('\n');
    }
}

static int show_json(const struct dataset *dataset, const struct record *record,
                     const struct picture *picture, struct opiml_error *err) {
    const struct opiml_schema *schema = dataset_schema(dataset);
    AUTO_JS struct js *root = js_object();
    struct js *fields = js_array();
    AUTO_FREE char *text = NULL;
    char line[1024];

    js_set(root, "record", js_u64(record->number));
    js_set(root, "key", js_text(dataset_key(dataset, record->number, line, sizeof(line))));
    js_set(root, "at", js_text(dataset_describe(dataset, record->number, line, sizeof(line))));
    js_set(root, "bytes", js_int(record->bytes));
    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        struct js *one = js_object(), *shape = js_array();

        js_set(one, "name", js_text(field->name));
        js_set(one, "dtype", js_text(opiml_dtype_text(field->dtype)));
        for (uint32_t d = 0; d < field->ndim; d++)
            js_add(shape, js_int(record->values[f].shape[d]));
        js_set(one, "shape", shape);
        js_set(one, "value", record_json(field, &record->values[f]));
        js_add(fields, one);
    }
    js_set(root, "fields", fields);
    if (picture->pixels) {
        struct js *image = js_object();

        js_set(image, "width", js_int(picture->width));
        js_set(image, "height", js_int(picture->height));
        js_set(image, "channels", js_int(picture->channels));
        js_set(root, "image", image);
    }
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static void show_text(const struct peek_config *config, const struct dataset *dataset,
                      const struct record *record, const struct picture *picture) {
    char line[1024];

    printf("record %" PRIu64 " of %" PRIu64 " in %s (%s)\n", record->number, dataset_count(dataset),
           dataset_uri(dataset), dataset_format_name(dataset));
    printf("  key %s\n", dataset_key(dataset, record->number, line, sizeof(line)));
    printf("  at  %s, %u bytes\n", dataset_describe(dataset, record->number, line, sizeof(line)),
           record->bytes);
    show_fields(dataset, record);
    if (!picture->pixels)
        return;
    printf("  image of %u x %u pixels\n", picture->width, picture->height);
    if (config->width || screen_colour(stdout))
        picture_show(picture, config->width ? (uint32_t)config->width
                                            : base_min_u64((uint64_t)screen_columns(stdout), 64));
}

static int peek_run(struct call *call, struct opiml_error *err) {
    const struct peek_config *config = call->config;
    CLEANUP(records_close_at) struct dataset *dataset = NULL;
    CLEANUP(record_release) struct record record = {0};
    CLEANUP(picture_release) struct picture picture = {0};
    const struct dataset_ask ask = {.format = config->format, .option = "--format"};
    uint64_t number = 0;
    int rc;

    if ((rc = records_open(call->args[0], &ask, &dataset, err)) < 0 ||
        (rc = find_record(dataset, call->count > 1 ? call->args[1] : "0", &number, err)) < 0 ||
        (rc = record_read(dataset, number, &record, err)) < 0 ||
        (rc = picture_find(dataset, &record, &picture, err)) < 0)
        return rc;
    if (config->png) {
        if (!picture.pixels)
            return opiml_fail(err, OPIML_EINVAL, "%s: record %" PRIu64 " has no image to write",
                              dataset_uri(dataset), number);
        rc = png_write(config->png, picture.pixels, picture.width, picture.height, picture.channels,
                       err);
        if (rc < 0)
            return rc;
    }
    if (config->json)
        return show_json(dataset, &record, &picture, err);
    show_text(config, dataset, &record, &picture);
    return 0;
}

const struct verb verb_data_peek = {
    .name = "data peek",
    .args = "URI [N|KEY]",
    .help = "Show one record of a dataset, an image as a picture",
    .about =
        "Shows record number N (from 0, in the dataset's own order; 0 by default) or the one "
        "with the key KEY: where its bytes lie, its fields with types, shapes and values. An "
        "image is decoded and drawn in the terminal, two pixels to a character; --width draws "
        "it also when standard output is no terminal. --png writes it to a file at full size.\n\n"
        "URI is a folder, a file or file:///... ; the format is found by looking. A pipeline "
        "file (*.yaml) stands for its dataset.",
    .examples = "opiml data peek data/shapes/train 17\n"
                "Record 17.\n"
                "opiml data peek data/shapes/train star/000008 --png star.png\n"
                "One by its key, its picture as a file.\n",
    .options = peek_options,
    .config_bytes = sizeof(struct peek_config),
    .args_least = 1,
    .args_most = 2,
    .run = peek_run,
};
