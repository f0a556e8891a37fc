/* Building and opening the index of a folder of many small files: 60,000 unless told otherwise,
 * made below TMPDIR in ten class folders and removed again. All is in the page cache.
 *
 *   bench_index [FILES [ROUNDS]] */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataset/dataset.h"

#define CLASSES 10

static void die(const char *what) {
    fprintf(stderr, "bench_index: %s\n", what);
    exit(1);
}

static char *make_folder(uint32_t files) {
    const char *base = getenv("TMPDIR");
    char *folder = base_printf("%s/opiml-bench-XXXXXX", base ? base : "/tmp"), path[4096];

    if (!folder || !mkdtemp(folder))
        die("cannot make a folder in TMPDIR");
    for (uint32_t i = 0; i < files; i++) {
        uint32_t in_class = (files + CLASSES - 1) / CLASSES;

        snprintf(path, sizeof(path), "%s/class%u", folder, i / in_class);
        if (i % in_class == 0 && mkdir(path, 0755) < 0)
            die(path);
        snprintf(path, sizeof(path), "%s/class%u/image%06u.jpg", folder, i / in_class, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0 || write(fd, path, 20) != 20 || close(fd) < 0)
            die(path);
    }
    return folder;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where) {
    return remove(path);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Seconds of one dataset_open; with `anew` the index is built. */
static double open_once(const char *folder, bool anew, uint32_t files) {
    AUTO_FREE char *text = base_printf("{uri: \"%s\", format: image-folder, index: %s}", folder,
                                       anew ? "rebuild" : "auto");
    AUTO_YAML struct yaml *yaml = NULL;
    struct dataset *dataset;
    struct opiml_error err;

    if (!text || yaml_parse(text, strlen(text), "bench", &yaml, &err) < 0)
        die("out of memory");
    uint64_t begin = clock_now_ns();
    if (dataset_open(yaml, yaml->root, &dataset, &err) < 0)
        die(err.message);
    double seconds = (double)(clock_now_ns() - begin) / 1e9;
    if (dataset_count(dataset) != files)
        die("records are missing");
    dataset_close(dataset);
    return seconds;
}

static void measure(const char *folder, bool anew, uint32_t files, uint32_t rounds) {
    AUTO_FREE double *seconds = base_alloc_array(rounds, sizeof(*seconds));

    if (!seconds)
        die("out of memory");
    for (uint32_t i = 0; i < rounds; i++)
        seconds[i] = open_once(folder, anew, files);
    qsort(seconds, rounds, sizeof(*seconds), by_value);
    if (anew)
        printf("build: %.0f files/s median of %u (%.0f to %.0f), %.1f ms each\n",
               files / seconds[rounds / 2], rounds, files / seconds[rounds - 1], files / seconds[0],
               seconds[rounds / 2] * 1e3);
    else
        printf("open:  %.2f ms median of %u (%.2f to %.2f)\n", seconds[rounds / 2] * 1e3, rounds,
               seconds[0] * 1e3, seconds[rounds - 1] * 1e3);
}

int main(int argc, char **argv) {
    long files = argc > 1 ? atol(argv[1]) : 60000, rounds = argc > 2 ? atol(argv[2]) : 11;

    if (files < 1 || files > 10000000 || rounds < 1 || rounds > 1000)
        die("usage: bench_index [FILES [ROUNDS]]");
    char *folder = make_folder((uint32_t)files);

    printf("%ld files in %d folders, warm\n", files, CLASSES);
    nanosleep(&(struct timespec){.tv_nsec = 100000000},
              NULL); /* an index this fresh is not trusted */
    open_once(folder, true, (uint32_t)files);
    measure(folder, true, (uint32_t)files, (uint32_t)rounds);
    measure(folder, false, (uint32_t)files, (uint32_t)rounds);
    if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        die(folder);
    base_free(folder);
    return 0;
}
