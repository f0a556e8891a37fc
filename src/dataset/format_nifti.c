/* NIfTI volumes (see nifti.h), plain or gzip'd. A file is a field of a record: each file its own
 * record with the field "image", or several files one record by `parts`. */
#include "dataset/arrays.h"
#include "dataset/nifti.h"

struct nifti_params {
    struct opiml_text_list parts;
    char affine[OPIML_TEXT_MAX];
};

static const struct opiml_param nifti_params[] = {
    {"parts", "",
     "Files that make a record together: name:pattern each, with * for the record's key, such as "
     "[\"image:images/*.nii.gz\", \"label:labels/*.nii.gz\"]; none: each file is a record with the "
     "field image",
     offsetof(struct nifti_params, parts), OPIML_PARAM_TEXT_LIST},
    {"affine", "",
     "Name of one more field, f64 [3, 4]: the affine of the record's first file, voxel [x, y, z] "
     "to "
     "millimetres; empty: none",
     offsetof(struct nifti_params, affine), OPIML_PARAM_TEXT},
    {NULL},
};

static bool nifti_takes(const char *key) {
    size_t bytes = strlen(key);
    static const char *const extensions[] = {"nii", NULL};
    return format_has_extension(key, extensions) ||
           (bytes > 7 && strcmp(key + bytes - 7, ".nii.gz") == 0);
}

/* The affine is no piece of its own: it lies in the first one's header. */
static int nifti_build(struct source *source, const struct source_listing *listing,
                       const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct nifti_params *nifti = params;
    const int64_t shape[] = {3, 4};
    int rc = arrays_build(source, listing, &nifti->parts, "image", nifti_parse, false, draft, err);
    if (rc < 0 || !nifti->affine[0] || draft->schema.count == 0)
        return rc;
    return opiml_schema_add(&draft->schema, nifti->affine, OPIML_F64, 2, shape, 0, err);
}

static bool is_affine(const struct opiml_field *field) {
    return field->dtype == OPIML_F64 && field->ndim == 2 && field->shape[0] == 3 &&
           field->shape[1] == 4;
}

static bool nifti_check(const struct index *index, const void *params) {
    const struct nifti_params *nifti = params;
    const struct opiml_schema *schema = &index->schema;
    if (!nifti->affine[0])
        return arrays_check(index);
    return index->records && index->header->pieces > 0 &&
           index->header->pieces + 1 == schema->count &&
           is_affine(&schema->fields[schema->count - 1]);
}

/* The affine comes first, so that the arrays' part begins at a multiple of 64 bytes too. */
#define AFFINE_BYTES (NIFTI_AFFINE * sizeof(double))
#define AFFINE_SCRATCH base_align_up(AFFINE_BYTES, 64)

static uint64_t nifti_scratch(const struct index *index) {
    return AFFINE_SCRATCH + arrays_scratch(index);
}

static int nifti_parse_record(const struct index *index, const void *params, uint64_t record,
                              const struct source_bytes *from, struct opiml_value *values,
                              uint8_t *scratch, struct opiml_error *err) {
    const struct nifti_params *nifti = params;
    uint8_t *arrays = scratch + AFFINE_SCRATCH;
    struct source_bytes first;
    double affine[NIFTI_AFFINE];
    int rc = arrays_parse(index, record, from, nifti_parse, values, arrays, err);
    if (rc < 0 || !nifti->affine[0])
        return rc;
    first = arrays_first(index, record, from, arrays);
    if ((rc = nifti_affine(first.at, first.bytes, affine, err)) < 0)
        return rc;
    memcpy(scratch, affine, AFFINE_BYTES);
    values[index->schema.count - 1] =
        (struct opiml_value){.data = scratch, .bytes = AFFINE_BYTES, .shape = {3, 4}};
    return 0;
}

const struct format format_nifti = {
    .name = "nifti",
    .help =
        "NIfTI volumes as [z, y, x], scaled as their headers say; a record is a file, or a file "
        "for each field",
    .params = nifti_params,
    .params_bytes = sizeof(struct nifti_params),
    .found_by_looking = true,
    .takes = nifti_takes,
    .build = nifti_build,
    .check = nifti_check,
    .parse = nifti_parse_record,
    .elements = arrays_elements,
    .scratch_bytes = nifti_scratch,
};
