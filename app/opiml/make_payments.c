/* Made card payments: a table as a shop's database has one, with what tells the fraud among them
 * spread over several columns, as CSV or SQLite. */
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "db/db.h"
#include "make.h"

#define CARDS 2000u
#define CATEGORIES 20u
#define COUNTRIES 30u

struct payment {
    uint64_t id;
    uint32_t card, category, country, home, hour, online, fraud;
    double amount, usual; /* of the card */
    const char *status;
};

static double draw(struct opiml_rng *rng) {
    uint32_t bits = opiml_rng_u32(rng);
    int32_t sum = (int32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));

    return (sum - 510) / 147.8; /* mean 0, variance 1 */
}

/* A number below 1 that belongs to a card or a category. */
static double trait(const struct make_conf *conf, uint32_t of, uint64_t number) {
    struct opiml_rng rng;

    rng_init(&rng, conf->seed, of, number, 0x74726169); /* "trai" */
    return opiml_rng_u32(&rng) / 4294967296.0;
}

static double cents(double amount) {
    return (double)(int64_t)(amount * 100 + 0.5) / 100;
}

/* Fraud is dear for its card, abroad, by night, of some categories, and never quite certain. */
static void make_payment(const struct make_conf *conf, const struct make_split *split, uint64_t row,
                         struct payment *to) {
    struct opiml_rng rng;
    double share, factor, score;

    rng_init(&rng, conf->seed, split->number, row, 0x70617973); /* "pays" */
    to->id = row + 1;
    to->card = opiml_rng_below(&rng, CARDS);
    share = trait(conf, 0, to->card);
    to->usual = cents(5 + 200 * share * share * share);
    to->home = (uint32_t)(trait(conf, 1, to->card) * COUNTRIES);
    to->country = opiml_rng_chance(&rng, 0.85) ? to->home : opiml_rng_below(&rng, COUNTRIES);
    to->category = opiml_rng_below(&rng, CATEGORIES);
    to->hour = opiml_rng_below(&rng, 24);
    to->online = (uint32_t)opiml_rng_chance(&rng, 0.4);
    factor = 1 + draw(&rng) * 0.45;
    factor = factor < 0.05 ? 0.05 : factor;
    to->amount = cents(to->usual * factor * factor);
    to->status = !opiml_rng_chance(&rng, 0.9)    ? "refused"
                 : !opiml_rng_chance(&rng, 0.95) ? "pending"
                                                 : "settled";
    score = 1.3 * (factor - 1.5) + 1.2 * (to->country != to->home) + 0.8 * (to->hour < 6) +
            1.6 * (trait(conf, 2, to->category) - 0.5) +
            0.8 * (to->online && to->country != to->home) - 0.9;
    to->fraud = score + draw(&rng) * 0.45 > 0;
}

/* ---- CSV ---- */

static int begin_nothing(const struct make_conf *conf, const struct make_split *split,
                         struct opiml_error *err) {
    return 0;
}

static int csv_shard(const struct make_conf *conf, const struct make_split *split, uint64_t first,
                     uint64_t count, struct opiml_error *err) {
    AUTO_FREE char *path = make_path(conf, "%s.csv", split->name);
    CLEANUP(file_writer_release) struct file_writer file = {.fd = -1};
    AUTO_TEXT struct text lines = {0};
    int rc;

    if (!path)
        return base_fail_memory(err, 0, "a path");
    if ((rc = file_writer_init(&file, path, err)) < 0)
        return rc;
    text_add(&lines, "id,card,category,country,home,hour,online,amount,usual,status,fraud\n");
    for (uint64_t i = first; i < first + count; i++) {
        struct payment row;

        make_payment(conf, split, i, &row);
        text_printf(&lines, "%" PRIu64 ",%u,%u,%u,%u,%u,%u,%.2f,%.2f,%s,%u\n", row.id, row.card,
                    row.category, row.country, row.home, row.hour, row.online, row.amount,
                    row.usual, row.status, row.fraud);
        if ((rc = make_add_lines(&file, &lines, MAKE_FLUSH_BYTES, err)) < 0)
            return rc;
    }
    if ((rc = make_add_lines(&file, &lines, 1, err)) < 0)
        return rc;
    return file_writer_commit(&file, err);
}

static void csv_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                         size_t room) {
    snprintf(to, room, "{uri: %s/%s.csv, format: csv}", conf->root, split->name);
}

/* ---- SQLite ---- */

static int put_payment(struct db_statement *put, const struct payment *row,
                       struct opiml_error *err) {
    const struct db_value values[] = {db_int((int64_t)row->id),
                                      db_int(row->card),
                                      db_int(row->category),
                                      db_int(row->country),
                                      db_int(row->home),
                                      db_int(row->hour),
                                      db_int(row->online),
                                      {.type = DB_REAL, .real = row->amount},
                                      {.type = DB_REAL, .real = row->usual},
                                      db_text(row->status, strlen(row->status)),
                                      db_int(row->fraud)};
    int rc = db_run(put, values, COUNT_OF(values), err);

    return rc < 0 ? rc : db_step(put, err);
}

static int put_payments(struct db *db, const struct make_conf *conf, const struct make_split *split,
                        uint64_t first, uint64_t count, struct opiml_error *err) {
    CLEANUP(db_finish_at) struct db_statement *put = NULL;
    int rc =
        db_prepare(db, "INSERT INTO payments VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                   &put, err);

    for (uint64_t i = first; rc >= 0 && i < first + count; i++) {
        struct payment row;

        make_payment(conf, split, i, &row);
        rc = put_payment(put, &row, err);
    }
    return rc;
}

static int sqlite_shard(const struct make_conf *conf, const struct make_split *split,
                        uint64_t first, uint64_t count, struct opiml_error *err) {
    static const char *const before[] = {
        "CREATE TABLE payments (id INTEGER PRIMARY KEY, card INTEGER, category INTEGER, country "
        "INTEGER, home INTEGER, hour INTEGER, online INTEGER, amount REAL, usual REAL, status "
        "TEXT, "
        "fraud INTEGER)",
        "BEGIN"};
    /* A file that is only read needs no log beside it. */
    static const char *const after[] = {"COMMIT", "PRAGMA journal_mode = DELETE"};
    const struct db_ask ask = {.flags = DB_WRITE, .stop = -1};
    AUTO_FREE char *path = make_path(conf, "%s.db", split->name);
    AUTO_FREE char *uri = path ? base_printf("sqlite://%s", path) : NULL;
    CLEANUP(db_close_at) struct db *db = NULL;
    int rc = uri ? db_open(uri, &ask, &db, err) : base_fail_memory(err, 0, "a path");

    for (size_t i = 0; rc == 0 && i < COUNT_OF(before); i++)
        rc = db_execute(db, before[i], err);
    if (rc == 0)
        rc = put_payments(db, conf, split, first, count, err);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(after); i++)
        rc = db_execute(db, after[i], err);
    return rc;
}

static void sqlite_describe(const struct make_conf *conf, const struct make_split *split, char *to,
                            size_t room) {
    snprintf(to, room, "{uri: \"sqlite://%s/%s.db\", table: payments}", conf->root, split->name);
}

const struct make_format make_payment_formats[] = {
    {"csv", 0, begin_nothing, csv_shard, csv_describe},
    {"sqlite", 0, begin_nothing, sqlite_shard, sqlite_describe},
    {0},
};
