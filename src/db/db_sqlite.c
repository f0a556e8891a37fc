/* SQLite. Data are read from a file that is opened for reading; what writes keeps a write-ahead
 * log, so that readers and the one writer do not wait for one another. */
#include "db/db.h"

#include <poll.h>
#include <sqlite3.h>
#include <strings.h>

#include "base/text.h"

#define CONNECT_MS 10000u
#define LOOK_EVERY 10000 /* virtual instructions between two looks at `stop` */

struct connection {
    struct db base;
    sqlite3 *handle;
    char *path;
    int stop;
    uint32_t wait_ms;
};
struct statement {
    struct db_statement base;
    sqlite3_stmt *handle;
    struct db_column *columns;
    bool begun;
};

static int code_of(int rc) {
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return OPIML_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return OPIML_ECORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return OPIML_EACCES;
    case SQLITE_NOMEM: return OPIML_ENOMEM;
    case SQLITE_FULL: return OPIML_ENOSPC;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: return OPIML_EIO;
    case SQLITE_TOOBIG: return OPIML_ELIMIT;
    case SQLITE_INTERRUPT: return OPIML_ECANCELED;
    default: return OPIML_EINVAL;
    }
}

static int fail_sqlite(const struct connection *self, int rc, struct opiml_error *err) {
    const char *text = self->handle ? sqlite3_errmsg(self->handle) : sqlite3_errstr(rc);
    int code = code_of(rc);
    if (code == OPIML_EINVAL && text_starts(text, "no such table"))
        code = OPIML_ENOENT;
    if (code == OPIML_EBUSY)
        return opiml_fail(err, code, "%s: %s, for %u ms", self->base.uri, text, self->wait_ms);
    return opiml_fail(err, code, "%s: %s", self->base.uri, text);
}

static bool is_stopped(int stop) {
    struct pollfd look = {.fd = stop, .events = POLLIN};
    return stop >= 0 && poll(&look, 1, 0) > 0;
}

static int look_at_stop(void *context) {
    return is_stopped(((struct connection *)context)->stop);
}

/* Others hold a lock: wait in steps, up to the limit, and not beyond `stop`. */
static int wait_for_lock(void *context, int tries) {
    const struct connection *self = context;
    struct pollfd look = {.fd = self->stop, .events = POLLIN};
    uint32_t step = tries < 4 ? 1 : 10,
             waited = tries < 4 ? (uint32_t)tries : 4 + (tries - 4) * 10u;
    if (waited >= self->wait_ms)
        return 0;
    return poll(&look, self->stop >= 0, (int)step) == 0;
}

static void sqlite_close(struct db *db) {
    struct connection *self = (struct connection *)db;
    sqlite3_close_v2(self->handle);
    base_free(self->path);
    base_free(self->base.uri);
    base_free(self);
}

static void close_at(struct connection **self) {
    if (*self)
        sqlite_close(&(*self)->base);
}

static int set_up(struct connection *self, uint32_t flags, struct opiml_error *err) {
    sqlite3_busy_handler(self->handle, wait_for_lock, self);
    sqlite3_progress_handler(self->handle, LOOK_EVERY, look_at_stop, self);
    /* A file that somebody sent may not run code of its own. */
    sqlite3_db_config(self->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(self->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (!(flags & DB_WRITE))
        return 0;
    int rc = db_execute(&self->base, "PRAGMA journal_mode = WAL", err);
    return rc < 0 ? rc : db_execute(&self->base, "PRAGMA synchronous = FULL", err);
}

extern const struct db_ops db_sqlite;

static int sqlite_open(const char *uri, const struct db_ask *ask, struct db **ret_db,
                       struct opiml_error *err) {
    CLEANUP(close_at) struct connection *self = base_alloc(sizeof(*self));
    const char *path = strncasecmp(uri, "sqlite://", 9) == 0 ? uri + 9 : uri + 7;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a database");
    self->base = (struct db){.ops = &db_sqlite, .uri = base_strdup(uri), .local = true};
    self->path = base_strdup(path);
    self->stop = ask->stop;
    self->wait_ms = ask->connect_ms ? ask->connect_ms : CONNECT_MS;
    if (!self->base.uri || !self->path)
        return base_fail_memory(err, strlen(uri), "a path");
    if (path[0] == '\0')
        return opiml_fail(err, OPIML_EINVAL, "%s: a path is missing: sqlite:///data/rows.db", uri);
    flags |=
        ask->flags & DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &self->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        int errnum = self->handle ? sqlite3_system_errno(self->handle) : 0;
        return errnum ? base_fail_errno(err, errnum, "%s", uri) : fail_sqlite(self, rc, err);
    }
    rc = set_up(self, ask->flags, err);
    if (rc < 0)
        return rc;
    *ret_db = &TAKE(self)->base;
    return 0;
}

static void sqlite_finish(struct db_statement *statement) {
    struct statement *self = (struct statement *)statement;
    sqlite3_finalize(self->handle);
    base_free(self->columns);
    base_free(self);
}

static void finish_at(struct statement **self) {
    if (*self)
        sqlite_finish(&(*self)->base);
}

static int name_columns(struct statement *self, struct opiml_error *err) {
    for (uint32_t i = 0; i < self->base.columns; i++) {
        const char *name = sqlite3_column_name(self->handle, (int)i);
        if (!name)
            return base_fail_memory(err, DB_NAME_BYTES, "a column's name");
        text_copy(self->columns[i].name, DB_NAME_BYTES, name);
        self->columns[i].type = DB_ANY;
    }
    self->base.column = self->columns;
    return 0;
}

static int sqlite_prepare(struct db *db, const char *sql, struct db_statement **ret_statement,
                          struct opiml_error *err) {
    struct connection *connection = (struct connection *)db;
    CLEANUP(finish_at) struct statement *self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a statement");
    self->base.db = db;
    int rc = sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                &self->handle, NULL);
    if (rc != SQLITE_OK)
        return fail_sqlite(connection, rc, err);
    self->base.columns = (uint32_t)sqlite3_column_count(self->handle);
    self->columns = base_alloc_array(self->base.columns, sizeof(self->columns[0]));
    if (!self->columns)
        return base_fail_memory(err, self->base.columns * sizeof(self->columns[0]), "columns");
    rc = name_columns(self, err);
    if (rc < 0)
        return rc;
    *ret_statement = &TAKE(self)->base;
    return 0;
}

/* The file behind the name is another, or none: what is open is nobody's data any more. */
static int check_there(struct connection *self, struct opiml_error *err) {
    int moved = 0;
    sqlite3_file_control(self->handle, NULL, SQLITE_FCNTL_HAS_MOVED, &moved);
    self->base.lost |= moved;
    return moved ? opiml_fail(err, OPIML_ENOENT, "%s: the file was removed or replaced",
                              self->base.uri)
                 : 0;
}

static int bind(sqlite3_stmt *statement, int i, const struct db_value *value) {
    switch (value->type) {
    case DB_NULL: return sqlite3_bind_null(statement, i);
    case DB_REAL: return sqlite3_bind_double(statement, i, value->real);
    case DB_TEXT:
        return sqlite3_bind_text(statement, i, (const char *)value->at, (int)value->bytes,
                                 SQLITE_TRANSIENT);
    case DB_BYTES:
        return sqlite3_bind_blob(statement, i, value->at ? value->at : (const uint8_t *)"",
                                 (int)value->bytes, SQLITE_TRANSIENT);
    default: return sqlite3_bind_int64(statement, i, value->integer);
    }
}

static int sqlite_run(struct db_statement *statement, const struct db_value *arguments,
                      uint32_t count, struct opiml_error *err) {
    struct statement *self = (struct statement *)statement;
    struct connection *connection = (struct connection *)statement->db;
    int rc = check_there(connection, err);
    if (rc < 0)
        return rc;
    sqlite3_reset(self->handle);
    self->begun = true;
    for (uint32_t i = 0; i < count; i++) {
        rc = bind(self->handle, (int)i + 1, &arguments[i]);
        if (rc != SQLITE_OK)
            return fail_sqlite(connection, rc, err);
    }
    return 0;
}

static int sqlite_stream(struct db *db, const char *sql, struct db_statement **ret_statement,
                         struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc = sqlite_prepare(db, sql, &statement, err);
    if (rc == 0)
        rc = sqlite_run(statement, NULL, 0, err);
    if (rc < 0)
        return rc;
    *ret_statement = TAKE(statement);
    return 0;
}

static int sqlite_step(struct db_statement *statement, struct opiml_error *err) {
    struct statement *self = (struct statement *)statement;
    struct connection *connection = (struct connection *)statement->db;
    if (!self->begun)
        return 0;
    int rc = sqlite3_step(self->handle);
    if (rc == SQLITE_ROW)
        return 1;
    self->begun = false;
    if (rc != SQLITE_DONE)
        rc = fail_sqlite(connection, rc, err);
    sqlite3_reset(self->handle); /* gives its locks back */
    return rc == SQLITE_DONE ? 0 : rc;
}

static void sqlite_value(struct db_statement *statement, uint32_t i, struct db_value *ret_value) {
    sqlite3_stmt *handle = ((struct statement *)statement)->handle;
    switch (sqlite3_column_type(handle, (int)i)) {
    case SQLITE_INTEGER: *ret_value = db_int(sqlite3_column_int64(handle, (int)i)); break;
    case SQLITE_FLOAT:
        ret_value->type = DB_REAL;
        ret_value->real = sqlite3_column_double(handle, (int)i);
        break;
    case SQLITE_TEXT:
        ret_value->type = DB_TEXT;
        ret_value->at = sqlite3_column_text(handle, (int)i);
        ret_value->bytes = (uint32_t)sqlite3_column_bytes(handle, (int)i);
        break;
    case SQLITE_BLOB:
        ret_value->type = DB_BYTES;
        ret_value->at = sqlite3_column_blob(handle, (int)i);
        ret_value->bytes = (uint32_t)sqlite3_column_bytes(handle, (int)i);
        break;
    default: break;
    }
}

const struct db_ops db_sqlite = {
    .scheme = "sqlite",
    .dialect = {.bytewise = "BINARY",
                .snapshot = "BEGIN",
                .primary_key = "SELECT name FROM pragma_table_info(replace(substr($1, 2, "
                               "length($1) - 2), '\"\"', '\"')) WHERE pk > 0"},
    .open = sqlite_open,
    .close = sqlite_close,
    .prepare = sqlite_prepare,
    .stream = sqlite_stream,
    .finish = sqlite_finish,
    .run = sqlite_run,
    .step = sqlite_step,
    .value = sqlite_value,
};
