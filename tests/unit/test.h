/* What every unit test needs: cmocka in its required order, and a folder of its own. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A fresh folder below $TMPDIR; free with test_folder_remove. */
static inline char *test_folder(void) {
    const char *base = getenv("TMPDIR");
    char *path = NULL;

    if (asprintf(&path, "%s/opiml-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path))
        abort();
    return path;
}

static inline int test_remove_one(const char *path, const struct stat *info, int kind,
                                  struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static inline void test_folder_remove(char *path) {
    nftw(path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

/* Write a file below a folder; folders in `name` must exist. */
static inline void test_write(const char *folder, const char *name, const void *data,
                              size_t bytes) {
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
        abort();
}

#endif
