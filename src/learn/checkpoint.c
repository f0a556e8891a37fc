/* Checkpoints. */
#include "learn/checkpoint.h"

#include "base/text.h"

void checkpoint_release(struct checkpoint *checkpoint) {
    js_free(checkpoint->classes);
    checkpoint->classes = NULL;
}

const char *checkpoint_isa(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16"))
        return "x86-64 avx512_bf16";
    if (__builtin_cpu_supports("avx512bw"))
        return "x86-64 avx512";
    if (__builtin_cpu_supports("avx2"))
        return "x86-64 avx2";
    return "x86-64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "other";
#endif
}

/* ---- writing ---- */

#define STATES 2

static uint32_t list_entries(struct nn_net *net, bool optimizer, struct safetensors_entry *entries,
                             char (*names)[80]) {
    uint32_t count = 0;

    for (int k = -1; k < (optimizer ? STATES : 0); k++)
        for (uint32_t i = 0; i < nn_net_params(net); i++) {
            const struct nn_param *param = nn_net_param(net, i);
            const float *data = k < 0 ? param->value : param->state[k];

            if (!data)
                continue;
            if (k < 0)
                snprintf(names[count], 80, "%s", param->name);
            else
                snprintf(names[count], 80, "optimizer.%d.%s", k, param->name);
            entries[count] = (struct safetensors_entry){
                .name = names[count], .ndim = param->ndim, .data = data, .count = param->count};
            memcpy(entries[count].shape, param->shape, sizeof(param->shape));
            count++;
        }
    return count;
}

static void set_number(struct js *to, const char *key, uint64_t number) {
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    js_set(to, key, js_text(text));
}

static struct js *metadata_of(const struct checkpoint *from) {
    struct js *to = js_object();
    AUTO_FREE char *classes = from->classes ? js_dump(from->classes, 0) : NULL;

    js_set(to, "format", js_text("opiml-checkpoint-1"));
    js_set(to, "model", js_text("resnet"));
    set_number(to, "depth", from->model.depth);
    set_number(to, "width", from->model.width);
    set_number(to, "classes", from->model.classes);
    set_number(to, "channels", from->channels);
    set_number(to, "height", from->height);
    set_number(to, "image_width", from->width);
    set_number(to, "step", from->step);
    set_number(to, "epoch", from->epoch);
    set_number(to, "threads", from->threads);
    js_set(to, "kernels", js_text(from->kernels));
    js_set(to, "isa", js_text(from->isa));
    js_set(to, "token", js_text(from->token));
    js_set(to, "data", js_text(from->data));
    if (classes)
        js_set(to, "class_names", js_text(classes));
    return to;
}

int checkpoint_write(const char *path, struct nn_net *net, const struct checkpoint *checkpoint,
                     bool optimizer, struct opiml_error *err) {
    uint32_t most = nn_net_params(net) * (1 + STATES);
    AUTO_FREE struct safetensors_entry *entries = base_alloc_array(most, sizeof(*entries));
    AUTO_FREE char(*names)[80] = base_alloc_array(most, sizeof(*names));
    AUTO_JS struct js *metadata = metadata_of(checkpoint);

    if (!entries || !names || !metadata)
        return base_fail_memory(err, most * sizeof(*entries), "a checkpoint's table");
    return safetensors_write(path, entries, list_entries(net, optimizer, entries, names), metadata,
                             err);
}

/* ---- reading ---- */

static uint64_t number_of(const struct safetensors *file, const char *key) {
    const char *text = safetensors_metadata(file, key);

    return text ? strtoull(text, NULL, 10) : 0;
}

int checkpoint_describe(const struct safetensors *file, struct checkpoint *ret_checkpoint,
                        struct opiml_error *err) {
    const char *format = safetensors_metadata(file, "format");
    const char *classes = safetensors_metadata(file, "class_names");
    struct checkpoint self = {0};

    if (!format || strcmp(format, "opiml-checkpoint-1") != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: no checkpoint of opiml (its metadata lack "
                          "\"format\")",
                          file->name);
    self.model = (struct nn_model_conf){.depth = (uint32_t)number_of(file, "depth"),
                                        .width = (uint32_t)number_of(file, "width"),
                                        .classes = (uint32_t)number_of(file, "classes")};
    self.channels = (uint32_t)number_of(file, "channels");
    self.height = (uint32_t)number_of(file, "height");
    self.width = (uint32_t)number_of(file, "image_width");
    self.step = number_of(file, "step");
    self.epoch = number_of(file, "epoch");
    self.threads = (uint32_t)number_of(file, "threads");
    if (self.model.classes == 0 || self.model.classes > 100000 || self.channels == 0 ||
        self.channels > 4096 || self.height == 0 || self.height > 4096 || self.width == 0 ||
        self.width > 4096 || self.model.width == 0 || self.model.width > 4096)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: its metadata describe no model", file->name);
    text_copy(self.kernels, sizeof(self.kernels),
              js_as_text(js_get(js_get(file->header, "__metadata__"), "kernels"), ""));
    text_copy(self.isa, sizeof(self.isa),
              js_as_text(js_get(js_get(file->header, "__metadata__"), "isa"), ""));
    text_copy(self.token, sizeof(self.token),
              js_as_text(js_get(js_get(file->header, "__metadata__"), "token"), ""));
    text_copy(self.data, sizeof(self.data),
              js_as_text(js_get(js_get(file->header, "__metadata__"), "data"), ""));
    if (classes)
        js_parse(classes, strlen(classes), &self.classes, NULL); /* names are a convenience */
    *ret_checkpoint = self;
    return 0;
}

static void shape_text(struct text *to, uint32_t ndim, const int64_t *shape) {
    text_add(to, "[");
    for (uint32_t d = 0; d < ndim; d++)
        text_printf(to, "%s%" PRId64, d ? ", " : "", shape[d]);
    text_add(to, "]");
}

static int load_tensor(const struct safetensors *file, const char *name,
                       const struct nn_param *param, float *to, struct opiml_error *err) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    AUTO_TEXT struct text has = {0}, wants = {0};

    shape_text(&wants, param->ndim, param->shape);
    if (!entry)
        return opiml_fail(err, OPIML_EINVAL, "%s: tensor \"%s\" %s is missing", file->name, name,
                          wants.at ? wants.at : "");
    if (entry->ndim != param->ndim ||
        memcmp(entry->shape, param->shape, param->ndim * sizeof(param->shape[0])) != 0) {
        shape_text(&has, entry->ndim, entry->shape);
        return opiml_fail(err, OPIML_EINVAL, "%s: tensor \"%s\" is %s, the model's is %s",
                          file->name, name, has.at ? has.at : "", wants.at ? wants.at : "");
    }
    memcpy(to, entry->data, entry->count * sizeof(*to));
    return 0;
}

int checkpoint_load(const struct safetensors *file, struct nn_net *net, bool optimizer,
                    struct opiml_error *err) {
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < nn_net_params(net); i++) {
        struct nn_param *param = nn_net_param(net, i);

        rc = load_tensor(file, param->name, param, param->value, err);
        for (int k = 0; optimizer && rc == 0 && k < STATES; k++) {
            char name[96];

            if (!param->state[k])
                continue;
            snprintf(name, sizeof(name), "optimizer.%d.%s", k, param->name);
            rc = load_tensor(file, name, param, param->state[k], err);
        }
    }
    return rc;
}
