/* Made volumes as files: NIfTI, and NumPy's arrays. */
#include "base/file.h"
#include "make.h"
#include "make_volume.h"

/* How one kind of file stores size³ bytes. */
struct volume_file {
    const char *extension;
    size_t (*header)(uint32_t size, uint8_t to[512]); /* returns its bytes */
};

static int write_one(const char *path, const struct volume_file *kind, uint32_t size,
                     const uint8_t *voxels, struct opiml_error *err) {
    uint8_t header[512] = {0};
    CLEANUP(file_writer_release) struct file_writer file = {.fd = -1};
    size_t bytes = kind->header(size, header);
    int rc;

    if ((rc = file_writer_init(&file, path, err)) < 0 ||
        (rc = file_writer_add(&file, header, bytes, err)) < 0 ||
        (rc = file_writer_add(&file, voxels, (size_t)size * size * size, err)) < 0)
        return rc;
    return file_writer_commit(&file, err);
}

static int begin(const struct make_conf *conf, const struct make_split *split,
                 struct opiml_error *err) {
    static const char *const folders[] = {"images", "labels"};

    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        AUTO_FREE char *path = make_path(conf, "%s/%s", split->name, folders[i]);
        int rc = path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int shard(const struct make_conf *conf, const struct make_split *split,
                 const struct volume_file *kind, uint64_t first, uint64_t count,
                 struct opiml_error *err) {
    size_t bytes = (size_t)conf->size * conf->size * conf->size;
    AUTO_FREE uint8_t *image = base_alloc(bytes);
    AUTO_FREE uint8_t *label = base_alloc(bytes);

    if (!image || !label)
        return base_fail_memory(err, bytes, "a volume");
    for (uint64_t i = first; i < first + count; i++) {
        AUTO_FREE char *images =
            make_path(conf, "%s/images/%06" PRIu64 ".%s", split->name, i, kind->extension);
        AUTO_FREE char *labels =
            make_path(conf, "%s/labels/%06" PRIu64 ".%s", split->name, i, kind->extension);
        int rc;

        if (!images || !labels)
            return base_fail_memory(err, 0, "a path");
        volume_render(conf->seed, split->number, i, conf->classes, conf->size, image, label);
        if ((rc = write_one(images, kind, conf->size, image, err)) < 0 ||
            (rc = write_one(labels, kind, conf->size, label, err)) < 0)
            return rc;
    }
    return 0;
}

static void describe(const struct make_conf *conf, const struct make_split *split,
                     const char *format, const char *extension, char *to, size_t room) {
    snprintf(to, room,
             "{uri: %s/%s, format: %s, parts: [\"image:images/*.%s\", \"label:labels/*.%s\"]}",
             conf->root, split->name, format, extension, extension);
}

/* ---- NIfTI-1: voxels of 1 mm, the middle of the volume at 0 ---- */

static void put_u16(uint8_t *to, uint32_t number) {
    to[0] = (uint8_t)number;
    to[1] = (uint8_t)(number >> 8);
}

static void put_f32(uint8_t *to, float number) {
    uint32_t bits;

    memcpy(&bits, &number, sizeof(bits));
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(bits >> (8 * i));
}

static size_t nifti_header(uint32_t size, uint8_t to[512]) {
    put_u16(to, 348); /* the header's bytes */
    put_u16(to + 40, 3);
    put_u16(to + 70, 2); /* u8 */
    put_u16(to + 72, 8);
    put_f32(to + 76, 1);
    put_f32(to + 108, 352); /* where voxels begin */
    put_f32(to + 112, 1);
    to[123] = 2;          /* millimetres */
    put_u16(to + 254, 1); /* the sform counts */
    for (uint32_t d = 0; d < 3; d++) {
        put_u16(to + 42 + 2 * d, size);
        put_f32(to + 80 + 4 * d, 1);
        put_f32(to + 280 + 16 * d + 4 * d, 1);
        put_f32(to + 280 + 16 * d + 12, -0.5f * (float)(size - 1));
    }
    for (uint32_t d = 4; d < 8; d++)
        put_u16(to + 40 + 2 * d, 1);
    memcpy(to + 344, "n+1", 4);
    return 352;
}

static const struct volume_file nifti = {"nii", nifti_header};

static int nifti_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                       uint64_t count, struct opiml_error *err) {
    return shard(conf, split, &nifti, first, count, err);
}

static void nifti_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                           size_t room) {
    describe(conf, split, "nifti", "nii", to, room);
}

/* ---- .npy, version 1.0 ---- */

#define NPY_BYTES 128 /* of a header: a multiple of 64 */

static size_t npy_header(uint32_t size, uint8_t to[512]) {
    char *text = (char *)to + 10;
    int length;

    memcpy(to, "\x93NUMPY\x01\x00", 8);
    put_u16(to + 8, NPY_BYTES - 10);
    memset(text, ' ', NPY_BYTES - 10);
    length = snprintf(text, NPY_BYTES - 10,
                      "{'descr': '|u1', 'fortran_order': False, 'shape': (%u, %u, %u), }", size,
                      size, size);
    text[length] = ' '; /* in place of its zero */
    to[NPY_BYTES - 1] = '\n';
    return NPY_BYTES;
}

static const struct volume_file npy = {"npy", npy_header};

static int npy_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    return shard(conf, split, &npy, first, count, err);
}

static void npy_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    describe(conf, split, "npy", "npy", to, room);
}

const struct make_format make_volume_formats[] = {
    {"nifti", 1, begin, nifti_shard, nifti_describe},
    {"npy", 1, begin, npy_shard, npy_describe},
    {0},
};
