/* What a node knows again when it comes back. */
#include "node/keep.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "db/db.h"

#define VERSION 2              /* of what the tables mean */
#define APPLICATION 0x6f706d6e /* "opmn", as sqlite3's own header says whose file it is */
#define REMEDY "--state names another folder, and with --state none nothing is kept"

struct keep {
    char *folder;
    int lock_fd;
    pthread_mutex_t writing; /* over the database; taken before `lock` */
    struct db *db;
    pthread_t thread; /* writes notes */
    bool running;
    struct log_limit failed;
    pthread_mutex_t lock; /* over what follows; nobody waits for the disk with it */
    pthread_cond_t noted;
    bool stops;
    uint32_t notes;
    struct keep_note note[KEEP_NOTES_MAX];
};

/* ---- statements ---- */

static struct db_value text_of(const char *text) {
    return db_text(text, strlen(text));
}

static struct db_value bytes_of(const void *at, size_t bytes) {
    return (struct db_value){.type = DB_BYTES, .at = at, .bytes = (uint32_t)bytes};
}

/* Run a statement without rows. */
static int run(struct keep *self, const char *sql, const struct db_value *arguments, uint32_t count,
               struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc = db_prepare(self->db, sql, &statement, err);

    if (rc == 0)
        rc = db_run(statement, arguments, count, err);
    while (rc >= 0 && (rc = db_step(statement, err)) == 1)
        continue;
    return rc;
}

/* The number in the first column of the first row, or `otherwise` where there is none. */
static int ask(struct keep *self, const char *sql, const struct db_value *arguments, uint32_t count,
               int64_t otherwise, int64_t *ret, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc = db_prepare(self->db, sql, &statement, err);

    if (rc == 0 && (rc = db_run(statement, arguments, count, err)) == 0)
        rc = db_step(statement, err);
    if (rc < 0)
        return rc;
    *ret = rc == 1 ? db_get(statement, 0).integer : otherwise;
    return 0;
}

/* What a write that failed means for who asked for it. */
static int explain(const struct keep *self, int rc, const struct opiml_error *why,
                   struct opiml_error *err) {
    if (rc == OPIML_ENOSPC)
        return opiml_fail(err, rc,
                          "this node cannot keep it: %s has no room left: make some, or start the "
                          "node with another --state",
                          self->folder);
    return opiml_fail(err, rc, "this node cannot keep it: %s", why->message);
}

/* ---- tables ---- */

/* From version i to i + 1; statements one by one, NULL at the end. */
static const char *const steps[VERSION][8] = {
    {"CREATE TABLE dataset (id TEXT PRIMARY KEY, mapping TEXT NOT NULL, file TEXT NOT NULL)",
     "CREATE TABLE pipeline (id TEXT PRIMARY KEY, content BLOB NOT NULL, generation INTEGER NOT "
     "NULL, lease_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL)",
     "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"},
    {"ALTER TABLE pipeline ADD COLUMN who TEXT NOT NULL DEFAULT ''"},
};

static int take_steps(struct keep *self, int64_t version, struct opiml_error *err) {
    char sql[64];
    int rc = db_execute(self->db, "BEGIN IMMEDIATE", err);

    for (int64_t v = version; v < VERSION; v++)
        for (size_t s = 0; rc == 0 && s < COUNT_OF(steps[0]) && steps[v][s]; s++)
            rc = db_execute(self->db, steps[v][s], err);
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", APPLICATION);
    if (rc == 0)
        rc = db_execute(self->db, sql, err);
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", VERSION);
    if (rc == 0)
        rc = db_execute(self->db, sql, err);
    return rc < 0 ? rc : db_execute(self->db, "COMMIT", err);
}

/* Have the tables be those of this version. */
static int bring_up(struct keep *self, struct opiml_error *err) {
    int64_t whose = 0, version = 0, tables = 0;
    int rc;

    if ((rc = ask(self, "PRAGMA application_id", NULL, 0, 0, &whose, err)) < 0 ||
        (rc = ask(self, "PRAGMA user_version", NULL, 0, 0, &version, err)) < 0 ||
        (rc = ask(self, "SELECT count(*) FROM sqlite_schema", NULL, 0, 0, &tables, err)) < 0)
        return rc;
    if (whose != APPLICATION && (whose != 0 || tables != 0))
        return opiml_fail(err, OPIML_EEXIST,
                          "%s/" KEEP_FILE " is the database of another program: " REMEDY,
                          self->folder);
    if (version > VERSION)
        return opiml_fail(err, OPIML_ESTALE,
                          "%s/" KEEP_FILE " was made by a newer opiml (version %" PRId64
                          " of its tables, and this one knows %d): install that again, or " REMEDY,
                          self->folder, version, VERSION);
    return version == VERSION ? 0 : take_steps(self, version, err);
}

/* Its own words where it is damaged, "ok" else. */
static int check(struct keep *self, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    struct db_value said;
    int rc = db_prepare(self->db, "PRAGMA quick_check(1)", &statement, err);

    if (rc == 0 && (rc = db_run(statement, NULL, 0, err)) == 0)
        rc = db_step(statement, err);
    if (rc < 0)
        return rc;
    said = rc == 1 ? db_get(statement, 0) : db_text("", 0);
    if (said.type == DB_TEXT && said.bytes == 2 && memcmp(said.at, "ok", 2) == 0)
        return 0;
    return opiml_fail(err, OPIML_ECORRUPT, "%.*s", (int)base_min_u64(said.bytes, 200),
                      (const char *)said.at);
}

/* ---- opening ---- */

int keep_folder(char **ret_path, struct opiml_error *err) {
    const char *given = getenv("STATE_DIRECTORY"), *state = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");

    *ret_path = NULL;
    if (given && given[0] == '/') /* systemd names several with colons between */
        *ret_path = base_printf("%.*s", (int)strcspn(given, ":"), given);
    else if (state && state[0] == '/')
        *ret_path = base_printf("%s/opiml", state);
    else if (home && home[0] == '/' && home[1])
        *ret_path = base_printf("%s/.local/state/opiml", home);
    else
        return 0;
    return *ret_path ? 0 : base_fail_memory(err, 1, "a folder's name");
}

/* Nobody else may have the folder, and nobody else reads what is in it. */
static int open_folder(struct keep *self, struct opiml_error *err) {
    AUTO_FREE char *lock = base_printf("%s/" KEEP_LOCK, self->folder);
    AUTO_FREE char *file = base_printf("%s/" KEEP_FILE, self->folder);
    AUTO_FD int fd = -1;
    int rc;

    if (!lock || !file)
        return base_fail_memory(err, strlen(self->folder), "a file's name");
    if ((rc = file_make_folders(self->folder, err)) < 0)
        return rc;
    self->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_fd < 0)
        return base_fail_errno(err, errno, "%s", lock);
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? opiml_fail(err, OPIML_EBUSY, "%s is another node's: " REMEDY, self->folder)
                   : base_fail_errno(err, errno, "%s", lock);
    fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? base_fail_errno(err, errno, "%s", file) : 0;
}

static int open_database(struct keep *self, struct opiml_error *err) {
    AUTO_FREE char *uri = base_printf("sqlite://%s/" KEEP_FILE, self->folder);
    const struct db_ask wants = {.flags = DB_WRITE, .stop = -1};
    int rc;

    if (!uri)
        return base_fail_memory(err, strlen(self->folder), "a file's name");
    if ((rc = db_open(uri, &wants, &self->db, err)) < 0 || (rc = check(self, err)) < 0)
        return rc;
    return bring_up(self, err);
}

/* Say what to do, where the one who failed cannot know. */
static int advise(const char *folder, int rc, const struct opiml_error *why,
                  struct opiml_error *err) {
    if (rc == OPIML_ECORRUPT)
        return opiml_fail(err, rc,
                          "%s/" KEEP_FILE " is damaged (%s): move it away, and the node begins "
                          "anew; data sets that had names have to be created again",
                          folder, why->message);
    if (strstr(why->message, "--state") || rc == OPIML_ENOMEM)
        return opiml_fail(err, rc, "%s", why->message);
    return opiml_fail(err, rc, "the node's state: %s (" REMEDY ")", why->message);
}

/* ---- notes ---- */

/* What is counted stays ahead of what was given away. */
static int write_note(struct keep *self, const struct keep_note *note, struct opiml_error *err) {
    const struct db_value generation = db_int(note->generation);
    const struct db_value ahead = db_int((int64_t)note->generation + KEEP_GENERATIONS - 1);
    int rc;

    if (note->gone)
        return run(self, "DELETE FROM pipeline WHERE id = ?1 AND generation = ?2",
                   (const struct db_value[]){text_of(note->id), generation}, 2, err);
    rc = run(self, "UPDATE counter SET value = ?1 WHERE name = 'generation' AND value < ?1", &ahead,
             1, err);
    if (rc < 0)
        return rc;
    return run(
        self, "UPDATE pipeline SET generation = ?2, lease_ns = ?3, until_ns = ?4 WHERE id = ?1",
        (const struct db_value[]){text_of(note->id), generation, db_int((int64_t)note->lease_ns),
                                  db_int((int64_t)note->until_ns)},
        4, err);
}

/* In one transaction, as they were noted; with `writing` held. */
static void write_notes(struct keep *self) {
    struct keep_note notes[KEEP_NOTES_MAX];
    struct opiml_error err;
    uint32_t count;
    int rc;

    pthread_mutex_lock(&self->lock);
    count = self->notes;
    memcpy(notes, self->note, count * sizeof(notes[0]));
    self->notes = 0;
    pthread_mutex_unlock(&self->lock);
    if (count == 0)
        return;
    rc = db_execute(self->db, "BEGIN IMMEDIATE", &err);
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = write_note(self, &notes[i], &err);
    if (rc == 0)
        rc = db_execute(self->db, "COMMIT", &err);
    if (rc == 0)
        return;
    db_execute(self->db, "ROLLBACK", NULL);
    log_write_seldom(&self->failed, "node", LOG_WARN, err.message);
}

static void *keep_main(void *argument) {
    struct keep *self = argument;
    bool stops = false;

    while (!stops) {
        pthread_mutex_lock(&self->lock);
        while (!self->stops && self->notes == 0)
            pthread_cond_wait(&self->noted, &self->lock);
        stops = self->stops;
        pthread_mutex_unlock(&self->lock);
        pthread_mutex_lock(&self->writing);
        write_notes(self);
        pthread_mutex_unlock(&self->writing);
    }
    return NULL;
}

/* The newest lease of a pipeline counts, and that it is gone has to be said behind it. */
static struct keep_note *find_note(struct keep *self, const struct keep_note *like) {
    for (uint32_t i = 0; i < self->notes; i++)
        if (strcmp(self->note[i].id, like->id) == 0 &&
            self->note[i].generation == like->generation && self->note[i].gone == like->gone)
            return &self->note[i];
    return self->notes < KEEP_NOTES_MAX ? &self->note[self->notes++] : NULL;
}

void keep_note(struct keep *keep, const struct keep_note *note) {
    struct keep_note *place;

    pthread_mutex_lock(&keep->lock);
    place = find_note(keep, note);
    if (place)
        *place = *note;
    pthread_cond_signal(&keep->noted);
    pthread_mutex_unlock(&keep->lock);
}

/* ---- open and close ---- */

int keep_open(const char *folder, struct keep **ret_keep, struct opiml_error *err) {
    struct keep *self = base_alloc(sizeof(*self));
    struct opiml_error why;
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a node's state");
    self->lock_fd = -1;
    pthread_mutex_init(&self->writing, NULL);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->noted, NULL);
    self->folder = base_strdup(folder);
    if (!self->folder)
        rc = base_fail_memory(&why, strlen(folder), "a folder's name");
    else if ((rc = open_folder(self, &why)) == 0 && (rc = open_database(self, &why)) == 0 &&
             (rc = pthread_create(&self->thread, NULL, keep_main, self)) != 0)
        rc = base_fail_errno(&why, rc, "starting a thread");
    if (rc < 0) {
        keep_close(self);
        return advise(folder, rc, &why, err);
    }
    self->running = true;
    *ret_keep = self;
    return 0;
}

void keep_close(struct keep *keep) {
    if (!keep)
        return;
    pthread_mutex_lock(&keep->lock);
    keep->stops = true;
    pthread_cond_signal(&keep->noted);
    pthread_mutex_unlock(&keep->lock);
    if (keep->running)
        pthread_join(keep->thread, NULL);
    db_close(keep->db);
    base_close_fd(&keep->lock_fd);
    pthread_cond_destroy(&keep->noted);
    pthread_mutex_destroy(&keep->lock);
    pthread_mutex_destroy(&keep->writing);
    base_free(keep->folder);
    base_free(keep);
}

/* ---- objects ---- */

static int write_now(struct keep *self, const char *sql, const struct db_value *arguments,
                     uint32_t count, struct opiml_error *err) {
    struct opiml_error why;
    int rc;

    pthread_mutex_lock(&self->writing);
    write_notes(self); /* what happened before is written before */
    rc = run(self, sql, arguments, count, &why);
    pthread_mutex_unlock(&self->writing);
    return rc < 0 ? explain(self, rc, &why, err) : 0;
}

int keep_put_dataset(struct keep *keep, const struct keep_dataset *dataset,
                     struct opiml_error *err) {
    return write_now(keep, "INSERT OR REPLACE INTO dataset (id, mapping, file) VALUES (?1, ?2, ?3)",
                     (const struct db_value[]){text_of(dataset->id), text_of(dataset->mapping),
                                               text_of(dataset->file)},
                     3, err);
}

int keep_remove_dataset(struct keep *keep, const char *id, struct opiml_error *err) {
    return write_now(keep, "DELETE FROM dataset WHERE id = ?1",
                     (const struct db_value[]){text_of(id)}, 1, err);
}

/* Its generation is not given yet: 0, so that no note of one before it takes this away. */
static int put_pipeline(struct keep *self, const struct keep_pipeline *pipeline,
                        struct opiml_error *err) {
    const struct db_value values[] = {text_of(pipeline->id),
                                      bytes_of(pipeline->content, pipeline->content_bytes),
                                      text_of(pipeline->who), db_int((int64_t)pipeline->lease_ns),
                                      db_int((int64_t)pipeline->until_ns)};
    int64_t others = 0;
    int rc = ask(self,
                 "SELECT count(*) FROM pipeline WHERE id = ?1 AND (content <> ?2 OR who NOT IN "
                 "(?3, ''))",
                 values, 3, 0, &others, err);

    if (rc < 0)
        return rc;
    if (others > 0)
        return opiml_fail(err, OPIML_EEXIST, "pipelines/%s is another pipeline", pipeline->id);
    return run(self,
               "INSERT OR REPLACE INTO pipeline (id, content, who, generation, lease_ns, until_ns) "
               "VALUES (?1, ?2, ?3, 0, ?4, ?5)",
               values, COUNT_OF(values), err);
}

int keep_put_pipeline(struct keep *keep, const struct keep_pipeline *pipeline,
                      struct opiml_error *err) {
    struct opiml_error why;
    int rc;

    pthread_mutex_lock(&keep->writing);
    write_notes(keep);
    rc = put_pipeline(keep, pipeline, &why);
    pthread_mutex_unlock(&keep->writing);
    if (rc == OPIML_EEXIST)
        return opiml_fail(err, rc, "%s", why.message);
    return rc < 0 ? explain(keep, rc, &why, err) : 0;
}

/* ---- coming back ---- */

/* A text of the row, for the caller to free; what is no text is "". */
static char *take_text(struct db_statement *statement, uint32_t i) {
    struct db_value value = db_get(statement, i);

    return base_printf("%.*s", value.type == DB_TEXT ? (int)value.bytes : 0,
                       value.at ? (const char *)value.at : "");
}

static int visit_dataset(struct db_statement *row, keep_visit_dataset *visit, void *context,
                         struct opiml_error *err) {
    AUTO_FREE char *id = take_text(row, 0);
    AUTO_FREE char *mapping = take_text(row, 1);
    AUTO_FREE char *file = take_text(row, 2);

    if (!id || !mapping || !file)
        return base_fail_memory(err, 1, "a data set");
    return visit(context, &(struct keep_dataset){id, mapping, file}, err);
}

static int each_dataset(struct keep *self, keep_visit_dataset *visit, void *context,
                        struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc =
        db_prepare(self->db, "SELECT id, mapping, file FROM dataset ORDER BY id", &statement, err);

    if (rc == 0)
        rc = db_run(statement, NULL, 0, err);
    while (rc >= 0 && (rc = db_step(statement, err)) == 1)
        rc = visit_dataset(statement, visit, context, err);
    return rc;
}

int keep_each_dataset(struct keep *keep, keep_visit_dataset *visit, void *context,
                      struct opiml_error *err) {
    int rc;

    pthread_mutex_lock(&keep->writing);
    rc = each_dataset(keep, visit, context, err);
    pthread_mutex_unlock(&keep->writing);
    return rc;
}

static int visit_pipeline(struct db_statement *row, keep_visit_pipeline *visit, void *context,
                          struct opiml_error *err) {
    AUTO_FREE char *id = take_text(row, 0);
    AUTO_FREE char *who = take_text(row, 4);
    struct keep_pipeline pipeline = {.id = id,
                                     .who = who,
                                     .lease_ns = (uint64_t)db_get(row, 2).integer,
                                     .until_ns = (uint64_t)db_get(row, 3).integer};
    struct db_value content = db_get(row, 1);

    if (!id || !who)
        return base_fail_memory(err, 1, "a pipeline");
    pipeline.content = content.at;
    pipeline.content_bytes = content.bytes;
    return visit(context, &pipeline, err);
}

static int each_pipeline(struct keep *self, keep_visit_pipeline *visit, void *context,
                         struct opiml_error *err) {
    const struct db_value now = db_int((int64_t)clock_wall_ns());
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc = run(self, "DELETE FROM pipeline WHERE until_ns < ?1", &now, 1, err);

    if (rc == 0)
        rc = db_prepare(self->db,
                        "SELECT id, content, lease_ns, until_ns, who FROM pipeline ORDER BY id",
                        &statement, err);
    if (rc == 0)
        rc = db_run(statement, NULL, 0, err);
    while (rc >= 0 && (rc = db_step(statement, err)) == 1)
        rc = visit_pipeline(statement, visit, context, err);
    return rc;
}

int keep_each_pipeline(struct keep *keep, keep_visit_pipeline *visit, void *context,
                       struct opiml_error *err) {
    int rc;

    pthread_mutex_lock(&keep->writing);
    rc = each_pipeline(keep, visit, context, err);
    pthread_mutex_unlock(&keep->writing);
    return rc;
}

static int take_generations(struct keep *self, uint32_t least, uint32_t *ret_first,
                            struct opiml_error *err) {
    int64_t given = 0, first;
    int rc =
        ask(self, "SELECT value FROM counter WHERE name = 'generation'", NULL, 0, 0, &given, err);

    if (rc < 0)
        return rc;
    first = given >= least ? given + 1 : least;
    if (first > (int64_t)UINT32_MAX - KEEP_GENERATIONS)
        return opiml_fail(err, OPIML_ELIMIT, "%s: generations are used up", self->folder);
    rc = run(self, "INSERT OR REPLACE INTO counter (name, value) VALUES ('generation', ?1)",
             (const struct db_value[]){db_int(first + KEEP_GENERATIONS - 1)}, 1, err);
    if (rc == 0)
        *ret_first = (uint32_t)first;
    return rc;
}

int keep_generations(struct keep *keep, uint32_t least, uint32_t *ret_first,
                     struct opiml_error *err) {
    struct opiml_error why;
    int rc;

    pthread_mutex_lock(&keep->writing);
    rc = take_generations(keep, least, ret_first, &why);
    pthread_mutex_unlock(&keep->writing);
    return rc < 0 ? explain(keep, rc, &why, err) : 0;
}
