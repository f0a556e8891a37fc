/* .npz archives, as numpy.savez and savez_compressed write them: a zip of .npy members, which are
 * the fields of a record. A file is a record; or, with `records: row`, each row that its members'
 * first dimensions have in common is one. */
#include "dataset/arrays.h"
#include "dataset/fields.h"
#include "dataset/npy.h"
#include "dataset/parallel.h"
#include "dataset/peek.h"
#include "dataset/zip.h"

#include "base/inflate.h"
#include "base/text.h"

enum { RECORDS_FILE, RECORDS_ROW };

struct npz_params {
    struct opiml_text_list fields;
    uint32_t records;
    bool crc;
};

static const struct opiml_param npz_params[] = {
    {"fields", "",
     "Members to take, in order, such as [x, y]; none: all of the first sound file, image and "
     "label "
     "first",
     offsetof(struct npz_params, fields), OPIML_PARAM_TEXT_LIST},
    {"records", "file", "What a record is: a whole file, or a row of its members' first dimension",
     offsetof(struct npz_params, records), OPIML_PARAM_CHOICE, "file|row"},
    {"crc", "false", "Check each member's CRC (not of rows)", offsetof(struct npz_params, crc),
     OPIML_PARAM_BOOL},
    {NULL},
};

static bool npz_takes(const char *key) {
    static const char *const extensions[] = {"npz", NULL};
    return format_has_extension(key, extensions);
}

struct build {
    struct source *source;
    const struct source_listing *listing;
    const struct npz_params *params;
    char names[OPIML_MAX_FIELDS][OPIML_NAME_BYTES];
    uint32_t fields;
    struct arrays_part *parts;
};

/* "x.npy" is the field x. */
static size_t name_bytes(const struct zip_member *member) {
    return text_ends(member->name, ".npy") ? strlen(member->name) - 4 : 0;
}

static const struct zip_member *find_member(const struct zip *zip, const char *name) {
    for (size_t i = 0; i < zip->count; i++)
        if (name_bytes(&zip->members[i]) == strlen(name) &&
            memcmp(zip->members[i].name, name, strlen(name)) == 0)
            return &zip->members[i];
    return NULL;
}

static int read_header(struct peek *peek, const struct zip_member *member, struct array *ret_array,
                       struct opiml_error *err) {
    uint8_t head[NPY_HEAD_BYTES_MAX];
    uint64_t bytes = base_min_u64(member->bytes, sizeof(head));
    const uint8_t *data = peek_at(peek, member->offset, bytes, err);
    if (!data)
        return err->code;
    if (member->method == ZIP_STORED)
        return npy_parse(data, bytes, ret_array, err);
    int64_t got = inflate_some(INFLATE_RAW, data, bytes, head, sizeof(head), err);
    return got < 0 ? (int)got : npy_parse(head, (uint64_t)got, ret_array, err);
}

static int take_member(const struct build *build, struct peek *peek,
                       const struct zip_member *member, uint32_t object, struct arrays_part *part,
                       struct opiml_error *err) {
    if (member->method != ZIP_STORED && member->method != ZIP_DEFLATED)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "compression method %u; there are stored and deflated", member->method);
    if (member->bytes > INT32_MAX || member->full > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "an array of more than 2 GiB");
    if (member->method == ZIP_STORED && member->bytes != member->full)
        return opiml_fail(err, OPIML_ECORRUPT, "stored, but of two sizes");
    int rc = read_header(peek, member, &part->array, err);
    part->piece = (struct index_piece){
        .offset = member->offset,
        .bytes = (uint32_t)member->bytes,
        .object = object,
        .full = (uint32_t)member->full,
        .form = (member->method == ZIP_DEFLATED ? ARRAYS_DEFLATE : ARRAYS_STORED) |
                (build->params->crc ? ARRAYS_CRC : 0),
        .crc = member->crc,
    };
    return rc < 0 ? rc : arrays_complete(part, err);
}

static int take_members(struct build *build, size_t i, struct peek *peek, const struct zip *zip,
                        struct opiml_error *err) {
    for (uint32_t f = 0; f < build->fields; f++) {
        const struct zip_member *member = find_member(zip, build->names[f]);
        struct opiml_error why;
        if (!member)
            return opiml_fail(err, OPIML_EINVAL, "no member \"%s.npy\", which %s", build->names[f],
                              build->params->fields.count ? "`fields` names"
                                                          : "the first file has");
        int rc = take_member(build, peek, member, (uint32_t)i, &build->parts[i * build->fields + f],
                             &why);
        if (rc == OPIML_ECORRUPT)
            arrays_damaged(&build->parts[i * build->fields + f], build->listing, (uint32_t)i);
        else if (rc < 0)
            return opiml_fail(err, rc, "%s: %s", member->name, why.message);
    }
    return 0;
}

/* Open file i and call for its directory. */
static int with_zip(struct build *build, size_t i,
                    int (*call)(struct build *build, size_t i, struct peek *peek,
                                const struct zip *zip, struct opiml_error *err),
                    struct opiml_error *err) {
    const struct source_object *object = &build->listing->objects[i];
    struct peek_object at = {build->source, object->key};
    CLEANUP(peek_release) struct peek peek;
    CLEANUP(zip_release) struct zip zip = {0};
    struct opiml_error why;
    int rc = peek_init(&peek, peek_object, &at, &why);
    if (rc == 0)
        rc = zip_open(&zip, &peek, object->bytes, &why);
    if (rc == 0)
        rc = call(build, i, &peek, &zip, &why);
    return rc < 0 ? opiml_fail(err, rc, "%s%s: %s", build->source->prefix, object->key, why.message)
                  : 0;
}

static int scan_file(void *context, size_t i, struct opiml_error *err) {
    struct build *build = context;
    int rc = with_zip(build, i, take_members, err);
    for (uint32_t f = 0; rc == OPIML_ECORRUPT && f < build->fields; f++)
        arrays_damaged(&build->parts[i * build->fields + f], build->listing, (uint32_t)i);
    return rc == OPIML_ECORRUPT ? 0 : rc;
}

static int name_fields(struct build *build, size_t i, struct peek *peek, const struct zip *zip,
                       struct opiml_error *err) {
    for (size_t m = 0; m < zip->count; m++) {
        size_t bytes = name_bytes(&zip->members[m]);
        if (bytes == 0)
            continue;
        if (build->fields == OPIML_MAX_FIELDS)
            return opiml_fail(err, OPIML_ELIMIT,
                              "more than %d members; say with `fields` which to take",
                              OPIML_MAX_FIELDS);
        if (bytes >= OPIML_NAME_BYTES)
            return opiml_fail(err, OPIML_ELIMIT, "%s: a name of more than %d bytes",
                              zip->members[m].name, OPIML_NAME_BYTES - 1);
        snprintf(build->names[build->fields++], OPIML_NAME_BYTES, "%.*s", (int)bytes,
                 zip->members[m].name);
    }
    qsort(build->names, build->fields, sizeof(build->names[0]), fields_by_name);
    return build->fields ? 0 : opiml_fail(err, OPIML_EINVAL, "it has no .npy members");
}

static int npz_build(struct source *source, const struct source_listing *listing,
                     const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct npz_params *npz = params;
    AUTO_FREE struct build *build = base_alloc(sizeof(*build));
    if (!build)
        return base_fail_memory(err, sizeof(*build), "an index");
    build->source = source;
    build->listing = listing;
    build->params = npz;
    build->fields = npz->fields.count;
    for (uint32_t f = 0; f < build->fields; f++)
        text_copy(build->names[f], OPIML_NAME_BYTES, npz->fields.at[f]);
    int rc = build->fields ? 0 : OPIML_ECORRUPT;
    for (size_t i = 0; rc == OPIML_ECORRUPT && i < listing->count; i++)
        rc = with_zip(build, i, name_fields, err);
    if (rc < 0)
        return rc;
    AUTO_FREE struct arrays_part *parts =
        base_alloc_array(listing->count * build->fields, sizeof(*parts));
    if (!parts)
        return base_fail_memory(err, listing->count * build->fields * sizeof(*parts), "an index");
    build->parts = parts;
    const struct arrays arrays = {.source = source,
                                  .listing = listing,
                                  .count = listing->count,
                                  .fields = build->fields,
                                  .names = build->names,
                                  .parts = parts};
    rc = parallel_do(listing->count, 0, scan_file, build, err);
    return rc < 0 ? rc : arrays_draft(&arrays, npz->records == RECORDS_ROW, draft, err);
}

static bool npz_check(const struct index *index, const void *params) {
    return arrays_check(index);
}

static int npz_parse(const struct index *index, const void *params, uint64_t record,
                     const struct source_bytes *from, struct opiml_value *values, uint8_t *scratch,
                     struct opiml_error *err) {
    return arrays_parse(index, record, from, npy_parse, values, scratch, err);
}

const struct format format_npz = {
    .name = "npz",
    .help = "NumPy archives; members are fields, a record is a file or a row",
    .params = npz_params,
    .params_bytes = sizeof(struct npz_params),
    .found_by_looking = true,
    .takes = npz_takes,
    .build = npz_build,
    .check = npz_check,
    .parse = npz_parse,
    .scratch_bytes = arrays_scratch,
};
