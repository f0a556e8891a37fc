/* Made images as files: image folders, WebDataset shards, raw records. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "jpeg_write.h"
#include "make.h"
#include "make_image.h"
#include "make_shape.h"

#define TAR_BLOCK 512

static const char *class_name(const struct make_conf *conf, uint64_t record) {
    return shape_name(conf->shape[make_label(conf, record)]);
}

/* A record's JPEG file. The quality differs from record to record. */
static int make_jpeg(const struct make_conf *conf, const struct make_split *split, uint64_t record,
                     uint8_t *rgb, uint8_t **ret_data, size_t *ret_bytes, struct opiml_error *err) {
    image_render(conf->seed, split->number, record, conf->shape[make_label(conf, record)],
                 conf->size, rgb);
    return jpeg_write(rgb, conf->size, conf->size, 80 + (int)(record % 15), ret_data, ret_bytes,
                      err);
}

static uint8_t *pixels(const struct make_conf *conf, struct opiml_error *err) {
    size_t bytes = (size_t)conf->size * conf->size * 3;
    uint8_t *rgb = base_alloc(bytes);

    if (!rgb)
        base_fail_memory(err, bytes, "an image");
    return rgb;
}

/* ---- image folder ---- */

static int folder_begin(const struct make_conf *conf, const struct make_split *split,
                        struct opiml_error *err) {
    for (uint32_t k = 0; k < conf->classes; k++) {
        AUTO_FREE char *path = make_path(conf, "%s/%s", split->name, shape_name(conf->shape[k]));
        int rc = path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int folder_shard(const struct make_conf *conf, const struct make_split *split,
                        uint64_t first, uint64_t count, struct opiml_error *err) {
    AUTO_FREE uint8_t *rgb = pixels(conf, err);

    for (uint64_t i = first; i < first + count; i++) {
        CLEANUP(jpeg_write_free_at) uint8_t *data = NULL;
        AUTO_FREE char *path =
            make_path(conf, "%s/%s/%06" PRIu64 ".jpg", split->name, class_name(conf, i), i);
        size_t bytes = 0;
        int rc;

        if (!rgb || !path)
            return base_fail_memory(err, 0, "an image");
        if ((rc = make_jpeg(conf, split, i, rgb, &data, &bytes, err)) < 0 ||
            (rc = make_write_file(path, data, bytes, err)) < 0)
            return rc;
    }
    return 0;
}

static void folder_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                            size_t room) {
    snprintf(to, room, "{uri: %s/%s, format: image-folder}", conf->root, split->name);
}

/* ---- WebDataset ---- */

static int tar_begin(const struct make_conf *conf, const struct make_split *split,
                     struct opiml_error *err) {
    AUTO_FREE char *path = make_path(conf, "%s", split->name);

    return path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");
}

/* POSIX.1-1988 ustar: a header block, then the bytes, padded to a block. */
static int tar_add(struct file_writer *tar, const char *name, const void *data, size_t bytes,
                   struct opiml_error *err) {
    static const char zeros[TAR_BLOCK];
    char header[TAR_BLOCK] = {0};
    uint32_t sum = 0;
    int rc;

    snprintf(header, 100, "%s", name);
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    snprintf(header + 124, 12, "%011zo", bytes);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (uint8_t)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    header[155] = ' ';
    if ((rc = file_writer_add(tar, header, TAR_BLOCK, err)) < 0 ||
        (rc = file_writer_add(tar, data, bytes, err)) < 0)
        return rc;
    return file_writer_add(tar, zeros, (TAR_BLOCK - bytes % TAR_BLOCK) % TAR_BLOCK, err);
}

static int tar_record(const struct make_conf *conf, const struct make_split *split, uint64_t i,
                      uint8_t *rgb, struct file_writer *tar, struct opiml_error *err) {
    CLEANUP(jpeg_write_free_at) uint8_t *data = NULL;
    size_t bytes = 0;
    char name[100], label[16];
    int rc = make_jpeg(conf, split, i, rgb, &data, &bytes, err);

    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "%s/%06" PRIu64 ".jpg", class_name(conf, i), i);
    if ((rc = tar_add(tar, name, data, bytes, err)) < 0)
        return rc;
    snprintf(name, sizeof(name), "%s/%06" PRIu64 ".cls", class_name(conf, i), i);
    snprintf(label, sizeof(label), "%u", make_label(conf, i));
    return tar_add(tar, name, label, strlen(label), err);
}

static int tar_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    static const char end[2 * TAR_BLOCK];
    AUTO_FREE uint8_t *rgb = pixels(conf, err);
    AUTO_FREE char *path = make_path(conf, "%s/%06" PRIu64 ".tar", split->name, first / 1000);
    CLEANUP(file_writer_release) struct file_writer tar = {.fd = -1};
    int rc;

    if (!rgb || !path)
        return base_fail_memory(err, 0, "a shard");
    if ((rc = file_writer_init(&tar, path, err)) < 0)
        return rc;
    for (uint64_t i = first; i < first + count; i++)
        if ((rc = tar_record(conf, split, i, rgb, &tar, err)) < 0)
            return rc;
    if ((rc = file_writer_add(&tar, end, sizeof(end), err)) < 0)
        return rc;
    return file_writer_commit(&tar, err);
}

static void tar_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    snprintf(to, room, "{uri: %s/%s, format: webdataset}", conf->root, split->name);
}

/* ---- raw records: pixels, then the label ---- */

static size_t raw_bytes(const struct make_conf *conf) {
    return (size_t)conf->size * conf->size * 3 + sizeof(int32_t);
}

static int raw_begin(const struct make_conf *conf, const struct make_split *split,
                     struct opiml_error *err) {
    AUTO_FREE char *path = make_path(conf, "%s.bin", split->name);

    return path ? make_write_file(path, "", 0, err) : base_fail_memory(err, 0, "a path");
}

static int raw_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    size_t bytes = raw_bytes(conf);
    AUTO_FREE uint8_t *record = base_alloc(bytes);
    AUTO_FREE char *path = make_path(conf, "%s.bin", split->name);
    AUTO_FD int fd = -1;

    if (!record || !path)
        return base_fail_memory(err, bytes, "a record");
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail_errno(err, errno, "%s", path);
    for (uint64_t i = first; i < first + count; i++) {
        int32_t label = (int32_t)make_label(conf, i);
        int rc;

        image_render(conf->seed, split->number, i, conf->shape[label], conf->size, record);
        memcpy(record + bytes - sizeof(label), &label, sizeof(label));
        if ((rc = file_pwrite(fd, record, bytes, i * bytes, path, err)) < 0)
            return rc;
    }
    return 0;
}

static void raw_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    snprintf(to, room,
             "{uri: %s/%s.bin, format: raw, fields: [\"image:u8:%ux%ux3\", \"label:i32\"]}",
             conf->root, split->name, conf->size, conf->size);
}

const struct make_format make_image_formats[] = {
    {"image-folder", 64, folder_begin, folder_shard, folder_describe},
    {"webdataset", 1000, tar_begin, tar_shard, tar_describe},
    {"raw", 64, raw_begin, raw_shard, raw_describe},
    {0},
};
