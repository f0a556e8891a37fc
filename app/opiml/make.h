/* Synthetic data sets: what is made, and the files that it goes into. */
#ifndef APP_MAKE_H
#define APP_MAKE_H

#include "base/base.h"
#include "base/file.h"
#include "base/text.h"

#define MAKE_CLASSES_MOST 16
#define MAKE_FIELDS_MOST 48

struct make_conf {
    uint64_t seed;
    uint32_t classes, size, fields;
    const char *root;                  /* the folder that is filled */
    uint32_t shape[MAKE_CLASSES_MOST]; /* of each class: names in bytewise order, as in a folder */
};

struct make_split {
    const char *name; /* "train", "test" */
    uint32_t number;
    uint64_t count;
};

/* How records become files. One file, make_*.c, for each kind of record. */
struct make_format {
    const char *name;
    uint64_t shard_records; /* that one call of shard makes; 0: all of a split */
    /* Make the split's folders or its empty file. */
    int (*begin)(const struct make_conf *conf, const struct make_split *split,
                 struct opiml_error *err);
    /* Make the records [first, first + count). Any thread. */
    int (*shard)(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                 uint64_t count, struct opiml_error *err);
    /* The dataset line of a pipeline file; `room` bytes. */
    void (*describe)(const struct make_conf *conf, const struct make_split *split, char *to,
                     size_t room);
};

/* Image folder, WebDataset and raw images, NULL-terminated; CSV and raw tables; CSV and SQLite
 * payments; NIfTI and .npy volumes. */
extern const struct make_format make_image_formats[];
extern const struct make_format make_table_formats[];
extern const struct make_format make_payment_formats[];
extern const struct make_format make_volume_formats[];

/* Make a file that is not there yet and write it whole. */
int make_write_file(const char *path, const void *data, size_t bytes, struct opiml_error *err);
/* Append the lines of text to a file and empty them, once there are `least` bytes. */
#define MAKE_FLUSH_BYTES KIB(256)
int make_add_lines(struct file_writer *file, struct text *lines, size_t least,
                   struct opiml_error *err);
/* A path below conf->root; the caller frees; NULL when memory is out. */
char *make_path(const struct make_conf *conf, const char *format, ...) OPIML_PRINTF(2, 3);
/* The label of a record: all classes in turn. */
static inline uint32_t make_label(const struct make_conf *conf, uint64_t record) {
    return (uint32_t)(record % conf->classes);
}

#endif
