/* Databases in general: which there are, and the calls that are the same for all. */
#include "db/db.h"

#include <strings.h>

#include "base/text.h"

#define DATABASE(kind) extern const struct db_ops db_##kind;
#include "db_list.inc"
#undef DATABASE

static const struct db_ops *const kinds[] = {
#define DATABASE(kind) &db_##kind,
#include "db_list.inc"
#undef DATABASE
    NULL,
};

static bool has_scheme(const char *uri, const char *scheme) {
    size_t length = scheme ? strlen(scheme) : 0;
    return length > 0 && strncasecmp(uri, scheme, length) == 0 && uri[length] == ':';
}

int db_open(const char *uri, const struct db_ask *ask, struct db **ret_db,
            struct opiml_error *err) {
    AUTO_TEXT struct text known = {0};
    for (const struct db_ops *const *kind = kinds; *kind; kind++) {
        if (has_scheme(uri, (*kind)->scheme) || has_scheme(uri, (*kind)->alias))
            return (*kind)->open(uri, ask, ret_db, err);
        text_printf(&known, "%s%s", known.count ? ", " : "", (*kind)->scheme);
    }
    return opiml_fail(err, OPIML_ENOTSUP, "%.*s: this build has no such database; it has: %s",
                      (int)strcspn(uri, ":"), uri, known.at ? known.at : "none");
}

void db_close(struct db *db) {
    if (db)
        db->ops->close(db);
}

void db_close_at(struct db **db) {
    db_close(*db);
}

/* A parameter behind "?" or "&" by its name. */
static bool is_password(const char *at) {
    return strncasecmp(at, "password=", 9) == 0 || strncasecmp(at, "sslpassword=", 12) == 0;
}

/* Where names, a password and hosts begin, and how long they are. */
static const char *authority(const char *uri, size_t *ret_bytes) {
    const char *begin = strstr(uri, "://");
    const char *at = begin ? begin + 3 : uri;
    *ret_bytes = strcspn(at, "/?#");
    return at;
}

int db_uri_check(const char *uri, struct opiml_error *err) {
    size_t bytes;
    const char *begin = authority(uri, &bytes), *end = begin + bytes;
    const char *first = memchr(begin, '@', bytes), *last = strrchr(begin, '@');
    bool twice = first && memchr(first + 1, '@', (size_t)(end - first - 1));
    /* "me:pa/ss@host": is it a port, or a password that goes on? */
    bool unclear = last && last >= end && (memchr(begin, ':', bytes) || *end != '/');
    if (!twice && !unclear)
        return 0;
    AUTO_FREE char *shown = db_uri_shown(uri);
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: its parts cannot be told apart: percent-encode @ / ? # and : in names, "
                      "passwords and parameters (%%40 %%2F %%3F %%23 %%3A)",
                      shown ? shown : "a database");
}

char *db_uri_shown(const char *uri) {
    AUTO_TEXT struct text shown = {0};
    size_t bytes;
    const char *host = authority(uri, &bytes);
    /* Up to the last "@" of all: a password may hold what nobody encoded. */
    const char *colon = memchr(host, ':', bytes), *at = strrchr(host, '@');
    if (!at || (colon && colon > at))
        colon = NULL;
    text_add_bytes(&shown, uri, (size_t)((colon ? colon : host) - uri));
    for (const char *from = colon ? at : host; *from;) {
        bool first = from > host && (from[-1] == '?' || from[-1] == '&');
        bytes = strcspn(from, "?&");
        bytes += from[bytes] != '\0';
        if (!first || !is_password(from))
            text_add_bytes(&shown, from, bytes);
        from += bytes;
    }
    while (shown.count > 0 && !shown.failed && strchr("?&", shown.at[shown.count - 1]))
        shown.at[--shown.count] = '\0';
    return shown.failed ? NULL : TAKE(shown.at);
}

int db_prepare(struct db *db, const char *sql, struct db_statement **ret_statement,
               struct opiml_error *err) {
    return db->ops->prepare(db, sql, ret_statement, err);
}

int db_stream(struct db *db, const char *sql, struct db_statement **ret_statement,
              struct opiml_error *err) {
    return db->ops->stream(db, sql, ret_statement, err);
}

void db_finish(struct db_statement *statement) {
    if (statement)
        statement->db->ops->finish(statement);
}

void db_finish_at(struct db_statement **statement) {
    db_finish(*statement);
}

int db_run(struct db_statement *statement, const struct db_value *arguments, uint32_t count,
           struct opiml_error *err) {
    assert(count <= DB_ARGUMENTS_MAX);
    return statement->db->ops->run(statement, arguments, count, err);
}

int db_step(struct db_statement *statement, struct opiml_error *err) {
    return statement->db->ops->step(statement, err);
}

struct db_value db_get(struct db_statement *statement, uint32_t i) {
    struct db_value value = {.type = DB_NULL};
    if (i < statement->columns) /* which are what a server says, that may be anybody's */
        statement->db->ops->value(statement, i, &value);
    return value;
}

int db_execute(struct db *db, const char *sql, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *statement = NULL;
    int rc = db_prepare(db, sql, &statement, err);
    if (rc == 0)
        rc = db_run(statement, NULL, 0, err);
    while (rc >= 0 && (rc = db_step(statement, err)) == 1)
        ;
    return rc;
}
