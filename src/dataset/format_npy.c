/* .npy files (see npy.h). A file is a field of a record: each file its own record with the field
 * "data", or several files one record by `parts`; or, with `records: row`, each row of a file's
 * first dimension is a record. */
#include "dataset/arrays.h"
#include "dataset/npy.h"

enum { RECORDS_FILE, RECORDS_ROW };

struct npy_params {
    struct opiml_text_list parts;
    uint32_t records;
};

static const struct opiml_param npy_params[] = {
    {"parts", "",
     "Files that make a record together: name:pattern each, with * for the record's key, such as "
     "[\"x:*_x.npy\", \"y:*_y.npy\"]; none: each file is a record with the field data",
     offsetof(struct npy_params, parts), OPIML_PARAM_TEXT_LIST},
    {"records", "file", "What a record is: a whole file, or a row of its first dimension",
     offsetof(struct npy_params, records), OPIML_PARAM_CHOICE, "file|row"},
    {NULL},
};

static bool npy_takes(const char *key) {
    static const char *const extensions[] = {"npy", NULL};
    return format_has_extension(key, extensions);
}

static int npy_build(struct source *source, const struct source_listing *listing,
                     const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct npy_params *npy = params;
    return arrays_build(source, listing, &npy->parts, "data", npy_parse,
                        npy->records == RECORDS_ROW, draft, err);
}

static bool npy_check(const struct index *index, const void *params) {
    return arrays_check(index);
}

static int npy_parse_record(const struct index *index, const void *params, uint64_t record,
                            const struct source_bytes *from, struct opiml_value *values,
                            uint8_t *scratch, struct opiml_error *err) {
    return arrays_parse(index, record, from, npy_parse, values, scratch, err);
}

const struct format format_npy = {
    .name = "npy",
    .help = "NumPy arrays: a record is a file, a file for each field, or a row of a file",
    .params = npy_params,
    .params_bytes = sizeof(struct npy_params),
    .found_by_looking = true,
    .takes = npy_takes,
    .build = npy_build,
    .check = npy_check,
    .parse = npy_parse_record,
    .elements = arrays_elements,
    .scratch_bytes = arrays_scratch,
    .hint = arrays_hint,
};
