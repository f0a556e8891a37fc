/* .npz archives, as numpy.savez and savez_compressed write them: a zip of .npy members, which are
 * the fields of a record. A file is a record; or, with `records: row`, each row that its members'
 * first dimensions have in common is one. */
#include "base/inflate.h"
#include "base/text.h"
#include "dataset/members.h"
#include "dataset/npy.h"
#include "dataset/peek.h"
#include "dataset/zip.h"

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

struct file {
    const struct npz_params *params;
    struct peek_object at;
    struct peek peek;
    struct zip zip;
};

static void npz_close(void *context) {
    struct file *file = context;
    zip_release(&file->zip);
    peek_release(&file->peek);
    base_free(file);
}

static int npz_open(struct source *source, const struct source_object *object, const void *params,
                    void **ret_file, struct opiml_error *err) {
    struct file *file = *ret_file = base_alloc(sizeof(*file));
    if (!file)
        return base_fail_memory(err, sizeof(*file), "an archive");
    file->params = params;
    file->at = (struct peek_object){source, object->key};
    int rc = peek_init(&file->peek, peek_object, &file->at, err);
    return rc < 0 ? rc : zip_open(&file->zip, &file->peek, object->bytes, err);
}

/* "x.npy" is the field x. */
static size_t name_bytes(const struct zip_member *member) {
    return text_ends(member->name, ".npy") ? strlen(member->name) - 4 : 0;
}

static bool npz_name(void *context, size_t i, const char **ret_name, size_t *ret_bytes) {
    const struct file *file = context;
    if (i >= file->zip.count)
        return false;
    *ret_name = file->zip.members[i].name;
    *ret_bytes = name_bytes(&file->zip.members[i]);
    return true;
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

static int take_member(struct file *file, const struct zip_member *member, struct arrays_part *part,
                       struct opiml_error *err) {
    if (member->method != ZIP_STORED && member->method != ZIP_DEFLATED)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "compression method %u; there are stored and deflated", member->method);
    if (member->method == ZIP_STORED && member->bytes != member->full)
        return opiml_fail(err, OPIML_ECORRUPT, "stored, but of two sizes");
    part->piece.offset = member->offset;
    part->piece.form = (member->method == ZIP_DEFLATED ? ARRAYS_DEFLATE : ARRAYS_STORED) |
                       (file->params->crc ? ARRAYS_CRC : 0);
    part->piece.crc = member->crc;
    int rc = read_header(&file->peek, member, &part->array, err);
    return rc < 0 ? rc : arrays_complete(part, member->bytes, member->full, err);
}

static int npz_look(void *context, const char *name, struct arrays_part *part,
                    struct opiml_error *err) {
    struct file *file = context;
    for (size_t i = 0; i < file->zip.count; i++)
        if (name_bytes(&file->zip.members[i]) == strlen(name) &&
            memcmp(file->zip.members[i].name, name, strlen(name)) == 0)
            return take_member(file, &file->zip.members[i], part, err);
    return OPIML_ENOENT;
}

static int npz_build(struct source *source, const struct source_listing *listing,
                     const void *params, struct index_draft *draft, struct opiml_error *err) {
    static const struct members_ops ops = {.one = ".npy member",
                                           .open = npz_open,
                                           .close = npz_close,
                                           .name = npz_name,
                                           .look = npz_look};
    const struct npz_params *npz = params;
    return members_build(&ops, source, listing, params, &npz->fields, npz->records == RECORDS_ROW,
                         draft, err);
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
    .elements = arrays_elements,
    .scratch_bytes = arrays_scratch,
    .hint = arrays_hint,
};
