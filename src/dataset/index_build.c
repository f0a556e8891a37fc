#include "dataset/index.h"

#include "base/clock.h"
#include "base/hash.h"

void index_rows_release(struct index_rows *rows) {
    base_free(rows->records);
    base_free(rows->tails);
    text_release(&rows->keys);
    memset(rows, 0, sizeof(*rows));
}

static int reserve(struct index_rows *rows, size_t count, size_t tail_bytes,
                   struct opiml_error *err) {
    if (rows->count + count <= rows->room)
        return 0;
    size_t room = base_max_u64(rows->count + count, rows->room * 2);
    if (room < 64)
        room = 64;
    struct index_record *records = base_realloc(rows->records, room * sizeof(*records));
    if (!records)
        return base_fail_memory(err, room * sizeof(*records), "an index");
    rows->records = records;
    if (tail_bytes > 0) {
        uint8_t *grown = base_realloc(rows->tails, room * tail_bytes);
        if (!grown)
            return base_fail_memory(err, room * tail_bytes, "an index");
        rows->tails = grown;
    }
    rows->room = room;
    return 0;
}

int index_rows_add(struct index_rows *rows, const struct index_record *record, const char *key,
                   const void *tail, size_t tail_bytes, struct opiml_error *err) {
    int rc = reserve(rows, 1, tail_bytes, err);
    if (rc < 0)
        return rc;
    struct index_record *to = &rows->records[rows->count];
    *to = *record;
    if (key) {
        to->key = rows->keys.count;
        text_add_bytes(&rows->keys, key, record->key_bytes);
        if (rows->keys.failed)
            return base_fail_memory(err, record->key_bytes, "an index");
    }
    if (tail_bytes > 0)
        memcpy(rows->tails + rows->count * tail_bytes, tail, tail_bytes);
    rows->count++;
    return 0;
}

int index_rows_join(struct index_rows *rows, struct index_rows *more, size_t tail_bytes,
                    struct opiml_error *err) {
    int rc = reserve(rows, more->count, tail_bytes, err);
    if (rc < 0)
        return rc;
    uint64_t shift = rows->keys.count;
    if (more->keys.count > 0)
        text_add_bytes(&rows->keys, more->keys.at, more->keys.count);
    if (rows->keys.failed)
        return base_fail_memory(err, more->keys.count, "an index");
    for (size_t i = 0; i < more->count; i++) {
        rows->records[rows->count + i] = more->records[i];
        rows->records[rows->count + i].key += shift;
    }
    if (tail_bytes > 0 && more->count > 0)
        memcpy(rows->tails + rows->count * tail_bytes, more->tails, more->count * tail_bytes);
    rows->count += more->count;
    index_rows_release(more);
    return 0;
}

int index_draft_init(struct index_draft *draft, const struct source_listing *listing,
                     struct opiml_error *err) {
    memset(draft, 0, sizeof(*draft));
    draft->from_ns = clock_wall_ns();
    draft->object_keys = base_alloc_array(listing->count, sizeof(*draft->object_keys));
    if (!draft->object_keys)
        return base_fail_memory(err, listing->count * sizeof(*draft->object_keys), "an index");
    for (size_t i = 0; i < listing->count; i++) {
        draft->object_keys[i] = draft->rows.keys.count;
        text_add_bytes(&draft->rows.keys, listing->objects[i].key,
                       strlen(listing->objects[i].key) + 1);
    }
    if (draft->rows.keys.failed) {
        index_draft_release(draft);
        return base_fail_memory(err, draft->rows.keys.count, "an index");
    }
    return 0;
}

void index_draft_release(struct index_draft *draft) {
    index_rows_release(&draft->rows);
    base_free(draft->object_keys);
    base_free(draft->first);
    base_free(draft->classes);
    memset(draft, 0, sizeof(*draft));
}

int index_draft_add_class(struct index_draft *draft, const char *name, size_t bytes,
                          struct opiml_error *err) {
    if (draft->class_count == draft->class_room) {
        size_t room = draft->class_room ? draft->class_room * 2 : 64;
        uint64_t *grown = base_realloc(draft->classes, room * sizeof(*grown));
        if (!grown)
            return base_fail_memory(err, room * sizeof(*grown), "an index");
        draft->classes = grown;
        draft->class_room = room;
    }
    if (draft->class_count == INDEX_CLASSES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d classes", INDEX_CLASSES_MAX);
    draft->classes[draft->class_count++] = draft->rows.keys.count;
    text_add_bytes(&draft->rows.keys, name, bytes);
    text_add_bytes(&draft->rows.keys, "", 1);
    return draft->rows.keys.failed ? base_fail_memory(err, bytes, "an index") : 0;
}

int index_draft_add_content(struct index_draft *draft, const struct source_listing *listing,
                            size_t object, uint64_t hash, struct opiml_error *err) {
    const uint64_t hashes[] = {draft->content, hash};
    if (!draft->first)
        draft->first = base_alloc_array(listing->count, sizeof(*draft->first));
    if (!draft->first)
        return base_fail_memory(err, listing->count * sizeof(*draft->first), "an index");
    draft->first[object] = hash;
    draft->content = hash_64(hashes, sizeof(hashes), 0);
    return 0;
}

/* What sorting needs: rows are compared by key and then by place, and moved with their parts. */
struct sorting {
    const struct index_record *records;
    const char *keys;
};

static int compare(const struct sorting *sorting, uint64_t a, uint64_t b) {
    const struct index_record *x = &sorting->records[a], *y = &sorting->records[b];
    uint32_t shared = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes;
    int order = memcmp(sorting->keys + x->key, sorting->keys + y->key, shared);
    if (order != 0)
        return order;
    if (x->key_bytes != y->key_bytes)
        return x->key_bytes < y->key_bytes ? -1 : 1;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_key(const void *a, const void *b, void *context) {
    return compare(context, *(const uint64_t *)a, *(const uint64_t *)b);
}

/* The order of rows, or NULL in *ret_order when they stand in it already. */
static int sort_rows(const struct index_draft *draft, uint64_t **ret_order,
                     struct opiml_error *err) {
    struct sorting sorting = {draft->rows.records, draft->rows.keys.at};
    size_t count = draft->rows.count, sorted = 1;
    *ret_order = NULL;
    while (sorted < count && compare(&sorting, sorted - 1, sorted) <= 0)
        sorted++;
    if (!(draft->flags & INDEX_KEYS) || sorted >= count)
        return 0;
    uint64_t *order = base_alloc_array(count, sizeof(*order));
    if (!order)
        return base_fail_memory(err, count * sizeof(*order), "an index");
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(*order), by_key, &sorting);
    *ret_order = order;
    return 0;
}

/* Equal for equal records, whatever the format: of names, types and keys, of the sizes of what
 * varies, and of labels. */
static uint64_t schema_hash(const struct opiml_schema *schema) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct opiml_field *field = &schema->fields[i];
        hash = hash_64(field->name, strlen(field->name), hash);
        hash = hash_64(&field->dtype, sizeof(field->dtype), hash);
        hash = hash_64(field->shape, field->ndim * sizeof(field->shape[0]), hash);
    }
    return hash;
}

static uint64_t record_hash(const struct index_draft *draft, const struct index_record *record,
                            const void *tail, uint64_t hash) {
    const struct index_part *parts = draft->parts ? tail : NULL;
    const struct index_piece *pieces = draft->pieces ? tail : NULL;
    struct {
        uint64_t before, key, sizes[OPIML_MAX_FIELDS];
    } all = {.before = hash};
    uint32_t fields = draft->schema.count;
    all.key = draft->flags & INDEX_KEYS
                  ? hash_64(draft->rows.keys.at + record->key, record->key_bytes, 0)
                  : 0;
    for (uint32_t i = 0; i < fields; i++)
        all.sizes[i] = opiml_field_fixed(&draft->schema.fields[i]) ? record->label
                       : parts                                     ? parts[i].bytes
                       : pieces && i < draft->pieces               ? pieces[i].full
                                                                   : record->bytes;
    return hash_64(&all, offsetof(__typeof__(all), sizes) + fields * sizeof(all.sizes[0]), 0);
}

static size_t tail_bytes(const struct index_draft *draft) {
    return draft->parts * sizeof(struct index_part) + draft->pieces * sizeof(struct index_piece);
}

static uint64_t read_bytes(const struct index_draft *draft, const struct index_record *record,
                           const struct index_piece *pieces) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < draft->pieces; i++)
        bytes += pieces[i].bytes;
    return draft->pieces ? bytes : record->bytes;
}

static void write_rows(const struct index_draft *draft, const uint64_t *order,
                       struct index_header *header, struct index_record *records, uint8_t *tails) {
    size_t each = tail_bytes(draft);
    for (size_t i = 0; i < draft->rows.count; i++) {
        size_t from = order ? order[i] : i;
        const struct index_record *record = &draft->rows.records[from];
        const void *tail = each ? draft->rows.tails + from * each : NULL;
        records[i] = *record;
        if (each)
            memcpy(tails + i * each, tail, each);
        header->max_read = base_max_u64(header->max_read, read_bytes(draft, record, tail));
        header->fingerprint = record_hash(draft, record, tail, header->fingerprint);
    }
}

static void write_objects(const struct index_draft *draft, const struct source_listing *listing,
                          struct index_object *objects) {
    for (size_t i = 0; i < listing->count; i++)
        objects[i] = (struct index_object){
            .key = draft->object_keys[i],
            .bytes = listing->objects[i].bytes,
            .modified_ns = listing->objects[i].modified_ns,
            .first = draft->first ? draft->first[i] : 0,
        };
}

static void fill_header(const struct index_draft *draft, const struct source_listing *listing,
                        struct index_header *header) {
    *header = (struct index_header){
        .version = INDEX_VERSION,
        .header_bytes = sizeof(*header),
        .id = draft->id,
        .from_ns = draft->from_ns,
        .to_ns = draft->to_ns ? draft->to_ns : clock_wall_ns(),
        .records = draft->record_bytes ? draft->like_records : draft->rows.count,
        .objects = listing->count,
        .folders = listing->folder_count,
        .classes = draft->class_count,
        .fields = draft->schema.count,
        .parts = draft->parts,
        .pieces = draft->pieces,
        .pool_bytes = draft->rows.keys.count,
        .max_read = draft->record_bytes,
        .record_bytes = draft->record_bytes,
        .lead_bytes = draft->lead_bytes,
        .stride_bytes = draft->stride_bytes ? draft->stride_bytes : draft->record_bytes,
        .flags = draft->flags | (draft->holders ? INDEX_SPREAD : 0) |
                 (draft->stride_bytes ? INDEX_STRIDE : 0),
        .left_out = draft->left_out,
    };
    memcpy(header->magic, index_magic, sizeof(header->magic));
    text_copy(header->format, sizeof(header->format), draft->format);
}

/* The last texts of the pool, and where they begin in it: what is left out, and folders. */
static int add_texts(struct index_draft *draft, const struct source_listing *listing,
                     uint64_t *ret_left_out, struct index_folder **ret_folders,
                     struct opiml_error *err) {
    struct index_folder *folders = base_alloc_array(listing->folder_count, sizeof(*folders));
    for (size_t i = 0; folders && i < listing->folder_count; i++) {
        const struct source_object *from = &listing->folders[i];
        folders[i] = (struct index_folder){draft->rows.keys.count, from->bytes, from->modified_ns};
        text_add_bytes(&draft->rows.keys, from->key, strlen(from->key) + 1);
    }
    *ret_left_out = draft->rows.keys.count;
    text_add(&draft->rows.keys, draft->left_out_names ? draft->left_out_names : "");
    text_add_bytes(&draft->rows.keys, "", 1); /* the pool ends with a zero byte */
    if (!folders || draft->rows.keys.failed) {
        base_free(folders);
        return base_fail_memory(err, listing->folder_count * sizeof(*folders), "an index");
    }
    *ret_folders = folders;
    return 0;
}

int index_draft_finish(struct index_draft *draft, const struct source_listing *listing,
                       void **ret_data, size_t *ret_bytes, struct opiml_error *err) {
    AUTO_FREE struct index_folder *folders = NULL;
    AUTO_FREE uint64_t *order = NULL;
    struct index_layout layout;
    struct index_header header;
    uint64_t left_out;
    int rc = add_texts(draft, listing, &left_out, &folders, err);
    if (rc == 0)
        rc = sort_rows(draft, &order, err);
    if (rc < 0)
        return rc;
    fill_header(draft, listing, &header);
    header.left_out_names = left_out;
    if (!index_lay_out(&header, &layout))
        return opiml_fail(err, OPIML_ELIMIT, "an index of more than 2^48 bytes");
    uint8_t *data = base_alloc(layout.end);
    if (!data)
        return base_fail_memory(err, layout.end, "an index");
    header.file_bytes = layout.end;
    const uint64_t about[] = {schema_hash(&draft->schema), header.records, draft->record_bytes,
                              draft->stride_bytes, draft->content};
    header.fingerprint = hash_64(about, sizeof(about), 0);
    write_objects(draft, listing, (void *)(data + layout.at[INDEX_OBJECTS]));
    if (!draft->record_bytes)
        write_rows(draft, order, &header, (void *)(data + layout.at[INDEX_RECORDS]),
                   data + layout.at[draft->pieces ? INDEX_PIECES : INDEX_PARTS]);
    if (listing->folder_count > 0)
        memcpy(data + layout.at[INDEX_FOLDERS], folders, layout.bytes[INDEX_FOLDERS]);
    if (draft->class_count > 0)
        memcpy(data + layout.at[INDEX_CLASSES], draft->classes, layout.bytes[INDEX_CLASSES]);
    memcpy(data + layout.at[INDEX_FIELDS], draft->schema.fields, layout.bytes[INDEX_FIELDS]);
    if (draft->holders)
        memcpy(data + layout.at[INDEX_HOLDERS], draft->holders, layout.bytes[INDEX_HOLDERS]);
    memcpy(data + layout.at[INDEX_POOL], draft->rows.keys.at, draft->rows.keys.count);
    memcpy(data, &header, sizeof(header));
    index_seal(data, layout.end);
    *ret_data = data;
    *ret_bytes = layout.end;
    return 0;
}
