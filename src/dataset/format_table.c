/* Rows of a table, or of a query's result, of a database: a row is a record, a column a field, as
 * of the same rows in CSV. The index is the list of keys, exported in one short transaction:
 * whatever comes, goes or, where a column tells the version of a row, changes later, an epoch has
 * these rows, and what is not there any more as it was is a bad record. */
#include "base/hash.h"
#include "dataset/dataset.h"
#include "dataset/format.h"
#include "dataset/table.h"
#include "dataset/table_row.h"

/* That are looked at; the index has 32 bytes and the key for each. */
#define ROWS_MAX (1u << 30)
/* Of a column: how many whole numbers, other numbers, texts; its longest text. */
#define STATS 4

struct table_params {
    char table[OPIML_TEXT_MAX], query[OPIML_TEXT_MAX], key[OPIML_TEXT_MAX], version[OPIML_TEXT_MAX],
        where[OPIML_TEXT_MAX];
    struct opiml_text_list types;
};

static const struct opiml_param table_params[] = {
    {"table", "",
     "The table, or a view, such as payments or shop.payments; a uri may end in #TABLE",
     offsetof(struct table_params, table), OPIML_PARAM_TEXT},
    {"query", "", "A SELECT instead of a table", offsetof(struct table_params, query),
     OPIML_PARAM_TEXT},
    {"key", "",
     "The column that tells rows apart, by which they are ordered: whole numbers, texts or uuid; "
     "empty: the table's primary key",
     offsetof(struct table_params, key), OPIML_PARAM_TEXT},
    {"version", "", "A column that changes whenever its row does; empty: changes are not noticed",
     offsetof(struct table_params, version), OPIML_PARAM_TEXT},
    {"where", "", "A condition in SQL: only such rows are records",
     offsetof(struct table_params, where), OPIML_PARAM_TEXT},
    {"types", "",
     "Types of columns, such as [\"age:i32\", \"name:text\"]: i32, i64, f32, f64 or text; else "
     "whole numbers are i64, or f64 where there is a NULL, and other numbers f64",
     offsetof(struct table_params, types), OPIML_PARAM_TEXT_LIST},
    {NULL},
};

/* No file is one. */
static bool table_takes(const char *key) {
    return false;
}

/* ---- what is asked for ---- */

/* "shop.payments" is a table of a schema. */
static int add_table(const char *table, struct text *to) {
    for (;;) {
        size_t bytes = strcspn(table, ".");
        AUTO_FREE char *part = base_printf("%.*s", (int)bytes, table);
        if (!part)
            return OPIML_ENOMEM;
        table_add_name(to, part);
        if (!table[bytes])
            return 0;
        text_add(to, ".");
        table += bytes + 1;
    }
}

static int ask_from(const struct table_source *self, const struct table_params *params,
                    struct table_ask *ask, struct opiml_error *err) {
    const char *table = params->table[0] ? params->table : self->table;
    AUTO_TEXT struct text from = {0};
    if (params->query[0] && table)
        return opiml_fail(err, OPIML_EINVAL, "%s: give either a table or a query", self->base.uri);
    if (!params->query[0] && !table)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: say which table: dataset: {uri: ..., table: NAME}, or %s#NAME",
                          self->base.uri, self->base.uri);
    if (params->query[0])
        text_printf(&from, "(%s) AS q", params->query);
    else if (add_table(table, &from) < 0)
        return base_fail_memory(err, strlen(table), "a name");
    ask->object = base_strdup(table ? table : "query");
    ask->where = params->where[0] ? base_strdup(params->where) : NULL;
    ask->version = params->version[0] ? base_strdup(params->version) : NULL;
    if (from.failed || !ask->object || (params->where[0] && !ask->where) ||
        (params->version[0] && !ask->version))
        return base_fail_memory(err, from.count, "a query");
    ask->from = TAKE(from.at);
    return 0;
}

static int find_columns(struct db *db, struct table_ask *ask, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    AUTO_FREE char *sql = base_printf("SELECT * FROM %s", ask->from);
    if (!sql)
        return base_fail_memory(err, strlen(ask->from), "a query");
    int rc = db_prepare(db, sql, &statement, err);
    if (rc < 0)
        return rc;
    ask->columns = statement->columns;
    ask->column = base_alloc_array(ask->columns, sizeof(ask->column[0]));
    if (!ask->column)
        return base_fail_memory(err, ask->columns * sizeof(ask->column[0]), "columns");
    for (uint32_t i = 0; i < ask->columns; i++) {
        memcpy(ask->column[i].name, statement->column[i].name, DB_NAME_BYTES);
        ask->column[i].type = statement->column[i].type;
    }
    return 0;
}

static int fail_column(const struct table_ask *ask, const char *what, const char *name,
                       struct opiml_error *err) {
    const char *words[OPIML_MAX_FIELDS + 1] = {0};
    for (uint32_t i = 0; i < ask->columns && i < OPIML_MAX_FIELDS; i++)
        words[i] = ask->column[i].name;
    const char *near = text_nearest(name, words);
    return opiml_fail(err, OPIML_EINVAL, "%s: %s has no column \"%s\"%s%s%s", what, ask->object,
                      name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The primary key, where it is one column. */
static int find_key(struct db *db, struct table_ask *ask, bool table, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    const struct db_value name = db_text(ask->from, strlen(ask->from)); /* quoted */
    uint32_t found = 0;
    int rc = table ? db_prepare(db, db->ops->dialect.primary_key, &statement, err) : 0;
    if (rc == 0 && table)
        rc = db_run(statement, &name, 1, err);
    while (rc == 0 && table && (rc = db_step(statement, err)) == 1) {
        struct db_value column = db_get(statement, 0);
        base_free(ask->key);
        ask->key = base_printf("%.*s", (int)column.bytes, (const char *)column.at);
        found++;
        rc = ask->key ? 0 : base_fail_memory(err, column.bytes, "a name");
    }
    if (rc < 0 || found == 1)
        return rc;
    return opiml_fail(err, OPIML_EINVAL,
                      "%s has no primary key of one column: say which column tells its rows apart "
                      "with key: COLUMN",
                      ask->object);
}

static int check_key(struct table_ask *ask, struct opiml_error *err) {
    const struct table_column *column = table_find_column(ask, ask->key);
    if (!column)
        return fail_column(ask, "key", ask->key, err);
    if (ask->version && !table_find_column(ask, ask->version))
        return fail_column(ask, "version", ask->version, err);
    ask->key_type = column->type;
    if (column->type == DB_INT || column->type == DB_TEXT || column->type == DB_UUID ||
        column->type == DB_ANY)
        return 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "key: \"%s\" is neither whole numbers, texts nor uuid; cast it in a query: "
                      "SELECT ..., %s::text AS key FROM %s",
                      ask->key, ask->key, ask->object);
}

static int table_prepare(struct source *source, const void *params, const struct dataset_head *head,
                         struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    const struct table_params *table = params;
    CLEANUP(table_ask_release) struct table_ask ask = {0};
    struct db *db;
    self->head = head;
    int rc = ask_from(self, table, &ask, err);
    if (rc == 0)
        rc = table_connect(self, &db, err);
    if (rc == 0)
        rc = find_columns(db, &ask, err);
    if (rc == 0 && table->key[0]) {
        ask.key = base_strdup(table->key);
        rc = ask.key ? 0 : base_fail_memory(err, strlen(table->key), "a name");
    } else if (rc == 0) {
        rc = find_key(db, &ask, !table->query[0], err);
    }
    if (rc == 0)
        rc = check_key(&ask, err);
    return rc < 0 ? table_ended(self, rc, err) : table_set(self, &ask, err);
}

/* ---- columns ---- */

struct build {
    struct table_source *self;
    const struct table_params *params;
    struct db *db;
    struct index_draft *draft;
    uint32_t columns; /* that are wanted, and what they are asked to be: 0 where nobody did */
    const struct table_column *column[OPIML_MAX_FIELDS];
    uint32_t asked[OPIML_MAX_FIELDS];
    bool text[OPIML_MAX_FIELDS]; /* asked to be one */
    uint64_t rows;
    uint64_t stats[OPIML_MAX_FIELDS][STATS];
    struct text condition;
};

static bool is_listed(const char *const *list, const char *name) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* Whether the head of the pipeline looks at a column: by its name, of which a filter's text that
 * has it somewhere may be speaking. */
static bool is_wanted(const struct table_source *self, const char *name) {
    const struct dataset_head *head = self->head;
    if (!head || !head->fields)
        return true;
    for (const char *const *field = head->fields; *field; field++)
        if (!table_find_column(&self->ask, *field))
            return true; /* the operator is to say what is wrong */
    for (const char *const *filter = head->filters; *filter; filter++)
        if (strstr(*filter, name))
            return true;
    return is_listed(head->fields, name);
}

static int choose_columns(struct build *build, struct opiml_error *err) {
    const struct table_ask *ask = &build->self->ask;
    for (uint32_t i = 0; i < ask->columns; i++) {
        if (!is_wanted(build->self, ask->column[i].name))
            continue;
        if (build->columns == OPIML_MAX_FIELDS)
            return opiml_fail(err, OPIML_ELIMIT,
                              "%s%s has more than %d columns; begin the pipeline with `select`",
                              build->self->base.prefix, ask->object, OPIML_MAX_FIELDS);
        build->column[build->columns++] = &ask->column[i];
    }
    return 0;
}

static int ask_types(struct build *build, struct opiml_error *err) {
    const struct opiml_text_list *types = &build->params->types;
    for (uint32_t i = 0; i < types->count; i++) {
        const char *colon = strrchr(types->at[i], ':');
        bool text = colon && strcmp(colon + 1, "text") == 0;
        uint32_t dtype = colon ? opiml_dtype_parse(colon + 1) : 0, c = 0;
        AUTO_FREE char *name =
            base_printf("%.*s", colon ? (int)(colon - types->at[i]) : 0, types->at[i]);
        if (!name)
            return base_fail_memory(err, OPIML_NAME_BYTES, "a name");
        if (!text && dtype != OPIML_I32 && dtype != OPIML_I64 && dtype != OPIML_F32 &&
            dtype != OPIML_F64)
            return opiml_fail(err, OPIML_EINVAL,
                              "types: \"%s\" is not column:type with i32, i64, f32, f64 or text",
                              types->at[i]);
        if (!table_find_column(&build->self->ask, name))
            return fail_column(&build->self->ask, "types", name, err);
        while (c < build->columns && strcmp(build->column[c]->name, name) != 0)
            c++;
        if (c == build->columns)
            continue; /* not wanted */
        build->asked[c] = text ? OPIML_U8 : dtype;
        build->text[c] = text;
    }
    return 0;
}

static void add_length(const struct build *build, const struct table_column *column,
                       struct text *to) {
    text_add(to, build->db->ops->dialect.casts ? "octet_length(" : "length(");
    table_add_value(build->self, column, 0, to);
    text_add(to, ")");
}

/* What SQLite's values are, each by itself; PostgreSQL's are what the column is. */
static void add_stats(const struct build *build, uint32_t c, struct text *to) {
    const struct table_column *column = build->column[c];
    AUTO_TEXT struct text name = {0};
    enum db_type type = column->type;
    table_add_name(&name, column->name);
    to->failed |= name.failed;
    if (to->failed)
        return;
    if (type == DB_ANY) {
        text_printf(to,
                    ", sum(typeof(%s) = 'integer'), sum(typeof(%s) = 'real'), "
                    "sum(typeof(%s) IN ('text', 'blob')), max(",
                    name.at, name.at, name.at);
        add_length(build, column, to);
        text_add(to, ")");
        return;
    }
    bool whole = type == DB_INT || type == DB_BOOL || type == DB_TIME || type == DB_DATE;
    bool real = type == DB_REAL || type == DB_NUMERIC;
    for (int i = 0; i < 3; i++)
        if (i == (whole ? 0 : real ? 1 : 2))
            text_printf(to, ", count(%s)", name.at);
        else
            text_add(to, ", 0");
    if ((whole || real) && !build->text[c]) {
        text_add(to, ", 0");
    } else {
        text_add(to, ", max(");
        add_length(build, column, to);
        text_add(to, ")");
    }
}

static int take_stats(struct build *build, struct opiml_error *err) {
    AUTO_TEXT struct text sql = {0};
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    text_add(&sql, "SELECT count(*)");
    for (uint32_t c = 0; c < build->columns; c++)
        add_stats(build, c, &sql);
    table_add_from(build->self, &sql);
    if (sql.failed)
        return base_fail_memory(err, sql.count, "a query");
    int rc = db_prepare(build->db, sql.at, &statement, err);
    if (rc == 0)
        rc = db_run(statement, NULL, 0, err);
    if (rc == 0)
        rc = db_step(statement, err);
    if (rc < 0)
        return rc;
    build->rows = rc == 1 ? (uint64_t)db_get(statement, 0).integer : 0;
    for (uint32_t i = 0; rc == 1 && i < build->columns * STATS; i++)
        build->stats[i / STATS][i % STATS] = (uint64_t)db_get(statement, 1 + i).integer;
    return 0;
}

/* As of the same rows in CSV, where NULL is an empty cell. */
static uint32_t find_type(const struct build *build, uint32_t c, bool *ret_text) {
    enum db_type type = build->column[c]->type;
    const uint64_t *stats = build->stats[c];
    bool whole = type == DB_INT || type == DB_BOOL || type == DB_TIME || type == DB_DATE;
    bool real = type == DB_REAL || type == DB_NUMERIC;
    *ret_text = build->asked[c] ? build->text[c]
                                : stats[2] > 0 || (!whole && !real && stats[0] + stats[1] == 0);
    if (build->asked[c] || *ret_text)
        return *ret_text ? OPIML_U8 : build->asked[c];
    return stats[0] < build->rows || stats[1] > 0 ? OPIML_F64 : OPIML_I64;
}

static int add_schema(struct build *build, struct opiml_error *err) {
    for (uint32_t c = 0; c < build->columns; c++) {
        bool text;
        uint32_t dtype = find_type(build, c, &text);
        if (text && build->stats[c][3] > TABLE_ROW_BYTES_MAX)
            return opiml_fail(err, OPIML_ELIMIT, "column \"%s\": a value of more than 1 GiB",
                              build->column[c]->name);
        int rc = opiml_schema_add(&build->draft->schema, build->column[c]->name, dtype, text,
                                  (int64_t[]){-1}, build->stats[c][3], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- what the head of the pipeline keeps ---- */

static void name_field(const void *context, uint32_t field, struct text *to) {
    const struct build *build = context;
    const struct opiml_field *at = &build->draft->schema.fields[field];
    const struct table_column *column = build->column[field];
    bool any_text = column->type == DB_ANY && at->ndim;
    if (column->type == DB_BOOL || any_text) {
        text_add(to, "CAST(");
        table_add_name(to, column->name);
        text_add(to, any_text ? " AS TEXT)" : " AS int)");
    } else {
        table_add_value(build->self, column, at->ndim ? 0 : at->dtype, to);
    }
}

static int ask_condition(struct build *build, struct opiml_error *err) {
    const struct dataset_head *head = build->self->head;
    struct dataset_sql sql = {
        .bytewise = build->db->ops->dialect.bytewise, .name = name_field, .context = build};
    if (!head || !head->filters[0])
        return 0;
    for (uint32_t c = 0; c < build->columns; c++) {
        const struct opiml_field *field = &build->draft->schema.fields[c];
        enum db_type type = build->column[c]->type;
        /* What SQL would compare as something else than what operators are given. */
        bool other = field->ndim ? type == DB_BYTES
                                 : type == DB_TIME || type == DB_DATE || type == DB_TEXT ||
                                       type == DB_BYTES || type == DB_UUID || type == DB_OTHER ||
                                       (build->asked[c] && build->stats[c][2] > 0);
        sql.fields |= other ? 0 : UINT64_C(1) << c;
        sql.texts |= field->ndim ? UINT64_C(1) << c : 0;
        if (build->db->ops->dialect.nans && (type == DB_REAL || type == DB_NUMERIC))
            sql.nans |= UINT64_C(1) << c;
    }
    int rc = head->condition(head, &build->draft->schema, &sql, &build->condition, err);
    if (rc == 0 && build->condition.failed)
        rc = base_fail_memory(err, build->condition.count, "a condition");
    return rc;
}

/* ---- the list of keys ---- */

/* The columns of the list: key, version, how long all texts are. */
static void add_texts(const struct build *build, struct text *to) {
    text_add(to, "0");
    for (uint32_t c = 0; c < build->columns; c++)
        if (build->draft->schema.fields[c].ndim) {
            text_add(to, " + coalesce(");
            add_length(build, build->column[c], to);
            text_add(to, ", 0)");
            text_add(to, build->db->ops->dialect.casts ? "::bigint" : "");
        }
}

static void add_order(const struct build *build, struct text *to) {
    const struct table_ask *ask = &build->self->ask;
    text_add(to, " ORDER BY ");
    table_add_name(to, ask->key);
    if (ask->key_type != DB_INT)
        text_printf(to, "%s COLLATE %s", ask->key_type == DB_UUID ? "::text" : "",
                    build->db->ops->dialect.bytewise);
}

/* Those that the pipeline looks at. */
static uint64_t rows_of(const struct build *build) {
    const struct dataset_head *head = build->self->head;
    return head && head->rows ? base_min_u64(head->rows, build->rows) : build->rows;
}

/* SELECT number, key, version, length ... of the rows that the head keeps, each with its number
 * among all; without a head's filter the number is told by counting. */
static void add_list(const struct build *build, struct text *to) {
    bool filtered = build->condition.count > 0;
    uint64_t rows = rows_of(build);
    AUTO_TEXT struct text order = {0};
    add_order(build, &order);
    to->failed |= order.failed;
    if (to->failed)
        return;
    if (!filtered) {
        text_add(to, "SELECT NULL, ");
        table_add_row(build->self, to);
        text_add(to, ", ");
        add_texts(build, to);
        table_add_from(build->self, to);
        text_add(to, order.at);
        if (rows < build->rows)
            text_printf(to, " LIMIT %" PRIu64, rows);
        return;
    }
    text_printf(to,
                "SELECT opiml_n, opiml_k, opiml_v, opiml_l FROM (SELECT row_number() OVER (%s) - 1 "
                "AS opiml_n, ",
                order.at + 1);
    table_add_row(build->self, to);
    text_add(to, " AS opiml_v, ");
    add_texts(build, to);
    text_add(to, " AS opiml_l");
    for (uint32_t c = 0; c < build->columns; c++) {
        bool named = false;
        for (const char *const *filter = build->self->head->filters; *filter; filter++)
            named |= strstr(*filter, build->column[c]->name) != NULL;
        if (!named)
            continue;
        text_add(to, ", ");
        table_add_name(to, build->column[c]->name);
    }
    table_add_from(build->self, to);
    text_printf(to, ") AS opiml_q WHERE opiml_n < %" PRIu64 " AND %s ORDER BY opiml_n", rows,
                build->condition.at);
}

struct list {
    struct build *build;
    uint64_t offset;
    struct text key; /* of the row before, and of this one */
    size_t before;
    uint32_t label;
};

static int fail_key(const struct list *list, const char *what, struct opiml_error *err) {
    const struct table_ask *ask = &list->build->self->ask;
    return opiml_fail(err, OPIML_EINVAL, "%s%s: key: column \"%s\" %s",
                      list->build->self->base.prefix, ask->object, ask->key, what);
}

/* The key behind the one before it, in list->key. */
static int take_key(struct list *list, const struct db_value *key, struct opiml_error *err) {
    uint32_t label = key->type == DB_INT    ? TABLE_KEY_INT
                     : key->type == DB_TEXT ? TABLE_KEY_TEXT
                                            : TABLE_DROPPED;
    struct text *keys = &list->key;
    if (label == TABLE_DROPPED)
        return fail_key(list, "has a NULL, or what is neither a whole number nor a text", err);
    if (list->label && list->label != label)
        return fail_key(list, "has numbers and texts", err);
    list->label = label;
    size_t bytes = keys->count - list->before;
    if (bytes > 0)
        memmove(keys->at, keys->at + list->before, bytes);
    list->before = keys->count = bytes;
    if (label == TABLE_KEY_INT)
        text_add_bytes(keys, &key->integer, sizeof(key->integer));
    else
        text_add_bytes(keys, key->at, key->bytes);
    if (keys->failed)
        return base_fail_memory(err, key->bytes, "a key");
    if (bytes > 0 && keys->count == 2 * bytes && memcmp(keys->at, keys->at + bytes, bytes) == 0)
        return fail_key(list, "has the same value in two rows", err);
    return 0;
}

static int add_record(struct list *list, struct db_statement *statement, struct opiml_error *err) {
    struct build *build = list->build;
    struct index_draft *draft = build->draft;
    struct db_value key = db_get(statement, 1), version = db_get(statement, 2);
    uint64_t bytes = table_row_bytes(build->columns, (uint64_t)db_get(statement, 3).integer);
    AUTO_TEXT struct text whole = {0};
    int rc = take_key(list, &key, err);
    if (rc < 0)
        return rc;
    if (bytes > TABLE_ROW_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s%s: a row of more than 1 GiB",
                          build->self->base.prefix, build->self->ask.object);
    uint64_t hash = table_version(&version);
    text_add_bytes(&whole, list->key.at + list->before, list->key.count - list->before);
    text_add_bytes(&whole, &hash, sizeof(hash));
    if (whole.failed)
        return base_fail_memory(err, whole.count, "a key");
    const struct index_record record = {.offset = list->offset,
                                        .bytes = (uint32_t)bytes,
                                        .key_bytes = (uint32_t)whole.count,
                                        .label = list->label};
    list->offset += bytes;
    draft->content = hash_64(whole.at, whole.count, draft->content);
    return index_rows_add(&draft->rows, &record, whole.at, NULL, 0, err);
}

/* Rows that the head drops, up to number `until`: holes, of which nothing is read. The number is
 * the server's, which has said before how many rows there are. */
static int add_dropped(struct build *build, uint64_t until, struct opiml_error *err) {
    const struct index_record none = {.label = TABLE_DROPPED};
    int rc = 0;
    if (until > rows_of(build))
        return opiml_fail(err, OPIML_ECORRUPT, "%s%s: row %" PRIu64 " of %" PRIu64,
                          build->self->base.prefix, build->self->ask.object, until, rows_of(build));
    while (rc == 0 && build->draft->rows.count < until)
        rc = index_rows_add(&build->draft->rows, &none, NULL, NULL, 0, err);
    return rc;
}

static int fail_many(const struct build *build, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ELIMIT,
                      "%s%s: more than 2^30 rows; leave some out with where, or take fewer",
                      build->self->base.prefix, build->self->ask.object);
}

static int take_list(struct build *build, struct opiml_error *err) {
    AUTO_TEXT struct text sql = {0};
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    struct list list = {.build = build};
    if (rows_of(build) > ROWS_MAX)
        return fail_many(build, err);
    add_list(build, &sql);
    if (sql.failed)
        return base_fail_memory(err, sql.count, "a query");
    int rc = db_stream(build->db, sql.at, &statement, err);
    while (rc == 0 && (rc = db_step(statement, err)) == 1) {
        rc = build->draft->rows.count >= ROWS_MAX ? fail_many(build, err)
             : build->condition.count
                 ? add_dropped(build, (uint64_t)db_get(statement, 0).integer, err)
                 : 0;
        if (rc == 0)
            rc = add_record(&list, statement, err);
    }
    if (rc == 0 && build->condition.count)
        rc = add_dropped(build, rows_of(build), err);
    text_release(&list.key);
    return rc;
}

static int table_build(struct source *source, const struct source_listing *listing,
                       const void *params, struct index_draft *draft, struct opiml_error *err) {
    struct build build = {.self = (struct table_source *)source, .params = params, .draft = draft};
    int rc = table_connect(build.self, &build.db, err);
    if (rc == 0)
        rc = db_execute(build.db, build.db->ops->dialect.snapshot, err);
    if (rc == 0)
        rc = choose_columns(&build, err);
    if (rc == 0)
        rc = ask_types(&build, err);
    if (rc == 0)
        rc = take_stats(&build, err);
    if (rc == 0)
        rc = add_schema(&build, err);
    if (rc == 0)
        rc = ask_condition(&build, err);
    if (rc == 0)
        rc = take_list(&build, err);
    text_release(&build.condition);
    if (rc == 0)
        rc = db_execute(build.db, "COMMIT", err);
    return table_ended(build.self, rc, err);
}

static int table_bind_index(struct source *source, const void *params, const struct index *index,
                            struct opiml_error *err) {
    struct table_source *self = (struct table_source *)source;
    self->head = NULL;
    return table_bind(self, index, err);
}

/* ---- reading ---- */

static bool check_fields(const struct opiml_schema *schema) {
    for (uint32_t f = 0; f < schema->count; f++) {
        const struct opiml_field *field = &schema->fields[f];
        bool number = field->dtype == OPIML_I32 || field->dtype == OPIML_I64 ||
                      field->dtype == OPIML_F32 || field->dtype == OPIML_F64;
        bool text = field->dtype == OPIML_U8 && field->ndim == 1 && field->shape[0] == -1;
        if (!text && !(number && field->ndim == 0))
            return false;
    }
    return true;
}

static bool table_check(const struct index *index, const void *params) {
    uint64_t offset = 0, least = table_row_bytes(index->schema.count, 0);
    uint32_t label = TABLE_DROPPED;
    if (!index->records || index->header->parts || index->header->pieces ||
        !check_fields(&index->schema))
        return false;
    for (uint64_t i = 0; i < index->header->records; i++) {
        const struct index_record *record = &index->records[i];
        if (record->label == TABLE_DROPPED && record->bytes == 0 && record->offset == 0)
            continue;
        label = label ? label : record->label;
        bool fits =
            record->label == TABLE_KEY_INT
                ? record->key_bytes == sizeof(int64_t) + TABLE_VERSION_BYTES
                : record->label == TABLE_KEY_TEXT && record->key_bytes >= TABLE_VERSION_BYTES;
        if (!fits || record->label != label || record->bytes < least || record->bytes % 8 != 0 ||
            record->offset != offset)
            return false;
        offset += record->bytes;
    }
    return true;
}

static int table_parse(const struct index *index, const void *params, uint64_t record,
                       const struct source_bytes *from, struct opiml_value *values,
                       uint8_t *scratch, struct opiml_error *err) {
    if (index->records[record].label == TABLE_DROPPED)
        return OPIML_OP_DROP;
    return table_row_read(&index->schema, from, values, err);
}

static bool table_parse_is_light(const void *params) {
    return true;
}

static uint64_t table_scratch(const struct index *index) {
    return 0;
}

static size_t table_show(const struct index *index, const void *params, uint64_t record, char *to,
                         size_t room, size_t used) {
    const struct index_record *at = &index->records[record];
    const struct table_params *table = params;
    char number[32];
    int64_t key;
    used = text_show(to, room, used, " ", 1);
    if (at->label == TABLE_DROPPED)
        return text_show(to, room, used, "(dropped)", 9);
    const char *name = table->key[0] ? table->key : "key";
    used = text_show(to, room, used, name, strlen(name));
    used = text_show(to, room, used, " ", 1);
    if (at->label == TABLE_KEY_TEXT)
        return text_show(to, room, used, index->pool + at->key,
                         at->key_bytes - TABLE_VERSION_BYTES);
    memcpy(&key, index->pool + at->key, sizeof(key));
    int n = snprintf(number, sizeof(number), "%" PRId64, key);
    return text_show(to, room, used, number, (size_t)n);
}

const struct format format_table = {
    .name = "table",
    .help = "Tables and queries of databases: a row is a record, a column a field",
    .params = table_params,
    .params_bytes = sizeof(struct table_params),
    .shards = true,
    .takes = table_takes,
    .build = table_build,
    .check = table_check,
    .parse = table_parse,
    .parse_is_light = table_parse_is_light,
    .scratch_bytes = table_scratch,
    .prepare = table_prepare,
    .bind = table_bind_index,
    .show = table_show,
};
