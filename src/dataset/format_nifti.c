/* NIfTI volumes (see nifti.h), plain or gzip'd. A file is a field of a record: each file its own
 * record with the field "image", or several files one record by `parts`. */
#include "dataset/arrays.h"
#include "dataset/nifti.h"

struct nifti_params {
    struct opiml_text_list parts;
};

static const struct opiml_param nifti_params[] = {
    {"parts", "",
     "Files that make a record together: name:pattern each, with * for the record's key, such as "
     "[\"image:images/*.nii.gz\", \"label:labels/*.nii.gz\"]; none: each file is a record with the "
     "field image",
     offsetof(struct nifti_params, parts), OPIML_PARAM_TEXT_LIST},
    {NULL},
};

static bool nifti_takes(const char *key) {
    size_t bytes = strlen(key);
    static const char *const extensions[] = {"nii", NULL};
    return format_has_extension(key, extensions) ||
           (bytes > 7 && strcmp(key + bytes - 7, ".nii.gz") == 0);
}

static int nifti_build(struct source *source, const struct source_listing *listing,
                       const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct nifti_params *nifti = params;
    return arrays_build(source, listing, &nifti->parts, "image", nifti_parse, false, draft, err);
}

static bool nifti_check(const struct index *index, const void *params) {
    return arrays_check(index);
}

static int nifti_parse_record(const struct index *index, const void *params, uint64_t record,
                              const struct source_bytes *from, struct opiml_value *values,
                              uint8_t *scratch, struct opiml_error *err) {
    return arrays_parse(index, record, from, nifti_parse, values, scratch, err);
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
    .scratch_bytes = arrays_scratch,
};
