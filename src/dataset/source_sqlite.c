/* Tables and queries of an SQLite file: "sqlite:///data/shop.db#payments". */
#include "dataset/table.h"

static int sqlite_open(const char *uri, struct source **ret_source, struct opiml_error *err) {
    return table_open(&source_sqlite, uri, ret_source, err);
}

const struct source_ops source_sqlite = {
    .name = "sqlite",
    .scheme = "sqlite",
    .help = "a table of an SQLite file: sqlite:///data/shop.db#payments",
    .format = "table",
    .path = true,
    .exact = true,
    TABLE_SOURCE_OPS,
    .open = sqlite_open,
};
