/* Checked, counted memory and errno. */
#include "base/base.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic uint64_t allocations, library_allocations, library_bytes;
static _Atomic uint64_t fail_at;     /* countdown; 0: off */
static _Thread_local uint32_t aside; /* how deep */

/* Whether this allocation is the one that a test wants to see fail. */
static bool must_fail(void) {
    uint64_t left = atomic_load_explicit(&fail_at, memory_order_relaxed);

    if (!aside)
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&fail_at, &left, left - 1))
            return left == 1;
    return false;
}

void *base_alloc(size_t bytes) {
    return must_fail() ? NULL : calloc(1, bytes ? bytes : 1);
}

void *base_alloc_array(size_t count, size_t bytes) {
    size_t total;

    return __builtin_mul_overflow(count, bytes, &total) ? NULL : base_alloc(total);
}

void *base_realloc(void *old, size_t bytes) {
    return must_fail() ? NULL : realloc(old, bytes ? bytes : 1);
}

void *base_alloc_aligned(size_t bytes, size_t alignment) {
    void *memory = NULL;

    bytes = bytes ? bytes : 1;
    alignment =
        alignment < sizeof(void *) ? sizeof(void *) : alignment; /* as posix_memalign wants */
    if (must_fail() || bytes > PTRDIFF_MAX || posix_memalign(&memory, alignment, bytes) != 0)
        return NULL;
    memset(memory, 0, bytes);
    return memory;
}

char *base_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = base_alloc(bytes);

    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

char *base_printf(const char *format, ...) {
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = length < 0 ? NULL : base_alloc((size_t)length + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

void base_free(void *memory) {
    free(memory);
}

uint64_t base_alloc_count(void) {
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}

void base_alloc_aside(bool on) {
    assert(on || aside > 0);
    aside += on ? 1 : -1u;
}

void base_library_took(struct base_taken taken) {
    if (taken.count == 0)
        return;
    atomic_fetch_add_explicit(&library_allocations, taken.count, memory_order_relaxed);
    atomic_fetch_add_explicit(&library_bytes, taken.bytes, memory_order_relaxed);
}

struct base_taken base_library_taken(void) {
    return (struct base_taken){atomic_load_explicit(&library_allocations, memory_order_relaxed),
                               atomic_load_explicit(&library_bytes, memory_order_relaxed)};
}

void base_alloc_fail_at(uint64_t n) {
    atomic_store(&fail_at, n);
}

void base_free_at(void *pointer_to_pointer) {
    base_free(*(void **)pointer_to_pointer);
}

void base_close_fd(int *fd) {
    int saved = errno; /* cleanup runs behind a failure whose errno may still be wanted */

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

void base_close_file(FILE **file) {
    int saved = errno;

    if (*file)
        fclose(*file);
    errno = saved;
}

static int code_of_errno(int errnum) {
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return OPIML_ENOENT;
    case EEXIST:
    case ENOTEMPTY: return OPIML_EEXIST;
    case EACCES:
    case EPERM:
    case EROFS: return OPIML_EACCES;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return OPIML_ENOSPC;
    case ENOMEM: return OPIML_ENOMEM;
    case EMFILE:
    case ENFILE: return OPIML_ELIMIT;
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP: return OPIML_EINVAL;
    case EAGAIN:
    case EBUSY: return OPIML_EBUSY;
    case ENODEV:
    case ENXIO: return OPIML_ENODEV;
    case ECANCELED: return OPIML_ECANCELED;
    case ETIMEDOUT: return OPIML_ETIMEDOUT;
    case ENOSYS:
    case EOPNOTSUPP: return OPIML_ENOTSUP;
    case ESTALE: return OPIML_ESTALE;
    default: return OPIML_EIO;
    }
}

int base_fail_errno(struct opiml_error *err, int errnum, const char *format, ...) {
    char line[sizeof(err->message)], why[128];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return opiml_fail(err, code_of_errno(errnum), "%.800s: %s", line,
                      strerror_r(errnum, why, sizeof(why)));
}

int base_fail_memory(struct opiml_error *err, uint64_t bytes, const char *what) {
    return opiml_fail(err, OPIML_ENOMEM, "out of memory: %" PRIu64 " bytes for %s", bytes, what);
}
