/* Stands in for libFuzzer where the compiler has none: runs a target over the files given, or over
 * all files of the folders given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    long size;
    uint8_t *data;

    if (!file || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0) {
        perror(path);
        return -1;
    }
    rewind(file);
    /* Exactly the size, so that a sanitizer sees a read past the end. */
    data = malloc((size_t)size + (size == 0));
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        return -1;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

static int replay(const char *path) {
    struct dirent *entry;
    struct stat info;
    int count = 0;
    DIR *folder;

    if (stat(path, &info) < 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(info.st_mode))
        return replay_file(path);
    folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        char child[4096];
        int rc;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        rc = replay(child);
        if (rc < 0)
            return rc;
        count += rc;
    }
    if (folder)
        closedir(folder);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;

    for (int i = 1; i < argc; i++) {
        int rc = replay(argv[i]);

        if (rc < 0)
            return 1;
        count += rc;
    }
    printf("%d inputs replayed\n", count);
    return count == 0; /* a corpus that is not there must not pass */
}
