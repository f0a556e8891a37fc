/* A folder of images, one folder per class (see format_image_folder.c). Reading sorts by name, so
 * that records come by class. */
#include "base/file.h"
#include "dataset/write_file.h"
#include "dataset/write_image.h"
#include "dataset/writer.h"

struct image_folder {
    const struct write_plan *plan;
    int image, label; /* fields */
};

static int image_folder_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    const struct opiml_schema *schema = plan->schema;
    int image = opiml_schema_find(schema, "image"), label = opiml_schema_find(schema, "label");
    plan->loose = true;
    if (image < 0 || label < 0 || schema->count != 2)
        return opiml_fail(err, OPIML_EINVAL,
                          "format image-folder: the two fields \"image\" and \"label\" are wanted; "
                          "choose them with --fields image=FIELD,label=FIELD");
    if (!write_is_text(&schema->fields[image]))
        return write_unfit("image-folder", &schema->fields[image],
                           "JPEG or PNG files (u8 *) are wanted", err);
    if (schema->fields[label].dtype != OPIML_I32 || schema->fields[label].ndim != 0)
        return write_unfit("image-folder", &schema->fields[label], "an i32 is wanted", err);
    return 0;
}

static int image_folder_prepare(const struct write_plan *plan, struct opiml_error *err) {
    int rc = 0;
    for (uint32_t k = 0; k < plan->class_count; k++)
        if (!write_folder_safe(plan->classes[k]))
            return opiml_fail(err, OPIML_EINVAL,
                              "format image-folder: the class \"%s\" has no name for a folder",
                              plan->classes[k]);
    for (uint32_t k = 0; rc == 0 && k < plan->class_count; k++) {
        AUTO_FREE char *path = base_printf("%s/%s", plan->root, plan->classes[k]);
        rc = path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");
    }
    return rc;
}

static int image_folder_begin(void *state, const struct write_shard *shard,
                              struct opiml_error *err) {
    struct image_folder *self = state;
    self->plan = shard->plan;
    self->image = opiml_schema_find(shard->plan->schema, "image");
    self->label = opiml_schema_find(shard->plan->schema, "label");
    return 0;
}

static int32_t label_of(const struct image_folder *self, const struct opiml_value *values) {
    int32_t label;
    memcpy(&label, values[self->label].data, sizeof(label));
    return label;
}

static int image_folder_admit(void *state, const struct opiml_value *values,
                              struct opiml_error *err) {
    const struct image_folder *self = state;
    const struct write_plan *plan = self->plan;
    int32_t label = label_of(self, values);
    if (!write_image_kind(&values[self->image]))
        return write_refuse(&plan->schema->fields[self->image], "neither a JPEG nor a PNG file",
                            err);
    if (label < 0 || (uint32_t)label >= plan->class_count)
        return write_refuse(&plan->schema->fields[self->label], "a label that is no class's number",
                            err);
    return 0;
}

static int image_folder_append(void *state, uint64_t record, const struct opiml_value *values,
                               struct opiml_error *err) {
    struct image_folder *self = state;
    const struct write_plan *plan = self->plan;
    const struct opiml_value *image = &values[self->image];
    const char *folder = plan->classes[label_of(self, values)];
    char suffix[8];
    snprintf(suffix, sizeof(suffix), ".%s", write_image_kind(image));
    AUTO_FREE char *path = write_record_path(plan, folder, record, suffix);
    CLEANUP(write_file_release) struct write_file file = {0};
    int rc = path ? write_file_open(&file, path, err) : base_fail_memory(err, 0, "a path");
    if (rc == 0)
        rc = write_file_add(&file, image->data, image->bytes, err);
    return rc < 0 ? rc : write_file_commit(&file, false, err);
}

static int image_folder_finish(void *state, struct opiml_error *err) {
    const struct image_folder *self = state;
    return write_sync_folder(self->plan->root, true, err);
}

static void image_folder_release(void *state) {
}

const struct writer writer_image_folder = {
    .name = "image-folder",
    .help = "JPEG and PNG files in one folder per class, as they are",
    .flags = WRITE_CLASSES | WRITE_SORTED,
    .state_bytes = sizeof(struct image_folder),
    .check = image_folder_check,
    .prepare = image_folder_prepare,
    .begin = image_folder_begin,
    .admit = image_folder_admit,
    .append = image_folder_append,
    .finish = image_folder_finish,
    .release = image_folder_release,
};
