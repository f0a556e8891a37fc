/* opiml data make: synthetic data sets, so that everything can be tried without any data. */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <opiml/op.h>

#include "base/clock.h"
#include "base/cores.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "make.h"
#include "make_image.h"
#include "make_shape.h"
#include "make_volume.h"
#include "screen.h"
#include "verb.h"

#define THREADS_MOST 64

struct make_config {
    const char *out;
    int64_t count, test, classes, size, fields, seed, threads;
    uint32_t format;
    bool json;
};

#define AT(member) offsetof(struct make_config, member)

#define FORMATS "image-folder|webdataset|raw|csv|nifti|npy|sqlite"

/* What can be made, and what its options are when they are not given. */
static const struct kind {
    const char *name, *stored_as;
    const struct make_format *formats; /* the first one is for `auto` */
    int64_t count, classes, classes_most, size, size_least, size_most;
} kinds[] = {
    {"images", "image-folder, webdataset and raw", make_image_formats, 10000, 10, MAKE_CLASSES_MOST,
     48, IMAGE_SIZE_LEAST, IMAGE_SIZE_MOST},
    {"table", "csv and raw", make_table_formats, 10000, 10, MAKE_CLASSES_MOST, 48, 0,
     IMAGE_SIZE_MOST},
    {"payments", "csv and sqlite", make_payment_formats, 10000, 2, 2, 48, 0, IMAGE_SIZE_MOST},
    {"volumes", "nifti and npy", make_volume_formats, 40, 3, VOLUME_CLASSES_MOST, 64,
     VOLUME_SIZE_LEAST, VOLUME_SIZE_MOST},
};

static const struct option make_options[] = {
    {"out", "DIR", "data", "The folder to make; it must not be there yet", AT(out), OPTION_PATH},
    {"count", "N", "-1", "Records of the train split; -1: 10,000, or 40 volumes", AT(count),
     OPTION_INT, NULL, -1, 1e9},
    {"test", "N", "-1", "Records of the test split; -1: a fifth of the train split", AT(test),
     OPTION_INT, NULL, -1, 1e9},
    {"classes", "K", "-1",
     "Classes, in equal numbers for images; of volumes with the background; -1: 10, or 3 of "
     "volumes",
     AT(classes), OPTION_INT, NULL, -1, MAKE_CLASSES_MOST},
    {"size", "N", "-1",
     "images: width and height in pixels; volumes: each side in voxels; -1: 48, or 64 of volumes",
     AT(size), OPTION_INT, NULL, -1, IMAGE_SIZE_MOST},
    {"fields", "N", "10", "table: numbers in a row, beside the label", AT(fields), OPTION_INT, NULL,
     2, MAKE_FIELDS_MOST},
    {"seed", "S", "0", "Another seed gives other records; the same one the same bytes", AT(seed),
     OPTION_INT, NULL, 0, 9e18},
    {"format", "FORMAT", "auto",
     "How records are stored; auto is image-folder for images, csv for a table or payments "
     "and nifti for volumes",
     AT(format), OPTION_CHOICE, "auto|" FORMATS},
    {"threads", "N", "0", "Threads that render; 0: one per usable core", AT(threads), OPTION_INT,
     NULL, 0, THREADS_MOST},
    OPTION_JSON(struct make_config),
    {0},
};

/* ---- what make.h promises ---- */

int make_write_file(const char *path, const void *data, size_t bytes, struct opiml_error *err) {
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return base_fail_errno(err, errno, "%s", path);
    return file_pwrite(fd, data, bytes, 0, path, err);
}

int make_add_lines(struct file_writer *file, struct text *lines, size_t least,
                   struct opiml_error *err) {
    int rc;

    if (lines->failed)
        return base_fail_memory(err, lines->room, "rows");
    if (lines->count < least)
        return 0;
    rc = file_writer_add(file, lines->at, lines->count, err);
    lines->count = 0;
    return rc;
}

char *make_path(const struct make_conf *conf, const char *format, ...) {
    char name[256];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    return text_path(conf->root, name);
}

/* ---- a job: the shards of both splits, shared out among threads ---- */

struct job {
    const struct make_conf *conf;
    const struct make_format *format;
    struct make_split split[2];
    uint64_t shard_records[2], shards[2];
    _Atomic uint64_t next, done; /* shard, records */
    _Atomic bool stop;
    pthread_mutex_t lock;
    struct opiml_error error; /* the first; under the lock */
};

static void job_fail(struct job *job, const struct opiml_error *err) {
    pthread_mutex_lock(&job->lock);
    if (!job->error.code)
        job->error = *err;
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->stop, true);
}

/* Make shards until there are none; the thread with `progress` shows it. */
static void work(struct job *job, struct progress *progress) {
    uint64_t total = job->split[0].count + job->split[1].count;

    while (!atomic_load(&job->stop)) {
        uint64_t shard = atomic_fetch_add(&job->next, 1);
        uint32_t s = shard >= job->shards[0];
        uint64_t first, count, done;
        struct opiml_error err = {0};

        if (s)
            shard -= job->shards[0];
        if (shard >= job->shards[s])
            return;
        first = shard * job->shard_records[s];
        count = base_min_u64(job->shard_records[s], job->split[s].count - first);
        if (signals_seen()) {
            signals_fail(&err);
            job_fail(job, &err);
            return;
        }
        if (job->format->shard(job->conf, &job->split[s], first, count, &err) < 0) {
            job_fail(job, &err);
            return;
        }
        done = atomic_fetch_add(&job->done, count) + count;
        if (progress && progress_due(progress)) {
            double passed = (double)(clock_now_ns() - progress->start_ns) / 1e9;
            char rate[32], left[32];

            screen_duration(left, sizeof(left), passed * (double)(total - done) / (double)done);
            progress_draw(progress, "%" PRIu64 " of %" PRIu64 " records  %s/s  ends in %s", done,
                          total, text_format_rate(rate, sizeof(rate), (double)done / passed), left);
        }
    }
}

static void *thread_main(void *job) {
    work(job, NULL);
    return NULL;
}

static int run_job(struct job *job, uint32_t threads, struct opiml_error *err) {
    pthread_t thread[THREADS_MOST];
    uint32_t started = 0;
    struct progress progress;

    progress_begin(&progress);
    /* Fewer threads than asked for only make it slower. */
    while (started + 1 < threads && pthread_create(&thread[started], NULL, thread_main, job) == 0)
        started++;
    work(job, &progress);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    progress_end(&progress);
    if (job->error.code)
        return opiml_fail(err, job->error.code, "%s", job->error.message);
    return 0;
}

static int make_all(const struct make_config *config, const struct make_conf *conf,
                    const struct make_format *format, struct job *job, struct opiml_error *err) {
    uint32_t threads = config->threads ? (uint32_t)config->threads : cores_count();
    int rc;

    job->conf = conf;
    job->format = format;
    job->split[0] = (struct make_split){"train", 0, (uint64_t)config->count};
    job->split[1] = (struct make_split){
        "test", 1, config->test < 0 ? (uint64_t)config->count / 5 : (uint64_t)config->test};
    for (int s = 0; s < 2; s++) {
        const struct make_split *split = &job->split[s];

        if (!split->count)
            continue;
        job->shard_records[s] = format->shard_records ? format->shard_records : split->count;
        job->shards[s] = (split->count + job->shard_records[s] - 1) / job->shard_records[s];
        if ((rc = format->begin(conf, split, err)) < 0)
            return rc;
    }
    return run_job(job, (uint32_t)base_min_u64(threads, THREADS_MOST), err);
}

/* ---- the folder: filled under another name, so that it is whole or not there ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    return remove(path);
}

static void remove_tree(char **path) {
    if (*path)
        nftw(*path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    base_free(*path);
}

static int make_root(const char *out, char **ret_root, struct opiml_error *err) {
    struct stat info;
    AUTO_FREE char *path = base_strdup(out);
    AUTO_FREE char *root = NULL;
    size_t length = strlen(out);
    int rc;

    if (!path)
        return base_fail_memory(err, length, "a path");
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
    if (lstat(path, &info) == 0)
        return opiml_fail(err, OPIML_EEXIST,
                          "%s is there already: remove it, or name another folder with --out",
                          path);
    root = base_printf("%s.making-%d", path, (int)getpid());
    if (!root)
        return base_fail_memory(err, length, "a path");
    if ((rc = file_make_folders(root, err)) < 0)
        return rc;
    *ret_root = TAKE(root);
    return 0;
}

/* ---- the report ---- */

static int report(const struct make_config *config, const struct job *job, double seconds,
                  struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    AUTO_FREE char *text = NULL;
    uint64_t total = job->split[0].count + job->split[1].count;
    struct make_conf there = *job->conf; /* which was made in another place */

    js_set(root, "out", js_text(config->out));
    js_set(root, "format", js_text(job->format->name));
    js_set(root, "train", js_u64(job->split[0].count));
    js_set(root, "test", js_u64(job->split[1].count));
    js_set(root, "classes", js_int(config->classes));
    js_set(root, "seed", js_int(config->seed));
    js_set(root, "elapsed_s", js_num(seconds));
    js_set(root, "records_per_s", js_num(seconds > 0 ? (double)total / seconds : 0));
    if (config->json) {
        text = js_dump(root, 2);
        if (!text)
            return base_fail_memory(err, 0, "the report");
        puts(text);
        return 0;
    }
    printf("%s: %" PRIu64 " train and %" PRIu64 " test record%s of %" PRId64
           " class%s as %s, in %.1f s\n",
           config->out, job->split[0].count, job->split[1].count, text_s(job->split[1].count),
           config->classes, config->classes == 1 ? "" : "es", job->format->name, seconds);
    there.root = config->out;
    for (int s = 0; s < 2; s++) {
        char line[OPIML_TEXT_MAX + 256];

        if (!job->split[s].count)
            continue;
        job->format->describe(&there, &job->split[s], line, sizeof(line));
        printf("  in a pipeline file here: dataset: %s\n", line);
    }
    return 0;
}

static int find_kind(const char *name, const struct kind **ret_kind, struct opiml_error *err) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_kind = &kinds[i];
            return 0;
        }
    }
    return opiml_fail(err, OPIML_EINVAL,
                      "make what? \"images\", \"table\", \"payments\" or \"volumes\", not \"%s\"",
                      name);
}

static int find_format(const struct make_config *config, const struct kind *kind,
                       const struct make_format **ret_format, struct opiml_error *err) {
    char names[] = FORMATS, *rest = names, *name = NULL;

    for (uint32_t i = 0; i < config->format; i++)
        name = strsep(&rest, "|");
    for (const struct make_format *format = kind->formats; format->name; format++) {
        if (!name || strcmp(format->name, name) == 0) {
            *ret_format = format;
            return 0;
        }
    }
    return opiml_fail(err, OPIML_EINVAL, "%s cannot be stored as %s; there is %s", kind->name, name,
                      kind->stored_as);
}

/* An option's number, or the kind's where it is not given. */
static int find_number(const struct kind *kind, const char *option, int64_t given, int64_t preset,
                       int64_t least, int64_t most, int64_t *number, struct opiml_error *err) {
    *number = given < 0 ? preset : given;
    if (*number < least || *number > most)
        return opiml_fail(err, OPIML_EINVAL, "--%s: %s have %" PRId64 " to %" PRId64, option,
                          kind->name, least, most);
    return 0;
}

static int find_numbers(struct make_config *config, const struct kind *kind,
                        struct opiml_error *err) {
    int rc =
        find_number(kind, "count", config->count, kind->count, 1, 1000000000, &config->count, err);

    if (rc < 0 || (rc = find_number(kind, "classes", config->classes, kind->classes, 2,
                                    kind->classes_most, &config->classes, err)) < 0)
        return rc;
    return find_number(kind, "size", config->size, kind->size, kind->size_least, kind->size_most,
                       &config->size, err);
}

/* The first K shapes, in the order in which a folder lists their names: labels are the same in
 * every format. */
static void choose_shapes(struct make_conf *conf) {
    for (uint32_t k = 0; k < conf->classes; k++) {
        uint32_t at = k;

        for (; at > 0 && strcmp(shape_name(conf->shape[at - 1]), shape_name(k)) > 0; at--)
            conf->shape[at] = conf->shape[at - 1];
        conf->shape[at] = k;
    }
}

static int make_run(struct call *call, struct opiml_error *err) {
    struct make_config given = *(const struct make_config *)call->config;
    const struct make_config *config = &given;
    const struct kind *kind = NULL;
    const struct make_format *format = NULL;
    CLEANUP(remove_tree) char *root = NULL;
    struct make_conf conf;
    struct job job = {.lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t start = clock_now_ns();
    int rc;

    if ((rc = find_kind(call->args[0], &kind, err)) < 0 ||
        (rc = find_format(config, kind, &format, err)) < 0 ||
        (rc = find_numbers(&given, kind, err)) < 0 || (rc = make_root(config->out, &root, err)) < 0)
        return rc;
    conf = (struct make_conf){.seed = (uint64_t)config->seed,
                              .classes = (uint32_t)config->classes,
                              .size = (uint32_t)config->size,
                              .fields = (uint32_t)config->fields,
                              .root = root};
    choose_shapes(&conf);
    signals_catch(NULL, NULL);
    rc = make_all(config, &conf, format, &job, err);
    signals_release();
    if (rc < 0)
        return rc;
    if (rename(root, config->out) < 0)
        return base_fail_errno(err, errno, "%s", config->out);
    base_free(TAKE(root));
    return report(config, &job, (double)(clock_now_ns() - start) / 1e9, err);
}

const struct verb verb_data_make = {
    .name = "data make",
    .args = "images|table|payments|volumes",
    .help = "Make a synthetic data set: images, a table, or volumes",
    .about =
        "`images` renders JPEG images of textured shapes (disc, ring, crescent, triangle, square, "
        "star, cross, arrow, heart, hourglass and six more) in all colours, sizes and poses, "
        "before "
        "a background with gradients, clutter and noise. A small network learns them in minutes, a "
        "linear one does not. `table` makes rows of numbers whose class follows from sums and "
        "products of them. `payments` makes card payments as a database has them, of which some "
        "are "
        "fraud. `volumes` renders bodies in three dimensions, solid ones (class 1), "
        "hollow ones (2, with what is inside) and boxes (3), among bright rods that are neither, "
        "in "
        "noise and uneven light: dim bodies are darker than bright ground, so that no threshold "
        "finds them, and what is inside of a hollow one only its wall tells.\n\n"
        "A record is a pure function of the seed, the split and its number: the same call gives "
        "the "
        "same bytes on every machine, whatever the number of threads. The folder appears when it "
        "is "
        "complete; a call that fails or is stopped leaves nothing behind.\n\n"
        "Formats of images:\n\n"
        "    image-folder   DIR/train/CLASS/NUMBER.jpg and DIR/test/CLASS/NUMBER.jpg\n"
        "    webdataset     DIR/train/NUMBER.tar with 1000 records each\n"
        "    raw            DIR/train.bin: size x size x 3 bytes, then the label as i32\n\n"
        "Formats of a table:\n\n"
        "    csv            DIR/train.csv with a heading: x0,x1,...,label\n"
        "    raw            DIR/train.bin: the numbers as f32, then the label as i32\n\n"
        "Formats of payments:\n\n"
        "    csv            DIR/train.csv with a heading: id,card,...,status,fraud\n"
        "    sqlite         DIR/train.db, where the table is `payments`\n\n"
        "Formats of volumes, u8 of size x size x size each:\n\n"
        "    nifti          DIR/train/images/NUMBER.nii, .../labels/NUMBER.nii\n"
        "    npy            the same as .npy",
    .examples =
        "opiml data make images --out data/shapes\n"
        "10,000 images of 10 classes to train with, 2,000 to test with.\n"
        "opiml data make images --count 250000 --size 64 --format webdataset --out /data/big\n"
        "Shards of 1,000 images.\n"
        "opiml data make table --classes 3 --out data/rows\n"
        "Two CSV files.\n"
        "opiml data make payments --count 100000 --format sqlite --out data/payments\n"
        "Two SQLite files, each with a table of payments.\n"
        "opiml data make volumes --count 100 --size 96 --out data/bodies\n"
        "100 pairs of volumes to train with, 20 to test with.\n",
    .options = make_options,
    .config_bytes = sizeof(struct make_config),
    .args_least = 1,
    .args_most = 1,
    .words = "images|table|payments|volumes",
    .run = make_run,
};
