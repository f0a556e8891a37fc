/* Arenas: memory that is sized once, shared by file descriptor and never grows. */
#ifndef BATCH_ARENA_H
#define BATCH_ARENA_H

#include <fcntl.h>

#include "base/base.h"

/* Nobody can resize it, take pages from it, or map it to write but for who made it. */
#define ARENA_SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

struct arena {
    uint8_t *at;
    uint64_t bytes, used;
    int fd; /* a sealed memfd, to be passed to another process, who can only read; -1: private */
};

/* A shared arena: an anonymous memfd whose pages are all reserved now, so that a full machine gives
 * OPIML_ENOMEM here and never SIGBUS later; sealed as ARENA_SEALS say. */
int arena_init_shared(struct arena *arena, uint64_t bytes, const char *name,
                      struct opiml_error *err);
/* A private arena: address space whose pages come at first touch, for worst-case scratch. */
int arena_init_private(struct arena *arena, uint64_t bytes, struct opiml_error *err);
/* The same of large pages where the kernel has them, for memory that will be used all: devices
 * write to it in larger steps. OPIML_ENOMEM when less is available. */
int arena_init_pages(struct arena *arena, uint64_t bytes, struct opiml_error *err);
void arena_release(struct arena *arena); /* {0} and released arenas are fine */
/* The next `bytes`, aligned (a power of two). Set-up time only; asserts that they are there. */
void *arena_take(struct arena *arena, uint64_t bytes, uint64_t alignment);

/* The kernel's estimate of what can be had without swapping; UINT64_MAX when it does not say.
 * Reserving more would not fail: it would wake the out-of-memory killer. */
uint64_t arena_available_bytes(void);

#endif
