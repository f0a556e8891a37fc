/* Tables and queries of PostgreSQL: "postgres://user@host/shop#payments". */
#include "dataset/table.h"

static int postgres_open(const char *uri, struct source **ret_source, struct opiml_error *err) {
    return table_open(&source_postgres, uri, ret_source, err);
}

const struct source_ops source_postgres = {
    .name = "postgres",
    .scheme = "postgres",
    .alias = "postgresql",
    .help = "a table of a PostgreSQL database: postgres://user@host/shop#payments",
    .format = "table",
    .exact = true,
    TABLE_SOURCE_OPS,
    .open = postgres_open,
};
