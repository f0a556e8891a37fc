/* The batch frame: a batch as bytes, the same in a trainer's slot, in shared memory and on a wire.
 *
 *   header           64 bytes
 *   section table    128 bytes per field
 *   row table        32 bytes per row
 *                    (packed: sections hold rows that are there only, each at its `place`)
 *   extent tables    64 bytes per row, for each field whose rows differ in shape
 *   sections         fields of fixed shape: rows × max_bytes, dense, 64-byte aligned; rows of
 *                    whole pages (4096 bytes) begin on pages
 *   heap             rows of the other fields, then the errors' texts
 *
 * All numbers are little-endian (both platforms are), all offsets count from the frame's start. */
#ifndef BATCH_FRAME_H
#define BATCH_FRAME_H

#include <stdatomic.h>

#include <opiml/batch.h>

#include "base/base.h"

#define FRAME_MAGIC 0x4642504fu /* "OPBF" */
#define FRAME_VERSION 2
#define FRAME_CHECKSUM 1u /* flag: `checksum` covers everything behind the header */
#define FRAME_PACKED 2u   /* flag: dense sections hold only the rows of status OPIML_ROW_OK */
#define FRAME_ROWS_MAX (1u << 20)
#define FRAME_ERROR_BYTES_MAX 512

struct frame_header {
    uint32_t magic;
    uint16_t version, flags;
    uint64_t job;
    uint32_t generation, epoch;
    uint64_t first_position;
    uint32_t rows, fields;
    uint64_t frame_bytes; /* of the whole frame, heap as far as used */
    uint64_t batch;       /* of the epoch */
    uint64_t checksum;    /* XXH3-64, or 0 */
};

/* Whose frame it is: of which pipeline, and of which life of it. */
struct frame_origin {
    uint64_t job;
    uint32_t generation;
};

struct frame_section {
    char name[OPIML_NAME_BYTES];
    uint32_t dtype, ndim;
    int64_t shape[OPIML_MAX_DIMS];
    uint64_t offset;    /* of the section; 0 when the field lies in the heap */
    uint64_t max_bytes; /* of one row */
    uint64_t extents;   /* offset of the field's extent table; 0 when its shape is fixed */
    uint64_t reserved;
};

struct frame_row {
    uint64_t sample;
    uint32_t status; /* an enum opiml_row_status */
    uint32_t error_bytes;
    uint64_t error; /* offset of the text; not zero-terminated */
    uint64_t place; /* packed: the row's in dense sections, counted from 0; else 0 */
};

struct frame_extent {
    uint64_t offset, bytes;
    int64_t shape[OPIML_MAX_DIMS];
    uint64_t reserved;
};

/* A frame in memory. Rows may be filled by several threads at once, one thread per row. */
struct frame {
    uint8_t *at;
    uint8_t *tables; /* where header, sections, rows and extents are: `at`, or a copy of them */
    uint64_t capacity;
    struct frame_header *header;
    struct frame_section *sections;
    struct frame_row *rows;
    const struct opiml_schema *schema; /* of a frame that is being written; borrowed */
    uint64_t heap;                     /* offset where it starts */
    _Atomic uint64_t heap_used;        /* may run past the capacity when a put found no room */
};

/* Bytes of a frame for `rows` rows of a schema with a heap of heap_bytes; 0 when it overflows. A
 * multiple of 64, of 4096 where rows lie on pages: frames one after the other keep them there. */
uint64_t frame_bytes(const struct opiml_schema *schema, uint32_t rows, uint64_t heap_bytes);
/* Make an empty frame at 64-byte aligned memory of frame_bytes(schema, rows, heap_bytes). The
 * schema must outlive it. Batches of up to `rows` rows may then be begun. */
void frame_init(struct frame *frame, void *at, const struct opiml_schema *schema, uint32_t rows,
                uint64_t heap_bytes);
/* Begin a batch in an initialised frame: every row becomes OPIML_ROW_EMPTY, the heap empty. */
void frame_begin(struct frame *frame, uint64_t epoch, uint64_t batch, uint64_t first_position,
                 uint32_t rows);
/* The bytes of a row of a fixed field. */
static inline uint8_t *frame_at(const struct frame *frame, uint32_t field, uint32_t row) {
    const struct frame_section *section = &frame->sections[field];

    return frame->at + section->offset + (uint64_t)row * section->max_bytes;
}
static inline bool frame_field_fixed(const struct frame *frame, uint32_t field) {
    return frame->sections[field].extents == 0;
}
/* Copy a varying row into the heap. OPIML_ELIMIT when the heap is full. */
int frame_put(struct frame *frame, uint32_t field, uint32_t row, const struct opiml_value *value,
              struct opiml_error *err);
/* Mark a row as failed, its text kept as far as there is room. */
void frame_put_error(struct frame *frame, uint32_t row, const char *text);
/* Before it is sealed: leave rows that are not there out of the dense sections, which then end
 * early, where that makes the frame smaller. Nothing may be written into it any more. */
void frame_pack(struct frame *frame);
/* A row's field as a borrowed value; packed: of a row that is there. */
void frame_get(const struct frame *frame, uint32_t field, uint32_t row, struct opiml_value *ret);
/* Finish: sets frame_bytes and, when asked, the checksum. Returns frame_bytes. */
uint64_t frame_seal(struct frame *frame, bool checksum);
/* See a frame in received bytes, which are hostile until this returns 0: every offset, size, shape
 * and status has been checked. *ret_schema is the frame's own. */
int frame_open(struct frame *ret_frame, void *at, uint64_t bytes, struct opiml_schema *ret_schema,
               struct opiml_error *err);
/* The same of bytes that their sender can change at any time: header and tables are copied to
 * `tables` first, 64-byte aligned memory of frame_tables_bytes of the schema and rows that are
 * agreed on, and looked at there. So what was checked stays so; only rows and texts are shared. */
int frame_open_apart(struct frame *ret_frame, void *at, uint64_t bytes, void *tables,
                     uint64_t tables_bytes, struct opiml_schema *ret_schema,
                     struct opiml_error *err);
uint64_t frame_tables_bytes(const struct opiml_schema *schema, uint32_t rows);

#endif
