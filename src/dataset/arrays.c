/* Records of arrays. */
#include "dataset/arrays.h"

#include "base/inflate.h"
#include "dataset/group.h"
#include "dataset/parallel.h"

#include <pthread.h>

#define LOOK_BYTES KIB(64)   /* read of a file for its header */
#define DAMAGED_BYTES KIB(4) /* read again of a damaged file, to say so */
#define HEAD_BYTES KIB(16)   /* uncompressed of it */

/* ---- looking at files ---- */

/* The header of a compressed file is behind as much of it as is needed. *ret_full is what the array
 * ends at. */
static int look_compressed(const uint8_t *data, uint64_t bytes, arrays_header header,
                           struct arrays_part *part, uint64_t *ret_full, struct opiml_error *err) {
    AUTO_FREE uint8_t *head = base_alloc(HEAD_BYTES);
    uint64_t stored = 0;
    if (!head)
        return base_fail_memory(err, HEAD_BYTES, "a header");
    int64_t got = inflate_some(INFLATE_GZIP, data, bytes, head, HEAD_BYTES, err);
    int rc = got < 0 ? (int)got : header(head, (uint64_t)got, &part->array, err);
    if (rc < 0)
        return rc;
    part->piece.form = ARRAYS_GZIP;
    *ret_full = array_size(&part->array, &stored) ? part->array.offset + stored : 0;
    return 0;
}

static int look(struct source *source, const struct source_object *object, arrays_header header,
                struct arrays_part *part, struct opiml_error *err) {
    uint64_t bytes = base_min_u64(object->bytes, LOOK_BYTES), full = object->bytes;
    AUTO_FREE uint8_t *data = base_alloc(bytes);
    if (!data)
        return base_fail_memory(err, bytes, "a header");
    int64_t got = source->ops->read(source, object->key, data, bytes, 0, err);
    if (got < 0)
        return (int)got;
    bool gzip = got >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    int rc = gzip ? look_compressed(data, (uint64_t)got, header, part, &full, err)
                  : header(data, (uint64_t)got, &part->array, err);
    return rc < 0 ? rc : arrays_complete(part, object->bytes, full, err);
}

void arrays_damaged(struct arrays_part *part, const struct source_listing *listing,
                    uint32_t object) {
    uint32_t bytes = (uint32_t)base_min_u64(listing->objects[object].bytes, DAMAGED_BYTES);
    base_free(part->rows);
    *part = (struct arrays_part){.piece = {.object = object, .bytes = bytes, .full = bytes}};
}

void arrays_note_bad(struct arrays_bad *bad, size_t at, const char *key,
                     const struct opiml_error *why) {
    pthread_mutex_lock(&bad->lock);
    if (!bad->why.code || at < bad->at) {
        bad->at = at;
        opiml_fail(&bad->why, why->code, "%s: %s", key, why->message);
    }
    pthread_mutex_unlock(&bad->lock);
}

struct looking {
    struct source *source;
    const struct source_listing *listing;
    const struct group *group;
    arrays_header header;
    struct arrays_part *parts;
    struct arrays_bad bad;
};

static int look_at_record(void *context, size_t i, struct opiml_error *err) {
    struct looking *looking = context;
    for (uint32_t p = 0; p < looking->group->parts; p++) {
        size_t at = i * looking->group->parts + p;
        struct arrays_part *part = &looking->parts[at];
        struct opiml_error why;
        part->piece.object = looking->group->objects[at];
        const struct source_object *object = &looking->listing->objects[part->piece.object];
        int rc = look(looking->source, object, looking->header, part, &why);
        if (rc == OPIML_ECORRUPT) {
            arrays_note_bad(&looking->bad, at, object->key, &why);
            arrays_damaged(part, looking->listing, part->piece.object);
        } else if (rc < 0)
            return opiml_fail(err, rc, "%s%s: %s", looking->source->prefix, object->key,
                              why.message);
    }
    return 0;
}

int arrays_build(struct source *source, const struct source_listing *listing,
                 const struct opiml_text_list *parts, const char *name, arrays_header header,
                 bool rows, struct index_draft *draft, struct opiml_error *err) {
    CLEANUP(group_release) struct group group;
    int rc = group_make(&group, source, listing, parts, name, err);
    if (rc < 0)
        return rc;
    AUTO_FREE struct arrays_part *found =
        base_alloc_array(group.count * group.parts, sizeof(*found));
    if (!found)
        return base_fail_memory(err, group.count * group.parts * sizeof(*found), "an index");
    struct looking looking = {source, listing, &group,
                              header, found,   {.lock = PTHREAD_MUTEX_INITIALIZER}};
    const struct arrays arrays = {.source = source,
                                  .listing = listing,
                                  .count = group.count,
                                  .fields = group.parts,
                                  .names = group.names,
                                  .parts = found,
                                  .bad = &looking.bad.why,
                                  .alone = parts->count == 0,
                                  .keys = group.keys,
                                  .key_bytes = group.key_bytes};
    rc = parallel_do(group.count, 0, look_at_record, &looking, err);
    return rc < 0 ? rc : arrays_draft(&arrays, rows, draft, err);
}

/* ---- into an index ---- */

int arrays_complete(struct arrays_part *part, uint64_t bytes, uint64_t full,
                    struct opiml_error *err) {
    const struct array *array = &part->array;
    struct index_piece *piece = &part->piece;
    bool compressed = (piece->form & ARRAYS_STORING) != ARRAYS_STORED;
    size_t each = opiml_dtype_bytes(array->dtype);
    uint64_t stored, value;
    if (!array_size(array, &stored))
        return opiml_fail(err, OPIML_ECORRUPT, "an array of an impossible shape");
    if (array->offset > full || stored > full - array->offset)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "an array of %" PRIu64 " bytes, of which %" PRIu64
                          " are there: it is cut short",
                          stored, array->offset > full ? 0 : full - array->offset);
    part->large = !array_bytes(array, &stored, &value) || bytes > INT32_MAX || full > INT32_MAX;
    piece->bytes = part->large ? 0 : (uint32_t)bytes;
    piece->full = part->large ? 0 : (uint32_t)full;
    /* What is read may begin at a multiple of 64 bytes, or where it does in its file. */
    bool aligned =
        array->offset % each == 0 && (compressed || (piece->offset + array->offset) % each == 0);
    if (!aligned || !array_is_plain(array))
        piece->form |= ARRAYS_CONVERT;
    return 0;
}

static const char *key_of(const struct arrays *arrays, const struct arrays_part *part) {
    return arrays->listing->objects[part->piece.object].key;
}

static const struct arrays_part *first_sound(const struct arrays *arrays, uint32_t f) {
    for (size_t r = 0; r < arrays->count; r++)
        if (arrays->parts[r * arrays->fields + f].array.dtype)
            return &arrays->parts[r * arrays->fields + f];
    return NULL;
}

static int fail_kinds(const struct arrays *arrays, uint32_t f, const struct arrays_part *first,
                      const struct arrays_part *other, struct opiml_error *err) {
    bool compressed = text_ends(key_of(arrays, first), ".gz");
    const char *dot = strrchr(key_of(arrays, first), '.');
    const char *ends = compressed ? ".nii.gz" : dot ? dot : "";
    AUTO_FREE char *remedy =
        base_printf("; files that make a record together are named by parts, such as parts: "
                    "[\"image:*_img%s\", \"label:*_label%s\"]",
                    ends, ends);
    return opiml_fail(
        err, OPIML_EINVAL, "%s%s: \"%s\" is %s with %u dimension%s; in %s it is %s with %u%s",
        arrays->source->prefix, key_of(arrays, other), arrays->names[f],
        opiml_dtype_text(array_dtype(&other->array)), other->array.ndim, text_s(other->array.ndim),
        key_of(arrays, first), opiml_dtype_text(array_dtype(&first->array)), first->array.ndim,
        arrays->alone && remedy ? remedy : "");
}

/* Field f of all records: one type, one number of dimensions; sizes that differ vary. */
static int unite(const struct arrays *arrays, uint32_t f, struct opiml_field *ret_field,
                 struct opiml_error *err) {
    const struct arrays_part *sound = first_sound(arrays, f);
    uint64_t stored, value;
    if (!sound)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: no file has a sound array for \"%s\"%s%s",
                          arrays->source->uri, arrays->names[f],
                          arrays->bad && arrays->bad->code ? "; " : "",
                          arrays->bad && arrays->bad->code ? arrays->bad->message : "");
    const struct array *first = &sound->array;
    *ret_field = (struct opiml_field){.dtype = array_dtype(first), .ndim = first->ndim};
    memcpy(ret_field->shape, first->shape, sizeof(ret_field->shape));
    for (size_t r = 0; r < arrays->count; r++) {
        const struct arrays_part *part = &arrays->parts[r * arrays->fields + f];
        const struct array *array = &part->array;
        if (!array->dtype)
            continue;
        if (array_dtype(array) != ret_field->dtype || array->ndim != ret_field->ndim)
            return fail_kinds(arrays, f, sound, part, err);
        for (uint32_t d = 0; d < array->ndim; d++)
            if (array->shape[d] != ret_field->shape[d])
                ret_field->shape[d] = -1;
        if (array_bytes(array, &stored, &value))
            ret_field->max_bytes = base_max_u64(ret_field->max_bytes, value);
    }
    return 0;
}

static int add_field(const struct arrays *arrays, uint32_t f, bool rows,
                     struct opiml_schema *schema, struct opiml_error *err) {
    struct opiml_field field;
    int rc = unite(arrays, f, &field, err);
    if (rc < 0)
        return rc;
    if (rows && field.ndim == 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: \"%s\" is a single number, which has no rows",
                          arrays->source->uri, arrays->names[f]);
    return opiml_schema_add(schema, arrays->names[f], field.dtype, field.ndim - rows,
                            field.shape + rows, field.max_bytes, err);
}

/* What reading a part of the elements takes; what has more dimensions is read whole. */
static void keep_layout(const struct array *array, struct index_piece *piece) {
    if (array->ndim == 0 || array->ndim > INDEX_SIDES)
        return;
    piece->lead = (uint32_t)array->offset;
    for (uint32_t d = 0; d < array->ndim; d++)
        piece->sides[d] = (uint32_t)array->shape[d];
}

static int add_whole(const struct arrays *arrays, size_t r, struct index_draft *draft,
                     struct opiml_error *err) {
    const struct arrays_part *parts = &arrays->parts[r * arrays->fields];
    struct index_piece pieces[OPIML_MAX_FIELDS];
    const char *key = arrays->keys ? arrays->keys[r] : key_of(arrays, parts);
    const struct index_record record = {
        .object = parts->piece.object,
        .offset = parts->piece.offset,
        .bytes = parts->piece.bytes,
        .key_bytes = arrays->keys ? arrays->key_bytes[r] : (uint32_t)strlen(key),
    };
    for (uint32_t f = 0; f < arrays->fields; f++) {
        pieces[f] = parts[f].piece;
        if (parts[f].array.dtype)
            keep_layout(&parts[f].array, &pieces[f]);
        if (parts[f].large)
            return opiml_fail(err, OPIML_ELIMIT, "%s%s: \"%s\": an array of more than 2 GiB",
                              arrays->source->prefix, key_of(arrays, &parts[f]), arrays->names[f]);
        if (arrays->bare && parts[f].array.dtype)
            pieces[f].form |= ARRAYS_BARE | (parts[f].array.swapped ? ARRAYS_SWAPPED : 0);
    }
    return index_rows_add(&draft->rows, &record, key, pieces, arrays->fields * sizeof(pieces[0]),
                          err);
}

static int fail_lengths(const struct arrays *arrays, const struct arrays_part *parts, uint32_t f,
                        struct opiml_error *err) {
    int64_t first = parts[0].array.shape[0], rows = parts[f].array.shape[0];
    return opiml_fail(err, OPIML_EINVAL,
                      "%s%s: \"%s\" has %" PRId64
                      " row%s, and the first field, \"%s\", has %" PRId64
                      "; take only fields of one length, or all of a file as one record with "
                      "records: file",
                      arrays->source->prefix, key_of(arrays, &parts[f]), arrays->names[f], rows,
                      text_s((uint64_t)rows), arrays->names[0], first);
}

/* Whether rows can be read by themselves, as many of one field as of the others. */
static int check_rows(const struct arrays *arrays, size_t r, struct opiml_error *err) {
    const struct arrays_part *parts = &arrays->parts[r * arrays->fields];
    for (uint32_t f = 0; f < arrays->fields; f++) {
        const char *what = NULL;
        if (!parts[f].array.dtype)
            what = "is damaged, so that its rows cannot be counted";
        else if (!parts[f].rows && (parts[f].piece.form & ARRAYS_STORING) != ARRAYS_STORED)
            what = "is compressed, so that rows cannot be read by themselves";
        else if ((parts[f].array.fortran && parts[f].array.ndim > 1) || parts[f].array.scaled)
            what = "is not stored row by row; save it in C order";
        else if (parts[f].array.shape[0] != parts[0].array.shape[0])
            return fail_lengths(arrays, parts, f, err);
        if (what)
            return opiml_fail(err, OPIML_EINVAL, "%s%s: \"%s\" %s", arrays->source->prefix,
                              key_of(arrays, &parts[f]), arrays->names[f], what);
    }
    return 0;
}

static struct index_piece row_piece(const struct arrays_part *part, const struct opiml_field *field,
                                    int64_t row) {
    struct index_piece piece = part->piece;
    size_t each = opiml_dtype_bytes(field->dtype);
    piece.offset += part->array.offset + (uint64_t)row * field->max_bytes;
    piece.bytes = piece.full = (uint32_t)field->max_bytes;
    piece.form = ARRAYS_BARE | (part->array.swapped ? ARRAYS_SWAPPED | ARRAYS_CONVERT : 0);
    if (piece.offset % each != 0)
        piece.form |= ARRAYS_CONVERT;
    return piece;
}

static int add_rows(const struct arrays *arrays, size_t r, struct index_draft *draft,
                    struct opiml_error *err) {
    const struct arrays_part *parts = &arrays->parts[r * arrays->fields];
    struct index_piece pieces[OPIML_MAX_FIELDS];
    int rc = check_rows(arrays, r, err);
    for (int64_t row = 0; rc == 0 && row < parts[0].array.shape[0]; row++) {
        for (uint32_t f = 0; f < arrays->fields; f++)
            pieces[f] = parts[f].rows ? parts[f].rows[row]
                                      : row_piece(&parts[f], &draft->schema.fields[f], row);
        const struct index_record record = {
            .object = pieces[0].object, .offset = pieces[0].offset, .bytes = pieces[0].bytes};
        rc = index_rows_add(&draft->rows, &record, NULL, pieces, arrays->fields * sizeof(pieces[0]),
                            err);
    }
    return rc;
}

int arrays_draft(const struct arrays *arrays, bool rows, struct index_draft *draft,
                 struct opiml_error *err) {
    int rc = 0;
    draft->pieces = arrays->fields;
    draft->flags |= rows ? 0 : INDEX_KEYS;
    for (uint32_t f = 0; rc == 0 && arrays->count > 0 && f < arrays->fields; f++)
        rc = add_field(arrays, f, rows, &draft->schema, err);
    for (uint32_t f = 0; rc == 0 && (rows || arrays->bare) && f < draft->schema.count; f++)
        if (!opiml_field_fixed(&draft->schema.fields[f]))
            return opiml_fail(err, OPIML_EINVAL, "%s: \"%s\" differs in shape from %s",
                              arrays->source->uri, arrays->names[f],
                              rows ? "row to row" : "file to file");
    for (size_t r = 0; rc == 0 && r < arrays->count; r++)
        rc = rows ? add_rows(arrays, r, draft, err) : add_whole(arrays, r, draft, err);
    return rc;
}

/* ---- reading ---- */

/* Scratch of one piece: where it is uncompressed, and where its value is made. */
static uint64_t whole_bytes(const struct index_piece *piece) {
    bool compressed = (piece->form & ARRAYS_STORING) != ARRAYS_STORED;
    return compressed ? base_align_up(piece->full, 64) : 0;
}
static uint64_t value_bytes(const struct index_piece *piece, const struct opiml_field *field) {
    return piece->form & ARRAYS_CONVERT ? base_align_up(field->max_bytes, 64) : 0;
}

bool arrays_check(const struct index *index) {
    return index->records && index->header->pieces == index->schema.count;
}

uint64_t arrays_scratch(const struct index *index) {
    uint64_t most = 0;
    for (uint64_t r = 0; r < index->header->records; r++) {
        const struct index_piece *pieces = index_pieces(index, r);
        uint64_t bytes = 0;
        for (uint32_t f = 0; f < index->header->pieces; f++)
            bytes += whole_bytes(&pieces[f]) + value_bytes(&pieces[f], &index->schema.fields[f]);
        most = base_max_u64(most, bytes);
    }
    return most;
}

/* The shape of a piece's array; false where it is not known, or not one that the field can have:
 * the index may be hostile. */
static bool find_shape(const struct index_piece *piece, const struct opiml_field *field,
                       int64_t ret_shape[OPIML_MAX_DIMS], uint64_t *ret_bytes) {
    bool bare = piece->form & ARRAYS_BARE; /* the field says how many there are */
    *ret_bytes = opiml_dtype_bytes(field->dtype);
    for (uint32_t d = 0; d < field->ndim; d++) {
        int64_t side = bare ? field->shape[d] : d < INDEX_SIDES ? piece->sides[d] : 0;
        if (side < 1 || (field->shape[d] >= 0 && side != field->shape[d]) ||
            __builtin_mul_overflow(*ret_bytes, (uint64_t)side, ret_bytes))
            return false;
        ret_shape[d] = side;
    }
    return field->ndim > 0 && *ret_bytes <= field->max_bytes;
}

bool arrays_elements(const struct index *index, uint64_t record, uint32_t field,
                     struct index_place *ret_place, int64_t ret_shape[OPIML_MAX_DIMS]) {
    const struct opiml_field *of = &index->schema.fields[field];
    uint64_t bytes;
    if (field >= index->header->pieces) /* a format's own, such as an affine */
        return false;
    const struct index_piece *piece = &index_pieces(index, record)[field];
    uint32_t lead = piece->form & ARRAYS_BARE ? 0 : piece->lead;
    if ((piece->form & ~(uint32_t)ARRAYS_BARE) != ARRAYS_STORED ||
        !find_shape(piece, of, ret_shape, &bytes) || lead + bytes > piece->bytes ||
        (piece->offset + lead) % opiml_dtype_bytes(of->dtype) != 0)
        return false;
    *ret_place = (struct index_place){piece->object, (uint32_t)bytes, piece->offset + lead};
    return true;
}

/* The piece's bytes as they were before they were compressed. */
static int uncompress(const struct index_piece *piece, struct source_bytes *from, uint8_t *scratch,
                      struct opiml_error *err) {
    uint32_t storing = piece->form & ARRAYS_STORING;
    if (storing != ARRAYS_STORED) {
        static const enum inflate_kind kinds[] = {[ARRAYS_DEFLATE] = INFLATE_RAW,
                                                  [ARRAYS_GZIP] = INFLATE_GZIP,
                                                  [ARRAYS_ZLIB] = INFLATE_ZLIB};
        int64_t got = inflate_all(kinds[storing], from->at, from->bytes, scratch, piece->full, err);
        if (got == OPIML_ELIMIT) /* than the header says, which is damage as any other */
            return opiml_fail(err, OPIML_ECORRUPT, "compressed data: more than they should be");
        if (got < 0)
            return (int)got;
        *from = (struct source_bytes){scratch, (uint32_t)got};
    }
    if (piece->form & ARRAYS_CRC && inflate_crc32(from->at, from->bytes) != piece->crc)
        return opiml_fail(err, OPIML_ECORRUPT, "the CRC is wrong");
    return 0;
}

/* Elements alone; their shape is the field's. */
static struct array bare_array(const struct opiml_field *field, uint32_t form) {
    struct array array = {.dtype = field->dtype,
                          .ndim = field->ndim,
                          .swapped = form & ARRAYS_SWAPPED,
                          .shuffled = form & ARRAYS_SHUFFLED};
    memcpy(array.shape, field->shape, sizeof(array.shape));
    return array;
}

static int parse_piece(const struct index_piece *piece, const struct opiml_field *field,
                       struct source_bytes from, arrays_header header, uint8_t *scratch,
                       struct opiml_value *value, struct opiml_error *err) {
    struct array array;
    uint8_t *room = value_bytes(piece, field) ? scratch + whole_bytes(piece) : NULL;
    int rc = uncompress(piece, &from, scratch, err);
    if (rc == 0 && piece->form & ARRAYS_BARE)
        array = bare_array(field, piece->form);
    else if (rc == 0)
        rc = header(from.at, from.bytes, &array, err);
    if (rc < 0)
        return rc;
    if (array.offset > from.bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "it ends before its elements begin");
    return array_value(&array, field, from.at + array.offset, from.bytes - array.offset, room,
                       value, err);
}

int arrays_parse(const struct index *index, uint64_t record, const struct source_bytes *from,
                 arrays_header header, struct opiml_value *values, uint8_t *scratch,
                 struct opiml_error *err) {
    const struct index_piece *pieces = index_pieces(index, record);
    for (uint32_t f = 0; f < index->header->pieces; f++) {
        const struct opiml_field *field = &index->schema.fields[f];
        struct opiml_error why;
        int rc = from[f].at
                     ? parse_piece(&pieces[f], field, from[f], header, scratch, &values[f], &why)
                     : 0; /* the caller has what it needs of it */
        if (rc < 0)
            return opiml_fail(err, rc, "\"%s\": %s", field->name, why.message);
        scratch += whole_bytes(&pieces[f]) + value_bytes(&pieces[f], field);
    }
    return 0;
}

struct source_bytes arrays_first(const struct index *index, uint64_t record,
                                 const struct source_bytes *from, uint8_t *scratch) {
    const struct index_piece *piece = index_pieces(index, record);
    if ((piece->form & ARRAYS_STORING) == ARRAYS_STORED)
        return from[0];
    return (struct source_bytes){scratch, piece->full};
}

/* Files of arrays may be volumes, each a record, but hardly is a data set one record. */
void arrays_hint(const struct index *index, struct text *to) {
    const struct opiml_schema *schema = &index->schema;
    int64_t rows = schema->fields[0].ndim > 0 ? schema->fields[0].shape[0] : 0;
    if (index->header->records != 1 || !(index->header->flags & INDEX_KEYS) || rows < 2)
        return;
    for (uint32_t f = 1; f < schema->count; f++)
        if (schema->fields[f].ndim == 0 || schema->fields[f].shape[0] != rows)
            return;
    text_printf(to,
                "all is one record; for a record of each of the %" PRId64
                " rows, name it in a pipeline file, with dataset: {..., records: row}",
                rows);
}
