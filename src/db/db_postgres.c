/* PostgreSQL through libpq, which is loaded at the first use: it brings a score of libraries, and
 * most runs need none. Nothing blocks in libpq but the look-up of a host's name: all waiting is
 * done here, where it has a limit and can be stopped. */
#include "db/db.h"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/text.h"
#include "db/copy.h"

#define CONNECT_MS 10000u
#define CALLS(X)                                                                                   \
    X(PQconnectStartParams)                                                                        \
    X(PQconninfoParse)                                                                             \
    X(PQconninfoFree)                                                                              \
    X(PQconnectPoll)                                                                               \
    X(PQfinish)                                                                                    \
    X(PQstatus)                                                                                    \
    X(PQsocket)                                                                                    \
    X(PQerrorMessage)                                                                              \
    X(PQsetNoticeProcessor)                                                                        \
    X(PQsetnonblocking)                                                                            \
    X(PQsendQuery)                                                                                 \
    X(PQsendPrepare)                                                                               \
    X(PQsendDescribePrepared)                                                                      \
    X(PQsendQueryPrepared)                                                                         \
    X(PQflush)                                                                                     \
    X(PQconsumeInput)                                                                              \
    X(PQisBusy)                                                                                    \
    X(PQgetResult)                                                                                 \
    X(PQresultStatus)                                                                              \
    X(PQresultErrorField)                                                                          \
    X(PQresultErrorMessage)                                                                        \
    X(PQclear)                                                                                     \
    X(PQgetCopyData)                                                                               \
    X(PQfreemem)                                                                                   \
    X(PQnfields)                                                                                   \
    X(PQfname)                                                                                     \
    X(PQftype)                                                                                     \
    X(PQntuples)                                                                                   \
    X(PQgetisnull)                                                                                 \
    X(PQgetlength)                                                                                 \
    X(PQgetvalue)

static struct {
#define X(name) __typeof__(name) *name;
    CALLS(X)
#undef X
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing; /* of the library; NULL: it is there */

static void load(void) {
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    missing = library ? NULL : "libpq.so.5";
#define X(name)                                                                                    \
    if (library && !(*(void **)&lib.name = dlsym(library, #name)))                                 \
        missing = #name;
    CALLS(X)
#undef X
}

struct connection {
    struct db base;
    PGconn *handle;
    int stop;
    uint32_t answer_ms;
    uint32_t statements; /* prepared so far: they have names by number */
};
struct statement {
    struct db_statement base;
    char name[16];
    struct db_column *columns;
    uint32_t *types;
    PGresult *result;
    int row;
    bool streams, begun;
    char *tuple; /* of a stream, and where its values are */
    struct db_value *values;
};

/* ---- failures ---- */

/* libpq's and the server's lines end in line feeds. */
static int fail_text(const struct connection *self, int code, const char *what, const char *text,
                     struct opiml_error *err) {
    size_t bytes = strcspn(text, "\n");
    if (strncmp(text + bytes, "\n\t", 2) == 0) /* "Is the server running ...?" */
        bytes += 1 + strcspn(text + bytes + 1, "\n");
    return opiml_fail(err, code, "%s: %s%.*s", self->base.uri, what, (int)bytes, text);
}

static int fail_lost(struct connection *self, struct opiml_error *err) {
    self->base.lost = true;
    return fail_text(self, OPIML_EIO, "the connection is gone: ", lib.PQerrorMessage(self->handle),
                     err);
}

static int code_of(const char *state) {
    static const struct {
        const char *begins;
        int code;
    } codes[] = {{"42P01", OPIML_ENOENT},   {"3F000", OPIML_ENOENT},   {"42501", OPIML_EACCES},
                 {"28", OPIML_EACCES},      {"53", OPIML_ELIMIT},      {"54", OPIML_ELIMIT},
                 {"57014", OPIML_EBUSY},    {"55P03", OPIML_EBUSY},    {"40", OPIML_EBUSY},
                 {"XX001", OPIML_ECORRUPT}, {"XX002", OPIML_ECORRUPT}, {"22", OPIML_ECORRUPT},
                 {"58", OPIML_EIO},         {"08", OPIML_EIO},         {"57P", OPIML_EIO}};
    for (size_t i = 0; state && i < COUNT_OF(codes); i++)
        if (text_starts(state, codes[i].begins))
            return codes[i].code;
    return OPIML_EINVAL;
}

static int fail_result(struct connection *self, const PGresult *result, struct opiml_error *err) {
    const char *state = result ? lib.PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? lib.PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (lib.PQstatus(self->handle) == CONNECTION_BAD || !state)
        return fail_lost(self, err);
    self->base.lost |= text_starts(state, "57P") || text_starts(state, "08");
    return fail_text(self, code_of(state), "", text ? text : lib.PQresultErrorMessage(result), err);
}

/* ---- waiting ---- */

/* Until the socket is ready; `ms` 0: for ever. */
static int wait_for(struct connection *self, short events, uint32_t ms, const char *what,
                    struct opiml_error *err) {
    uint64_t until = clock_now_ns() + (uint64_t)ms * 1000000u;
    for (;;) {
        struct pollfd fds[2] = {{.fd = lib.PQsocket(self->handle), .events = events},
                                {.fd = self->stop, .events = POLLIN}};
        uint64_t now = clock_now_ns();
        int left = ms == 0 ? -1 : now >= until ? 0 : (int)((until - now) / 1000000u + 1);
        int n = poll(fds, self->stop >= 0 ? 2 : 1, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && !(self->stop >= 0 && fds[1].revents))
            return 0;
        self->base.lost = true;
        if (n < 0)
            return base_fail_errno(err, errno, "%s: %s", self->base.uri, what);
        if (n > 0)
            return opiml_fail(err, OPIML_ECANCELED, "%s: stopped", self->base.uri);
        return opiml_fail(err, OPIML_ETIMEDOUT, "%s: %s: no answer for %.1f s", self->base.uri,
                          what, ms / 1000.0);
    }
}

static int flush(struct connection *self, struct opiml_error *err) {
    int left;
    while ((left = lib.PQflush(self->handle)) == 1) {
        int rc = wait_for(self, POLLIN | POLLOUT, self->answer_ms, "sending", err);
        if (rc < 0)
            return rc;
        if (!lib.PQconsumeInput(self->handle))
            return fail_lost(self, err);
    }
    return left < 0 ? fail_lost(self, err) : 0;
}

/* The next result, or NULL behind the last. The caller clears it. */
static int next_result(struct connection *self, PGresult **ret_result, struct opiml_error *err) {
    while (lib.PQisBusy(self->handle)) {
        int rc = wait_for(self, POLLIN, self->answer_ms, "a query", err);
        if (rc < 0)
            return rc;
        if (!lib.PQconsumeInput(self->handle))
            return fail_lost(self, err);
    }
    *ret_result = lib.PQgetResult(self->handle);
    return 0;
}

/* What a command that was sent comes to. On success the caller clears *ret_result. */
static int finish_command(struct connection *self, int sent, PGresult **ret_result,
                          struct opiml_error *err) {
    PGresult *first = NULL, *more = NULL;
    int rc = sent ? flush(self, err) : fail_lost(self, err);
    if (rc == 0)
        rc = next_result(self, &first, err);
    if (rc < 0)
        return rc;
    ExecStatusType status = lib.PQresultStatus(first);
    bool fine = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_OUT;
    if (!fine)
        rc = fail_result(self, first, err);
    while (rc == 0 && status != PGRES_COPY_OUT && (rc = next_result(self, &more, err)) == 0 &&
           more) {
        fine = lib.PQresultStatus(more) == PGRES_COMMAND_OK;
        rc = fine ? 0 : fail_result(self, more, err);
        lib.PQclear(more);
    }
    if (rc < 0) {
        lib.PQclear(first);
        /* Behind a failure there is nothing more; what there is belongs to no later command. */
        while (!self->base.lost && next_result(self, &more, NULL) == 0 && more)
            lib.PQclear(more);
        return rc;
    }
    *ret_result = first;
    return 0;
}

/* ---- connecting ---- */

static void postgres_close(struct db *db) {
    struct connection *self = (struct connection *)db;
    if (self->handle)
        lib.PQfinish(self->handle);
    base_free(self->base.uri);
    base_free(self);
}

static void close_at(struct connection **self) {
    if (*self)
        postgres_close(&(*self)->base);
}

/* Notices are no news to those who only read. */
static void ignore_notice(void *context, const char *text) {
}

static int connect_to(struct connection *self, uint32_t ms, struct opiml_error *err) {
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    uint64_t until = clock_now_ns() + (uint64_t)ms * 1000000u;
    while (next != PGRES_POLLING_OK) {
        uint64_t now = clock_now_ns();
        uint32_t left = now >= until ? 1 : (uint32_t)((until - now) / 1000000u + 1);
        if (next == PGRES_POLLING_FAILED || lib.PQstatus(self->handle) == CONNECTION_BAD)
            return fail_text(self, OPIML_EIO, "", lib.PQerrorMessage(self->handle), err);
        int rc = wait_for(self, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, left,
                          "connecting", err);
        if (rc < 0)
            return rc;
        next = lib.PQconnectPoll(self->handle);
    }
    return 0;
}

/* Before libpq fails with a message that quotes a password. */
static int check_uri(const struct connection *self, const char *uri, struct opiml_error *err) {
    char *why = NULL;
    int rc = db_uri_check(uri, err);
    if (rc < 0)
        return rc;
    PQconninfoOption *options = lib.PQconninfoParse(uri, &why);
    bool fine = options != NULL;
    lib.PQconninfoFree(options);
    lib.PQfreemem(why);
    return fine ? 0
                : opiml_fail(err, OPIML_EINVAL,
                             "%s: libpq does not take this URI: is there a parameter that it does "
                             "not know, or a %% that is not encoded (%%25)?",
                             self->base.uri);
}

extern const struct db_ops db_postgres;

static int postgres_open(const char *uri, const struct db_ask *ask, struct db **ret_db,
                         struct opiml_error *err) {
    /* A dead peer is noticed within half a minute; what the URI says comes later and wins. */
    static const char *const keys[] = {"keepalives_idle",
                                       "keepalives_interval",
                                       "keepalives_count",
                                       "fallback_application_name",
                                       "dbname",
                                       "client_encoding",
                                       NULL};
    const char *const values[] = {"10", "5", "4", "opiml", uri, "UTF8", NULL};
    CLEANUP(close_at) struct connection *self = NULL;
    pthread_once(&once, load);
    if (missing)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "PostgreSQL needs libpq, of which %s is missing (Debian: libpq5)",
                          missing);
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a database");
    self->base = (struct db){.ops = &db_postgres, .uri = db_uri_shown(uri)};
    self->stop = ask->stop;
    if (!self->base.uri)
        return base_fail_memory(err, strlen(uri), "a URI");
    int rc = check_uri(self, uri, err);
    if (rc < 0)
        return rc;
    self->handle = lib.PQconnectStartParams(keys, values, 1);
    if (!self->handle)
        return base_fail_memory(err, sizeof(*self), "a connection");
    lib.PQsetNoticeProcessor(self->handle, ignore_notice, NULL);
    /* What text values have as their form is not left to the machine, the role or the server: it is
     * a part of the data. */
    static const char session[] =
        "SELECT set_config('standard_conforming_strings', 'on', false), "
        "set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, YMD', false), "
        "set_config('intervalstyle', 'postgres', false), set_config('bytea_output', 'hex', false), "
        "set_config('extra_float_digits', '3', false), set_config('lc_monetary', 'C', false)";
    rc = connect_to(self, ask->connect_ms ? ask->connect_ms : CONNECT_MS, err);
    if (rc < 0)
        return rc;
    self->answer_ms = ask->answer_ms;
    lib.PQsetnonblocking(self->handle, 1);
    rc = db_execute(&self->base, session, err);
    if (rc == 0 && !(ask->flags & DB_WRITE))
        rc = db_execute(&self->base, "SET default_transaction_read_only = on", err);
    if (rc < 0)
        return rc;
    *ret_db = &TAKE(self)->base;
    return 0;
}

/* ---- statements ---- */

static void release_result(struct statement *self) {
    if (self->result)
        lib.PQclear(TAKE(self->result));
    if (self->tuple)
        lib.PQfreemem(TAKE(self->tuple));
}

static void postgres_finish(struct db_statement *statement) {
    struct statement *self = (struct statement *)statement;
    struct connection *connection = (struct connection *)statement->db;
    release_result(self);
    /* Nobody is to read the rest of a stream: its connection is of no more use. */
    connection->base.lost |= self->streams && self->begun;
    base_free(self->columns);
    base_free(self->types);
    base_free(self->values);
    base_free(self);
}

static void finish_at(struct statement **self) {
    if (*self)
        postgres_finish(&(*self)->base);
}

static int take_columns(struct statement *self, const PGresult *result, struct opiml_error *err) {
    int count = lib.PQnfields(result);
    self->base.columns = (uint32_t)count;
    self->columns = base_alloc_array((size_t)count, sizeof(self->columns[0]));
    self->types = base_alloc_array((size_t)count, sizeof(self->types[0]));
    self->values = base_alloc_array((size_t)count, sizeof(self->values[0]));
    if (!self->columns || !self->types || !self->values)
        return base_fail_memory(err, (size_t)count * sizeof(self->columns[0]), "columns");
    for (int i = 0; i < count; i++) {
        self->types[i] = lib.PQftype(result, i);
        self->columns[i].type = copy_type(self->types[i]);
        text_copy(self->columns[i].name, DB_NAME_BYTES, lib.PQfname(result, i));
    }
    self->base.column = self->columns;
    return 0;
}

static int prepare(struct connection *connection, const char *sql, struct statement **ret_statement,
                   struct opiml_error *err) {
    CLEANUP(finish_at) struct statement *self = base_alloc(sizeof(*self));
    PGresult *result;
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a statement");
    self->base.db = &connection->base;
    snprintf(self->name, sizeof(self->name), "s%u", connection->statements++);
    int sent = lib.PQsendPrepare(connection->handle, self->name, sql, 0, NULL);
    int rc = finish_command(connection, sent, &result, err);
    if (rc < 0)
        return rc;
    lib.PQclear(result);
    sent = lib.PQsendDescribePrepared(connection->handle, self->name);
    rc = finish_command(connection, sent, &result, err);
    if (rc < 0)
        return rc;
    rc = take_columns(self, result, err);
    lib.PQclear(result);
    if (rc < 0)
        return rc;
    *ret_statement = TAKE(self);
    return 0;
}

static int postgres_prepare(struct db *db, const char *sql, struct db_statement **ret_statement,
                            struct opiml_error *err) {
    struct statement *statement;
    int rc = prepare((struct connection *)db, sql, &statement, err);
    if (rc == 0)
        *ret_statement = &statement->base;
    return rc;
}

/* Arguments as text: their types are the statement's to say ($1::bigint). */
static int postgres_run(struct db_statement *statement, const struct db_value *arguments,
                        uint32_t count, struct opiml_error *err) {
    struct statement *self = (struct statement *)statement;
    struct connection *connection = (struct connection *)statement->db;
    char numbers[DB_ARGUMENTS_MAX][32];
    AUTO_TEXT struct text texts = {0};
    size_t begin[DB_ARGUMENTS_MAX] = {0};
    const char *values[DB_ARGUMENTS_MAX] = {0};
    int lengths[DB_ARGUMENTS_MAX] = {0}, formats[DB_ARGUMENTS_MAX] = {0};
    release_result(self);
    self->row = -1;
    for (uint32_t i = 0; i < count; i++) {
        const struct db_value *from = &arguments[i];
        bool bytes = from->type == DB_TEXT || from->type == DB_BYTES;
        begin[i] = texts.count;
        if (from->type == DB_REAL)
            snprintf(numbers[i], sizeof(numbers[i]), "%.17g", from->real);
        else if (bytes)
            text_add_bytes(&texts, from->at, from->bytes);
        else
            snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64, from->integer);
        if (bytes)
            text_add_bytes(&texts, "", 1);
        lengths[i] = (int)from->bytes;
        formats[i] = from->type == DB_BYTES;
    }
    if (texts.failed)
        return base_fail_memory(err, texts.count, "arguments");
    for (uint32_t i = 0; i < count; i++) {
        bool bytes = arguments[i].type == DB_TEXT || arguments[i].type == DB_BYTES;
        values[i] = arguments[i].type == DB_NULL ? NULL : bytes ? texts.at + begin[i] : numbers[i];
    }
    int sent = lib.PQsendQueryPrepared(connection->handle, self->name, (int)count, values, lengths,
                                       formats, 1);
    return finish_command(connection, sent, &self->result, err);
}

static int postgres_stream(struct db *db, const char *sql, struct db_statement **ret_statement,
                           struct opiml_error *err) {
    struct connection *connection = (struct connection *)db;
    CLEANUP(finish_at) struct statement *self = NULL;
    AUTO_FREE char *copy = base_printf("COPY (%s) TO STDOUT (FORMAT binary)", sql);
    PGresult *result;
    if (!copy)
        return base_fail_memory(err, strlen(sql), "a query");
    int rc = prepare(connection, sql, &self, err); /* for the types of its columns */
    if (rc == 0)
        rc = finish_command(connection, lib.PQsendQuery(connection->handle, copy), &result, err);
    if (rc < 0)
        return rc;
    lib.PQclear(result);
    self->streams = self->begun = true;
    self->row = -1;
    *ret_statement = &TAKE(self)->base;
    return 0;
}

/* ---- rows ---- */

static int fail_copy(struct connection *self, struct opiml_error *err) {
    self->base.lost = true;
    return opiml_fail(err, OPIML_ECORRUPT, "%s: a damaged row of COPY", self->base.uri);
}

/* More of COPY's data: its bytes, 0 at the end, or a failure. */
static int copy_more(struct statement *self, struct opiml_error *err) {
    struct connection *connection = (struct connection *)self->base.db;
    PGresult *result;
    int got, rc = 0;
    if (self->tuple)
        lib.PQfreemem(TAKE(self->tuple));
    while ((got = lib.PQgetCopyData(connection->handle, &self->tuple, 1)) == 0) {
        rc = wait_for(connection, POLLIN, connection->answer_ms, "a query", err);
        if (rc < 0)
            return rc;
        if (!lib.PQconsumeInput(connection->handle))
            return fail_lost(connection, err);
    }
    if (got > 0)
        return got;
    rc = got == -1 ? finish_command(connection, 1, &result, err) : fail_lost(connection, err);
    self->begun = false;
    if (rc == 0)
        lib.PQclear(result);
    return rc;
}

static int step_stream(struct statement *self, struct opiml_error *err) {
    struct connection *connection = (struct connection *)self->base.db;
    uint64_t skip = 0;
    int got = self->begun ? copy_more(self, err) : 0, rc;
    if (got <= 0)
        return got;
    if (self->row < 0) { /* the first piece begins with the header, and may be no more */
        skip = copy_header((const uint8_t *)self->tuple, (size_t)got);
        if (skip == 0)
            return fail_copy(connection, err);
        self->row = 0;
        if (skip >= (uint64_t)got)
            return step_stream(self, err);
    }
    rc = copy_row(self->types, self->base.columns, (const uint8_t *)self->tuple + skip,
                  (size_t)got - skip, self->values);
    if (rc < 0)
        return fail_copy(connection, err);
    if (rc != 0)
        return rc;
    while ((got = copy_more(self, err)) > 0)
        ; /* behind the trailer there is nothing */
    return got;
}

static int postgres_step(struct db_statement *statement, struct opiml_error *err) {
    struct statement *self = (struct statement *)statement;
    if (self->streams)
        return step_stream(self, err);
    if (!self->result)
        return 0;
    if (++self->row < lib.PQntuples(self->result))
        return 1;
    release_result(self);
    return 0;
}

static void postgres_value(struct db_statement *statement, uint32_t i, struct db_value *ret_value) {
    struct statement *self = (struct statement *)statement;
    if (self->streams) {
        *ret_value = self->values[i];
    } else if (!lib.PQgetisnull(self->result, self->row, (int)i)) {
        copy_value(self->types[i], (const uint8_t *)lib.PQgetvalue(self->result, self->row, (int)i),
                   (uint32_t)lib.PQgetlength(self->result, self->row, (int)i), ret_value);
    }
}

const struct db_ops db_postgres = {
    .scheme = "postgres",
    .alias = "postgresql",
    .dialect = {.bytewise = "\"C\"",
                .arrays = true,
                .casts = true,
                .nans = true,
                .snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                .primary_key =
                    "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND "
                    "attnum = ANY((indkey::int2[])[0:indnkeyatts - 1]) WHERE indisprimary AND "
                    "indrelid = $1::text::regclass"},
    .open = postgres_open,
    .close = postgres_close,
    .prepare = postgres_prepare,
    .stream = postgres_stream,
    .finish = postgres_finish,
    .run = postgres_run,
    .step = postgres_step,
    .value = postgres_value,
};
