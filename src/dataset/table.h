/* Tables of databases, as the sources, their queue and the format share them. A table is one object
 * of rows in the order of a key: the index lists the keys, and gives every row its range of bytes
 * in an object that nobody has ever written. A read of a range is a query for the keys of its rows;
 * what comes is laid out as table_row.h says. */
#ifndef DATASET_TABLE_H
#define DATASET_TABLE_H

#include <pthread.h>

#include "base/text.h"
#include "dataset/index.h"
#include "dataset/source.h"
#include "db/db.h"

struct dataset_head;

#define TABLE_OBJECT_BYTES ((uint64_t)1 << 62) /* more than all rows take */
#define TABLE_CONNECTIONS 4                    /* of a queue, each with a thread */
#define TABLE_ROW_BYTES_MAX (1u << 30)

struct table_column {
    char name[DB_NAME_BYTES];
    enum db_type type;
};

/* What to read, as SQL. Owned; the source has it from table_set on. */
struct table_ask {
    char *object;          /* the table's name in messages, and the object's key */
    char *from;            /* "payments" or (SELECT ...) AS q, quoted as SQL has it */
    char *key;             /* the column that tells rows apart */
    char *version;         /* the column that changes with a row; NULL: none */
    char *where;           /* NULL: all rows */
    enum db_type key_type; /* DB_INT, DB_TEXT, DB_UUID, or DB_ANY: SQLite's, as its rows have it */
    uint32_t columns;
    struct table_column *column; /* all that there are */
};
void table_ask_release(struct table_ask *ask);

struct table_source {
    struct source base;
    char *secret;         /* the URI as it was given, perhaps with a password */
    char *table;          /* behind its '#'; NULL: none */
    pthread_mutex_t turn; /* over the connection of calls that block */
    struct table_reader *reader;
    int limit; /* a timer that ends its queries while there is no index */
    uint32_t limit_s;
    pthread_mutex_t lock; /* over the failure */
    struct table_ask ask;
    const struct dataset_head *head; /* while it is being opened */
    /* From table_bind on. */
    const struct index *index;
    uint64_t *kept; /* records that are not dropped; NULL: all are kept */
    uint64_t kept_count;
    bool key_int; /* keys are whole numbers, not texts */
    char *by_keys, *by_range;
    struct opiml_error failure; /* code 0: none */
};

/* For the sources' tables of functions: they differ in how a database is named. */
extern const struct source_ops source_sqlite, source_postgres;
int table_open(const struct source_ops *ops, const char *uri, struct source **ret_source,
               struct opiml_error *err);
void table_close(struct source *source);
int table_list(struct source *source, struct source_listing *ret_listing, struct opiml_error *err);
int64_t table_read(struct source *source, const char *key, void *to, size_t bytes, uint64_t offset,
                   struct opiml_error *err);
int table_stat(struct source *source, const char *key, struct source_object *ret_object,
               struct opiml_error *err);
int table_failure(struct source *source, struct opiml_error *err);
/* table_queue.c */
int table_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                     size_t buffers_bytes, struct source_queue **ret_queue,
                     struct opiml_error *err);
void table_queue_close(struct source_queue *queue);
uint32_t table_queue_submit(struct source_queue *queue, struct source_read *const *reads,
                            uint32_t count);
uint32_t table_queue_wait(struct source_queue *queue, struct source_read **done, uint32_t room,
                          uint64_t timeout_ns);
void table_queue_wake(struct source_queue *queue);

#define TABLE_SOURCE_OPS                                                                           \
    .close = table_close, .list = table_list, .read = table_read, .stat = table_stat,              \
    .failure = table_failure, .queue_open = table_queue_open, .queue_close = table_queue_close,    \
    .submit = table_queue_submit, .wait = table_queue_wait, .wake = table_queue_wake

/* For the format. The connection for calls that block; no other thread has the source yet. From
 * each call on queries have the time that indexing may take: what fails then does so by
 * table_ended, which gives the code back, or has OPIML_ETIMEDOUT where that time is over. */
int table_connect(struct table_source *self, struct db **ret_db, struct opiml_error *err);
int table_ended(const struct table_source *self, int rc, struct opiml_error *err);
/* Takes `ask`, also when it fails. */
int table_set(struct table_source *self, struct table_ask *ask, struct opiml_error *err);
/* Reads go by this index, whose records' keys are as told below. */
int table_bind(struct table_source *self, const struct index *index, struct opiml_error *err);
/* A column's value as one of the types of a schema, in SQL. */
void table_add_value(const struct table_source *self, const struct table_column *column,
                     uint32_t dtype, struct text *to);
void table_add_name(struct text *to, const char *name);                /* quoted */
void table_add_row(const struct table_source *self, struct text *to);  /* its key and version */
void table_add_from(const struct table_source *self, struct text *to); /* FROM ... WHERE ... */
const struct table_column *table_find_column(const struct table_ask *ask, const char *name);

/* A record's key in an index: the number (8 bytes) or the text, as the record's label says, and
 * behind it the hash of the row's version. Nothing: the record is dropped, and takes no bytes. */
#define TABLE_VERSION_BYTES 8
enum { TABLE_DROPPED, TABLE_KEY_INT, TABLE_KEY_TEXT };
uint64_t table_version(const struct db_value *value);

/* Some bytes of the object. */
struct table_want {
    uint64_t offset;
    uint32_t bytes;
    uint8_t *to;
    int result; /* out, as of source_read */
    /* table_fetch's: which rows, and what has come of each */
    uint64_t first, rows;
    uint8_t *came;
};
/* A connection, and the statements that rows are read with. One thread. */
struct table_reader;
/* `stop`: a descriptor that ends all waiting once it is readable; -1: none. Connects when it has
 * to. */
int table_reader_open(struct table_source *source, int stop, struct table_reader **ret_reader,
                      struct opiml_error *err);
void table_reader_close(struct table_reader *reader); /* NULL is fine */
/* Its connection, which is made if there is none. */
int table_reader_db(struct table_reader *reader, struct db **ret_db, struct opiml_error *err);
/* Fetch all that is wanted together, with as few queries as can be. A database that goes away is
 * tried again until a deadline; when that is over the results are OPIML_ECANCELED, and the source
 * has its failure. */
void table_fetch(struct table_reader *reader, struct table_want *wants, uint32_t count);

#endif
