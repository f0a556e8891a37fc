/* How fast a folder's disk is read. */
#include "pipeline/disk_speed.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "pipeline/measured.h"

#define BLOCK MIB(4)
#define ALIGNMENT 4096 /* of what is read past the page cache */
#define NAME "a file to measure a disk by"

/* Noise: a file system that packs what it is given would not read it all again. */
static int write_noise(int fd, uint32_t *block, struct opiml_error *err) {
    struct opiml_rng rng;

    rng_init(&rng, 1, 0, 0, 0);
    for (uint64_t done = 0; done < DISK_SPEED_BYTES; done += BLOCK) {
        int rc;

        rng_fill(&rng, block, BLOCK / sizeof(*block));
        if ((rc = file_pwrite(fd, block, BLOCK, done, NAME, err)) < 0)
            return rc;
    }
    return fsync(fd) < 0 ? base_fail_errno(err, errno, NAME) : 0;
}

static int read_back(int fd, uint32_t *block, double *ret_bytes_per_s, struct opiml_error *err) {
    uint64_t start = clock_now_ns();

    for (uint64_t at = 0; at < DISK_SPEED_BYTES; at += BLOCK) {
        int64_t bytes = file_pread(fd, block, BLOCK, at, NAME, err);

        if (bytes != BLOCK)
            return bytes < 0 ? (int)bytes : opiml_fail(err, OPIML_EIO, NAME ": it ends early");
    }
    *ret_bytes_per_s = DISK_SPEED_BYTES * 1e9 / (double)(clock_now_ns() - start + 1);
    return 0;
}

int disk_speed_measure(const char *folder, double *ret_bytes_per_s, struct opiml_error *err) {
    AUTO_FREE uint32_t *block = base_alloc_aligned(BLOCK, ALIGNMENT);
    AUTO_FD int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int rc;

    if (!block)
        return base_fail_memory(err, BLOCK, NAME);
    if (fd < 0)
        return base_fail_errno(err, errno, "%s", folder);
    if ((rc = write_noise(fd, block, err)) < 0)
        return rc;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* for where the next line does nothing */
    fcntl(fd, F_SETFL, O_DIRECT);
    return read_back(fd, block, ret_bytes_per_s, err);
}

static bool find(const char *name, double *ret_bytes_per_s) {
    double age_s;
    AUTO_JS struct js *value = measured_find(name, DISK_SPEED_AGE_S, &age_s);

    *ret_bytes_per_s = js_as_num(js_get(value, "bytes_per_s"), 0);
    return *ret_bytes_per_s > 0 && *ret_bytes_per_s < 1e15;
}

double disk_speed_recall(const char *folder, bool anew) {
    char name[MEASURED_NAME_BYTES];
    double bytes_per_s;
    struct js *value;

    snprintf(name, sizeof(name), "disk %016" PRIx64 " %016" PRIx64,
             hash_64(folder, strlen(folder), 0), measured_machine());
    if (!anew && find(name, &bytes_per_s))
        return bytes_per_s;
    if (file_make_folders(folder, NULL) < 0 || disk_speed_measure(folder, &bytes_per_s, NULL) < 0)
        return 0;
    value = js_object();
    js_set(value, "bytes_per_s", js_num(bytes_per_s));
    measured_put(name, value);
    return bytes_per_s;
}
