/* What a writer takes reads back as the same bytes. The first byte chooses the writer, the second
 * how long texts are; the rest are records of a text, an f32 and an i64. */
#include <ftw.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/yaml.h"
#include "dataset/dataset.h"
#include "dataset/writer.h"

#define NUMBERS_BYTES 12
#define RECORDS_MAX 64
#define FIELDS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    return walk->level == 0 ? 0 : remove(path);
}

static void remove_folder(void) {
    rmdir(folder);
}

static void make_folder(void) {
    snprintf(folder, sizeof(folder), "%s/opiml-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
}

static bool write_all(const struct write_plan *plan, const struct writer *writer, void *params,
                      struct opiml_value (*values)[FIELDS], uint64_t count) {
    const struct write_shard shard = {.plan = plan, .count = count};
    AUTO_FREE void *state = base_alloc(writer->state_bytes);
    struct opiml_error err;
    int rc = writer->begin(state, &shard, &err);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        rc = writer->admit ? writer->admit(state, values[i], &err) : 0;
        if (rc == 0)
            rc = writer->append(state, i, values[i], &err);
    }
    if (rc == 0)
        rc = writer->finish(state, &err);
    writer->release(state);
    return rc == 0;
}

static void read_all(const struct write_plan *plan, const struct writer *writer,
                     struct opiml_value (*values)[FIELDS], uint64_t count) {
    AUTO_TEXT struct text text = {0};
    AUTO_YAML struct yaml *yaml = NULL;
    struct dataset *dataset = NULL;
    struct source_bytes from[OPIML_MAX_FIELDS];
    struct opiml_value got[OPIML_MAX_FIELDS];
    text_printf(&text, "{uri: \"%s\", index: rebuild, format: %s", folder, writer->name);
    writer->describe(plan, &text);
    text_add(&text, "}");
    if (yaml_parse(text.at, text.count, "fuzz", &yaml, NULL) < 0 ||
        dataset_open(yaml, yaml->root, &dataset, NULL) < 0 || dataset_count(dataset) != count)
        __builtin_trap();
    AUTO_FREE uint8_t *room = base_alloc_aligned(dataset_read_room(dataset, 64), 64);
    AUTO_FREE uint8_t *scratch = base_alloc_aligned(dataset_parse_bytes(dataset) + 64, 64);
    for (uint64_t i = 0; i < count; i++) {
        if (dataset_read(dataset, i, room, from, NULL) < 0 ||
            dataset_parse(dataset, i, from, got, scratch, NULL) < 0)
            __builtin_trap();
        for (int f = 0; f < FIELDS; f++)
            if (got[f].bytes != values[i][f].bytes ||
                (got[f].bytes > 0 && memcmp(got[f].data, values[i][f].data, got[f].bytes) != 0))
                __builtin_trap();
    }
    dataset_close(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"csv", "jsonl", "tfrecord"};
    struct opiml_value values[RECORDS_MAX][FIELDS];
    struct opiml_schema schema = {0};
    uint64_t count = 0, step = size > 1 ? data[1] % 32 : 0;
    if (size < 2)
        return 0;
    if (!folder[0])
        make_folder();
    for (size_t at = 2; count < RECORDS_MAX && size - at >= step + NUMBERS_BYTES; count++) {
        values[count][0] = (struct opiml_value){
            .data = (uint8_t *)data + at, .bytes = step, .shape = {(int64_t)step}};
        values[count][1] = (struct opiml_value){.data = (uint8_t *)data + at + step, .bytes = 4};
        values[count][2] =
            (struct opiml_value){.data = (uint8_t *)data + at + step + 4, .bytes = 8};
        at += step + NUMBERS_BYTES;
    }
    opiml_schema_add(&schema, "t", OPIML_U8, 1, (int64_t[]){-1}, 32, NULL);
    opiml_schema_add(&schema, "x", OPIML_F32, 0, NULL, 0, NULL);
    opiml_schema_add(&schema, "n", OPIML_I64, 0, NULL, 0, NULL);
    const struct writer *writer = writer_find(names[data[0] % COUNT_OF(names)]);
    AUTO_FREE void *params = base_alloc(writer->params_bytes);
    struct write_plan plan = {.schema = &schema, .params = params, .root = folder};
    if (writer->params)
        conf_defaults(writer->params, params);
    if (count > 0 && writer->check(&plan, params, NULL) == 0 &&
        write_all(&plan, writer, params, values, count))
        read_all(&plan, writer, values, count);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
