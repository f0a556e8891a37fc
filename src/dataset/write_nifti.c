/* NIfTI volumes (see nifti_header.h): a file for each field of each record, whose axes are the
 * field's in reverse. One field may be the affine of the others; without it voxels are cubes of 1
 * mm at the origin. */
#include "base/deflate.h"
#include "base/file.h"
#include "dataset/nifti.h"
#include "dataset/nifti_header.h"
#include "dataset/write_file.h"
#include "dataset/writer.h"

struct nifti_options {
    uint32_t gzip;
    char affine[OPIML_TEXT_MAX];
};

static const struct opiml_param nifti_options[] = {
    {"gzip", "1", "Compress (.nii.gz), from 1 (fast) to 3 (dense); 0: not (.nii)",
     offsetof(struct nifti_options, gzip), OPIML_PARAM_U32, NULL, 0, DEFLATE_LEVEL_MAX},
    {"affine", "", "Name of the field, f64 [3, 4], that says where voxels lie; empty: none does",
     offsetof(struct nifti_options, affine), OPIML_PARAM_TEXT},
    {NULL},
};

struct nifti {
    const struct write_plan *plan;
    const struct nifti_options *options;
    int affine; /* field; -1: none */
};

static bool is_affine(const struct nifti_options *options, const struct opiml_field *field) {
    return options->affine[0] && strcmp(field->name, options->affine) == 0;
}

static int fail_affine(const struct opiml_schema *schema, const char *name,
                       struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};
    for (uint32_t i = 0; i < schema->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", schema->fields[i].name);
    return opiml_fail(err, OPIML_EINVAL,
                      "format nifti: affine: there is no field \"%s\"; there are %s", name,
                      names.at ? names.at : "none");
}

static int check_affine(const struct write_plan *plan, const struct nifti_options *options,
                        struct opiml_error *err) {
    int at = opiml_schema_find(plan->schema, options->affine);
    if (!options->affine[0])
        return 0;
    if (at < 0)
        return fail_affine(plan->schema, options->affine, err);
    const struct opiml_field *field = &plan->schema->fields[at];
    if (field->dtype != OPIML_F64 || field->ndim != 2 || field->shape[0] != 3 ||
        field->shape[1] != 4)
        return write_unfit("nifti", field, "an affine is f64 of 3 x 4", err);
    return plan->schema->count == 1 ? write_unfit("nifti", field, "an affine without a volume", err)
                                    : 0;
}

static int check_volume(const struct opiml_schema *schema, const struct opiml_field *field,
                        struct opiml_error *err) {
    if (field->ndim == 0)
        return write_unfit_of("nifti", schema, field,
                              "a volume has dimensions, and this is a single number; npz and "
                              "tfrecord take it",
                              err);
    if (!nifti_takes_dtype(field->dtype))
        return write_unfit_of("nifti", schema, field,
                              "volumes of u8, i8, u16, i16, i32, i64, f32 or f64 are wanted; "
                              "npz and tfrecord take others",
                              err);
    if (!write_folder_safe(field->name) || strpbrk(field->name, ":*") ||
        2 * strlen(field->name) + strlen(":/*.nii.gz") >= OPIML_NAME_BYTES)
        return write_unfit(
            "nifti", field,
            "its name does not go into a folder's: it has one of / : *, begins with a "
            "dot, or has more than 18 bytes; rename it with --fields new=old",
            err);
    return 0;
}

static int nifti_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    const struct nifti_options *options = params;
    int rc = check_affine(plan, options, err);
    plan->loose = true;
    for (uint32_t i = 0; rc == 0 && i < plan->schema->count; i++)
        if (!is_affine(options, &plan->schema->fields[i]))
            rc = check_volume(plan->schema, &plan->schema->fields[i], err);
    if (rc == 0 && plan->schema->count > OPIML_LIST_MAX)
        return opiml_fail(err, OPIML_EINVAL, "format nifti: %u fields; there are at most %d",
                          plan->schema->count, OPIML_LIST_MAX);
    return rc;
}

static const char *suffix_of(const struct nifti_options *options) {
    return options->gzip ? ".nii.gz" : ".nii";
}

static void nifti_describe(const struct write_plan *plan, struct text *to) {
    const struct nifti_options *options = plan->params;
    const char *between = "";
    text_add(to, ", parts: [");
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const char *name = plan->schema->fields[i].name;
        AUTO_FREE char *part = base_printf("%s:%s/*%s", name, name, suffix_of(options));
        if (is_affine(options, &plan->schema->fields[i]))
            continue;
        text_add(to, between);
        write_quoted(to, part ? part : "");
        to->failed |= !part;
        between = ", ";
    }
    text_add(to, "]");
    if (options->affine[0]) {
        text_add(to, ", affine: ");
        write_quoted(to, options->affine);
    }
}

static int nifti_prepare(const struct write_plan *plan, struct opiml_error *err) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < plan->schema->count; i++) {
        AUTO_FREE char *path = text_path(plan->root, plan->schema->fields[i].name);
        if (!is_affine(plan->params, &plan->schema->fields[i]))
            rc = path ? file_make_folders(path, err) : base_fail_memory(err, 0, "a path");
    }
    return rc;
}

static int nifti_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct nifti *nifti = state;
    nifti->plan = shard->plan;
    nifti->options = shard->plan->params;
    nifti->affine = nifti->options->affine[0]
                        ? opiml_schema_find(shard->plan->schema, nifti->options->affine)
                        : -1;
    return 0;
}

/* NIfTI-1 has its affine in f32. */
static bool is_narrow(const double *affine) {
    for (int i = 0; affine && i < NIFTI_AFFINE; i++)
        if ((double)(float)affine[i] != affine[i])
            return false;
    return true;
}

static int write_packed(const struct nifti *nifti, struct write_file *file,
                        const struct deflate_piece pieces[2], struct opiml_error *err) {
    uint64_t room = deflate_bound(pieces[0].bytes + pieces[1].bytes);
    AUTO_FREE uint8_t *packed = base_realloc(NULL, room);
    if (!packed)
        return base_fail_memory(err, room, "a compressed volume");
    int64_t got = deflate_all(INFLATE_GZIP, nifti->options->gzip, pieces, 2, packed, room, err);
    return got < 0 ? (int)got : write_file_add(file, packed, (size_t)got, err);
}

static int write_one(const struct nifti *nifti, uint64_t record, const struct opiml_field *field,
                     const struct opiml_value *value, const double *affine,
                     struct opiml_error *err) {
    CLEANUP(write_file_release) struct write_file file = {0};
    AUTO_FREE char *path =
        write_record_path(nifti->plan, field->name, record, suffix_of(nifti->options));
    uint8_t header[NIFTI_HEADER_MAX];
    size_t bytes = nifti_make_header(field->dtype, field->ndim, value->shape, affine, header);
    const struct deflate_piece pieces[] = {{header, bytes}, {value->data, value->bytes}};
    int rc = path ? write_file_open(&file, path, err) : base_fail_memory(err, 0, "a path");
    if (rc == 0 && nifti->options->gzip)
        rc = write_packed(nifti, &file, pieces, err);
    for (size_t i = 0; rc == 0 && !nifti->options->gzip && i < COUNT_OF(pieces); i++)
        rc = write_file_add(&file, pieces[i].data, pieces[i].bytes, err);
    return rc < 0 ? rc : write_file_commit(&file, false, err);
}

/* NULL when no field is the affine. */
static const double *read_affine(const struct nifti *nifti, const struct opiml_value *values,
                                 double room[NIFTI_AFFINE]) {
    if (nifti->affine < 0)
        return NULL;
    return memcpy(room, values[nifti->affine].data, NIFTI_AFFINE * sizeof(*room));
}

static int admit_one(const struct nifti *nifti, const struct opiml_field *field,
                     const struct opiml_value *value, const double *affine,
                     struct opiml_error *err) {
    uint8_t header[NIFTI_HEADER_MAX];
    for (uint32_t d = 0; d < field->ndim; d++)
        if (value->shape[d] < 1)
            return write_refuse(field, "a volume without voxels", err);
    size_t bytes = nifti_make_header(field->dtype, field->ndim, value->shape, affine, header);
    if (bytes < NIFTI_HEADER_MAX && !is_narrow(affine))
        return write_refuse(&nifti->plan->schema->fields[nifti->affine],
                            "NIfTI-1 has its affine in f32, which these numbers are not; --fields "
                            "leaves it out",
                            err);
    return 0;
}

/* All volumes before the first is written. */
static int nifti_admit(void *state, const struct opiml_value *values, struct opiml_error *err) {
    const struct nifti *nifti = state;
    const struct opiml_schema *schema = nifti->plan->schema;
    double room[NIFTI_AFFINE];
    const double *affine = read_affine(nifti, values, room);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++)
        if ((int)i != nifti->affine)
            rc = admit_one(nifti, &schema->fields[i], &values[i], affine, err);
    return rc;
}

static int nifti_append(void *state, uint64_t record, const struct opiml_value *values,
                        struct opiml_error *err) {
    const struct nifti *nifti = state;
    const struct opiml_schema *schema = nifti->plan->schema;
    double room[NIFTI_AFFINE];
    const double *affine = read_affine(nifti, values, room);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++)
        if ((int)i != nifti->affine)
            rc = write_one(nifti, record, &schema->fields[i], &values[i], affine, err);
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
    .admit = nifti_admit,
    .append = nifti_append,
    .finish = nifti_finish,
    .release = nifti_release,
};
