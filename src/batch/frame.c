/* The batch frame. */
#include "batch/frame.h"

#include "base/hash.h"
#include "batch/schema.h"

_Static_assert(sizeof(struct frame_header) == 64, "header");
_Static_assert(sizeof(struct frame_section) == 128, "section");
_Static_assert(sizeof(struct frame_row) == 32, "row");
_Static_assert(sizeof(struct frame_extent) == 64, "extent");

#define PAGE_BYTES 4096

/* Where things lie: the same walk serves sizing, laying out and checking. */
struct layout {
    uint64_t sections, rows, tables_end, heap;
    uint64_t alignment; /* of the whole frame */
    uint64_t extents[OPIML_MAX_FIELDS], section[OPIML_MAX_FIELDS];
};

/* Rows of whole pages lie on pages, so that a device can write them there. */
static uint64_t section_alignment(const struct opiml_field *field) {
    return field->max_bytes % PAGE_BYTES == 0 ? PAGE_BYTES : 64;
}

/* `dense`: rows that dense sections hold. */
static bool lay_out(const struct opiml_schema *schema, uint32_t rows, uint32_t dense,
                    struct layout *ret) {
    uint64_t at = sizeof(struct frame_header);

    ret->sections = at;
    at += schema->count * sizeof(struct frame_section);
    ret->rows = at;
    at += rows * sizeof(struct frame_row);
    at = base_align_up(at, 64);
    for (uint32_t f = 0; f < schema->count; f++) {
        ret->extents[f] = 0;
        if (opiml_field_fixed(&schema->fields[f]))
            continue;
        ret->extents[f] = at;
        at += rows * sizeof(struct frame_extent);
    }
    ret->tables_end = at;
    ret->alignment = 64;
    for (uint32_t f = 0; f < schema->count; f++) {
        uint64_t bytes, alignment = section_alignment(&schema->fields[f]);

        ret->section[f] = 0;
        if (ret->extents[f])
            continue;
        ret->alignment = base_max_u64(ret->alignment, alignment);
        at = base_align_up(at, alignment);
        ret->section[f] = at;
        if (__builtin_mul_overflow(schema->fields[f].max_bytes, (uint64_t)dense, &bytes) ||
            bytes > INT64_MAX - at - 2 * PAGE_BYTES)
            return false;
        at = base_align_up(at + bytes, 64);
    }
    ret->heap = at;
    return true;
}

uint64_t frame_bytes(const struct opiml_schema *schema, uint32_t rows, uint64_t heap_bytes) {
    struct layout layout;

    if (!lay_out(schema, rows, rows, &layout) ||
        heap_bytes > INT64_MAX - layout.heap - layout.alignment)
        return 0;
    return base_align_up(layout.heap + heap_bytes, layout.alignment);
}

uint64_t frame_tables_bytes(const struct opiml_schema *schema, uint32_t rows) {
    struct layout layout;

    return lay_out(schema, rows, rows, &layout) ? base_align_up(layout.tables_end, 64) : 0;
}

void frame_init(struct frame *frame, void *at, const struct opiml_schema *schema, uint32_t rows,
                uint64_t heap_bytes) {
    assert(rows <= FRAME_ROWS_MAX && frame_bytes(schema, rows, heap_bytes) != 0);
    *frame = (struct frame){.at = at, .tables = at, .header = at, .schema = schema};
    frame->capacity = frame_bytes(schema, rows, heap_bytes);
    *frame->header = (struct frame_header){
        .magic = FRAME_MAGIC, .version = FRAME_VERSION, .fields = schema->count};
    frame->sections = (void *)(frame->header + 1);
    frame_begin(frame, 0, 0, 0, rows);
}

/* Sections are laid anew for the rows of each batch, so that a frame's layout follows from its
 * header alone, also for a short last batch. */
static void lay_sections(struct frame *frame, uint32_t rows) {
    struct layout layout;
    bool fits = lay_out(frame->schema, rows, rows, &layout);

    assert(fits && layout.heap <= frame->capacity);
    frame->rows = (void *)(frame->tables + layout.rows);
    frame->heap = layout.heap;
    for (uint32_t f = 0; f < frame->schema->count; f++) {
        const struct opiml_field *field = &frame->schema->fields[f];
        struct frame_section *section = &frame->sections[f];

        *section = (struct frame_section){.dtype = field->dtype,
                                          .ndim = field->ndim,
                                          .offset = layout.section[f],
                                          .max_bytes = field->max_bytes,
                                          .extents = layout.extents[f]};
        memcpy(section->name, field->name, sizeof(section->name));
        memcpy(section->shape, field->shape, sizeof(section->shape));
        if (section->extents)
            memset(frame->tables + section->extents, 0, rows * sizeof(struct frame_extent));
    }
    memset(frame->rows, 0, rows * sizeof(struct frame_row));
}

void frame_begin(struct frame *frame, uint64_t epoch, uint64_t batch, uint64_t first_position,
                 uint32_t rows) {
    struct frame_header *header = frame->header;

    header->flags = 0;
    header->checksum = 0;
    header->epoch = (uint32_t)epoch;
    header->batch = batch;
    header->first_position = first_position;
    header->rows = rows;
    atomic_store_explicit(&frame->heap_used, 0, memory_order_relaxed);
    lay_sections(frame, rows);
}

/* `bytes` of the heap, 0 when there is no room (0 is the header's place, never the heap's). */
static uint64_t heap_take(struct frame *frame, uint64_t bytes) {
    uint64_t need = base_align_up(bytes, 64), offset;

    if (need > frame->capacity - frame->heap)
        return 0;
    offset = frame->heap + atomic_fetch_add_explicit(&frame->heap_used, need, memory_order_relaxed);
    return offset + need <= frame->capacity ? offset : 0;
}

static struct frame_extent *extent_of(const struct frame *frame, uint32_t field, uint32_t row) {
    return (struct frame_extent *)(frame->tables + frame->sections[field].extents) + row;
}

int frame_put(struct frame *frame, uint32_t field, uint32_t row, const struct opiml_value *value,
              struct opiml_error *err) {
    struct frame_extent *extent = extent_of(frame, field, row);
    uint64_t offset = heap_take(frame, value->bytes);

    if (!offset)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a batch's rows of \"%s\" need more than the %" PRIu64
                          " bytes set aside: raise `pool` or lower `batch.size`",
                          frame->sections[field].name, frame->capacity - frame->heap);
    memcpy(frame->at + offset, value->data, value->bytes);
    extent->offset = offset;
    extent->bytes = value->bytes;
    memcpy(extent->shape, value->shape, sizeof(extent->shape));
    return 0;
}

void frame_put_error(struct frame *frame, uint32_t row, const char *text) {
    struct frame_row *entry = &frame->rows[row];
    uint64_t bytes = base_min_u64(strlen(text), FRAME_ERROR_BYTES_MAX);
    uint64_t offset = heap_take(frame, bytes);

    entry->status = OPIML_ROW_FAILED;
    if (!offset)
        return;
    memcpy(frame->at + offset, text, bytes);
    entry->error = offset;
    entry->error_bytes = (uint32_t)bytes;
}

void frame_get(const struct frame *frame, uint32_t field, uint32_t row, struct opiml_value *ret) {
    const struct frame_section *section = &frame->sections[field];

    ret->capacity = 0;
    if (!section->extents) {
        bool packed = frame->header->flags & FRAME_PACKED;

        ret->data = frame_at(frame, field, packed ? (uint32_t)frame->rows[row].place : row);
        ret->bytes = section->max_bytes;
        memcpy(ret->shape, section->shape, sizeof(ret->shape));
    } else {
        const struct frame_extent *extent = extent_of(frame, field, row);

        ret->data = frame->at + extent->offset;
        ret->bytes = extent->bytes;
        memcpy(ret->shape, extent->shape, sizeof(ret->shape));
    }
}

/* Give each row that is there its place; how many they are. */
static uint32_t place_rows(struct frame *frame) {
    uint32_t live = 0;

    for (uint32_t r = 0; r < frame->header->rows; r++)
        if (frame->rows[r].status == OPIML_ROW_OK)
            frame->rows[r].place = live++;
    return live;
}

/* Texts and rows of the heap move down by `by`, a multiple of 64. */
static void move_heap(struct frame *frame, uint64_t by) {
    uint64_t used = base_min_u64(frame->heap_used, frame->capacity - frame->heap);

    memmove(frame->at + frame->heap - by, frame->at + frame->heap, used);
    frame->heap -= by;
    atomic_store_explicit(&frame->heap_used, used, memory_order_relaxed);
    for (uint32_t r = 0; r < frame->header->rows; r++) {
        if (frame->rows[r].error)
            frame->rows[r].error -= by;
        for (uint32_t f = 0; f < frame->header->fields; f++)
            if (frame->sections[f].extents && extent_of(frame, f, r)->offset)
                extent_of(frame, f, r)->offset -= by;
    }
}

void frame_pack(struct frame *frame) {
    uint32_t live = place_rows(frame);
    struct layout layout;
    bool fits = lay_out(frame->schema, frame->header->rows, live, &layout);

    assert(fits);
    if (layout.heap >= frame->heap) {
        for (uint32_t r = 0; r < frame->header->rows; r++)
            frame->rows[r].place = 0;
        return;
    }
    for (uint32_t f = 0; f < frame->schema->count; f++) {
        struct frame_section *section = &frame->sections[f];
        uint64_t bytes = section->max_bytes;

        for (uint32_t r = 0; !section->extents && r < frame->header->rows; r++)
            if (frame->rows[r].status == OPIML_ROW_OK)
                memmove(frame->at + layout.section[f] + frame->rows[r].place * bytes,
                        frame->at + section->offset + r * bytes, bytes);
        section->offset = layout.section[f];
    }
    move_heap(frame, frame->heap - layout.heap);
    frame->header->flags |= FRAME_PACKED;
}

uint64_t frame_seal(struct frame *frame, bool checksum) {
    struct frame_header *header = frame->header;
    uint64_t used = atomic_load_explicit(&frame->heap_used, memory_order_relaxed);

    /* A put that found no room has still moved the mark. */
    header->frame_bytes = base_min_u64(frame->heap + used, frame->capacity);
    header->flags = (header->flags & FRAME_PACKED) | (checksum ? FRAME_CHECKSUM : 0);
    header->checksum =
        checksum ? hash_64(frame->at + sizeof(*header), header->frame_bytes - sizeof(*header), 0)
                 : 0;
    return header->frame_bytes;
}

/* ---- reading hostile bytes ---- */

static int bad(struct opiml_error *err, const char *what) {
    return opiml_fail(err, OPIML_ECORRUPT, "batch frame: %s", what);
}

static int check_header(const struct frame *frame, uint64_t bytes, struct opiml_error *err) {
    const struct frame_header *header = frame->header;

    if (header->magic != FRAME_MAGIC)
        return bad(err, "wrong magic");
    if (header->version != FRAME_VERSION)
        return opiml_fail(err, OPIML_ENOTSUP, "batch frame: version %u; this side speaks %u",
                          header->version, FRAME_VERSION);
    if (header->frame_bytes < sizeof(*header) || header->frame_bytes > bytes)
        return bad(err, "cut short");
    if (header->fields > OPIML_MAX_FIELDS || header->rows > FRAME_ROWS_MAX)
        return bad(err, "too many rows or fields");
    if (header->flags & ~(FRAME_CHECKSUM | FRAME_PACKED))
        return bad(err, "unknown flags");
    if ((header->flags & FRAME_CHECKSUM) &&
        header->checksum !=
            hash_64(frame->at + sizeof(*header), header->frame_bytes - sizeof(*header), 0))
        return bad(err, "checksum does not match");
    return 0;
}

static int read_schema(const struct frame *frame, struct opiml_schema *schema,
                       struct opiml_error *err) {
    schema->count = 0;
    for (uint32_t f = 0; f < frame->header->fields; f++) {
        const struct frame_section *section = &frame->sections[f];

        if (memchr(section->name, 0, sizeof(section->name)) == NULL)
            return bad(err, "field name without end");
        if (opiml_schema_add(schema, section->name, section->dtype, section->ndim, section->shape,
                             section->max_bytes, NULL) < 0)
            return bad(err, "field of impossible type or shape");
        if (schema->fields[f].max_bytes != section->max_bytes)
            return bad(err, "field of wrong size");
    }
    return 0;
}

/* A varying row must lie in the heap and its shape must explain its size. */
static int check_extent(const struct frame *frame, const struct opiml_field *field,
                        const struct frame_extent *extent, struct opiml_error *err) {
    uint64_t total = frame->header->frame_bytes;

    if (extent->offset < frame->heap || extent->offset > total ||
        extent->bytes > total - extent->offset || extent->offset % 64 != 0)
        return bad(err, "row outside the frame");
    if (!schema_field_holds(field, extent->shape, extent->bytes))
        return bad(err, "row whose shape and size disagree");
    return 0;
}

/* How many rows dense sections hold; packed, the places of those that are there count up. */
static int check_places(const struct frame *frame, uint32_t *ret_dense, struct opiml_error *err) {
    bool packed = frame->header->flags & FRAME_PACKED;
    uint32_t live = 0;

    for (uint32_t r = 0; packed && r < frame->header->rows; r++)
        if (frame->rows[r].status == OPIML_ROW_OK && frame->rows[r].place != live++)
            return bad(err, "row in an unexpected place");
    *ret_dense = packed ? live : frame->header->rows;
    return 0;
}

static int check_rows(const struct frame *frame, const struct opiml_schema *schema,
                      struct opiml_error *err) {
    uint64_t total = frame->header->frame_bytes;
    int rc;

    for (uint32_t r = 0; r < frame->header->rows; r++) {
        const struct frame_row *row = &frame->rows[r];

        if (row->status < OPIML_ROW_OK || row->status > OPIML_ROW_FAILED)
            return bad(err, "row of unknown status");
        if (row->error_bytes > FRAME_ERROR_BYTES_MAX ||
            (row->error_bytes && (row->error < frame->heap || row->error > total ||
                                  row->error_bytes > total - row->error)))
            return bad(err, "error text outside the frame");
        for (uint32_t f = 0; row->status == OPIML_ROW_OK && f < schema->count; f++)
            if (frame->sections[f].extents &&
                (rc = check_extent(frame, &schema->fields[f], extent_of(frame, f, r), err)) < 0)
                return rc;
    }
    return 0;
}

/* `tables`: of the first tables_bytes bytes a copy lies there; else all lies at `at`. */
static int open_at(struct frame *ret_frame, void *at, uint64_t bytes, void *tables,
                   uint64_t tables_bytes, struct opiml_schema *ret_schema,
                   struct opiml_error *err) {
    struct frame frame = {.at = at, .tables = tables, .capacity = bytes, .header = tables};
    AUTO_FREE struct opiml_schema *schema = NULL;
    struct layout layout;
    uint64_t sections_end;
    uint32_t dense = 0;
    int rc;

    if (bytes < sizeof(struct frame_header))
        return bad(err, "shorter than its header");
    if ((rc = check_header(&frame, bytes, err)) < 0)
        return rc;
    sections_end =
        sizeof(struct frame_header) + frame.header->fields * sizeof(struct frame_section);
    if (sections_end > base_min_u64(frame.header->frame_bytes, tables_bytes))
        return bad(err, "shorter than its section table");
    frame.sections = (void *)(frame.header + 1);
    schema = base_alloc(sizeof(*schema));
    if (!schema)
        return base_fail_memory(err, sizeof(*schema), "a frame's schema");
    if ((rc = read_schema(&frame, schema, err)) < 0)
        return rc;
    if (!lay_out(schema, frame.header->rows, 0, &layout) ||
        layout.tables_end > frame.header->frame_bytes)
        return bad(err, "shorter than its tables");
    if (layout.tables_end > tables_bytes)
        return bad(err, "more rows or fields than agreed");
    frame.rows = (void *)(frame.tables + layout.rows);
    if ((rc = check_places(&frame, &dense, err)) < 0)
        return rc;
    if (!lay_out(schema, frame.header->rows, dense, &layout) ||
        layout.heap > frame.header->frame_bytes)
        return bad(err, "shorter than its sections");
    frame.heap = layout.heap;
    for (uint32_t f = 0; f < schema->count; f++)
        if (frame.sections[f].offset != layout.section[f] ||
            frame.sections[f].extents != layout.extents[f])
            return bad(err, "section in an unexpected place");
    if ((rc = check_rows(&frame, schema, err)) < 0)
        return rc;
    atomic_init(&frame.heap_used, frame.header->frame_bytes - frame.heap);
    *ret_frame = frame;
    *ret_schema = *schema;
    return 0;
}

int frame_open(struct frame *ret_frame, void *at, uint64_t bytes, struct opiml_schema *ret_schema,
               struct opiml_error *err) {
    return open_at(ret_frame, at, bytes, at, bytes, ret_schema, err);
}

int frame_open_apart(struct frame *ret_frame, void *at, uint64_t bytes, void *tables,
                     uint64_t tables_bytes, struct opiml_schema *ret_schema,
                     struct opiml_error *err) {
    tables_bytes = base_min_u64(bytes, tables_bytes);
    memcpy(tables, at, tables_bytes);
    return open_at(ret_frame, at, bytes, tables, tables_bytes, ret_schema, err);
}
