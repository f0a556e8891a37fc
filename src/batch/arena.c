/* Arenas. */
#include "batch/arena.h"

#include <sys/mman.h>
#include <unistd.h>

uint64_t arena_available_bytes(void) {
    AUTO_FILE FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kib;

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            return kib << 10;
    return UINT64_MAX;
}

static int check_available(uint64_t bytes, const char *what, struct opiml_error *err) {
    uint64_t available = arena_available_bytes();

    if (bytes > available)
        return opiml_fail(err, OPIML_ENOMEM,
                          "%s of %" PRIu64 " MiB is more than the %" PRIu64
                          " MiB that are available: lower `pool`",
                          what, bytes >> 20, available >> 20);
    return 0;
}

static int map_sealed(struct arena *arena, int fd, uint64_t bytes, struct opiml_error *err) {
    int rc = check_available(bytes, "a shared arena", err);

    if (rc < 0)
        return rc;
    if (ftruncate(fd, (off_t)bytes) < 0)
        return base_fail_errno(err, errno, "sizing a shared arena of %" PRIu64 " bytes", bytes);
    /* Reserve every page: a later fault on a full tmpfs would be a SIGBUS in the middle of a copy.
     */
    do
        rc = posix_fallocate(fd, 0, (off_t)bytes);
    while (rc == EINTR);
    if (rc != 0)
        return opiml_fail(err, OPIML_ENOMEM,
                          "no memory for a shared arena of %" PRIu64
                          " bytes: %s (lower `pool`, or free memory)",
                          bytes, strerror(rc));
    arena->at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (arena->at == MAP_FAILED) {
        arena->at = NULL;
        return base_fail_errno(err, errno, "mapping a shared arena of %" PRIu64 " bytes", bytes);
    }
    if (fcntl(fd, F_ADD_SEALS, ARENA_SEALS) < 0) {
        rc = base_fail_errno(err, errno, "sealing a shared arena");
        munmap(arena->at, bytes);
        return rc;
    }
    return 0;
}

int arena_init_shared(struct arena *arena, uint64_t bytes, const char *name,
                      struct opiml_error *err) {
    int rc;

    memset(arena, 0, sizeof(*arena));
    bytes = base_align_up(base_max_u64(bytes, 1), 4096);
    arena->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (arena->fd < 0)
        return base_fail_errno(err, errno, "memfd_create for a shared arena");
    rc = map_sealed(arena, arena->fd, bytes, err);
    if (rc < 0) {
        close(arena->fd);
        memset(arena, 0, sizeof(*arena));
        return rc;
    }
    arena->bytes = bytes;
    return 0;
}

int arena_init_private(struct arena *arena, uint64_t bytes, struct opiml_error *err) {
    void *at;

    memset(arena, 0, sizeof(*arena));
    bytes = base_align_up(base_max_u64(bytes, 1), 4096);
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
              0);
    if (at == MAP_FAILED)
        return base_fail_errno(err, errno, "mapping %" PRIu64 " bytes of scratch", bytes);
    arena->at = at;
    arena->bytes = bytes;
    arena->fd = -1;
    return 0;
}

int arena_init_pages(struct arena *arena, uint64_t bytes, struct opiml_error *err) {
    int rc;

    memset(arena, 0, sizeof(*arena));
    rc = check_available(bytes, "an arena", err);
    if (rc == 0)
        rc = arena_init_private(arena, bytes, err);
    if (rc == 0)
        madvise(arena->at, arena->bytes, MADV_HUGEPAGE); /* ordinary ones do as well */
    return rc;
}

void arena_release(struct arena *arena) {
    if (!arena->at)
        return;
    munmap(arena->at, arena->bytes);
    if (arena->fd >= 0)
        close(arena->fd);
    memset(arena, 0, sizeof(*arena));
}

void *arena_take(struct arena *arena, uint64_t bytes, uint64_t alignment) {
    uint64_t start = base_align_up(arena->used, alignment);

    assert(start + bytes <= arena->bytes);
    arena->used = start + bytes;
    return arena->at + start;
}
