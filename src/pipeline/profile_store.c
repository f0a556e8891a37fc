/* Profiles that were measured earlier. */
#include "pipeline/profile_store.h"

#include "base/cores.h"
#include "base/hash.h"
#include "base/text.h"
#include "dataset/source.h"
#include "op/registry.h"
#include "pipeline/calibration.h"
#include "pipeline/measured.h"

/* ---- JSON ---- */

static struct js *write_numbers(const double *from, uint32_t count) {
    struct js *list = js_array();

    for (uint32_t i = 0; i < count; i++)
        js_add(list, js_num(from[i]));
    return list;
}

struct js *profile_write(const struct profile *profile) {
    struct js *root = js_object(), *list = js_array();

    js_set(root, "origin", js_int(profile->origin));
    js_set(root, "group_ns", js_num(profile->group_ns));
    js_set(root, "read_bytes_per_s", js_num(profile->read_bytes_per_s));
    for (uint32_t c = 0; c < profile->classes; c++) {
        const struct profile_class *from = &profile->class[c];
        struct js *one = js_object();

        js_set(one, "read_ns", js_num(from->read_ns));
        js_set(one, "parse_ns", js_num(from->parse_ns));
        js_set(one, "read_bytes", js_num(from->read_bytes));
        js_set(one, "record_bytes", js_num(from->record_bytes));
        js_set(one, "op_ns", write_numbers(from->op_ns, profile->ops));
        js_set(one, "bytes", write_numbers(from->bytes, profile->ops + 1));
        js_set(one, "samples", js_int(from->samples));
        js_add(list, one);
    }
    js_set(root, "classes", list);
    return root;
}

/* False: it is no number that a cost can be. */
static bool read_number(const struct js *from, double *to) {
    *to = js_as_num(from, -1);
    return *to >= 0 && *to < 1e18;
}

static bool read_numbers(const struct js *from, uint32_t count, double *to) {
    bool good = js_count(from) == count;

    for (uint32_t i = 0; good && i < count; i++)
        good = read_number(js_at(from, i), &to[i]);
    return good;
}

static bool read_class(const struct js *from, uint32_t ops, struct profile_class *to) {
    int64_t samples = js_as_int(js_get(from, "samples"), -1);

    to->samples = (uint32_t)samples;
    return samples >= 0 && samples <= PROFILE_SAMPLES * PROFILE_LIGHT_SAMPLES &&
           read_number(js_get(from, "read_ns"), &to->read_ns) &&
           read_number(js_get(from, "parse_ns"), &to->parse_ns) &&
           read_number(js_get(from, "read_bytes"), &to->read_bytes) &&
           read_number(js_get(from, "record_bytes"), &to->record_bytes) &&
           read_numbers(js_get(from, "op_ns"), ops, to->op_ns) &&
           read_numbers(js_get(from, "bytes"), ops + 1, to->bytes);
}

int profile_read(const struct js *from, uint32_t classes, uint32_t ops, struct profile *ret_profile,
                 struct opiml_error *err) {
    const struct js *list = js_get(from, "classes");
    struct profile made = {.classes = classes, .ops = ops, .origin = PROFILE_KEPT};
    bool good = classes > 0 && classes <= SHARE_SIZES_MAX && ops <= PIPELINE_OPS_MAX &&
                js_count(list) == classes &&
                read_number(js_get(from, "group_ns"), &made.group_ns) &&
                read_number(js_get(from, "read_bytes_per_s"), &made.read_bytes_per_s);

    for (uint32_t c = 0; good && c < classes; c++)
        good = read_class(js_at(list, c), ops, &made.class[c]);
    if (js_as_int(js_get(from, "origin"), 0) == PROFILE_CALIBRATED)
        made.origin = PROFILE_CALIBRATED;
    if (!good)
        return opiml_fail(err, OPIML_ECORRUPT, "no profile of %u classes and %u operators", classes,
                          ops);
    *ret_profile = made;
    return 0;
}

/* ---- what is kept ---- */

static void describe_data(const struct dataset *dataset, struct text *text) {
    const struct source *source = dataset_source(dataset);
    uint64_t params = 0;

    dataset_params_hash(dataset, &params, NULL); /* it was made before, or the file would not be */
    text_printf(text, "%s %s %d %016" PRIx64 " %016" PRIx64 "\n", dataset_uri(dataset),
                source->local ? source->local : "", dataset_direct(dataset), params,
                dataset_fingerprint(dataset));
}

/* Its name in the file; false: memory is out. */
static bool make_name(const struct opiml_pipeline *pipeline, const struct profile_classes *classes,
                      char name[MEASURED_NAME_BYTES]) {
    AUTO_TEXT struct text text = {0};
    struct hash128 hash;

    text_printf(&text, "%016" PRIx64 " %016" PRIx64 " %" PRIu64 "\n", measured_machine(),
                pipeline->hash, pipeline->pool_bytes);
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        describe_data(pipeline->dataset[d], &text);
    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        text_printf(&text, "%016" PRIx64 "\n", op_implementation(pipeline->op[k]->op));
    for (uint32_t c = 0; c < classes->count; c++)
        text_printf(&text, "%" PRIu64 "\n", classes->bytes_max[c]);
    if (text.failed)
        return false;
    hash = hash_128(text.at, text.count);
    snprintf(name, MEASURED_NAME_BYTES, "profile %016" PRIx64 "%016" PRIx64, hash.high, hash.low);
    return true;
}

static bool find(const struct profile_request *request, const char *name, struct profile *to) {
    double age;
    AUTO_JS struct js *value = measured_find(name, PROFILE_STORE_AGE_S, &age);

    if (!value ||
        profile_read(value, request->classes->count, request->pipeline->row_ops, to, NULL) < 0)
        return false;
    to->age_s = age;
    to->cores = cores_share();
    return true;
}

int profile_recall(const struct profile_request *request, struct profile *ret_profile,
                   struct opiml_error *err) {
    char name[MEASURED_NAME_BYTES];
    bool named = make_name(request->pipeline, request->classes, name);
    int rc;

    if (named && !request->anew && find(request, name, ret_profile))
        return 0;
    if (!request->anew && calibration_covers(request->pipeline)) {
        rc = profile_glance(request->pipeline, request->classes, ret_profile, err);
        if (rc == 0)
            calibration_apply(request->pipeline, ret_profile);
    } else {
        rc = profile_make(request->pipeline, request->classes, request->most_ns, ret_profile, err);
    }
    if (rc == 0 && named)
        measured_put(name, profile_write(ret_profile));
    return rc;
}
