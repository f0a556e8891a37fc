/* The source that tables of all databases are: names, what has changed, and the SQL that rows are
 * read with. */
#include <limits.h>
#include <poll.h>
#include <sys/timerfd.h>

#include "base/hash.h"
#include "dataset/table.h"

/* That a table is indexed for, unless OPIML_DB_INDEX_TIMEOUT says otherwise. Whoever sends a query
 * to a node holds one of its threads. */
#define INDEX_S 3600
#define INDEX_SERVED_S 600

void table_ask_release(struct table_ask *ask) {
    base_free(ask->object);
    base_free(ask->from);
    base_free(ask->key);
    base_free(ask->version);
    base_free(ask->where);
    base_free(ask->column);
    memset(ask, 0, sizeof(*ask));
}

void table_close(struct source *source) {
    struct table_source *self = (struct table_source *)source;
    if (!self)
        return;
    table_reader_close(self->reader);
    base_close_fd(&self->limit);
    table_ask_release(&self->ask);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->turn);
    base_free(self->kept);
    base_free(self->by_keys);
    base_free(self->by_range);
    base_free(self->secret);
    base_free(self->table);
    base_free(self->base.uri);
    base_free(self->base.prefix);
    base_free(self->base.local);
    base_free(self);
}

static void close_at(struct table_source **self) {
    if (*self)
        table_close(&(*self)->base);
}

/* A file's URI has its absolute path, wherever a link to it lies. */
static int find_file(struct table_source *self, struct opiml_error *err) {
    const char *path = strstr(self->secret, "://") + 3;
    char real[PATH_MAX];
    self->base.local = base_strdup(realpath(path, real) ? real : path);
    char *uri =
        self->base.local ? base_printf("%s://%s", self->base.ops->scheme, self->base.local) : NULL;
    if (!uri)
        return base_fail_memory(err, strlen(path), "a path");
    base_free(self->secret);
    self->secret = uri;
    return 0;
}

/* The database that is opened has to be the one that is shown, and compared with a node's roots. */
static int check_uri(const struct table_source *self, const char *uri, struct opiml_error *err) {
    const char *begin = strstr(uri, "://");
    bool cut = begin && begin[3 + strcspn(begin + 3, "/?#")] == '#'; /* perhaps in a password */
    if (self->base.ops->path)
        return 0;
    return db_uri_check(cut ? uri : self->secret, err);
}

/* "sqlite:///data/shop.db#payments": the part behind '#' is ours, the rest the database's. */
static int split_uri(struct table_source *self, const char *uri, struct opiml_error *err) {
    const char *mark = strrchr(uri, '#');
    bool named = mark && mark[1];
    self->secret = base_printf("%.*s", mark ? (int)(mark - uri) : (int)strlen(uri), uri);
    if (self->secret && self->base.ops->path && find_file(self, err) < 0)
        return OPIML_ENOMEM;
    self->table = named ? base_strdup(mark + 1) : NULL;
    self->base.uri = self->secret ? db_uri_shown(self->secret) : NULL;
    self->base.prefix = self->base.uri ? base_printf("%s#", self->base.uri) : NULL;
    if (!self->base.prefix || (named && !self->table))
        return base_fail_memory(err, strlen(uri), "a URI");
    self->base.single = true;
    return 0;
}

int table_open(const struct source_ops *ops, const char *uri, struct source **ret_source,
               struct opiml_error *err) {
    CLEANUP(close_at) struct table_source *self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a source");
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->turn, NULL);
    self->base.ops = ops;
    self->limit = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (self->limit < 0)
        return base_fail_errno(err, errno, "a timer");
    int rc = split_uri(self, uri, err);
    if (rc == 0)
        rc = check_uri(self, uri, err);
    if (rc == 0)
        rc = source_seconds("OPIML_DB_INDEX_TIMEOUT",
                            source_is_confined() ? INDEX_SERVED_S : INDEX_S, &self->limit_s, err);
    if (rc == 0)
        rc = source_check_confined(self->base.uri, self->base.local, err);
    if (rc == 0)
        rc = table_reader_open(self, self->limit, &self->reader, err);
    if (rc < 0)
        return rc;
    *ret_source = &TAKE(self)->base;
    return 0;
}

/* 0: no more. */
static void set_limit(struct table_source *self, uint32_t seconds) {
    timerfd_settime(self->limit, 0, &(struct itimerspec){.it_value = {.tv_sec = seconds}}, NULL);
}

int table_connect(struct table_source *self, struct db **ret_db, struct opiml_error *err) {
    set_limit(self, self->limit_s);
    return table_reader_db(self->reader, ret_db, err);
}

int table_ended(const struct table_source *self, int rc, struct opiml_error *err) {
    struct pollfd look = {.fd = self->limit, .events = POLLIN};
    if (rc != OPIML_ECANCELED || poll(&look, 1, 0) <= 0)
        return rc;
    return opiml_fail(err, OPIML_ETIMEDOUT,
                      "%s: not indexed in %u s; OPIML_DB_INDEX_TIMEOUT gives more", self->base.uri,
                      self->limit_s);
}

int table_set(struct table_source *self, struct table_ask *ask, struct opiml_error *err) {
    table_ask_release(&self->ask);
    self->ask = *ask;
    memset(ask, 0, sizeof(*ask));
    if (!source_key_safe(self->ask.object))
        return opiml_fail(err, OPIML_EINVAL, "table: \"%s\" is no name of a table",
                          self->ask.object);
    return 0;
}

int table_failure(struct source *source, struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    pthread_mutex_lock(&self->lock);
    int code = self->failure.code ? self->failure.code : OPIML_ECANCELED;
    opiml_fail(err, code, "%s", self->failure.code ? self->failure.message : "stopped");
    pthread_mutex_unlock(&self->lock);
    return code;
}

/* ---- SQL ---- */

void table_add_name(struct text *to, const char *name) {
    text_add(to, "\"");
    for (; *name; name++)
        text_printf(to, *name == '"' ? "\"\"" : "%c", *name);
    text_add(to, "\"");
}

const struct table_column *table_find_column(const struct table_ask *ask, const char *name) {
    for (uint32_t i = 0; i < ask->columns; i++)
        if (strcmp(ask->column[i].name, name) == 0)
            return &ask->column[i];
    return NULL;
}

static const char *cast_of(const struct table_column *column, uint32_t dtype) {
    bool real = dtype == OPIML_F32 || dtype == OPIML_F64;
    switch (column->type) {
    case DB_TEXT:
    case DB_BYTES: return "";
    case DB_INT:
    case DB_REAL:
    case DB_BOOL:
    case DB_TIME: return dtype ? "" : "::text";
    case DB_NUMERIC: return real ? "::float8" : "::text";
    case DB_DATE: return dtype ? "::timestamp" : "::text";
    default: return "::text";
    }
}

void table_add_value(const struct table_source *self, const struct table_column *column,
                     uint32_t dtype, struct text *to) {
    if (column->type == DB_ANY && !dtype)
        text_add(to, "CAST(");
    table_add_name(to, column->name);
    if (column->type == DB_ANY)
        text_add(to, dtype ? "" : " AS BLOB)");
    else
        text_add(to, cast_of(column, dtype));
}

/* The key as it is compared with those of the index. */
static void add_key(const struct table_source *self, struct text *to) {
    table_add_name(to, self->ask.key);
    text_add(to, self->ask.key_type == DB_UUID ? "::text" : "");
}

static void add_version(const struct table_source *self, const char *function, struct text *to) {
    const struct table_column *column = table_find_column(&self->ask, self->ask.version);
    bool ordered = column->type == DB_INT || column->type == DB_TIME || column->type == DB_REAL ||
                   column->type == DB_NUMERIC || column->type == DB_DATE || column->type == DB_TEXT;
    text_printf(to, "%s(", function);
    table_add_name(to, self->ask.version);
    if (column->type == DB_ANY)
        text_add(to, ")");
    else
        text_add(to, ordered ? ")::text" : "::text)");
}

void table_add_row(const struct table_source *self, struct text *to) {
    add_key(self, to);
    text_add(to, " AS opiml_k, ");
    if (self->ask.version)
        add_version(self, "", to);
    else
        text_add(to, "NULL");
}

void table_add_from(const struct table_source *self, struct text *to) {
    text_printf(to, " FROM %s", self->ask.from);
    if (self->ask.where)
        text_printf(to, " WHERE (%s)", self->ask.where);
}

/* ---- what has changed ---- */

static void add_stamp(const struct table_source *self, struct text *to) {
    text_add(to, "SELECT count(*), min(");
    add_key(self, to);
    text_add(to, "), max(");
    add_key(self, to);
    text_add(to, "), ");
    if (self->ask.version)
        add_version(self, "max", to);
    else
        text_add(to, "NULL");
    table_add_from(self, to);
}

uint64_t table_version(const struct db_value *value) {
    uint64_t hash = hash_64(&value->type, sizeof(value->type), 0);
    if (value->type == DB_TEXT || value->type == DB_BYTES)
        return hash_64(value->at, value->bytes, hash);
    hash = hash_64(&value->integer, sizeof(value->integer), hash);
    return hash_64(&value->real, sizeof(value->real), hash);
}

/* A hash of how many rows there are, of which keys and newest version, and of the columns. */
static int take_stamp(struct table_source *self, uint64_t *ret_stamp, struct opiml_error *err) {
    AUTO_TEXT struct text sql = {0};
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    struct db *db;
    uint64_t stamp = 0;
    add_stamp(self, &sql);
    if (sql.failed)
        return base_fail_memory(err, sql.count, "a query");
    int rc = table_connect(self, &db, err);
    if (rc == 0)
        rc = db_prepare(db, sql.at, &statement, err);
    if (rc == 0)
        rc = db_run(statement, NULL, 0, err);
    if (rc == 0)
        rc = db_step(statement, err);
    if (rc < 0)
        return table_ended(self, rc, err);
    for (uint32_t i = 0; rc == 1 && i < statement->columns; i++) {
        struct db_value value = db_get(statement, i);
        stamp = hash_64(&(uint64_t){table_version(&value)}, sizeof(uint64_t), stamp);
    }
    for (uint32_t i = 0; i < self->ask.columns; i++) {
        const struct table_column *column = &self->ask.column[i];
        stamp = hash_64(column->name, strlen(column->name), stamp + (uint64_t)column->type);
    }
    *ret_stamp = stamp;
    return 0;
}

int table_stat(struct source *source, const char *key, struct source_object *ret_object,
               struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    uint64_t stamp = TABLE_OBJECT_BYTES;
    if (key[0] && strcmp(key, self->ask.object) != 0)
        return opiml_fail(err, OPIML_ENOENT, "%s%s: another table is asked for", source->prefix,
                          key);
    /* Of a row that is read its own version tells. */
    int rc = key[0] || self->index ? 0 : take_stamp(self, &stamp, err);
    *ret_object = (struct source_object){.key = key, .bytes = stamp};
    return rc;
}

int table_list(struct source *source, struct source_listing *ret_listing, struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    listing.objects = base_alloc_array(1, sizeof(*listing.objects));
    listing.folders = base_alloc_array(1, sizeof(*listing.folders));
    char *key = source_keep(&listing.memory, self->ask.object, strlen(self->ask.object));
    if (!listing.objects || !listing.folders || !key)
        return base_fail_memory(err, strlen(self->ask.object), "a listing");
    int rc = table_stat(source, "", &listing.folders[0], err);
    if (rc == 0)
        rc = table_stat(source, key, &listing.objects[0], err);
    if (rc < 0)
        return rc;
    listing.count = listing.folder_count = 1;
    *ret_listing = listing;
    listing = (struct source_listing){0};
    return 0;
}

/* ---- reading ---- */

static int make_queries(struct table_source *self, struct opiml_error *err) {
    AUTO_TEXT struct text select = {0}, by_keys = {0}, by_range = {0};
    const struct opiml_schema *schema = &self->index->schema;
    AUTO_TEXT struct text key = {0};
    text_add(&select, "SELECT ");
    table_add_row(self, &select);
    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        const struct table_column *column = table_find_column(&self->ask, field->name);
        if (!column)
            return opiml_fail(err, OPIML_ESTALE, "%s%s has no column \"%s\" any more",
                              self->base.prefix, self->ask.object, field->name);
        text_add(&select, ", ");
        table_add_value(self, column, field->ndim ? 0 : field->dtype, &select);
    }
    text_printf(&select, " FROM %s WHERE ", self->ask.from);
    table_add_name(&key, self->ask.key);
    if (select.failed || key.failed)
        return base_fail_memory(err, select.count, "a query");
    const char *type = self->key_int ? "bigint" : self->ask.key_type == DB_UUID ? "uuid" : "text";
    if (self->ask.key_type == DB_ANY) {
        text_printf(&by_keys, "%s%s IN (SELECT value FROM json_each($1))", select.at, key.at);
        text_printf(&by_range, "%s%s BETWEEN $1 AND $2", select.at, key.at);
    } else {
        text_printf(&by_keys, "%s%s = ANY($1::%s[])", select.at, key.at, type);
        text_printf(&by_range, "%s%s BETWEEN $1::%s AND $2::%s", select.at, key.at, type, type);
    }
    if (by_keys.failed || by_range.failed)
        return base_fail_memory(err, select.count, "a query");
    self->by_keys = TAKE(by_keys.at);
    self->by_range = TAKE(by_range.at);
    return 0;
}

int table_bind(struct table_source *self, const struct index *index, struct opiml_error *err) {
    uint64_t count = index->header->records;
    for (uint64_t i = 0; i < count; i++)
        self->kept_count += index->records[i].label != TABLE_DROPPED;
    if (self->kept_count < count) {
        self->kept = base_alloc_array(self->kept_count, sizeof(*self->kept));
        if (!self->kept)
            return base_fail_memory(err, self->kept_count * sizeof(*self->kept), "a list of rows");
        for (uint64_t i = 0, to = 0; i < count; i++)
            if (index->records[i].label != TABLE_DROPPED)
                self->kept[to++] = i;
    }
    if (self->kept_count > 0)
        self->key_int = index->records[self->kept ? self->kept[0] : 0].label == TABLE_KEY_INT;
    self->index = index;
    set_limit(self, 0);
    return make_queries(self, err);
}

int64_t table_read(struct source *source, const char *key, void *to, size_t bytes, uint64_t offset,
                   struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    const struct index_record *last =
        self->kept_count == 0
            ? NULL
            : &self->index
                   ->records[self->kept ? self->kept[self->kept_count - 1] : self->kept_count - 1];
    uint64_t end = last ? last->offset + last->bytes : 0;
    bytes = offset < end ? base_min_u64(bytes, base_min_u64(end - offset, TABLE_ROW_BYTES_MAX)) : 0;
    struct table_want want = {.offset = offset, .bytes = (uint32_t)bytes, .to = to};
    pthread_mutex_lock(&self->turn);
    table_fetch(self->reader, &want, 1);
    pthread_mutex_unlock(&self->turn);
    if (want.result == OPIML_ECANCELED)
        return table_failure(source, err);
    if (want.result < 0)
        return opiml_fail(err, want.result, "%s%s: %s", source->prefix, key,
                          opiml_code_text(want.result));
    return (int64_t)bytes;
}
