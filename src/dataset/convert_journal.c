/* The journal of a conversion: lines of JSON, of which a kill may leave the last one torn. */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "dataset/convert_job.h"
#include "dataset/write_file.h"

#define JOURNAL_BYTES_MAX MIB(256)

static void format_shard(struct text *to, uint64_t number, const struct convert_shard *shard) {
    text_printf(to,
                "{\"shard\": %" PRIu64 ", \"records\": %" PRIu64 ", \"digest\": \"%016" PRIx64
                "%016" PRIx64 "\"}\n",
                number, shard->kept, shard->digest.high, shard->digest.low);
}

/* False for a line that is none of ours. */
static bool read_shard(const char *line, size_t bytes, struct convert_shard *shards,
                       uint64_t count) {
    AUTO_JS struct js *value = NULL;
    struct opiml_error ignored;
    if (js_parse(line, bytes, &value, &ignored) < 0)
        return false;
    int64_t number = js_as_int(js_get(value, "shard"), -1);
    int64_t records = js_as_int(js_get(value, "records"), -1);
    const char *digest = js_as_text(js_get(value, "digest"), "");
    unsigned long long high, low;
    if (number < 0 || (uint64_t)number >= count || records < 0 ||
        (uint64_t)records > shards[number].count || strlen(digest) != 32 ||
        sscanf(digest, "%16llx%16llx", &high, &low) != 2)
        return false;
    struct convert_shard *shard = &shards[number];
    shard->kept = (uint64_t)records;
    shard->digest = (struct hash128){.low = low, .high = high};
    shard->done = shard->resumed = true;
    return true;
}

bool convert_journal_parse(const char *data, size_t bytes, const char *head,
                           struct convert_shard *shards, uint64_t count, size_t *ret_whole) {
    size_t at = strlen(head);
    *ret_whole = 0;
    if (bytes < at) /* killed at its first line? */
        return memcmp(data, head, bytes) == 0;
    if (memcmp(data, head, at) != 0)
        return false;
    for (;;) {
        const char *stop = memchr(data + at, '\n', bytes - at);
        size_t length = stop ? (size_t)(stop - data) - at : 0;
        if (!stop || !read_shard(data + at, length, shards, count))
            break;
        at += length + 1;
    }
    *ret_whole = at;
    return true;
}

/* The first difference between two first lines, for those who have to choose how to go on. */
static const char *what_differs(const char *data, size_t bytes, const char *head) {
    static const struct {
        const char *key, *what;
    } keys[] = {{"convert", "of another version of opiml"},
                {"from", "of another source"},
                {"from_format", "read in another format"},
                {"from_parameters", "read in another way"},
                {"to_format", "into another format"},
                {"fields", "with other --fields"},
                {"options", "with another --set"},
                {"shard_records", "with another --shard-records"},
                {"shard_bytes", "with another --shard-bytes"}};
    AUTO_JS struct js *then = NULL, *now = NULL;
    const char *stop = memchr(data, '\n', bytes);
    struct opiml_error ignored;
    if (!stop || js_parse(data, (size_t)(stop - data), &then, &ignored) < 0 ||
        js_parse(head, strlen(head), &now, &ignored) < 0)
        return "of another kind";
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        AUTO_FREE char *one = js_dump(js_get(then, keys[i].key), 0);
        AUTO_FREE char *other = js_dump(js_get(now, keys[i].key), 0);
        if (one && other && strcmp(one, other) != 0)
            return keys[i].what;
    }
    return "of the source as it was before it changed";
}

static int read_lines(const char *path, const char *head, struct convert_shard *shards,
                      uint64_t count, size_t *ret_whole, struct opiml_error *err) {
    AUTO_FREE char *data = NULL;
    size_t bytes;
    int rc = file_read(path, JOURNAL_BYTES_MAX, &data, &bytes, err);
    if (rc < 0)
        return rc;
    return convert_journal_parse(data, bytes, head, shards, count, ret_whole)
               ? 0
               : opiml_fail(err, OPIML_EEXIST,
                            "%s: the folder holds a conversion %s; --overwrite starts over, and "
                            "another folder keeps it",
                            path, what_differs(data, bytes, head));
}

int convert_journal_open(struct convert_journal *journal, const char *root, const char *head,
                         struct convert_shard *shards, uint64_t count, struct opiml_error *err) {
    size_t whole = 0;
    journal->path = base_printf("%s/" CONVERT_JOURNAL, root);
    if (!journal->path)
        return base_fail_memory(err, strlen(root), "a path");
    journal->fd = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (journal->fd < 0)
        return base_fail_errno(err, errno, "%s: cannot be written", journal->path);
    if (flock(journal->fd, LOCK_EX | LOCK_NB) < 0)
        return opiml_fail(err, OPIML_EBUSY, "%s: another process is converting into it", root);
    int rc = read_lines(journal->path, head, shards, count, &whole, err);
    if (rc < 0)
        return rc;
    if (ftruncate(journal->fd, (off_t)whole) < 0 || lseek(journal->fd, 0, SEEK_END) < 0)
        return base_fail_errno(err, errno, "%s", journal->path);
    if (whole == 0)
        rc = file_pwrite(journal->fd, head, strlen(head), 0, journal->path, err);
    if (rc == 0 && fsync(journal->fd) < 0)
        return base_fail_errno(err, errno, "%s: syncing", journal->path);
    return rc;
}

int convert_journal_add(struct convert_journal *journal, uint64_t number,
                        const struct convert_shard *shard, struct opiml_error *err) {
    AUTO_TEXT struct text line = {0};
    format_shard(&line, number, shard);
    if (line.failed)
        return base_fail_memory(err, line.count, "a line");
    pthread_mutex_lock(&journal->lock);
    off_t end = lseek(journal->fd, 0, SEEK_END);
    int rc = end < 0
                 ? base_fail_errno(err, errno, "%s", journal->path)
                 : file_pwrite(journal->fd, line.at, line.count, (uint64_t)end, journal->path, err);
    if (rc == 0 && fdatasync(journal->fd) < 0)
        rc = base_fail_errno(err, errno, "%s: syncing", journal->path);
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

int convert_journal_rewrite(struct convert_journal *journal, const char *head,
                            const struct convert_shard *shards, uint64_t count,
                            struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    text_add(&text, head);
    for (uint64_t i = 0; i < count; i++)
        if (shards[i].done)
            format_shard(&text, i, &shards[i]);
    return text.failed ? base_fail_memory(err, text.count, "a journal")
                       : write_file_whole(journal->path, text.at, text.count, err);
}

void convert_journal_release(struct convert_journal *journal) {
    if (journal->fd >= 0)
        close(journal->fd);
    base_free(TAKE(journal->path));
    journal->fd = -1;
}

char *convert_journal_labels(const char *path) {
    AUTO_JS struct js *head = NULL;
    AUTO_FREE char *data = NULL;
    struct opiml_error ignored;
    size_t bytes = 0;
    if (file_read(path, JOURNAL_BYTES_MAX, &data, &bytes, &ignored) == 0)
        js_parse(data, strcspn(data, "\n"), &head, &ignored);
    const char *labels = js_as_text(js_get(head, "labels"), "");
    return base_strdup(strchr(labels, '/') ? "" : labels);
}
