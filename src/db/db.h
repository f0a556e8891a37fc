/* Databases behind one small interface: SQLite, and PostgreSQL where libpq is there. A connection
 * and its statements belong to one thread at a time. Values come in binary, one row at a time. */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/base.h"

#define DB_NAME_BYTES 64 /* of a column, with its closing zero: PostgreSQL's limit */
#define DB_ARGUMENTS_MAX 16

/* What a column holds, and a value is. */
enum db_type {
    DB_NULL,
    DB_INT,
    DB_BOOL, /* value.integer is 0 or 1 */
    DB_REAL,
    DB_TEXT,
    DB_BYTES,
    DB_TIME, /* value.integer: microseconds since 1970 UTC, or of a clock without a zone */
    /* Columns only: values of these are asked for as one of those above, by a cast. */
    DB_NUMERIC,
    DB_DATE,
    DB_UUID,
    DB_OTHER,
    DB_ANY, /* each value has a type of its own: SQLite */
};

struct db_value {
    enum db_type type;
    int64_t integer;
    double real;
    const uint8_t *at; /* DB_TEXT, DB_BYTES */
    uint32_t bytes;
};
struct db_column {
    char name[DB_NAME_BYTES]; /* cut where it is longer */
    enum db_type type;
};

struct db;
struct db_statement;

enum { DB_WRITE = 1 }; /* flags: make the file if it is not there, and write to it */

struct db_ask {
    uint32_t flags;
    uint32_t connect_ms; /* most time to connect, or to wait for a lock; 0: 10 s */
    uint32_t answer_ms;  /* most time without a sign of the server's in a query; 0: no limit */
    int stop;            /* a descriptor: waiting ends with OPIML_ECANCELED once it is readable;
                            -1: none. Borrowed as long as the connection is open */
};

/* What differs from one database to another in the SQL that callers write. */
struct db_dialect {
    const char *bytewise; /* the collation that compares bytes: to stand behind COLLATE */
    bool arrays;          /* `= ANY($1::bigint[])`; else json_each */
    bool casts;           /* values that are DB_NUMERIC, DB_DATE, ... need one */
    bool nans;            /* numbers may be NaN, which is equal to itself and above all others */
    const char *snapshot; /* begins a transaction that sees one state, and only reads */
    /* A query for the columns of the primary key of the table named by $1, quoted as in SQL. */
    const char *primary_key;
};

struct db_ops {
    const char *scheme, *alias; /* of URIs; alias may be NULL */
    struct db_dialect dialect;
    int (*open)(const char *uri, const struct db_ask *ask, struct db **ret_db,
                struct opiml_error *err);
    void (*close)(struct db *db);
    int (*prepare)(struct db *db, const char *sql, struct db_statement **ret_statement,
                   struct opiml_error *err);
    int (*stream)(struct db *db, const char *sql, struct db_statement **ret_statement,
                  struct opiml_error *err);
    void (*finish)(struct db_statement *statement);
    int (*run)(struct db_statement *statement, const struct db_value *arguments, uint32_t count,
               struct opiml_error *err);
    int (*step)(struct db_statement *statement, struct opiml_error *err);
    void (*value)(struct db_statement *statement, uint32_t i, struct db_value *ret_value);
};
struct db {
    const struct db_ops *ops;
    char *uri;  /* as it may be shown: without a password */
    bool lost;  /* the connection is gone, and with it its statements: close it, open another */
    bool local; /* a file of this machine */
};
struct db_statement {
    struct db *db;
    uint32_t columns;
    const struct db_column *column;
};

/* Open by URI: "sqlite:///path/file.db", or "postgres://user@host/name?sslmode=verify-full" in all
 * of libpq's forms. Passwords come from PGPASSWORD, ~/.pgpass or a service file as well as from the
 * URI; messages show it without. OPIML_ENOTSUP: this build, or this machine, has no such database.
 * OPIML_EINVAL: that is no such URI; OPIML_ENOENT: no such file; OPIML_EACCES; OPIML_EIO: nobody
 * answers; OPIML_ETIMEDOUT. Blocks. */
int db_open(const char *uri, const struct db_ask *ask, struct db **ret_db, struct opiml_error *err);
void db_close(struct db *db); /* NULL is fine. Statements first */
/* Whether everybody reads the same hosts and the same password in it: libpq takes the first "@", a
 * person the last. OPIML_EINVAL: something in it has to be percent-encoded. */
int db_uri_check(const char *uri, struct opiml_error *err);
/* The same URI without its password, as messages show it; the caller frees. NULL: out of memory. */
char *db_uri_shown(const char *uri);

/* Prepare a statement; its columns are known then. Closed with db_finish. OPIML_EINVAL: the SQL or
 * a name in it is wrong; OPIML_ENOENT: no such table. */
int db_prepare(struct db *db, const char *sql, struct db_statement **ret_statement,
               struct opiml_error *err);
/* A query without arguments whose rows come one by one from the first db_step on, however many
 * there are (PostgreSQL: COPY in binary). No other statement of the connection until db_finish. */
int db_stream(struct db *db, const char *sql, struct db_statement **ret_statement,
              struct opiml_error *err);
void db_finish(struct db_statement *statement); /* NULL is fine */
/* Run it (again): `arguments` for $1, $2, ... (?1, ?2, ... is the same), copied. */
int db_run(struct db_statement *statement, const struct db_value *arguments, uint32_t count,
           struct opiml_error *err);
/* The next row: 1, or 0 behind the last. OPIML_EBUSY: locked by others for longer than connect_ms;
 * OPIML_ECORRUPT: damaged; OPIML_EIO, and db->lost: the server went away; OPIML_ETIMEDOUT, and
 * db->lost: it does not answer; OPIML_ECANCELED. */
int db_step(struct db_statement *statement, struct opiml_error *err);
/* A value of that row; what it points to is valid until the next step. A column that is not there
 * is DB_NULL. */
struct db_value db_get(struct db_statement *statement, uint32_t i);
/* Prepare, run, and go through it: for statements without rows. */
int db_execute(struct db *db, const char *sql, struct opiml_error *err);

static inline struct db_value db_int(int64_t integer) {
    return (struct db_value){.type = DB_INT, .integer = integer};
}
static inline struct db_value db_text(const char *text, size_t bytes) {
    return (struct db_value){
        .type = DB_TEXT, .at = (const uint8_t *)text, .bytes = (uint32_t)bytes};
}

/* For CLEANUP. */
void db_close_at(struct db **db);
void db_finish_at(struct db_statement **statement);

#endif
