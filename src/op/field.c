/* What operators' checks ask of their input fields. */
#include "op/field.h"

#include "base/base.h"
#include "base/text.h"

int op_field_find(const struct opiml_schema *schema, const char *param, const char *name,
                  uint32_t *ret_index, struct opiml_error *err) {
    const char *names[OPIML_MAX_FIELDS + 1] = {NULL}, *near;
    AUTO_TEXT struct text all = {0};
    int index = opiml_schema_find(schema, name);

    if (index >= 0) {
        *ret_index = (uint32_t)index;
        return 0;
    }
    for (uint32_t f = 0; f < schema->count; f++) {
        names[f] = schema->fields[f].name;
        text_printf(&all, "%s%s", f ? ", " : "", names[f]);
    }
    near = text_nearest(name, names);
    if (near)
        return opiml_fail(err, OPIML_EINVAL, "%s: no field \"%s\" here; did you mean \"%s\"?",
                          param, name, near);
    return opiml_fail(err, OPIML_EINVAL, "%s: no field \"%s\" here; there are: %s", param, name,
                      all.at ? all.at : "none");
}

int op_field_image(const struct opiml_schema *schema, const char *name, uint32_t *ret_index,
                   struct opiml_error *err) {
    const struct opiml_field *field;
    uint32_t index;
    int rc = op_field_find(schema, "field", name, &index, err);

    if (rc < 0)
        return rc;
    field = &schema->fields[index];
    if (field->ndim == 1 && field->dtype == OPIML_U8 && field->shape[0] < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" holds encoded bytes: put `decode` before this operator",
                          name);
    if (field->ndim != 3)
        return opiml_fail(
            err, OPIML_EINVAL,
            "field: \"%s\" has %u dimension%s; an image has height, width and channels", name,
            field->ndim, text_s(field->ndim));
    if (field->dtype != OPIML_U8)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is %s; this operator works on u8 pixels: put it before "
                          "`normalize` or `cast`",
                          name, opiml_dtype_text(field->dtype));
    if (field->shape[2] < 1 || field->shape[2] > 4)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\": its last dimension must be 1 to 4 channels, the same in "
                          "every row; `decode` with a fixed colour mode gives that",
                          name);
    *ret_index = index;
    return 0;
}
