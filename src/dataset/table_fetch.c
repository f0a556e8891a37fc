/* Fetching rows of a table by their keys: many with one query, each copied to whoever wants a part
 * of it. */
#include <poll.h>

#include "base/clock.h"
#include "dataset/number.h"
#include "dataset/table.h"
#include "dataset/table_row.h"

#define TIMEOUT_S 30    /* that a database is tried again for; OPIML_DB_TIMEOUT says otherwise */
#define BACK_OFF_MS 50u /* the first pause; each is twice as long as the one before */
#define BACK_OFF_MOST 2000u

struct table_reader {
    struct table_source *source;
    struct db *db;
    struct db_statement *by_keys, *by_range;
    int stop;
    uint32_t timeout_ms;
    locale_t locale;
    uint8_t *row;
    uint64_t row_room;
};

static void close_at(struct table_reader **self) {
    table_reader_close(*self);
}

int table_reader_open(struct table_source *source, int stop, struct table_reader **ret_reader,
                      struct opiml_error *err) {
    CLEANUP(close_at) struct table_reader *self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a connection");
    self->source = source;
    self->stop = stop;
    self->locale = number_locale();
    uint32_t timeout_s;
    int rc = source_seconds("OPIML_DB_TIMEOUT", TIMEOUT_S, &timeout_s, err);
    if (rc < 0)
        return rc;
    self->timeout_ms = timeout_s * 1000;
    *ret_reader = TAKE(self);
    return 0;
}

static void hang_up(struct table_reader *self) {
    db_finish(TAKE(self->by_keys));
    db_finish(TAKE(self->by_range));
    db_close(TAKE(self->db));
}

void table_reader_close(struct table_reader *self) {
    if (!self)
        return;
    hang_up(self);
    if (self->locale)
        freelocale(self->locale);
    base_free(self->row);
    base_free(self);
}

int table_reader_db(struct table_reader *self, struct db **ret_db, struct opiml_error *err) {
    /* Of a table that is being indexed nobody knows how long a query takes; see table_connect. */
    const struct db_ask ask = {.connect_ms = base_min_u64(self->timeout_ms, 10000),
                               .answer_ms = self->source->index ? self->timeout_ms : 0,
                               .stop = self->stop};
    if (self->db && (self->db->lost || (self->source->index && !self->by_keys)))
        hang_up(self);
    int rc = self->db ? 0 : db_open(self->source->secret, &ask, &self->db, err);
    if (rc == 0)
        *ret_db = self->db;
    return rc;
}

static int connect_reader(struct table_reader *self, struct opiml_error *err) {
    struct db *db;
    int rc = table_reader_db(self, &db, err);
    if (rc == OPIML_ENOENT && self->source->base.ops->path) /* it was there when it was indexed */
        return opiml_fail(err, rc, "%s: the file was removed or replaced", self->source->base.uri);
    if (rc == 0 && !self->by_keys)
        rc = db_prepare(db, self->source->by_keys, &self->by_keys, err);
    if (rc == 0 && self->source->key_int && !self->by_range)
        rc = db_prepare(db, self->source->by_range, &self->by_range, err);
    return rc;
}

/* ---- which rows ---- */

static const struct index_record *kept_record(const struct table_source *source, uint64_t i) {
    return &source->index->records[source->kept ? source->kept[i] : i];
}

/* The first row that ends behind the offset. */
static uint64_t find_row(const struct table_source *source, uint64_t offset) {
    uint64_t low = 0, high = source->kept_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct index_record *record = kept_record(source, middle);
        if (record->offset + record->bytes <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t key_int(const struct table_source *source, uint64_t i) {
    int64_t key;
    memcpy(&key, source->index->pool + kept_record(source, i)->key, sizeof(key));
    return key;
}

static struct db_value key_text(const struct table_source *source, uint64_t i) {
    const struct index_record *record = kept_record(source, i);
    return db_text(source->index->pool + record->key, record->key_bytes - TABLE_VERSION_BYTES);
}

static uint64_t key_version(const struct table_source *source, uint64_t i) {
    const struct index_record *record = kept_record(source, i);
    uint64_t version;
    memcpy(&version, source->index->pool + record->key + record->key_bytes - TABLE_VERSION_BYTES,
           sizeof(version));
    return version;
}

static int compare_key(const struct table_source *source, uint64_t i,
                       const struct db_value *value) {
    if (source->key_int) {
        int64_t key = key_int(source, i);
        return key < value->integer ? -1 : key > value->integer;
    }
    struct db_value key = key_text(source, i);
    uint32_t shared = key.bytes < value->bytes ? key.bytes : value->bytes;
    int order = shared ? memcmp(key.at, value->at, shared) : 0;
    return order ? order : key.bytes < value->bytes ? -1 : key.bytes > value->bytes;
}

/* UINT64_MAX: no row of ours. */
static uint64_t find_key(const struct table_source *source, const struct db_value *value) {
    uint64_t low = 0, high = source->kept_count;
    if ((value->type == DB_INT) != source->key_int)
        return UINT64_MAX;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (compare_key(source, middle, value) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < source->kept_count && compare_key(source, low, value) == 0 ? low : UINT64_MAX;
}

/* ---- queries ---- */

/* A string of JSON, or an element of an array as PostgreSQL reads it. */
static void add_string(struct text *to, const struct db_value *value, bool json) {
    text_add(to, "\"");
    for (uint32_t i = 0; i < value->bytes; i++) {
        uint8_t c = value->at[i];
        if (c == '"' || c == '\\')
            text_printf(to, "\\%c", c);
        else if (json && c < 0x20)
            text_printf(to, "\\u%04x", c);
        else
            text_add_bytes(to, &c, 1);
    }
    text_add(to, "\"");
}

static void add_keys(const struct table_source *source, const struct table_want *want,
                     struct text *to) {
    bool json = source->ask.key_type == DB_ANY;
    for (uint64_t i = want->first; i < want->first + want->rows; i++) {
        text_add(to, to->count > 1 ? "," : "");
        if (source->key_int) {
            text_printf(to, "%" PRId64, key_int(source, i));
        } else {
            struct db_value key = key_text(source, i);
            add_string(to, &key, json);
        }
    }
}

/* Start the query for all that is wanted: where keys stand close together, a range of them. */
static int run_query(struct table_reader *self, const struct table_want *wants, uint32_t count,
                     struct db_statement **ret_statement, struct opiml_error *err) {
    const struct table_source *source = self->source;
    bool json = source->ask.key_type == DB_ANY;
    uint64_t rows = 0, first = UINT64_MAX, last = 0;
    AUTO_TEXT struct text keys = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (wants[i].rows == 0)
            continue;
        rows += wants[i].rows;
        first = base_min_u64(first, wants[i].first);
        last = base_max_u64(last, wants[i].first + wants[i].rows - 1);
    }
    if (source->key_int &&
        (uint64_t)key_int(source, last) - (uint64_t)key_int(source, first) < rows + rows / 4) {
        const struct db_value range[] = {db_int(key_int(source, first)),
                                         db_int(key_int(source, last))};
        *ret_statement = self->by_range;
        return db_run(self->by_range, range, 2, err);
    }
    text_add(&keys, json ? "[" : "{");
    for (uint32_t i = 0; i < count; i++)
        add_keys(source, &wants[i], &keys);
    text_add(&keys, json ? "]" : "}");
    if (keys.failed)
        return base_fail_memory(err, keys.count, "keys");
    const struct db_value list = db_text(keys.at, keys.count);
    *ret_statement = self->by_keys;
    return db_run(self->by_keys, &list, 1, err);
}

/* Copy what a want has of a row, whose bytes are `row`. */
static void copy_part(struct table_want *want, uint64_t offset, const uint8_t *row,
                      uint64_t bytes) {
    uint64_t begin = base_max_u64(offset, want->offset);
    uint64_t end = base_min_u64(offset + bytes, want->offset + want->bytes);
    memcpy(want->to + (begin - want->offset), row + (begin - offset), end - begin);
}

/* What has come of a row: nothing, the row, or what it cannot be told from. */
enum { NOT_COME, CAME, UNCLEAR };

/* A row of key `i` has come, whose bytes are `row`; NULL: it is another than was indexed. One that
 * comes twice, as of a join that is not unique any more, is no row of ours. */
static void give_row(const struct table_source *source, struct table_want *wants, uint32_t count,
                     uint64_t i, const uint8_t *row) {
    const struct index_record *record = kept_record(source, i);
    for (uint32_t w = 0; w < count; w++) {
        struct table_want *want = &wants[w];
        if (i < want->first || i - want->first >= want->rows)
            continue;
        uint8_t *came = &want->came[i - want->first];
        *came = row && *came == NOT_COME ? CAME : UNCLEAR;
        if (*came == CAME)
            copy_part(want, record->offset, row, record->bytes);
    }
}

/* The row that the statement stands at. */
static int take_row(struct table_reader *self, struct db_statement *statement,
                    struct table_want *wants, uint32_t count, struct opiml_error *err) {
    const struct table_source *source = self->source;
    struct db_value key = db_get(statement, 0), version = db_get(statement, 1);
    uint64_t i = find_key(source, &key), bytes;
    if (i == UINT64_MAX)
        return 0; /* within a range of keys, but not of the list */
    if (source->ask.version && table_version(&version) != key_version(source, i)) {
        give_row(source, wants, count, i, NULL);
        return 0;
    }
    while ((bytes = table_row_write(&source->index->schema, statement, 2, self->locale, self->row,
                                    self->row_room)) > self->row_room) {
        uint8_t *grown = bytes <= TABLE_ROW_BYTES_MAX ? base_realloc(self->row, bytes) : NULL;
        if (!grown)
            return base_fail_memory(err, bytes, "a row");
        self->row = grown;
        self->row_room = bytes;
    }
    bool same = bytes == kept_record(source, i)->bytes;
    give_row(source, wants, count, i, same ? self->row : NULL);
    return 0;
}

static bool all_came(const struct table_want *want) {
    for (uint64_t i = 0; i < want->rows; i++)
        if (want->came[i] != CAME)
            return false;
    return true;
}

static int try_fetch(struct table_reader *self, struct table_want *wants, uint32_t count,
                     struct opiml_error *err) {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < count; i++)
        rows += wants[i].rows;
    AUTO_FREE uint8_t *came = base_alloc(rows);
    struct db_statement *statement = NULL;
    int rc = came ? connect_reader(self, err) : base_fail_memory(err, rows, "a query");
    if (rc == 0)
        rc = run_query(self, wants, count, &statement, err);
    if (rc < 0)
        return rc;
    for (uint64_t i = 0, at = 0; i < count; at += wants[i++].rows)
        wants[i].came = came + at;
    while ((rc = db_step(statement, err)) == 1)
        if ((rc = take_row(self, statement, wants, count, err)) < 0)
            return rc;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        wants[i].result = all_came(&wants[i]) ? 0 : OPIML_ESTALE;
    return rc;
}

/* ---- a database that goes away ---- */

/* Whether to try again may help. */
static bool is_passing(const struct table_reader *self, int code) {
    return !self->db || self->db->lost ? code != OPIML_ENOENT && code != OPIML_EACCES &&
                                             code != OPIML_ENOTSUP && code != OPIML_ENOMEM
                                       : code == OPIML_EBUSY;
}

static bool is_stopped(const struct table_reader *self, uint32_t wait_ms) {
    struct pollfd look = {.fd = self->stop, .events = POLLIN};
    return poll(&look, self->stop >= 0, (int)wait_ms) > 0;
}

static void fail_source(struct table_reader *self, const struct opiml_error *why, bool tried) {
    struct table_source *source = self->source;
    pthread_mutex_lock(&source->lock);
    if (!source->failure.code && tried)
        opiml_fail(&source->failure, why->code, "tried for %u s: %s", self->timeout_ms / 1000,
                   why->message);
    else if (!source->failure.code)
        source->failure = *why;
    pthread_mutex_unlock(&source->lock);
}

/* The last word on a fetch that could not be carried out. */
static void give_up(struct table_reader *self, struct table_want *wants, uint32_t count, int code,
                    const struct opiml_error *why, bool tried) {
    bool damaged = code == OPIML_ECORRUPT;
    if (damaged && count > 1) { /* which of them? */
        for (uint32_t i = 0; i < count; i++)
            table_fetch(self, &wants[i], 1);
        return;
    }
    if (!damaged && code != OPIML_ECANCELED && code != OPIML_ENOMEM)
        fail_source(self, why, tried);
    for (uint32_t i = 0; i < count; i++)
        wants[i].result = damaged || code == OPIML_ENOMEM ? code : OPIML_ECANCELED;
}

void table_fetch(struct table_reader *self, struct table_want *wants, uint32_t count) {
    uint64_t until = clock_now_ns() + (uint64_t)self->timeout_ms * 1000000u, rows = 0;
    uint32_t pause = BACK_OFF_MS;
    struct opiml_error why = {0};
    int rc;
    for (uint32_t i = 0; i < count; i++) {
        struct table_want *want = &wants[i];
        want->first = find_row(self->source, want->offset);
        assert(want->bytes == 0 || want->first < self->source->kept_count);
        want->rows = want->bytes
                         ? find_row(self->source, want->offset + want->bytes - 1) + 1 - want->first
                         : 0;
        want->result = 0;
        rows += want->rows;
    }
    if (rows == 0) /* of what is dropped */
        return;
    while ((rc = try_fetch(self, wants, count, &why)) < 0 && is_passing(self, rc)) {
        bool over = clock_now_ns() + pause * UINT64_C(1000000) >= until;
        if (over || is_stopped(self, pause)) {
            give_up(self, wants, count, over ? rc : OPIML_ECANCELED, &why, over);
            return;
        }
        pause = pause * 2 > BACK_OFF_MOST ? BACK_OFF_MOST : pause * 2;
    }
    if (rc < 0)
        give_up(self, wants, count, rc, &why, false);
}
