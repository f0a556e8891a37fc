#include "dataset/convert.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/json.h"
#include "dataset/convert_job.h"
#include "dataset/index.h"
#include "dataset/parallel.h"
#include "dataset/write_file.h"

#define SHARDS_PRESET 32 /* as many, unless their size says otherwise */
#define SHARD_BYTES_LEAST MIB(4)
#define SHARD_BYTES_MOST MIB(128)
#define LOOSE_RECORDS 1000 /* of a shard whose records are files */
#define SCAN_RECORDS 1024
#define HEAD_VERSION 2

/* ---- shards ---- */

static uint64_t record_bytes(const struct dataset *dataset, uint64_t record) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        dataset_locate(dataset, record, i, &extent);
        bytes += extent.bytes;
    }
    return bytes;
}

/* Of a shard when nobody says: of the data alone, so that the same data are cut alike everywhere.
 */
static uint64_t preset_bytes(const struct dataset *dataset) {
    uint64_t total = 0;
    for (uint64_t i = 0; i < dataset_count(dataset); i++)
        total += record_bytes(dataset, i);
    return base_min_u64(base_max_u64(total / SHARDS_PRESET, SHARD_BYTES_LEAST), SHARD_BYTES_MOST);
}

/* Cut the records where a shard has as many records or bytes as it may; with `shards` NULL count
 * only. */
static uint64_t cut(const struct convert_job *job, struct convert_shard *shards) {
    const struct convert_ask *ask = job->ask;
    uint64_t most = ask->shard_records ? ask->shard_records
                    : job->plan.loose  ? LOOSE_RECORDS
                                       : UINT64_MAX;
    uint64_t most_bytes = ask->shard_bytes ? ask->shard_bytes : UINT64_MAX;
    uint64_t count = 0, first = 0, bytes = 0, total = dataset_count(ask->from);
    if (ask->single)
        most = most_bytes = UINT64_MAX;
    else if (!ask->shard_bytes && !ask->shard_records)
        most_bytes = preset_bytes(ask->from);
    for (uint64_t i = 0; i < total; i++) {
        uint64_t more = most_bytes == UINT64_MAX ? 0 : record_bytes(ask->from, i);
        if (i > first && (i - first >= most || bytes + more > most_bytes)) {
            if (shards)
                shards[count] = (struct convert_shard){.first = first, .count = i - first};
            count++;
            first = i;
            bytes = 0;
        }
        bytes += more;
    }
    if (shards)
        shards[count] = (struct convert_shard){.first = first, .count = total - first};
    return count + 1;
}

static int make_shards(struct convert_job *job, struct opiml_error *err) {
    job->shard_count = cut(job, NULL);
    if (job->shard_count > WRITE_SHARDS_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "%" PRIu64 " shards; larger ones, please: there are at most %d",
                          job->shard_count, WRITE_SHARDS_MAX);
    job->shards = base_alloc_array(job->shard_count, sizeof(*job->shards));
    if (!job->shards)
        return base_fail_memory(err, job->shard_count * sizeof(*job->shards), "shards");
    cut(job, job->shards);
    return 0;
}

/* A bad record where none may be. What the format cannot hold is one, as it is with a budget. */
static int fail_bad(const struct opiml_error *why, struct opiml_error *err) {
    return opiml_fail(err, why->code == OPIML_EINVAL ? OPIML_ECORRUPT : why->code,
                      "%s; --budget leaves such records out, up to a share or a count",
                      why->message);
}

/* ---- classes ---- */

struct labels {
    struct convert_job *job;
    uint32_t field; /* of the dataset */
    _Atomic uint32_t most;
};

static int scan_labels(void *context, size_t chunk, struct opiml_error *err) {
    CLEANUP(convert_record_release) struct convert_record record = {0};
    struct labels *labels = context;
    const struct dataset *from = labels->job->ask->from;
    uint64_t first = chunk * SCAN_RECORDS;
    uint64_t end = base_min_u64(first + SCAN_RECORDS, dataset_count(from));
    for (uint64_t i = first; i < end; i++) {
        struct opiml_error why, told;
        int32_t label;
        int rc = convert_record_read(&record, from, i, &why);
        if (convert_is_bad(rc))
            continue; /* counted when it is to be written */
        if (rc < 0)
            return opiml_fail(err, rc, "%s", why.message);
        memcpy(&label, record.values[labels->field].data, sizeof(label));
        if (label < 0 || label >= INDEX_CLASSES_MAX) {
            if (labels->job->budget > 0)
                continue;
            opiml_fail(&why, OPIML_EINVAL, "label %d is no class's number, from 0 to %d",
                       (int)label, INDEX_CLASSES_MAX - 1);
            convert_record_fail(from, i, &why, &told);
            return fail_bad(&told, err);
        }
        uint32_t most = atomic_load(&labels->most);
        while ((uint32_t)label + 1 > most &&
               !atomic_compare_exchange_weak(&labels->most, &most, (uint32_t)label + 1))
            ;
    }
    return 0;
}

/* The source's names, or numbers of as many digits as the largest label has. */
static int name_classes(struct convert_job *job, struct opiml_error *err) {
    const struct dataset *from = job->ask->from;
    int field = opiml_schema_find(&job->fields.schema, "label");
    struct labels labels = {.job = job, .field = job->fields.from[field]};
    uint32_t count = 0;
    while (dataset_class(from, count))
        count++;
    bool named = count > 0;
    if (!named) {
        int rc = parallel_do((dataset_count(from) + SCAN_RECORDS - 1) / SCAN_RECORDS,
                             job->ask->threads, scan_labels, &labels, err);
        if (rc < 0)
            return rc;
        count = atomic_load(&labels.most);
    }
    job->classes = base_alloc_array(count, sizeof(*job->classes));
    if (!job->classes)
        return base_fail_memory(err, count * sizeof(*job->classes), "classes");
    job->plan.classes = (const char *const *)job->classes;
    job->plan.class_count = count;
    int digits = snprintf(NULL, 0, "%u", count > 0 ? count - 1 : 0);
    for (uint32_t k = 0; k < count; k++) {
        job->classes[k] =
            named ? base_strdup(dataset_class(from, k)) : base_printf("%0*u", digits, k);
        if (!job->classes[k])
            return base_fail_memory(err, count, "classes");
    }
    return 0;
}

/* ---- the destination ---- */

/* All but the journal, by which what a kill leaves is known for a conversion's. */
static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    bool journal = walk->level == 1 && strcmp(path + walk->base, CONVERT_JOURNAL) == 0;
    return walk->level == 0 || journal ? 0 : remove(path);
}

/* 1: nothing is there, or an empty folder; 2: one with a journal. */
static int look_at_folder(const char *path, struct opiml_error *err) {
    bool journal = false, other = false;
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT)
        return 1;
    if (!dir)
        return base_fail_errno(err, errno, "%s", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, CONVERT_JOURNAL) == 0)
            journal = true;
        else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            other = true;
    }
    closedir(dir);
    if (other && !journal)
        return opiml_fail(err, OPIML_EEXIST,
                          "%s: it holds other things than a conversion; name a new folder", path);
    return journal ? 2 : 1;
}

/* Of two paths without links. */
static bool is_within(const char *path, const char *folder) {
    size_t bytes = strlen(folder);
    return strncmp(path, folder, bytes) == 0 &&
           (path[bytes] == '\0' || path[bytes] == '/' || folder[bytes - 1] == '/');
}

/* The path without links, as far as it is there. */
static bool resolve(const char *to, char ret_real[PATH_MAX]) {
    AUTO_FREE char *path = base_strdup(to);
    if (!path)
        return false;
    while (!realpath(path[0] ? path : ".", ret_real)) {
        char *slash = strrchr(path, '/');
        if (!slash && !path[0])
            return false;
        if (slash == path && path[1])
            path[1] = '\0';
        else
            *(slash ? slash : path) = '\0';
    }
    return true;
}

/* Whether one of a pattern's files is `to`, by whatever name, or lies in it. */
static bool holds_objects(const struct convert_ask *ask, const char *to) {
    const struct source *source = dataset_source(ask->from);
    struct stat wanted, info;
    if (stat(ask->to, &wanted) < 0)
        return false; /* nothing is there yet */
    for (uint32_t i = 0; i < dataset_objects(ask->from); i++) {
        char real[PATH_MAX];
        AUTO_FREE char *path =
            base_printf("%s/%s", source->local, source->key(source->key_context, i));
        if (!path)
            return true;
        if (realpath(path, real) && is_within(real, to))
            return true;
        if (stat(path, &info) == 0 && info.st_dev == wanted.st_dev && info.st_ino == wanted.st_ino)
            return true;
    }
    return false;
}

/* What is converted is neither written into nor removed to make room: neither lies within the
 * other. A pattern's root is where it begins, beside whose files there may be others. */
static int check_apart(const struct convert_ask *ask, struct opiml_error *err) {
    const struct source *source = dataset_source(ask->from);
    char root[PATH_MAX], to[PATH_MAX];
    if (!source->local || !realpath(source->local, root) || !resolve(ask->to, to))
        return 0;
    if (is_within(to, root) && (!source->pattern || holds_objects(ask, to)))
        return opiml_fail(err, OPIML_EINVAL, "%s lies within the source %s", ask->to, source->uri);
    if (access(ask->to, F_OK) == 0 && is_within(root, to))
        return opiml_fail(err, OPIML_EINVAL, "the source %s lies within %s", source->uri, ask->to);
    return 0;
}

/* By its name: a shard or a record has a number, the rest is known. `labels` is what the journal
 * says that the names of classes lie in. */
static bool is_ours(const FTSENT *entry, const char *labels) {
    const char *name = entry->fts_name;
    if (labels[0] && entry->fts_level == 1 && strcmp(name, labels) == 0)
        return true;
    return strspn(name, "0123456789") >= 6 || strcmp(name, CONVERT_JOURNAL) == 0 ||
           strcmp(name, CONVERT_DATASET) == 0 || text_starts(name, ".opiml-index.") ||
           (name[0] == '.' && text_ends(name, ".partial"));
}

/* Nobody's work goes with what is emptied. */
static int check_no_strangers(const char *root, const char *labels, struct opiml_error *err) {
    char *const roots[] = {(char *)(uintptr_t)root, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int rc = 0;
    if (!walk)
        return base_fail_errno(err, errno, "%s", root);
    for (const FTSENT *entry; rc == 0 && (entry = fts_read(walk));)
        if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP && !is_ours(entry, labels))
            rc =
                opiml_fail(err, OPIML_EEXIST,
                           "%s is not of a conversion, and --overwrite empties the folder: move it "
                           "away, or name another folder",
                           entry->fts_path);
    fts_close(walk);
    return rc;
}

/* Not while somebody is filling it. */
static int empty_folder(const char *root, struct opiml_error *err) {
    AUTO_FREE char *path = base_printf("%s/" CONVERT_JOURNAL, root);
    if (!path)
        return base_fail_memory(err, strlen(root), "a path");
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        return opiml_fail(err, OPIML_EBUSY, "%s: another process is converting into it", root);
    AUTO_FREE char *labels = convert_journal_labels(path);
    int rc = labels ? check_no_strangers(root, labels, err)
                    : base_fail_memory(err, strlen(root), "a journal");
    if (rc < 0)
        return rc;
    if (nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 ||
        (unlink(path) < 0 && errno != ENOENT))
        return base_fail_errno(err, errno, "%s: emptying it", root);
    return 0;
}

static int prepare_folder(struct convert_job *job, struct opiml_error *err) {
    const char *root = job->plan.root;
    int there = look_at_folder(root, err);
    if (there < 0)
        return there;
    int rc = there == 2 && job->ask->overwrite ? empty_folder(root, err) : 0;
    if (rc == 0)
        rc = file_make_folders(root, err);
    if (rc == 0)
        rc = convert_journal_open(&job->journal, root, job->head, job->shards, job->shard_count,
                                  err);
    if (rc == 0 && job->ask->writer->prepare)
        rc = job->ask->writer->prepare(&job->plan, err);
    return rc;
}

static int prepare_file(struct convert_job *job, struct opiml_error *err) {
    struct stat info;
    bool there = lstat(job->to, &info) == 0;
    if (there && !S_ISREG(info.st_mode))
        return opiml_fail(err, OPIML_EEXIST, "%s is there already, and is no regular file",
                          job->to);
    if (there && !job->ask->overwrite)
        return opiml_fail(err, OPIML_EEXIST, "%s is there already; --overwrite replaces it",
                          job->to);
    int rc = convert_stage_open(&job->stage, job->to, err);
    if (rc == 0)
        job->plan.root = job->stage.file;
    return rc;
}

/* The journal's first line: equal only for the same conversion of the same bytes. The budget is not
 * in it: which records are bad does not depend on it. */
static int make_head(struct convert_job *job, struct opiml_error *err) {
    const struct convert_ask *ask = job->ask;
    AUTO_JS struct js *root = js_object();
    AUTO_TEXT struct text options = {0};
    AUTO_FREE char *labels = NULL;
    uint64_t params;
    char number[24];
    int rc = convert_labels_file(job, &labels, err);
    if (rc == 0)
        rc = dataset_params_hash(ask->from, &params, err);
    if (rc < 0)
        return rc;
    for (const struct opiml_param *row = ask->writer->params; row && row->name; row++) {
        text_printf(&options, "%s%s=", options.count ? " " : "", row->name);
        conf_format(row, ask->params, &options);
    }
    js_set(root, "convert", js_int(HEAD_VERSION));
    js_set(root, "from", js_text(dataset_uri(ask->from)));
    js_set(root, "from_format", js_text(dataset_format_name(ask->from)));
    snprintf(number, sizeof(number), "%016" PRIx64, dataset_version(ask->from));
    js_set(root, "from_version", js_text(number));
    snprintf(number, sizeof(number), "%016" PRIx64, params);
    js_set(root, "from_parameters", js_text(number));
    js_set(root, "to_format", js_text(ask->writer->name));
    js_set(root, "options", js_text(options.at ? options.at : ""));
    js_set(root, "fields", js_text(ask->fields ? ask->fields : ""));
    js_set(root, "labels", js_text(labels ? labels : ""));
    js_set(root, "records", js_u64(dataset_count(ask->from)));
    js_set(root, "shard_records", js_u64(ask->shard_records));
    js_set(root, "shard_bytes", js_u64(ask->shard_bytes));
    js_set(root, "shards", js_u64(job->shard_count));
    AUTO_FREE char *line = js_dump(root, 0);
    job->head = line && !options.failed ? base_printf("%s\n", line) : NULL;
    return job->head ? 0 : base_fail_memory(err, 0, "a journal");
}

static int describe(struct convert_job *job, struct opiml_error *err) {
    const struct writer *writer = job->ask->writer;
    const char *slash = strrchr(job->plan.root, '/');
    text_add(&job->dataset, "{uri: ");
    write_quoted(&job->dataset, !job->plan.single ? "." : slash ? slash + 1 : job->plan.root);
    text_printf(&job->dataset, ", format: %s", writer->name);
    if (writer->describe)
        writer->describe(&job->plan, &job->dataset);
    text_add(&job->dataset, "}");
    return job->dataset.failed ? base_fail_memory(err, 0, "a dataset's description") : 0;
}

static int write_description(const struct convert_job *job, struct opiml_error *err) {
    AUTO_FREE char *path = base_printf("%s/" CONVERT_DATASET, job->plan.root);
    AUTO_FREE char *text = base_printf("opiml: 1\nkind: pipeline\ndataset: %s\nbatch: {size: %d}\n",
                                       job->dataset.at, CONVERT_BATCH_ROWS);
    return path && text ? write_file_whole(path, text, strlen(text), err)
                        : base_fail_memory(err, 0, "a dataset's description");
}

/* ---- writing ---- */

/* A bad record, if the budget allows for one more. */
static int leave_out(struct convert_job *job, const struct opiml_error *why,
                     struct opiml_error *err) {
    pthread_mutex_lock(&job->lock);
    if (!job->first_bad.code)
        job->first_bad = *why;
    pthread_mutex_unlock(&job->lock);
    if (atomic_fetch_add(&job->skipped, 1) + 1 <= job->budget)
        return 0;
    return opiml_fail(err, OPIML_EBUDGET,
                      "more than %" PRIu64 " bad record%s, which is the budget; one of them: %s",
                      job->budget, text_s(job->budget), why->message);
}

/* With a budget, each record is read once before the first is written, so that a writer knows how
 * many will come. */
static int find_bad(struct convert_job *job, struct convert_record *record,
                    const struct convert_shard *shard, bool *bad, uint64_t *ret_kept,
                    struct opiml_error *err) {
    *ret_kept = shard->count;
    for (uint64_t i = 0; job->budget > 0 && i < shard->count; i++) {
        struct opiml_error why;
        int rc = convert_record_read(record, job->ask->from, shard->first + i, &why);
        if (rc == 0)
            continue;
        if (!convert_is_bad(rc))
            return opiml_fail(err, rc, "%s", why.message);
        bad[i] = true;
        --*ret_kept;
        if ((rc = leave_out(job, &why, err)) < 0)
            return rc;
    }
    return 0;
}

/* 1: the writer takes the record; 0: it does not, which the budget allows for. */
static int admit(struct convert_job *job, uint64_t number, void *state,
                 const struct opiml_value *values, struct opiml_error *err) {
    const struct writer *writer = job->ask->writer;
    struct opiml_error why, told;
    if (!writer->admit || writer->admit(state, values, &why) == 0)
        return 1;
    convert_record_fail(job->ask->from, number, &why, &told);
    if (why.code != OPIML_EINVAL && why.code != OPIML_ELIMIT)
        return opiml_fail(err, told.code, "%s", told.message);
    return job->budget == 0 ? fail_bad(&told, err) : leave_out(job, &told, err);
}

static int write_records(struct convert_job *job, uint64_t number, struct convert_record *record,
                         const bool *bad, void *state, struct opiml_error *err) {
    struct convert_shard *shard = &job->shards[number];
    const struct writer *writer = job->ask->writer;
    const struct write_shard head = {&job->plan, number, shard->first, shard->kept};
    struct hash128 digest = {0};
    uint64_t place = 0;
    int rc = writer->begin(state, &head, err);
    for (uint64_t i = 0; rc == 0 && i < shard->count; i++) {
        struct opiml_value values[OPIML_MAX_FIELDS];
        struct opiml_error why;
        if ((rc = convert_job_step(job, err)) < 0 || bad[i])
            continue;
        rc = convert_record_read(record, job->ask->from, shard->first + i, &why);
        if (rc < 0)
            return job->budget == 0 && convert_is_bad(rc) ? fail_bad(&why, err)
                                                          : opiml_fail(err, rc, "%s", why.message);
        convert_fields_take(&job->fields, record->values, values);
        if ((rc = admit(job, shard->first + i, state, values, err)) <= 0)
            continue;
        rc = writer->append(state, shard->first + i, values, err);
        digest = hash128_add(digest, convert_record_hash(&job->fields.schema, values,
                                                         writer->flags & WRITE_SORTED ? 0 : place));
        place++;
    }
    shard->digest = digest;
    shard->kept = place;
    return rc < 0 || place == 0 ? rc : writer->finish(state, err);
}

/* The folder that a shard's name is in. */
static int sync_name(const struct convert_job *job, struct opiml_error *err) {
    const char *root = job->plan.root, *slash = strrchr(root, '/');
    AUTO_FREE char *folder = !job->plan.single ? base_strdup(root)
                             : !slash          ? base_strdup(".")
                                               : base_printf("%.*s", (int)(slash - root) + 1, root);
    return folder ? write_sync_folder(folder, false, err)
                  : base_fail_memory(err, strlen(root), "a path");
}

static int write_shard(struct convert_job *job, uint64_t number, struct opiml_error *err) {
    CLEANUP(convert_record_release) struct convert_record record = {0};
    const struct writer *writer = job->ask->writer;
    struct convert_shard *shard = &job->shards[number];
    AUTO_FREE bool *bad = NULL;
    if (shard->done) {
        atomic_fetch_add(&job->done, shard->count);
        return 0;
    }
    bad = base_alloc_array(shard->count, sizeof(*bad));
    AUTO_FREE void *state = base_alloc(writer->state_bytes);
    if (!bad || !state)
        return base_fail_memory(err, shard->count, "a shard");
    int rc = find_bad(job, &record, shard, bad, &shard->kept, err);
    if (rc < 0)
        return rc;
    if (shard->kept > 0) { /* else there is no such file; nor when the writer takes none of them */
        rc = write_records(job, number, &record, bad, state, err);
        writer->release(state);
    }
    if (rc < 0)
        return rc;
    rc = sync_name(job, err);
    if (rc == 0 && !job->plan.single)
        rc = convert_journal_add(&job->journal, number, shard, err);
    shard->done = rc == 0;
    return rc;
}

/* ---- all of it ---- */

static int begin(struct convert_job *job, struct opiml_error *err) {
    const struct convert_ask *ask = job->ask;
    int rc = convert_fields_choose(&job->fields, dataset_schema(ask->from), ask->fields, err);
    if (rc < 0)
        return rc;
    job->plan.schema = &job->fields.schema;
    job->plan.params = ask->params;
    job->plan.single = ask->single;
    job->plan.records = dataset_count(ask->from);
    job->budget =
        (uint64_t)(ask->budget < 1 ? ask->budget * (double)job->plan.records : ask->budget);
    if ((rc = check_apart(ask, err)) < 0 ||
        (rc = ask->writer->check(&job->plan, ask->params, err)) < 0)
        return rc;
    if (ask->single && job->plan.loose)
        return opiml_fail(err, OPIML_EINVAL,
                          "format %s: each record is a file, so a folder is wanted, not %s",
                          ask->writer->name, ask->to);
    if (job->plan.records > WRITE_RECORDS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d records", WRITE_RECORDS_MAX);
    if ((rc = make_shards(job, err)) < 0 || (rc = make_head(job, err)) < 0 ||
        (rc = describe(job, err)) < 0)
        return rc;
    if ((ask->writer->flags & WRITE_CLASSES) && (rc = name_classes(job, err)) < 0)
        return rc;
    return ask->single ? prepare_file(job, err) : prepare_folder(job, err);
}

/* Of shards that were written before, perhaps with a larger budget. */
static int count_skipped(struct convert_job *job, struct opiml_error *err) {
    uint64_t skipped = 0;
    for (uint64_t s = 0; s < job->shard_count; s++)
        if (job->shards[s].done)
            skipped += job->shards[s].count - job->shards[s].kept;
    atomic_store(&job->skipped, skipped);
    return skipped <= job->budget
               ? 0
               : opiml_fail(err, OPIML_EBUDGET,
                            "%" PRIu64 " bad record%s left out by an earlier call, and the budget "
                            "is %" PRIu64 " now: raise --budget, or start over with --overwrite",
                            skipped, skipped == 1 ? " was" : "s were", job->budget);
}

/* A dataset without records is none, whatever the budget. */
static int check_kept(const struct convert_job *job, struct opiml_error *err) {
    for (uint64_t s = 0; s < job->shard_count; s++)
        if (job->shards[s].kept > 0)
            return 0;
    return opiml_fail(err, OPIML_EBUDGET, "no record is left: all %" PRIu64 " are bad%s%s",
                      job->plan.records, job->first_bad.code ? "; one of them: " : "",
                      job->first_bad.code ? job->first_bad.message : "");
}

static int run(struct convert_job *job, struct opiml_error *err) {
    int rc = begin(job, err);
    if (rc == 0)
        rc = count_skipped(job, err);
    if (rc == 0)
        rc = convert_job_each(job, "written", job->plan.records, write_shard, err);
    if (rc == 0)
        rc = check_kept(job, err);
    if (rc == 0 && !job->plan.single)
        rc = write_description(job, err);
    if (rc == 0)
        rc = convert_notes(job, err);
    if (rc < 0)
        return rc;
    if (!job->ask->no_check)
        rc = convert_check(job, err);
    if (job->plan.single)
        return rc < 0 ? rc : convert_stage_commit(&job->stage, err);
    struct opiml_error why = {0};
    int kept = convert_journal_rewrite(&job->journal, job->head, job->shards, job->shard_count,
                                       rc == 0 ? err : &why);
    if (rc == 0 && kept == 0)
        kept = write_sync_folder(job->plan.root, false, err);
    return rc < 0 ? rc : kept;
}

static void fill_report(struct convert_job *job, struct convert_report *report) {
    *report = (struct convert_report){.skipped = atomic_load(&job->skipped),
                                      .shards = job->shard_count,
                                      .checked = !job->ask->no_check,
                                      .first_bad = job->first_bad,
                                      .dataset = job->dataset,
                                      .notes = job->notes};
    job->dataset = job->notes = (struct text){0};
    for (uint64_t s = 0; s < job->shard_count; s++) {
        report->records += job->shards[s].kept;
        report->resumed += job->shards[s].resumed;
        report->digest = hash128_add(report->digest, job->shards[s].digest);
    }
}

int convert_run(const struct convert_ask *ask, struct convert_report *ret_report,
                struct opiml_error *err) {
    AUTO_FREE char *to = base_strdup(ask->to);
    struct convert_job job = {.ask = ask,
                              .stage = {.fd = -1, .beside_fd = -1},
                              .journal = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER},
                              .lock = PTHREAD_MUTEX_INITIALIZER};
    if (!to)
        return base_fail_memory(err, strlen(ask->to), "a path");
    for (size_t n = strlen(to); n > 1 && to[n - 1] == '/'; n--)
        to[n - 1] = '\0';
    job.plan.root = job.to = to;
    int rc = run(&job, err);
    if (rc == 0)
        fill_report(&job, ret_report);
    for (uint32_t k = 0; job.classes && k < job.plan.class_count; k++)
        base_free(job.classes[k]);
    base_free(job.classes);
    base_free(job.shards);
    base_free(job.head);
    text_release(&job.dataset);
    text_release(&job.notes);
    convert_journal_release(&job.journal);
    convert_stage_release(&job.stage);
    return rc;
}

void convert_report_release(struct convert_report *report) {
    text_release(&report->dataset);
    text_release(&report->notes);
}
