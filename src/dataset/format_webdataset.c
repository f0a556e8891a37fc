/* WebDataset: tar archives in which consecutive members with the same path up to the first dot of
 * the last part make one sample, a field each: "cat/0001.jpg" and "cat/0001.cls" give the record
 * "cat/0001" with image and label. jpg, jpeg and png are `image`, cls is `label` (a whole number as
 * text), any other extension is a field of bytes of that name. Folders, and names that begin with a
 * dot or have none, are left out, as in the webdataset library. */
#include "dataset/fields.h"
#include "dataset/format.h"

#include <ctype.h>

#include "dataset/parallel.h"
#include "dataset/tar.h"

static bool webdataset_takes(const char *key) {
    static const char *const extensions[] = {"tar", NULL};
    return format_has_extension(key, extensions);
}

/* A member that belongs to a sample. */
struct part {
    uint32_t record; /* number within the shard */
    uint32_t field;  /* number within the shard */
    uint64_t offset, bytes;
};

struct shard {
    char fields[OPIML_MAX_FIELDS][OPIML_NAME_BYTES];
    uint32_t field_count;
    uint64_t max_bytes[OPIML_MAX_FIELDS];
    struct part *parts;
    size_t count, room;
    struct index_rows rows; /* labels filled in, places not yet */
};

struct scan { /* the work of all shards */
    struct source *source;
    const struct source_listing *listing;
    struct shard *shards;
};

/* The length of a member's key, 0 when it belongs to no sample; *ret_extension is what follows. */
static size_t split_name(const char *name, const char **ret_extension) {
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strchr(base, '.');
    if (!dot || dot == base || !dot[1])
        return 0;
    *ret_extension = dot + 1;
    return (size_t)(dot - name);
}

/* The field that an extension means. False when the name is too long for one. */
static bool field_name(const char *extension, char name[OPIML_NAME_BYTES]) {
    size_t i = 0;
    for (; extension[i]; i++) {
        if (i + 1 == OPIML_NAME_BYTES)
            return false;
        name[i] = (char)tolower((unsigned char)extension[i]);
    }
    name[i] = '\0';
    if (strcmp(name, "jpg") == 0 || strcmp(name, "jpeg") == 0 || strcmp(name, "png") == 0)
        text_copy(name, OPIML_NAME_BYTES, "image");
    else if (strcmp(name, "cls") == 0)
        text_copy(name, OPIML_NAME_BYTES, "label");
    return true;
}

static int find_field(struct shard *shard, const struct tar_member *member, const char *extension,
                      uint32_t *ret_field, struct opiml_error *err) {
    char name[OPIML_NAME_BYTES];
    if (!field_name(extension, name))
        return opiml_fail(err, OPIML_ELIMIT,
                          "at offset %" PRIu64 ": %s has an extension of more "
                          "than %d characters",
                          member->offset, member->name, OPIML_NAME_BYTES - 1);
    for (uint32_t i = 0; i < shard->field_count; i++)
        if (strcmp(shard->fields[i], name) == 0) {
            *ret_field = i;
            return 0;
        }
    if (shard->field_count == OPIML_MAX_FIELDS)
        return opiml_fail(err, OPIML_ELIMIT,
                          "at offset %" PRIu64 ": %s: more than %d different "
                          "extensions",
                          member->offset, member->name, OPIML_MAX_FIELDS);
    text_copy(shard->fields[shard->field_count], OPIML_NAME_BYTES, name);
    *ret_field = shard->field_count++;
    return 0;
}

static int add_part(struct shard *shard, const struct part *part, const struct tar_member *member,
                    struct opiml_error *err) {
    for (size_t i = shard->count; i > 0 && shard->parts[i - 1].record == part->record; i--)
        if (shard->parts[i - 1].field == part->field)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "at offset %" PRIu64 ": %s is a second \"%s\" of its sample",
                              member->offset, member->name, shard->fields[part->field]);
    if (shard->count == shard->room) {
        size_t room = shard->room ? shard->room * 2 : 1024;
        struct part *grown = base_realloc(shard->parts, room * sizeof(*grown));
        if (!grown)
            return base_fail_memory(err, room * sizeof(*grown), "an index");
        shard->parts = grown;
        shard->room = room;
    }
    shard->parts[shard->count++] = *part;
    if (part->bytes > shard->max_bytes[part->field])
        shard->max_bytes[part->field] = part->bytes;
    return 0;
}

/* A label goes into the fingerprint; a bad one is found again when its record is read. */
static void note_label(struct shard *shard, struct tar *tar, const struct tar_member *member) {
    struct opiml_error ignored;
    int32_t label;
    if (member->bytes > 64)
        return;
    const uint8_t *data = peek_at(&tar->peek, member->offset, (size_t)member->bytes, &ignored);
    if (data && format_read_i32(data, member->bytes, &label))
        shard->rows.records[shard->rows.count - 1].label = (uint32_t)label;
}

static int take_member(struct shard *shard, struct tar *tar, const struct tar_member *member,
                       uint32_t object, struct opiml_error *err) {
    const char *extension;
    size_t key_bytes = split_name(member->name, &extension);
    struct index_rows *rows = &shard->rows;
    uint32_t field = 0;
    if (member->type == '5' || key_bytes == 0)
        return 0;
    if (member->type != '0')
        return opiml_fail(err, OPIML_ENOTSUP,
                          "at offset %" PRIu64 ": %s is a link or a device; make the archive with "
                          "--dereference --hard-dereference",
                          member->offset, member->name);
    int rc = find_field(shard, member, extension, &field, err);
    if (rc < 0)
        return rc;
    const struct index_record *last = rows->count ? &rows->records[rows->count - 1] : NULL;
    if (!last || last->key_bytes != key_bytes ||
        memcmp(rows->keys.at + last->key, member->name, key_bytes) != 0) {
        const struct index_record record = {.object = object, .key_bytes = (uint32_t)key_bytes};
        rc = index_rows_add(rows, &record, member->name, NULL, 0, err);
        if (rc < 0)
            return rc;
    }
    const struct part part = {(uint32_t)(rows->count - 1), field, member->offset, member->bytes};
    rc = add_part(shard, &part, member, err);
    if (rc == 0 && strcmp(shard->fields[field], "label") == 0)
        note_label(shard, tar, member);
    return rc;
}

static int check_compression(struct tar *tar, struct opiml_error *err) {
    struct opiml_error ignored;
    const uint8_t *data = tar->bytes >= 4 ? peek_at(&tar->peek, 0, 4, &ignored) : NULL;
    if (data && ((data[0] == 0x1f && data[1] == 0x8b) || memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0 ||
                 memcmp(data, "BZh", 3) == 0 ||
                 memcmp(data,
                        "\xfd"
                        "7zX",
                        4) == 0))
        return opiml_fail(err, OPIML_ENOTSUP,
                          "at offset 0: a compressed archive, which cannot be "
                          "read at random; uncompress it");
    return 0;
}

static int scan_shard(void *context, size_t i, struct opiml_error *err) {
    struct scan *scan = context;
    const struct source_object *object = &scan->listing->objects[i];
    struct peek_object at = {scan->source, object->key};
    struct opiml_error why = {0};
    struct tar_member member;
    CLEANUP(tar_release) struct tar tar;
    int rc = tar_init(&tar, peek_object, &at, object->bytes, &why);
    if (rc == 0)
        rc = check_compression(&tar, &why);
    while (rc == 0 && (rc = tar_next(&tar, &member, &why)) == 1)
        rc = take_member(&scan->shards[i], &tar, &member, (uint32_t)i, &why);
    return rc < 0 ? peek_fail(&at, rc, &why, err) : 0;
}

/* All fields of all shards: image and label first, the others in bytewise order. */
static int unite_fields(const struct scan *scan, struct index_draft *draft,
                        struct opiml_error *err) {
    char names[OPIML_MAX_FIELDS][OPIML_NAME_BYTES];
    uint32_t count = 0;
    for (size_t s = 0; s < scan->listing->count; s++)
        for (uint32_t f = 0; f < scan->shards[s].field_count; f++) {
            uint32_t i = 0;
            while (i < count && strcmp(names[i], scan->shards[s].fields[f]) != 0)
                i++;
            if (i == OPIML_MAX_FIELDS)
                return opiml_fail(err, OPIML_ELIMIT, "%s: more than %d different extensions",
                                  scan->source->uri, OPIML_MAX_FIELDS);
            if (i == count)
                text_copy(names[count++], OPIML_NAME_BYTES, scan->shards[s].fields[f]);
        }
    qsort(names, count, sizeof(names[0]), fields_by_name);
    for (uint32_t i = 0; i < count; i++) {
        bool label = strcmp(names[i], "label") == 0;
        uint64_t max_bytes = 0;
        for (size_t s = 0; s < scan->listing->count; s++)
            for (uint32_t f = 0; f < scan->shards[s].field_count; f++)
                if (strcmp(scan->shards[s].fields[f], names[i]) == 0)
                    max_bytes = base_max_u64(max_bytes, scan->shards[s].max_bytes[f]);
        int rc = opiml_schema_add(&draft->schema, names[i], label ? OPIML_I32 : OPIML_U8, !label,
                                  (int64_t[]){-1}, max_bytes, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Place a record around its parts. */
static int place_record(struct index_record *record, const struct part *parts, size_t count,
                        const uint32_t *to_field, uint32_t fields, struct index_part *place,
                        struct opiml_error *err) {
    uint64_t begin = parts[0].offset, end = begin;
    for (uint32_t f = 0; f < fields; f++)
        place[f] = (struct index_part){0, INDEX_PART_MISSING};
    for (size_t i = 0; i < count; i++) {
        const struct part *part = &parts[i];
        uint64_t stop = part->offset + part->bytes;
        if (stop - begin > INT32_MAX)
            return opiml_fail(err, OPIML_ELIMIT,
                              "at offset %" PRIu64 ": a sample of more than 2 GiB", begin);
        end = base_max_u64(end, stop);
        place[to_field[part->field]] =
            (struct index_part){(uint32_t)(part->offset - begin), (uint32_t)part->bytes};
    }
    record->offset = begin;
    record->bytes = (uint32_t)(end - begin);
    return 0;
}

/* The records of a shard into the draft. *complete is set when one has all fields. */
static int join_shard(const struct scan *scan, size_t s, struct index_draft *draft, bool *complete,
                      struct opiml_error *err) {
    struct shard *shard = &scan->shards[s];
    uint32_t to_field[OPIML_MAX_FIELDS], fields = draft->schema.count;
    for (uint32_t f = 0; f < shard->field_count; f++)
        to_field[f] = (uint32_t)opiml_schema_find(&draft->schema, shard->fields[f]);
    size_t at = 0;
    for (size_t r = 0; r < shard->rows.count; r++) {
        struct index_part place[OPIML_MAX_FIELDS];
        struct index_record *record = &shard->rows.records[r];
        size_t count = 0;
        while (at + count < shard->count && shard->parts[at + count].record == r)
            count++;
        struct opiml_error why = {0};
        int rc = place_record(record, shard->parts + at, count, to_field, fields, place, &why);
        if (rc < 0)
            return opiml_fail(err, rc, "%s%s %s", scan->source->prefix,
                              scan->listing->objects[s].key, why.message);
        at += count;
        *complete |= count == fields;
        rc = index_rows_add(&draft->rows, record, shard->rows.keys.at + record->key, place,
                            fields * sizeof(place[0]), err);
        if (rc < 0)
            return rc;
    }
    base_free(TAKE(shard->parts));
    index_rows_release(&shard->rows);
    return 0;
}

static int fail_incomplete(const struct source *source, const struct opiml_schema *schema,
                           struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    for (uint32_t i = 0; i < schema->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", schema->fields[i].name);
    return opiml_fail(
        err, OPIML_EINVAL,
        "%s: no sample has all of %s; the members of a sample must follow one another "
        "and have the same name up to the first dot",
        source->uri, names.at ? names.at : "its parts");
}

static int webdataset_build(struct source *source, const struct source_listing *listing,
                            const void *params, struct index_draft *draft,
                            struct opiml_error *err) {
    bool complete = false;
    struct scan scan = {source, listing, base_alloc_array(listing->count, sizeof(*scan.shards))};
    if (!scan.shards)
        return base_fail_memory(err, listing->count * sizeof(*scan.shards), "an index");
    draft->flags |= INDEX_KEYS;
    int rc = parallel_do(listing->count, 0, scan_shard, &scan, err);
    if (rc == 0)
        rc = unite_fields(&scan, draft, err);
    draft->parts = draft->schema.count;
    for (size_t s = 0; rc == 0 && s < listing->count; s++)
        rc = join_shard(&scan, s, draft, &complete, err);
    if (rc == 0 && draft->rows.count > 0 && !complete)
        rc = fail_incomplete(source, &draft->schema, err);
    for (size_t s = 0; s < listing->count; s++) {
        base_free(scan.shards[s].parts);
        index_rows_release(&scan.shards[s].rows);
    }
    base_free(scan.shards);
    return rc;
}

static bool webdataset_check(const struct index *index, const void *params) {
    const struct opiml_schema *schema = &index->schema;
    if (index->header->parts != schema->count || !index->records)
        return false;
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct opiml_field *field = &schema->fields[i];
        bool label = strcmp(field->name, "label") == 0;
        if (field->dtype != (label ? OPIML_I32 : OPIML_U8) || field->ndim != !label ||
            (!label && field->shape[0] != -1))
            return false;
    }
    return true;
}

static int parse_part(const struct opiml_field *field, const struct index_part *part,
                      const uint8_t *data, uint32_t bytes, struct opiml_value *value,
                      uint8_t **scratch, struct opiml_error *err) {
    int32_t label;
    if (part->bytes == INDEX_PART_MISSING)
        return opiml_fail(err, OPIML_ECORRUPT, "the sample has no \"%s\"", field->name);
    if ((uint64_t)part->offset + part->bytes > bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "the sample is shorter than its \"%s\"",
                          field->name);
    if (field->ndim > 0) {
        *value = format_value(data + part->offset, part->bytes);
        return 0;
    }
    if (!format_read_i32(data + part->offset, part->bytes, &label))
        return opiml_fail(err, OPIML_ECORRUPT, "the label \"%.*s\" is no whole number",
                          part->bytes > 40 ? 40 : (int)part->bytes,
                          (const char *)data + part->offset);
    *value = format_scalar(scratch, &label, sizeof(label));
    return 0;
}

static int webdataset_parse(const struct index *index, const void *params, uint64_t record,
                            const struct source_bytes *from, struct opiml_value *values,
                            uint8_t *scratch, struct opiml_error *err) {
    const uint8_t *data = from->at;
    uint32_t bytes = from->bytes;
    uint32_t fields = index->schema.count;
    for (uint32_t i = 0; i < fields; i++) {
        int rc = parse_part(&index->schema.fields[i], &index->parts[record * fields + i], data,
                            bytes, &values[i], &scratch, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool webdataset_parse_is_light(const void *params) {
    return true;
}

static uint64_t webdataset_scratch(const struct index *index) {
    return 8;
}

const struct format format_webdataset = {
    .name = "webdataset",
    .help = "WebDataset tar archives; fields image (jpg, jpeg, png), label (cls), and others by "
            "extension",
    .shards = true,
    .found_by_looking = true,
    .takes = webdataset_takes,
    .build = webdataset_build,
    .check = webdataset_check,
    .parse = webdataset_parse,
    .parse_is_light = webdataset_parse_is_light,
    .scratch_bytes = webdataset_scratch,
};
