/* WebDataset (see format_webdataset.c): tar archives (POSIX.1-1988 ustar) with a member for each
 * field: image as .jpg or .png, label as .cls, other bytes by their field's name. */
#include <ctype.h>

#include "dataset/write_file.h"
#include "dataset/write_image.h"
#include "dataset/writer.h"

#define BLOCK 512
#define BLOCKING 20 /* blocks that an archive's size is a multiple of */

struct webdataset {
    const struct opiml_schema *schema;
    struct write_file file;
};

/* Whether a name reads back as itself when it is an extension. */
static bool is_extension(const char *name) {
    for (const char *at = name; *at; at++)
        if (*at == '/' || isupper((unsigned char)*at) || (uint8_t)*at < 0x20)
            return false;
    return name[0] != '.' && strcmp(name, "jpg") != 0 && strcmp(name, "jpeg") != 0 &&
           strcmp(name, "png") != 0 && strcmp(name, "cls") != 0;
}

static int webdataset_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        bool label = strcmp(field->name, "label") == 0;
        if (label ? field->dtype != OPIML_I32 || field->ndim != 0 : !write_is_text(field))
            return write_unfit_of("webdataset", plan->schema, field,
                                  "members are files or texts (u8 *), and an i32 label; tfrecord, "
                                  "npz and hdf5 take numbers",
                                  err);
        if (!is_extension(field->name))
            return write_unfit("webdataset", field,
                               "its name is no extension in small letters; rename it with --fields "
                               "new=old",
                               err);
    }
    return 0;
}

static int webdataset_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct webdataset *self = state;
    self->schema = shard->plan->schema;
    AUTO_FREE char *path = write_shard_path(shard, ".tar");
    return path ? write_file_open(&self->file, path, err) : base_fail_memory(err, 0, "a path");
}

static int add_member(struct write_file *tar, const char *name, const void *data, uint64_t bytes,
                      struct opiml_error *err) {
    static const char zeros[BLOCK];
    char header[BLOCK] = {0};
    uint32_t sum = 0;
    snprintf(header, 100, "%s", name);
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011" PRIo64, bytes);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (uint8_t)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    header[155] = ' ';
    int rc = write_file_add(tar, header, BLOCK, err);
    if (rc == 0)
        rc = write_file_add(tar, data, bytes, err);
    return rc < 0 ? rc : write_file_add(tar, zeros, (BLOCK - bytes % BLOCK) % BLOCK, err);
}

static int webdataset_admit(void *state, const struct opiml_value *values,
                            struct opiml_error *err) {
    const struct webdataset *self = state;
    int image = opiml_schema_find(self->schema, "image");
    if (image < 0 || write_image_kind(&values[image]))
        return 0;
    return write_refuse(&self->schema->fields[image],
                        "neither a JPEG nor a PNG file (with --fields new=old it goes as other "
                        "bytes)",
                        err);
}

static int webdataset_append(void *state, uint64_t record, const struct opiml_value *values,
                             struct opiml_error *err) {
    struct webdataset *self = state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < self->schema->count; i++) {
        const struct opiml_field *field = &self->schema->fields[i];
        const char *extension = field->name;
        char name[100], text[16];
        const void *data = values[i].data;
        uint64_t bytes = values[i].bytes;
        if (field->dtype == OPIML_I32) {
            int32_t label;
            memcpy(&label, values[i].data, sizeof(label));
            bytes = (uint64_t)snprintf(text, sizeof(text), "%" PRId32, label);
            data = text;
            extension = "cls";
        } else if (strcmp(field->name, "image") == 0) {
            extension = write_image_kind(&values[i]);
        }
        snprintf(name, sizeof(name), "%09" PRIu64 ".%s", record, extension);
        rc = add_member(&self->file, name, data, bytes, err);
    }
    return rc;
}

/* Two empty blocks end an archive, which is filled up as tar does. */
static int webdataset_finish(void *state, struct opiml_error *err) {
    static const char zeros[BLOCKING * BLOCK];
    struct webdataset *self = state;
    uint64_t bytes = write_file_bytes(&self->file) + 2 * BLOCK;
    int rc = write_file_add(&self->file, zeros, 2 * BLOCK, err);
    if (rc == 0)
        rc = write_file_add(&self->file, zeros, base_align_up(bytes, sizeof(zeros)) - bytes, err);
    return rc < 0 ? rc : write_file_commit(&self->file, true, err);
}

static void webdataset_release(void *state) {
    struct webdataset *self = state;
    write_file_release(&self->file);
}

const struct writer writer_webdataset = {
    .name = "webdataset",
    .help = "Tar archives with a member for each field; images stay as they are",
    .state_bytes = sizeof(struct webdataset),
    .check = webdataset_check,
    .begin = webdataset_begin,
    .admit = webdataset_admit,
    .append = webdataset_append,
    .finish = webdataset_finish,
    .release = webdataset_release,
};
