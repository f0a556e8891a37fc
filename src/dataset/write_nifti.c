/* NIfTI volumes (NIfTI-1 and NIfTI-2, nifti1.h and nifti2.h; see nifti.c): a file for each field of
 * each record, whose axes are the field's in reverse. NIfTI-2 where a dimension is more than
 * NIfTI-1 holds. Voxels are cubes of 1 mm at the origin: fields say nothing else of them. */
#include "base/deflate.h"
#include "base/file.h"
#include "dataset/write_file.h"
#include "dataset/writer.h"

#define BYTES_1 348
#define BYTES_2 540
#define FIRST_1 352 /* where data begin, behind four bytes: no extensions */
#define FIRST_2 544
#define UNIT_MM 2
#define SCANNER 1 /* sform_code: the axes are those of the scanner */

struct nifti_options {
    uint32_t gzip;
};

static const struct opiml_param nifti_options[] = {
    {"gzip", "1", "Compress (.nii.gz), from 1 (fast) to 3 (dense); 0: not (.nii)",
     offsetof(struct nifti_options, gzip), OPIML_PARAM_U32, NULL, 0, DEFLATE_LEVEL_MAX},
    {NULL},
};

struct nifti {
    const struct write_plan *plan;
    uint32_t gzip;
};

static uint16_t type_code(uint32_t dtype) {
    static const uint16_t codes[] = {
        [OPIML_U8] = 2,   [OPIML_I16] = 4,  [OPIML_I32] = 8,   [OPIML_F32] = 16,
        [OPIML_F64] = 64, [OPIML_I8] = 256, [OPIML_U16] = 512, [OPIML_I64] = 1024};
    return dtype < COUNT_OF(codes) ? codes[dtype] : 0;
}

static int nifti_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    plan->loose = true;
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        if (field->ndim == 0 || !type_code(field->dtype))
            return write_unfit("nifti", field,
                               "volumes of u8, i8, u16, i16, i32, i64, f32 or f64 are wanted; npz "
                               "and tfrecord take others, and --fields leaves it out",
                               err);
        if (strpbrk(field->name, "/:*") ||
            2 * strlen(field->name) + strlen(":/*.nii.gz") >= OPIML_NAME_BYTES)
            return write_unfit("nifti", field,
                               "its name does not go into a folder's: it has one of / : *, or more "
                               "than 18 bytes; rename it with --fields new=old",
                               err);
    }
    return plan->schema->count > OPIML_LIST_MAX
               ? opiml_fail(err, OPIML_EINVAL, "format nifti: %u fields; there are at most %d",
                            plan->schema->count, OPIML_LIST_MAX)
               : 0;
}

static const char *suffix_of(uint32_t gzip) {
    return gzip ? ".nii.gz" : ".nii";
}

static void nifti_describe(const struct write_plan *plan, struct text *to) {
    const struct nifti_options *options = plan->params;
    text_add(to, ", parts: [");
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const char *name = plan->schema->fields[i].name;
        AUTO_FREE char *part = base_printf("%s:%s/*%s", name, name, suffix_of(options->gzip));
        text_add(to, i ? ", " : "");
        write_quoted(to, part ? part : "");
        to->failed |= !part;
    }
    text_add(to, "]");
}

static int nifti_prepare(const struct write_plan *plan, struct opiml_error *err) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < plan->schema->count; i++) {
        AUTO_FREE char *path = text_path(plan->root, plan->schema->fields[i].name);
        rc = path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");
    }
    return rc;
}

static void put(uint8_t *to, size_t at, int64_t number, size_t bytes) {
    memcpy(to + at, &number, bytes); /* little-endian */
}

static void put_f32(uint8_t *to, size_t at, float number) {
    memcpy(to + at, &number, sizeof(number));
}

static void put_f64(uint8_t *to, size_t at, double number) {
    memcpy(to + at, &number, sizeof(number));
}

static void make_one(const struct opiml_field *field, const int64_t dim[8], uint8_t *to) {
    put(to, 0, BYTES_1, 4);
    to[38] = 'r'; /* regular, as Analyze 7.5 had it */
    for (int d = 0; d < 8; d++) {
        put(to, 40 + 2 * (size_t)d, dim[d], 2);
        put_f32(to, 76 + 4 * (size_t)d, 1); /* pixdim */
    }
    put(to, 70, type_code(field->dtype), 2);
    put(to, 72, (int64_t)opiml_dtype_bytes(field->dtype) * 8, 2);
    put_f32(to, 108, FIRST_1);
    put_f32(to, 112, 1); /* scl_slope */
    to[123] = UNIT_MM;
    put(to, 254, SCANNER, 2);
    for (size_t row = 0; row < 3; row++)
        put_f32(to, 280 + 16 * row + 4 * row, 1); /* srow_x, _y, _z */
    memcpy(to + 344, "n+1", 4);
}

static void make_two(const struct opiml_field *field, const int64_t dim[8], uint8_t *to) {
    put(to, 0, BYTES_2, 4);
    memcpy(to + 4, "n+2\0\r\n\x1a\n", 8);
    put(to, 12, type_code(field->dtype), 2);
    put(to, 14, (int64_t)opiml_dtype_bytes(field->dtype) * 8, 2);
    for (int d = 0; d < 8; d++) {
        put(to, 16 + 8 * (size_t)d, dim[d], 8);
        put_f64(to, 104 + 8 * (size_t)d, 1);
    }
    put(to, 168, FIRST_2, 8);
    put_f64(to, 176, 1);
    put(to, 348, SCANNER, 4);
    for (size_t row = 0; row < 3; row++)
        put_f64(to, 400 + 32 * row + 8 * row, 1);
    put(to, 500, UNIT_MM, 4);
}

/* Returns its bytes, up to where the data begin. */
static size_t make_header(const struct opiml_field *field, const struct opiml_value *value,
                          uint8_t to[FIRST_2]) {
    int64_t dim[8] = {field->ndim, 1, 1, 1, 1, 1, 1, 1};
    bool two = false;
    memset(to, 0, FIRST_2);
    for (uint32_t d = 0; d < field->ndim; d++) {
        dim[field->ndim - d] = value->shape[d];
        two |= value->shape[d] > INT16_MAX;
    }
    if (two)
        make_two(field, dim, to);
    else
        make_one(field, dim, to);
    return two ? FIRST_2 : FIRST_1;
}

static int nifti_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct nifti *nifti = state;
    const struct nifti_options *options = shard->plan->params;
    nifti->plan = shard->plan;
    nifti->gzip = options->gzip;
    return 0;
}

static int write_one(struct nifti *nifti, uint64_t record, const struct opiml_field *field,
                     const struct opiml_value *value, struct opiml_error *err) {
    CLEANUP(write_file_release) struct write_file file = {0};
    AUTO_FREE char *path =
        write_record_path(nifti->plan, field->name, record, suffix_of(nifti->gzip));
    AUTO_FREE uint8_t *packed = NULL;
    uint8_t header[FIRST_2];
    for (uint32_t d = 0; d < field->ndim; d++)
        if (value->shape[d] < 1)
            return write_refuse(record, field, "a volume without voxels", err);
    const struct deflate_piece pieces[] = {{header, make_header(field, value, header)},
                                           {value->data, value->bytes}};
    int rc = path ? write_file_open(&file, path, err) : base_fail_memory(err, 0, "a path");
    if (rc == 0 && nifti->gzip) {
        uint64_t room = deflate_bound(pieces[0].bytes + value->bytes);
        packed = base_realloc(NULL, room);
        int64_t got = packed ? deflate_all(INFLATE_GZIP, nifti->gzip, pieces, 2, packed, room, err)
                             : base_fail_memory(err, room, "a compressed volume");
        rc = got < 0 ? (int)got : write_file_add(&file, packed, (size_t)got, err);
    } else if (rc == 0) {
        rc = write_file_add(&file, header, pieces[0].bytes, err);
        if (rc == 0)
            rc = write_file_add(&file, value->data, value->bytes, err);
    }
    return rc < 0 ? rc : write_file_commit(&file, false, err);
}

static int nifti_append(void *state, uint64_t record, const struct opiml_value *values,
                        struct opiml_error *err) {
    struct nifti *nifti = state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < nifti->plan->schema->count; i++)
        rc = write_one(nifti, record, &nifti->plan->schema->fields[i], &values[i], err);
    return rc;
}

static int nifti_finish(void *state, struct opiml_error *err) {
    const struct nifti *nifti = state;
    return write_sync_folder(nifti->plan->root, true, err);
}

static void nifti_release(void *state) {
}

const struct writer writer_nifti = {
    .name = "nifti",
    .help = "NIfTI volumes, a file for each field and record",
    .params = nifti_options,
    .params_bytes = sizeof(struct nifti_options),
    .state_bytes = sizeof(struct nifti),
    .check = nifti_check,
    .describe = nifti_describe,
    .prepare = nifti_prepare,
    .begin = nifti_begin,
    .append = nifti_append,
    .finish = nifti_finish,
    .release = nifti_release,
};
