/* Small things everybody uses: cleanup, sizes, checked memory. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <opiml/error.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

/* A local that cleans itself: CLEANUP(base_close_fd) int fd = -1; */
#define CLEANUP(function) __attribute__((cleanup(function)))
/* Take a pointer out of a variable that would free it. */
#define TAKE(variable)                                                                             \
    ({                                                                                             \
        __auto_type take_ = (variable);                                                            \
        (variable) = NULL;                                                                         \
        take_;                                                                                     \
    })

static inline uint64_t base_align_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}
static inline uint64_t base_min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
static inline uint64_t base_max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Memory. All of opiml allocates here, so that allocations can be counted (the data path makes none
 * in steady state) and failed one by one in tests. NULL when memory is out; size 0 gives a pointer
 * that may be freed. */
void *base_alloc(size_t bytes);                           /* zeroed */
void *base_alloc_array(size_t count, size_t bytes);       /* zeroed; NULL on overflow too */
void *base_realloc(void *old, size_t bytes);              /* the grown part is not zeroed */
void *base_alloc_aligned(size_t bytes, size_t alignment); /* zeroed; free with base_free */
char *base_strdup(const char *text);
char *base_printf(const char *format, ...) OPIML_PRINTF(1, 2);
void base_free(void *memory);
uint64_t base_alloc_count(void); /* allocations so far, by all threads */
/* Between true and false what this thread allocates is not counted: what stands beside the data
 * path, such as the list of bad records. It can be made to fail all the same. */
void base_alloc_aside(bool on);
/* What the libraries that decode took themselves, as far as their wrappers see it; by all threads
 * so far. Counted beside opiml's own, which it does not add to. */
struct base_taken {
    uint64_t count, bytes;
};
void base_library_took(struct base_taken taken);
struct base_taken base_library_taken(void);
/* Tests: let allocation number n from now fail (once); 0 switches off. */
void base_alloc_fail_at(uint64_t n);

/* For CLEANUP. */
void base_free_at(void *pointer_to_pointer);
void base_close_fd(int *fd);
void base_close_file(FILE **file);
#define AUTO_FREE CLEANUP(base_free_at)
#define AUTO_FD CLEANUP(base_close_fd)
#define AUTO_FILE CLEANUP(base_close_file)

/* opiml_fail with the text of errno at the end; maps errno to a code. Returns the code. */
int base_fail_errno(struct opiml_error *err, int errnum, const char *format, ...)
    OPIML_PRINTF(3, 4);
/* OPIML_ENOMEM with a message that names what was asked for. */
int base_fail_memory(struct opiml_error *err, uint64_t bytes, const char *what);

#endif
