#include "dataset/index_merge.h"

#include "base/hash.h"
#include "dataset/fields.h"
#include "dataset/format.h"

/* A holder at work. */
struct part {
    const struct index *index;
    const char *name;
    uint32_t bit;
    uint32_t *object;                 /* by the number of its own: of the union */
    uint32_t *label;                  /* by its own class: of the union's */
    uint32_t field[OPIML_MAX_FIELDS]; /* by the number of its own: of the union */
    uint64_t *sum;                    /* by its own object: of the records in it */
};

struct merge {
    struct part part[INDEX_HOLDERS_MAX];
    uint32_t parts;
    struct source_object *object; /* the union */
    uint32_t *holders, *owner;    /* ... who has each, and the first of them */
    uint64_t *content;            /* ... and its index_object.first */
    uint32_t objects;
    struct opiml_schema schema;
};

static void merge_release(struct merge *self) {
    for (uint32_t p = 0; p < self->parts; p++) {
        base_free(self->part[p].object);
        base_free(self->part[p].label);
        base_free(self->part[p].sum);
    }
    base_free(self->object);
    base_free(self->holders);
    base_free(self->owner);
    base_free(self->content);
}

static const struct index_header *header_of(const struct merge *self) {
    return self->part[0].index->header;
}

/* ---- whether they go together ---- */

static bool same_objects(const struct index *a, const struct index *b) {
    if (a->header->fingerprint != b->header->fingerprint ||
        a->header->objects != b->header->objects)
        return false;
    for (uint64_t i = 0; i < a->header->objects; i++)
        if (a->objects[i].bytes != b->objects[i].bytes ||
            strcmp(index_object_key(a, (uint32_t)i), index_object_key(b, (uint32_t)i)) != 0)
            return false;
    return true;
}

static bool all_same(const struct merge *self) {
    for (uint32_t p = 1; p < self->parts; p++)
        if (!same_objects(self->part[0].index, self->part[p].index))
            return false;
    return true;
}

static int check_kinds(const struct merge *self, struct opiml_error *err) {
    const struct index_header *first = header_of(self);
    const struct format *format = format_find(first->format);
    const uint64_t kinds = INDEX_WHOLE | INDEX_KEYS | INDEX_STRIDE;

    for (uint32_t p = 1; p < self->parts; p++) {
        const struct index_header *header = self->part[p].index->header;

        if (strcmp(header->format, first->format) != 0)
            return opiml_fail(err, OPIML_EINVAL,
                              "format %s on %s and %s on %s: say in the pipeline file which it is",
                              first->format, self->part[0].name, header->format,
                              self->part[p].name);
        if (header->id != first->id || (header->flags ^ first->flags) & kinds ||
            header->pieces != first->pieces || !header->parts != !first->parts ||
            header->record_bytes != first->record_bytes ||
            header->lead_bytes != first->lead_bytes || header->stride_bytes != first->stride_bytes)
            return opiml_fail(err, OPIML_EINVAL, "%s reads the data in another way than %s",
                              self->part[p].name, self->part[0].name);
    }
    if (!format || format->prepare)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "%s and %s have other rows: a table is read whole from every node",
                          self->part[0].name, self->part[1].name);
    return 0;
}

/* ---- objects ---- */

static const struct index_object *object_at(const struct part *part, uint64_t i) {
    return &part->index->objects[i];
}

/* One of the union: the smallest key that is next anywhere. */
static int unite_object(struct merge *self, uint64_t at[INDEX_HOLDERS_MAX],
                        struct opiml_error *err) {
    struct source_object *to = &self->object[self->objects];
    const struct index_object *first = NULL;
    const char *key = NULL;
    uint32_t n = self->objects++;

    for (uint32_t p = 0; p < self->parts; p++) {
        const struct index *index = self->part[p].index;
        const char *next =
            at[p] < index->header->objects ? index_object_key(index, (uint32_t)at[p]) : NULL;

        if (next && (!key || strcmp(next, key) < 0))
            key = next;
    }
    to->key = key;
    for (uint32_t p = 0; p < self->parts; p++) {
        struct part *part = &self->part[p];
        const struct index_object *mine;

        if (at[p] >= part->index->header->objects ||
            strcmp(index_object_key(part->index, (uint32_t)at[p]), key) != 0)
            continue;
        mine = object_at(part, at[p]);
        part->object[at[p]++] = n;
        self->holders[n] |= part->bit;
        to->modified_ns = base_max_u64(to->modified_ns, mine->modified_ns);
        if (!first) {
            first = mine;
            self->owner[n] = p;
            self->content[n] = mine->first;
            to->bytes = mine->bytes;
        } else if (mine->bytes != first->bytes) {
            return opiml_fail(err, OPIML_ESTALE,
                              "%s is another file on %s (%" PRIu64 " bytes) than on %s (%" PRIu64
                              " bytes): replace one of them",
                              key, part->name, mine->bytes, self->part[self->owner[n]].name,
                              first->bytes);
        }
    }
    return 0;
}

static int unite_objects(struct merge *self, struct opiml_error *err) {
    uint64_t at[INDEX_HOLDERS_MAX] = {0}, most = 0, left = 0;
    int rc = 0;

    for (uint32_t p = 0; p < self->parts; p++)
        most += self->part[p].index->header->objects;
    if (most >= UINT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than 2^32 files");
    self->object = base_alloc_array(most, sizeof(*self->object));
    self->holders = base_alloc_array(most, sizeof(*self->holders));
    self->owner = base_alloc_array(most, sizeof(*self->owner));
    self->content = base_alloc_array(most, sizeof(*self->content));
    if (!self->object || !self->holders || !self->owner || !self->content)
        return base_fail_memory(err, most * sizeof(*self->object), "an index");
    do {
        left = 0;
        if ((rc = unite_object(self, at, err)) < 0)
            return rc;
        for (uint32_t p = 0; p < self->parts; p++)
            left += self->part[p].index->header->objects - at[p];
    } while (left > 0);
    return 0;
}

/* ---- fields and classes ---- */

/* A field that the union has already. Sizes that differ vary. */
static int unite_field(const struct merge *self, struct opiml_field *to,
                       const struct opiml_field *from, const struct part *part,
                       struct opiml_error *err) {
    if (to->dtype != from->dtype || to->ndim != from->ndim)
        return opiml_fail(err, OPIML_EINVAL,
                          "field \"%s\" is %s with %u dimension%s on %s and %s with %u on another "
                          "node: say in the pipeline file what it is",
                          to->name, opiml_dtype_text(from->dtype), from->ndim,
                          from->ndim == 1 ? "" : "s", part->name, opiml_dtype_text(to->dtype),
                          to->ndim);
    for (uint32_t d = 0; d < to->ndim; d++)
        if (to->shape[d] != from->shape[d])
            to->shape[d] = -1;
    to->max_bytes = base_max_u64(to->max_bytes, from->max_bytes);
    return 0;
}

/* Members of archives are told apart by name; else all have to have the same fields. */
static int check_fields(const struct merge *self, const struct part *part,
                        struct opiml_error *err) {
    const struct opiml_schema *first = &self->part[0].index->schema, *mine = &part->index->schema;
    bool same = first->count == mine->count;

    for (uint32_t f = 0; same && f < mine->count; f++)
        same = strcmp(first->fields[f].name, mine->fields[f].name) == 0;
    if (same || header_of(self)->parts)
        return 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "%s and %s have other fields: say in the pipeline file which to take",
                      self->part[0].name, part->name);
}

static int unite_fields(struct merge *self, struct opiml_error *err) {
    struct opiml_schema all = {0};
    bool sorted = header_of(self)->parts > 0;
    int rc = 0;

    for (uint32_t p = 0; p < self->parts; p++) {
        const struct opiml_schema *mine = &self->part[p].index->schema;

        if ((rc = check_fields(self, &self->part[p], err)) < 0)
            return rc;
        for (uint32_t f = 0; f < mine->count; f++) {
            const struct opiml_field *from = &mine->fields[f];
            int at = opiml_schema_find(&all, from->name);

            rc = at >= 0 ? unite_field(self, &all.fields[at], from, &self->part[p], err)
                         : opiml_schema_add(&all, from->name, from->dtype, from->ndim, from->shape,
                                            from->max_bytes, err);
            if (rc < 0)
                return rc;
        }
    }
    if (sorted)
        qsort(all.fields, all.count, sizeof(all.fields[0]), fields_by_name);
    for (uint32_t p = 0; p < self->parts; p++)
        for (uint32_t f = 0; f < self->part[p].index->schema.count; f++)
            self->part[p].field[f] =
                (uint32_t)opiml_schema_find(&all, self->part[p].index->schema.fields[f].name);
    self->schema = all;
    return 0;
}

static const char *class_at(const struct part *part, uint64_t i) {
    return part->index->pool + part->index->classes[i];
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The classes of all, in bytewise order, and what each holder's labels are among them. */
static int unite_classes(struct merge *self, struct index_draft *draft, struct opiml_error *err) {
    AUTO_FREE const char **names = NULL;
    uint64_t most = 0, count = 0;
    int rc = 0;

    for (uint32_t p = 0; p < self->parts; p++)
        most += self->part[p].index->header->classes;
    names = base_alloc_array(most, sizeof(*names));
    if (!names)
        return base_fail_memory(err, most * sizeof(*names), "the classes");
    for (uint32_t p = 0; p < self->parts; p++)
        for (uint64_t i = 0; i < self->part[p].index->header->classes; i++)
            names[count++] = class_at(&self->part[p], i);
    qsort(names, count, sizeof(*names), by_text);
    most = count;
    count = 0;
    for (uint64_t i = 0; rc == 0 && i < most; i++)
        if (count == 0 || strcmp(names[count - 1], names[i]) != 0) {
            rc = index_draft_add_class(draft, names[i], strlen(names[i]), err);
            names[count++] = names[i];
        }
    for (uint32_t p = 0; rc == 0 && p < self->parts; p++) {
        struct part *part = &self->part[p];

        part->label = base_alloc_array(part->index->header->classes, sizeof(*part->label));
        if (!part->label)
            return base_fail_memory(err, most * sizeof(*part->label), "the classes");
        for (uint64_t i = 0; i < part->index->header->classes; i++) {
            const char *name = class_at(part, i);
            const char **at = bsearch(&name, names, count, sizeof(*names), by_text);

            part->label[i] = (uint32_t)(at - names);
        }
    }
    return rc;
}

/* ---- records ---- */

/* What follows a record in the index: its parts or its pieces. */
union tail {
    struct index_part part[OPIML_MAX_FIELDS];
    struct index_piece piece[OPIML_MAX_FIELDS];
};

/* A holder's record, as it is in the union. */
static int translate(const struct merge *self, const struct part *part, uint64_t r,
                     struct index_record *to, union tail *tail, struct opiml_error *err) {
    const struct index *index = part->index;

    *to = index->records[r];
    to->object = part->object[to->object];
    if (index->header->classes > 0) {
        if (to->label >= index->header->classes)
            return opiml_fail(err, OPIML_ECORRUPT, "the index of %s has a label without a class",
                              part->name);
        to->label = part->label[to->label];
    }
    for (uint32_t f = 0; index->header->parts && f < self->schema.count; f++)
        tail->part[f] = (struct index_part){0, INDEX_PART_MISSING};
    for (uint32_t f = 0; f < index->header->parts; f++)
        tail->part[part->field[f]] = index->parts[r * index->header->parts + f];
    for (uint32_t f = 0; f < index->header->pieces; f++) {
        tail->piece[f] = index_pieces(index, r)[f];
        tail->piece[f].object = part->object[tail->piece[f].object];
    }
    return 0;
}

static size_t tail_bytes(const struct merge *self) {
    return header_of(self)->parts ? self->schema.count * sizeof(struct index_part)
                                  : header_of(self)->pieces * sizeof(struct index_piece);
}

/* Sum the records of each object, to compare what two holders say of it. */
static int sum_records(struct merge *self, struct part *part, struct opiml_error *err) {
    const struct index *index = part->index;
    struct index_record record;
    union tail tail;

    part->sum = base_alloc_array(index->header->objects, sizeof(*part->sum));
    if (!part->sum)
        return base_fail_memory(err, index->header->objects * sizeof(*part->sum), "an index");
    for (uint64_t r = 0; r < index->header->records; r++) {
        uint64_t *sum = &part->sum[index->records[r].object];
        const char *key = index->pool + index->records[r].key;
        int rc = translate(self, part, r, &record, &tail, err);

        if (rc < 0)
            return rc;
        record.key = header_of(self)->flags & INDEX_KEYS ? hash_64(key, record.key_bytes, 0) : 0;
        *sum = hash_64(&record, sizeof(record), *sum);
        *sum = hash_64(&tail, tail_bytes(self), *sum);
    }
    return 0;
}

/* Two that hold an object have to agree on all that is known of it. */
static int check_replicas(struct merge *self, struct opiml_error *err) {
    AUTO_FREE uint64_t *known = base_alloc_array(self->objects, sizeof(*known));
    int rc;

    if (!known)
        return base_fail_memory(err, self->objects * sizeof(*known), "an index");
    for (uint32_t p = 0; p < self->parts; p++) {
        struct part *part = &self->part[p];

        if ((rc = sum_records(self, part, err)) < 0)
            return rc;
        for (uint64_t i = 0; i < part->index->header->objects; i++) {
            uint32_t n = part->object[i];

            if (self->owner[n] == p)
                known[n] = part->sum[i];
            else if (known[n] != part->sum[i] || self->content[n] != object_at(part, i)->first)
                return opiml_fail(err, OPIML_ESTALE,
                                  "%s holds other records on %s than on %s: replace one of them",
                                  self->object[n].key, part->name, self->part[self->owner[n]].name);
        }
    }
    return 0;
}

static int add_record(struct merge *self, const struct part *part, uint64_t r,
                      struct index_draft *draft, struct opiml_error *err) {
    const struct index *index = part->index;
    uint32_t own = index->records[r].object;
    struct index_record record;
    union tail tail;
    const char *key = NULL;
    int rc = translate(self, part, r, &record, &tail, err);

    if (rc < 0)
        return rc;
    /* A key that begins its object's is there already. */
    if (!(index->header->flags & INDEX_KEYS))
        record.key = 0;
    else if (record.key == index->objects[own].key &&
             record.key_bytes <= strlen(index_object_key(index, own)))
        record.key = draft->object_keys[record.object];
    else
        key = index->pool + record.key;
    return index_rows_add(&draft->rows, &record, key, &tail, tail_bytes(self), err);
}

/* Records without keys stand in the order of their objects. Where they do not, their numbers follow
 * from something that no index says. */
static int check_order(const struct merge *self, struct opiml_error *err) {
    for (uint32_t p = 0; p < self->parts; p++) {
        const struct index *index = self->part[p].index;

        for (uint64_t r = 1; r < index->header->records; r++)
            if (index->records[r].object < index->records[r - 1].object)
                return opiml_fail(err, OPIML_ENOTSUP,
                                  "rows of several files that make records together cannot be "
                                  "spread over nodes: convert them");
    }
    return 0;
}

/* Each record once, from the first that holds its object: those without keys object by object, and
 * those with keys, which are sorted at the end, in any order. */
static int add_records(struct merge *self, struct index_draft *draft, struct opiml_error *err) {
    uint64_t at[INDEX_HOLDERS_MAX] = {0};
    bool keyed = header_of(self)->flags & INDEX_KEYS;
    int rc = keyed ? 0 : check_order(self, err);

    for (uint32_t n = 0; rc == 0 && n < self->objects; n++)
        for (uint32_t p = 0; p < self->parts; p++) {
            const struct part *part = &self->part[p];
            const struct index *index = part->index;

            if (keyed && n > 0)
                continue;
            for (; rc == 0 && at[p] < index->header->records; at[p]++) {
                uint32_t object = part->object[index->records[at[p]].object];

                if (!keyed && object > n)
                    break;
                if (self->owner[object] == p)
                    rc = add_record(self, part, at[p], draft, err);
            }
        }
    return rc;
}

/* Records that are all alike follow from their objects' sizes. */
static int add_alike(struct merge *self, struct index_draft *draft, struct opiml_error *err) {
    const struct index_header *header = header_of(self);

    draft->record_bytes = header->record_bytes;
    draft->lead_bytes = header->lead_bytes;
    draft->stride_bytes = header->flags & INDEX_STRIDE ? header->stride_bytes : 0;
    draft->first = base_alloc_array(self->objects, sizeof(*draft->first));
    if (!draft->first)
        return base_fail_memory(err, self->objects * sizeof(*draft->first), "an index");
    for (uint32_t n = 0; n < self->objects; n++) {
        draft->first[n] = draft->like_records;
        draft->like_records += index_alike(self->object[n].bytes, header->lead_bytes,
                                           header->record_bytes, header->stride_bytes);
    }
    return 0;
}

/* Formats that hash what is in their objects have a hash for each. */
static int add_contents(struct merge *self, const struct source_listing *listing,
                        struct index_draft *draft, struct opiml_error *err) {
    bool any = false;
    int rc = 0;

    for (uint32_t n = 0; n < self->objects; n++)
        any |= self->content[n] != 0;
    for (uint32_t n = 0; rc == 0 && any && n < self->objects; n++)
        rc = index_draft_add_content(draft, listing, n, self->content[n], err);
    return rc;
}

/* ---- the whole ---- */

static int fill_draft(struct merge *self, const struct source_listing *listing,
                      struct index_draft *draft, struct opiml_error *err) {
    const struct index_header *header = header_of(self);
    int rc;

    draft->format = header->format;
    draft->id = header->id;
    draft->flags = header->flags & ~(uint64_t)INDEX_SPREAD;
    draft->from_ns = header->from_ns;
    for (uint32_t p = 0; p < self->parts; p++) {
        const struct index_header *other = self->part[p].index->header;

        draft->flags &= other->flags | ~(uint64_t)INDEX_AUTO;
        draft->from_ns = base_min_u64(draft->from_ns, other->from_ns);
        draft->to_ns = base_max_u64(draft->to_ns, other->to_ns);
    }
    draft->schema = self->schema;
    draft->parts = header->parts ? self->schema.count : 0;
    draft->pieces = (uint32_t)header->pieces;
    draft->holders = self->holders;
    if ((rc = unite_classes(self, draft, err)) < 0)
        return rc;
    if (header->record_bytes)
        return add_alike(self, draft, err);
    if ((rc = check_replicas(self, err)) < 0 || (rc = add_records(self, draft, err)) < 0)
        return rc;
    return add_contents(self, listing, draft, err);
}

static int merge(struct merge *self, void **ret_data, size_t *ret_bytes, struct opiml_error *err) {
    CLEANUP(index_draft_release) struct index_draft draft = {0};
    struct source_listing listing = {0};
    int rc = unite_objects(self, err);

    if (rc == 0)
        rc = unite_fields(self, err);
    listing.objects = self->object;
    listing.count = self->objects;
    if (rc == 0)
        rc = index_draft_init(&draft, &listing, err);
    if (rc == 0)
        rc = fill_draft(self, &listing, &draft, err);
    return rc < 0 ? rc : index_draft_finish(&draft, &listing, ret_data, ret_bytes, err);
}

int index_merge(const struct index_holder *holders, uint32_t count, void **ret_data,
                size_t *ret_bytes, struct opiml_error *err) {
    CLEANUP(merge_release) struct merge self = {0};
    int rc;

    if (count == 0 || count > INDEX_HOLDERS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "data on %u nodes; at most %d", count,
                          INDEX_HOLDERS_MAX);
    for (; self.parts < count; self.parts++) {
        struct part *part = &self.part[self.parts];

        part->index = holders[self.parts].index;
        part->name = holders[self.parts].name;
        part->bit = 1u << holders[self.parts].number;
        part->object = base_alloc_array(part->index->header->objects, sizeof(*part->object));
        if (!part->object)
            return base_fail_memory(err, part->index->header->objects * sizeof(*part->object),
                                    "an index");
    }
    if (all_same(&self))
        return 0;
    rc = check_kinds(&self, err);
    if (rc == 0)
        rc = merge(&self, ret_data, ret_bytes, err);
    return rc < 0 ? rc : 1;
}
