/* Predicting on volumes. */
#include "predict_volume.h"

#include <math.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "dataset/nifti_header.h"
#include "overlay.h"
#include "pipeline/pipeline.h"
#include "screen.h"

/* A volume as its pipeline gives it, and what the model sees in it. */
struct volume {
    struct opiml_pipeline *pipeline;
    struct opiml_feed *feed;
    const struct opiml_batch *batch;
    const float *image; /* the first channel; in the batch */
    uint32_t size[3];
    double affine[12], spacing[3]; /* spacing along z, y, x, in mm */
    uint8_t *classes;
    uint64_t counts[256];
    char *mask, *overlay; /* files */
};

static void volume_release(struct volume *self) {
    opiml_batch_release(self->batch);
    opiml_feed_close(self->feed);
    opiml_pipeline_close(self->pipeline);
    base_free(self->classes);
    base_free(self->mask);
    base_free(self->overlay);
}

/* ---- reading ---- */

static int check_image(const struct predict_volume *self, const struct opiml_schema *schema,
                       uint32_t *ret_field, struct opiml_error *err) {
    int f = opiml_schema_find(schema, "image");
    const struct opiml_field *image = f < 0 ? NULL : &schema->fields[f];
    uint32_t shape[4];

    opiml_model_input(self->model, shape);
    if (!image || image->dtype != OPIML_F32 || image->ndim != 4 || image->shape[0] != shape[0])
        return opiml_fail(err, OPIML_EINVAL,
                          "%s does not give the f32 volumes \"image\" [%u, z, y, x] that the model "
                          "takes",
                          self->data, shape[0]);
    *ret_field = (uint32_t)f;
    return 0;
}

/* From the field "affine" where the pipeline has one; else cubes of 1 mm. */
static void read_affine(struct volume *self, const struct opiml_schema *schema) {
    static const double identity[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    int f = opiml_schema_find(schema, "affine");

    memcpy(self->affine, identity, sizeof(identity));
    if (f >= 0 && schema->fields[f].dtype == OPIML_F64 && schema->fields[f].max_bytes == 96)
        memcpy(self->affine, self->batch->data[f], sizeof(self->affine));
    for (int a = 0; a < 3; a++) {
        const double *column = self->affine + 2 - a; /* of x, y, z in this order */
        double length = sqrt(column[0] * column[0] + column[4] * column[4] + column[8] * column[8]);

        self->spacing[a] = length > 0 && isfinite(length) ? length : 1;
    }
}

static int read_volume(const struct predict_volume *self, const char *path, struct volume *volume,
                       struct opiml_error *err) {
    AUTO_FREE char *whole = realpath(path, NULL);
    const struct opiml_schema *schema;
    struct opiml_feed_options options;
    struct stat info;
    uint32_t field = 0;
    int rc;

    if (!whole || stat(whole, &info) < 0)
        return base_fail_errno(err, errno, "%s", path);
    if (S_ISDIR(info.st_mode))
        return opiml_fail(err, OPIML_EINVAL, "%s: a folder, where a file is wanted", path);
    if ((rc = pipeline_open_over(self->data, whole, &volume->pipeline, err)) < 0)
        return rc;
    schema = opiml_pipeline_schema(volume->pipeline);
    if ((rc = check_image(self, schema, &field, err)) < 0)
        return rc;
    opiml_feed_options_init(&options);
    if ((rc = opiml_feed_open(volume->pipeline, &options, &volume->feed, err)) < 0 ||
        (rc = opiml_feed_next(volume->feed, &volume->batch, err)) < 0)
        return rc;
    if (rc == 0 || volume->batch->live == 0)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: %s", path,
                          opiml_feed_bad(volume->feed, 0) ? opiml_feed_bad(volume->feed, 0)
                                                          : "the pipeline leaves it out");
    for (int a = 0; a < 3; a++)
        volume->size[a] = (uint32_t)schema->fields[field].shape[a + 1];
    volume->image = (const float *)(const void *)volume->batch->data[field];
    read_affine(volume, schema);
    return 0;
}

/* ---- writing ---- */

/* "folder/NAME" + suffix, without the volume's own ending. */
static char *file_for(const char *folder, const char *path, const char *suffix) {
    static const char *const endings[] = {".nii.gz", ".nii", ".npz", ".npy"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t bytes = strlen(name);
    char *stem, *file;

    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (text_ends(name, endings[i])) {
            bytes -= strlen(endings[i]);
            break;
        }
    stem = base_printf("%.*s%s", (int)bytes, name, suffix);
    file = stem ? text_path(folder, stem) : NULL;
    base_free(stem);
    return file;
}

static int write_mask(const struct volume *volume, struct opiml_error *err) {
    CLEANUP(file_writer_release) struct file_writer writer = {.fd = -1};
    const int64_t shape[] = {volume->size[0], volume->size[1], volume->size[2]};
    uint8_t header[NIFTI_HEADER_MAX];
    size_t bytes = nifti_make_header(OPIML_U8, 3, shape, volume->affine, header);
    uint64_t voxels = (uint64_t)volume->size[0] * volume->size[1] * volume->size[2];
    int rc;

    if ((rc = file_writer_init(&writer, volume->mask, err)) < 0 ||
        (rc = file_writer_add(&writer, header, bytes, err)) < 0 ||
        (rc = file_writer_add(&writer, volume->classes, voxels, err)) < 0)
        return rc;
    return file_writer_commit(&writer, err);
}

static int segment(const struct predict_volume *self, struct volume *volume,
                   struct opiml_error *err) {
    uint64_t voxels = (uint64_t)volume->size[0] * volume->size[1] * volume->size[2];
    int rc;

    volume->classes = base_alloc_array(voxels, 1);
    if (!volume->classes)
        return base_fail_memory(err, voxels, "the classes of voxels");
    rc = opiml_model_segment(self->model, volume->image, volume->size, self->overlap,
                             volume->classes, err);
    for (uint64_t v = 0; rc == 0 && v < voxels; v++)
        volume->counts[volume->classes[v]]++;
    return rc;
}

/* ---- telling ---- */

static double millilitres(const struct volume *volume, uint32_t class) {
    return (double)volume->counts[class] * volume->spacing[0] * volume->spacing[1] *
           volume->spacing[2] / 1000;
}

static void tell(const struct predict_volume *self, const struct volume *volume, const char *path) {
    char shown[SCREEN_NAME_BYTES], count[32];

    printf("%s\n", screen_name(shown, path));
    for (uint32_t k = 1; k < opiml_model_classes(self->model); k++)
        printf("  %-16s %14s voxels  %10.1f ml\n",
               screen_name(shown, opiml_model_class(self->model, k)),
               text_format_count(count, sizeof(count), volume->counts[k]), millilitres(volume, k));
    printf("  mask: %s\n", screen_name(shown, volume->mask));
    printf("  overlay: %s\n", screen_name(shown, volume->overlay));
}

static void add_to(const struct predict_volume *self, const struct volume *volume, const char *path,
                   struct js *list) {
    struct js *object = js_object(), *classes = js_array();

    for (uint32_t k = 0; k < opiml_model_classes(self->model); k++) {
        struct js *entry = js_object();

        js_set(entry, "class", js_text(opiml_model_class(self->model, k)));
        js_set(entry, "label", js_int(k));
        js_set(entry, "voxels", js_u64(volume->counts[k]));
        js_set(entry, "ml", js_num(millilitres(volume, k)));
        js_add(classes, entry);
    }
    js_set(object, "image", js_text(path));
    js_set(object, "mask", js_text(volume->mask));
    js_set(object, "overlay", js_text(volume->overlay));
    js_set(object, "classes", classes);
    js_add(list, object);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int predict_volume_check(const struct predict_volume *self, char *const *paths, int count,
                         struct opiml_error *err) {
    char **masks = base_alloc_array((size_t)count, sizeof(*masks));
    int made = 0, rc = 0;

    if (!masks)
        return base_fail_memory(err, (size_t)count * sizeof(*masks), "names");
    while (made < count && (masks[made] = file_for(self->folder, paths[made], ".mask.nii")))
        made++;
    if (made < count)
        rc = base_fail_memory(err, 4096, "a file's name");
    else
        qsort(masks, (size_t)count, sizeof(*masks), compare_texts);
    for (int i = 1; rc == 0 && i < count; i++)
        if (strcmp(masks[i - 1], masks[i]) == 0)
            rc = opiml_fail(err, OPIML_EINVAL,
                            "two volumes would both become %s; predict them one at a time, each "
                            "with an --out of its own",
                            masks[i]);
    for (int i = 0; i < made; i++)
        base_free(masks[i]);
    base_free(masks);
    return rc;
}

int predict_volume(const struct predict_volume *self, const char *path, struct js *list,
                   struct opiml_error *err) {
    CLEANUP(volume_release) struct volume volume = {0};
    int rc;

    volume.mask = file_for(self->folder, path, ".mask.nii");
    volume.overlay = file_for(self->folder, path, ".overlay.png");
    if (!volume.mask || !volume.overlay)
        return base_fail_memory(err, strlen(path), "a file's name");
    if ((rc = read_volume(self, path, &volume, err)) < 0 ||
        (rc = segment(self, &volume, err)) < 0 || (rc = file_make_folders(self->folder, err)) < 0 ||
        (rc = write_mask(&volume, err)) < 0 ||
        (rc = overlay_write(volume.overlay, volume.image, volume.classes, volume.size,
                            volume.spacing, err)) < 0)
        return rc;
    if (list)
        add_to(self, &volume, path, list);
    else
        tell(self, &volume, path);
    return 0;
}
