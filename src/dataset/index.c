#include "dataset/index.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the index is little-endian and mapped as it is"
#endif

const uint8_t index_magic[8] = {'O', 'P', 'I', 'M', 'L', 'I', 'D', 'X'};

_Static_assert(sizeof(struct index_header) == 216 && sizeof(struct index_object) == 32 &&
                   sizeof(struct index_record) == 32 && sizeof(struct index_part) == 8 &&
                   sizeof(struct index_piece) == 48 && sizeof(struct index_folder) == 24 &&
                   sizeof(struct opiml_field) == 104,
               "the file's layout");

bool index_lay_out(const struct index_header *header, struct index_layout *ret_layout) {
    uint64_t stored = header->record_bytes ? 0 : header->records, all_parts, all_pieces;
    if (__builtin_mul_overflow(stored, header->parts, &all_parts) ||
        __builtin_mul_overflow(stored, header->pieces, &all_pieces))
        return false;
    const uint64_t counts[INDEX_TABLES] = {
        header->objects,   stored,
        all_parts,         all_pieces,
        header->folders,   header->classes,
        header->fields,    header->flags & INDEX_SPREAD ? header->objects : 0,
        header->pool_bytes};
    const uint64_t each[INDEX_TABLES] = {sizeof(struct index_object),
                                         sizeof(struct index_record),
                                         sizeof(struct index_part),
                                         sizeof(struct index_piece),
                                         sizeof(struct index_folder),
                                         sizeof(uint64_t),
                                         sizeof(struct opiml_field),
                                         sizeof(uint32_t),
                                         1};
    uint64_t at = sizeof(*header);
    for (int i = 0; i < INDEX_TABLES; i++) {
        ret_layout->at[i] = at;
        if (__builtin_mul_overflow(counts[i], each[i], &ret_layout->bytes[i]) ||
            __builtin_add_overflow(at, ret_layout->bytes[i], &at) || at > (uint64_t)1 << 48)
            return false;
        at = base_align_up(at, 8);
    }
    ret_layout->end = at;
    return true;
}

static struct hash128 content_hash(const void *data, size_t bytes) {
    struct index_header header;
    memcpy(&header, data, sizeof(header));
    header.hash[0] = header.hash[1] = 0;
    const struct hash_piece pieces[] = {
        {&header, sizeof(header)},
        {(const uint8_t *)data + sizeof(header), bytes - sizeof(header)},
    };
    return hash_128_pieces(pieces, COUNT_OF(pieces));
}

void index_seal(void *data, size_t bytes) {
    struct index_header *header = data;
    struct hash128 hash = content_hash(data, bytes);
    header->hash[0] = hash.low;
    header->hash[1] = hash.high;
}

#define WRONG(what) opiml_fail(err, OPIML_ECORRUPT, "damaged index: %s", what)

static int check_header(const void *data, size_t bytes, struct opiml_error *err) {
    const struct index_header *header = data;
    if (bytes < sizeof(*header) || memcmp(header->magic, index_magic, sizeof(index_magic)) != 0)
        return WRONG("not an index");
    if (header->version != INDEX_VERSION || header->header_bytes != sizeof(*header))
        return WRONG("another version");
    if (header->file_bytes != bytes)
        return WRONG("another length than it says");
    struct hash128 hash = content_hash(data, bytes);
    if (hash.low != header->hash[0] || hash.high != header->hash[1])
        return WRONG("its hash differs");
    if (header->objects == 0 || header->objects > UINT32_MAX || header->records == 0 ||
        header->fields == 0 || header->fields > OPIML_MAX_FIELDS ||
        header->classes > INDEX_CLASSES_MAX || header->folders > UINT32_MAX)
        return WRONG("a count out of range");
    if ((header->parts != 0 && header->parts != header->fields) ||
        (header->pieces != 0 && (header->pieces > header->fields || header->parts != 0)) ||
        (header->record_bytes && (header->parts || header->pieces))) /* alike: no tables of them */
        return WRONG("the number of parts");
    if (header->max_read > UINT32_MAX || header->record_bytes > UINT32_MAX ||
        header->lead_bytes > (uint64_t)1 << 48 || (header->record_bytes && !header->stride_bytes))
        return WRONG("a record's size");
    if (memchr(header->format, 0, sizeof(header->format)) == NULL)
        return WRONG("the format's name");
    return 0;
}

static int check_fields(const struct opiml_field *fields, uint64_t count,
                        struct opiml_schema *schema, struct opiml_error *err) {
    memset(schema, 0, sizeof(*schema));
    for (uint64_t i = 0; i < count; i++) {
        const struct opiml_field *field = &fields[i];
        struct opiml_error why;
        if (field->max_bytes > UINT32_MAX || memchr(field->name, 0, sizeof(field->name)) == NULL ||
            field->ndim > OPIML_MAX_DIMS ||
            opiml_schema_add(schema, field->name, field->dtype, field->ndim, field->shape,
                             field->max_bytes, &why) < 0)
            return WRONG("a field");
    }
    return 0;
}

/* A text of the pool that ends within it. The pool's last byte is zero (checked before). */
static bool text_fits(const struct index_header *header, uint64_t at) {
    return at < header->pool_bytes;
}

static int check_objects(const struct index *index, struct opiml_error *err) {
    const struct index_header *header = index->header;
    uint64_t record = 0;
    const char *previous = NULL;
    for (uint64_t i = 0; i < header->objects; i++) {
        const struct index_object *object = &index->objects[i];
        if (!text_fits(header, object->key) || !source_key_safe(index->pool + object->key))
            return WRONG("an object's name");
        if (previous && strcmp(previous, index->pool + object->key) >= 0)
            return WRONG("the order of objects");
        previous = index->pool + object->key;
        if (!header->record_bytes)
            continue;
        if (object->bytes < header->lead_bytes || object->first != record)
            return WRONG("an object's records");
        record += index_alike(object->bytes, header->lead_bytes, header->record_bytes,
                              header->stride_bytes);
    }
    if (header->record_bytes && record != header->records)
        return WRONG("the number of records");
    return 0;
}

static bool record_fits(const struct index *index, const struct index_record *record) {
    const struct index_header *header = index->header;
    if (record->object >= header->objects || record->bytes > header->max_read ||
        record->key > header->pool_bytes || record->key_bytes > header->pool_bytes - record->key)
        return false;
    const struct index_object *object = &index->objects[record->object];
    if (record->offset > object->bytes || record->bytes > object->bytes - record->offset)
        return false;
    return !(header->flags & INDEX_WHOLE) ||
           (record->offset == 0 && record->bytes == object->bytes);
}

static int check_pieces(const struct index *index, uint64_t record, struct opiml_error *err) {
    const struct index_header *header = index->header;
    const struct index_piece *pieces = index_pieces(index, record);
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < header->pieces; i++) {
        if (pieces[i].object >= header->objects)
            return WRONG("a piece's object");
        const struct index_object *object = &index->objects[pieces[i].object];
        if (pieces[i].offset > object->bytes || pieces[i].bytes > object->bytes - pieces[i].offset)
            return WRONG("a piece's place");
        bytes += pieces[i].bytes;
    }
    return bytes > header->max_read ? WRONG("a record's size") : 0;
}

static int check_records(const struct index *index, struct opiml_error *err) {
    const struct index_header *header = index->header;
    if (header->record_bytes) /* those are all alike, and checked with their objects */
        return header->record_bytes > header->max_read ? WRONG("a record's size") : 0;
    for (uint64_t i = 0; i < header->records; i++) {
        if (!record_fits(index, &index->records[i]))
            return WRONG("a record's place");
        int rc = check_pieces(index, i, err);
        if (rc < 0)
            return rc;
        for (uint64_t j = 0; j < header->parts; j++) {
            const struct index_part *part = &index->parts[i * header->parts + j];
            if (part->bytes < INDEX_PART_MISSING &&
                ((uint64_t)part->offset + part->bytes > index->records[i].bytes ||
                 (!opiml_field_fixed(&index->schema.fields[j]) &&
                  part->bytes > index->schema.fields[j].max_bytes)))
                return WRONG("a part's place");
        }
    }
    return 0;
}

static int check_texts(const struct index *index, struct opiml_error *err) {
    const struct index_header *header = index->header;
    if (header->pool_bytes == 0 || index->pool[header->pool_bytes - 1] != '\0')
        return WRONG("its texts");
    if (!text_fits(header, header->left_out_names))
        return WRONG("the names of what is left out");
    for (uint64_t i = 0; i < header->classes; i++)
        if (!text_fits(header, index->classes[i]))
            return WRONG("a class");
    for (uint64_t i = 0; i < header->folders; i++) {
        if (!text_fits(header, index->folders[i].key))
            return WRONG("a folder");
        const char *key = index->pool + index->folders[i].key;
        if (key[0] && !source_key_safe(key))
            return WRONG("a folder");
    }
    return 0;
}

int index_check(const void *data, size_t bytes, struct index *ret_index, struct opiml_error *err) {
    struct index_layout layout;
    const uint8_t *base = data;
    int rc = check_header(data, bytes, err);
    if (rc < 0)
        return rc;
    if (!index_lay_out(data, &layout) || layout.end != bytes)
        return WRONG("its tables do not fit");
    struct index index = {
        .header = data,
        .objects = (const void *)(base + layout.at[INDEX_OBJECTS]),
        .records =
            layout.bytes[INDEX_RECORDS] ? (const void *)(base + layout.at[INDEX_RECORDS]) : NULL,
        .parts = (const void *)(base + layout.at[INDEX_PARTS]),
        .pieces = (const void *)(base + layout.at[INDEX_PIECES]),
        .folders = (const void *)(base + layout.at[INDEX_FOLDERS]),
        .classes = (const void *)(base + layout.at[INDEX_CLASSES]),
        .holders =
            layout.bytes[INDEX_HOLDERS] ? (const void *)(base + layout.at[INDEX_HOLDERS]) : NULL,
        .pool = (const char *)(base + layout.at[INDEX_POOL]),
    };
    rc = check_fields((const void *)(base + layout.at[INDEX_FIELDS]), index.header->fields,
                      &index.schema, err);
    if (rc == 0)
        rc = check_texts(&index, err);
    if (rc == 0)
        rc = check_objects(&index, err);
    if (rc == 0)
        rc = check_records(&index, err);
    if (rc < 0)
        return rc;
    *ret_index = index;
    return 0;
}

/* Bytes of an index that is copied into memory. A copy stays what it was checked to be when
 * somebody writes over the file, as a careless copy of a whole dataset does; a mapping that shrinks
 * under us would end the process. Larger ones are mapped all the same: several processes share
 * them. */
#define COPY_BYTES_MAX MIB(64)

static int load(int fd, const char *path, size_t bytes, struct index *index,
                struct opiml_error *err) {
    index->bytes = bytes;
    index->mapped = bytes > COPY_BYTES_MAX;
    if (index->mapped) {
        void *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory == MAP_FAILED)
            return base_fail_errno(err, errno, "%s: cannot be mapped", path);
        index->memory = memory;
        return 0;
    }
    index->memory = base_realloc(NULL, bytes); /* without zeros, which take longer than the bytes */
    if (!index->memory)
        return base_fail_memory(err, bytes, "an index");
    int64_t got = file_pread(fd, index->memory, bytes, 0, path, err);
    if (got >= 0 && (uint64_t)got < bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: it has become shorter", path);
    return got < 0 ? (int)got : 0;
}

int index_map(const char *path, struct index *ret_index, struct opiml_error *err) {
    struct stat stat;
    struct index raw = {0}, index;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &stat) < 0)
        return base_fail_errno(err, errno, "%s", path);
    if (!S_ISREG(stat.st_mode) || (uint64_t)stat.st_size < sizeof(struct index_header))
        return opiml_fail(err, OPIML_ECORRUPT, "%s: not an index", path);
    struct opiml_error why;
    int rc = load(fd, path, (size_t)stat.st_size, &raw, err);
    if (rc == 0) {
        rc = index_check(raw.memory, raw.bytes, &index, &why);
        if (rc < 0)
            opiml_fail(err, rc, "%s: %s", path, why.message);
    }
    if (rc < 0) {
        index_release(&raw);
        return rc;
    }
    index.memory = raw.memory;
    index.bytes = raw.bytes;
    index.mapped = raw.mapped;
    *ret_index = index;
    return 0;
}

void index_hash_text(const struct index *index, char to[INDEX_HASH_BYTES]) {
    snprintf(to, INDEX_HASH_BYTES, "%016" PRIx64 "%016" PRIx64, index->header->hash[1],
             index->header->hash[0]);
}

void index_release(struct index *index) {
    if (index->memory && index->mapped)
        munmap(index->memory, index->bytes);
    else
        base_free(index->memory);
    memset(index, 0, sizeof(*index));
}

struct index_place index_find(const struct index *index, uint64_t record) {
    const struct index_header *header = index->header;
    assert(record < header->records);
    if (!header->record_bytes) {
        const struct index_record *at = &index->records[record];
        return (struct index_place){at->object, at->bytes, at->offset};
    }
    /* The last object that begins at or before the record; empty ones begin where the next does. */
    uint64_t low = 0, high = header->objects;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (index->objects[middle].first <= record)
            low = middle;
        else
            high = middle;
    }
    uint64_t row = record - index->objects[low].first;
    return (struct index_place){(uint32_t)low, (uint32_t)header->record_bytes,
                                header->lead_bytes + row * header->stride_bytes};
}
