/* Checkpoints. */
#include "learn/checkpoint.h"

#include <errno.h>

#include "base/text.h"
#include "learn/config.h"

#define SIDE_MAX 4096
#define CHANNELS_MAX (LEARN_NUMBERS_MAX + LEARN_COLUMNS_MAX)
#define COUNT_MAX (UINT64_C(1) << 53)

void checkpoint_release(struct checkpoint *checkpoint) {
    js_free(checkpoint->classes);
    js_free(checkpoint->columns);
    checkpoint->classes = checkpoint->columns = NULL;
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

static const char *const optimizers[] = {
    [NN_SGD] = "sgd", [NN_ADAMW] = "adamw", [NN_LARS] = "lars"};

/* ---- writing ---- */

/* What is kept of each parameter: its value, the optimiser's states, its average. */
static const char *const prefixes[] = {"", "optimizer.0.", "optimizer.1.", "ema."};
#define PARTS COUNT_OF(prefixes)

static float *part_of(const struct nn_param *param, uint32_t i, size_t part,
                      const struct nn_shadow *average) {
    switch (part) {
    case 0: return param->value;
    case 1: return param->state[0];
    case 2: return param->state[1];
    default: return average ? average->values[i] : NULL;
    }
}

static struct safetensors_entry entry_of(const struct nn_param *param, const char *name,
                                         const float *data) {
    struct safetensors_entry entry = {
        .name = name, .ndim = param->ndim, .data = data, .count = param->count};

    memcpy(entry.shape, param->shape, sizeof(entry.shape));
    return entry;
}

static uint32_t list_entries(struct nn_net *net, const struct nn_shadow *average,
                             struct safetensors_entry *entries, char (*names)[80]) {
    uint32_t count = 0;

    for (size_t part = 0; part < PARTS; part++)
        for (uint32_t i = 0; i < nn_net_params(net); i++) {
            const struct nn_param *param = nn_net_param(net, i);
            const float *data = part_of(param, i, part, average);

            if (!data)
                continue;
            snprintf(names[count], 80, "%s%s", prefixes[part], param->name);
            entries[count] = entry_of(param, names[count], data);
            count++;
        }
    return count;
}

static void set_number(struct js *to, const char *key, uint64_t number) {
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    js_set(to, key, js_text(text));
}

/* Voxels of each class in both, predicted, and in truth; of a run that tells voxels apart. */
static void set_overlaps(struct js *to, const struct checkpoint *from) {
    AUTO_JS struct js *list = js_array();
    AUTO_FREE char *text = NULL;
    uint64_t any = 0;

    for (uint32_t k = 0; k < from->model.classes && k < NN_DICE_CLASSES_MAX; k++) {
        const struct nn_overlap *overlap = &from->score.overlaps[k];

        js_add(list, js_u64(overlap->both));
        js_add(list, js_u64(overlap->predicted));
        js_add(list, js_u64(overlap->truth));
        any |= overlap->predicted | overlap->truth;
    }
    text = any ? js_dump(list, 0) : NULL;
    if (text)
        js_set(to, "epoch_overlaps", js_text(text));
}

static struct js *metadata_of(const struct checkpoint *from) {
    struct js *to = js_object();
    AUTO_FREE char *classes = from->classes ? js_dump(from->classes, 0) : NULL;
    AUTO_FREE char *columns = from->columns ? js_dump(from->columns, 0) : NULL;
    AUTO_TEXT struct text loss = {0};

    js_set(to, "format", js_text("opiml-checkpoint-1"));
    js_set(to, "name", js_text(nn_model_name(&from->model)));
    set_number(to, "depth", from->model.depth);
    set_number(to, "width", from->model.width);
    if (from->model.name == NN_UNET3D || from->model.name == NN_MLP)
        set_number(to, "levels", from->model.levels);
    if (from->model.name == NN_MLP) {
        set_number(to, "embedding", from->model.embedding);
        set_number(to, "buckets", from->model.buckets);
        set_number(to, "codes", from->model.codes);
        set_number(to, "binary", from->model.binary);
    }
    js_set(to, "pool", js_text(from->model.pool ? "max" : "mean"));
    set_number(to, "classes", from->model.classes);
    js_set(to, "optimizer", js_text(optimizers[from->optimizer]));
    set_number(to, "channels", from->channels);
    if (from->depth)
        set_number(to, "image_depth", from->depth);
    set_number(to, "height", from->height);
    set_number(to, "image_width", from->width);
    set_number(to, "step", from->step);
    set_number(to, "epoch", from->epoch);
    set_number(to, "epoch_samples", from->score.samples);
    set_number(to, "epoch_correct", from->score.correct);
    text_add_double(&loss, from->score.loss);
    js_set(to, "epoch_loss", js_text(loss.failed ? "0" : loss.at));
    set_overlaps(to, from);
    set_number(to, "threads", from->threads);
    js_set(to, "kernels", js_text(from->kernels));
    js_set(to, "isa", js_text(from->isa));
    js_set(to, "precision", js_text(from->precision));
    js_set(to, "token", js_text(from->token));
    js_set(to, "data", js_text(from->data));
    if (classes)
        js_set(to, "class_names", js_text(classes));
    if (columns)
        js_set(to, "columns", js_text(columns));
    return to;
}

int checkpoint_write(const char *path, struct nn_net *net, const struct nn_shadow *average,
                     const struct checkpoint *checkpoint, struct opiml_error *err) {
    uint32_t most = nn_net_params(net) * PARTS;
    AUTO_FREE struct safetensors_entry *entries = base_alloc_array(most, sizeof(*entries));
    AUTO_FREE char(*names)[80] = base_alloc_array(most, sizeof(*names));
    AUTO_JS struct js *metadata = metadata_of(checkpoint);

    if (!entries || !names || !metadata)
        return base_fail_memory(err, most * sizeof(*entries), "a checkpoint's table");
    return safetensors_write(path, entries, list_entries(net, average, entries, names), metadata,
                             err);
}

int checkpoint_write_weights(const char *path, struct nn_net *net, struct opiml_error *err) {
    AUTO_FREE struct safetensors_entry *entries =
        base_alloc_array(nn_net_params(net), sizeof(*entries));

    if (!entries)
        return base_fail_memory(err, nn_net_params(net) * sizeof(*entries), "a table of weights");
    for (uint32_t i = 0; i < nn_net_params(net); i++) {
        const struct nn_param *param = nn_net_param(net, i);

        entries[i] = entry_of(param, param->name, param->value);
    }
    return safetensors_write(path, entries, nn_net_params(net), NULL, err);
}

/* ---- reading ---- */

static void shape_text(struct text *to, uint32_t ndim, const int64_t *shape) {
    text_add(to, "[");
    for (uint32_t d = 0; d < ndim; d++)
        text_printf(to, "%s%" PRId64, d ? ", " : "", shape[d]);
    text_add(to, "]");
}

/* The tensor of a parameter, which has to be there with that shape. */
static int find_tensor(const struct safetensors *file, const char *name,
                       const struct nn_param *param, const struct safetensors_entry **ret_entry,
                       struct opiml_error *err) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    AUTO_TEXT struct text has = {0}, wants = {0};

    if (entry && entry->ndim == param->ndim &&
        memcmp(entry->shape, param->shape, param->ndim * sizeof(param->shape[0])) == 0) {
        *ret_entry = entry;
        return 0;
    }
    shape_text(&wants, param->ndim, param->shape);
    if (!entry)
        return opiml_fail(err, OPIML_EINVAL, "%s: tensor \"%s\" %s is missing", file->name, name,
                          wants.at ? wants.at : "");
    shape_text(&has, entry->ndim, entry->shape);
    return opiml_fail(err, OPIML_EINVAL, "%s: tensor \"%s\" is %s, the model's is %s", file->name,
                      name, has.at ? has.at : "", wants.at ? wants.at : "");
}

static int no_model(const struct safetensors *file, const char *what, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "%s: its metadata describe no model: %s", file->name,
                      what);
}

/* A number that may be left out is 0 then. */
static int read_number(const struct safetensors *file, const char *key, uint64_t least,
                       uint64_t most, uint64_t *ret_number, struct opiml_error *err) {
    const char *text = safetensors_metadata(file, key);
    uint64_t number = 0;
    char what[128];
    char *end;

    if (text) {
        errno = 0;
        number = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end || errno)
            number = UINT64_MAX;
    }
    if (number >= least && number <= most) {
        *ret_number = number;
        return 0;
    }
    snprintf(what, sizeof(what), "%s is \"%.30s\": %" PRIu64 " to %" PRIu64, key, text ? text : "",
             least, most);
    return no_model(file, what, err);
}

static int read_sizes(const struct safetensors *file, struct checkpoint *self,
                      struct opiml_error *err) {
    static const char *const keys[] = {"name",    "depth",  "width",     "pool",
                                       "classes", "levels", "embedding", "buckets"};
    enum { FIRST_OF_SOME = 5 };
    uint64_t channels, depth, height, width, threads, codes, binary;
    struct opiml_error why = {0};
    int rc;

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const char *text = safetensors_metadata(file, keys[i]);

        if (!text && i >= FIRST_OF_SOME) /* which not every model has */
            continue;
        if (learn_model_set(&self->model, keys[i], text ? text : "", &why) < 0)
            return no_model(file, why.message, err);
    }
    if (self->model.classes < 2)
        return no_model(file, "less than two classes", err);
    if ((rc = read_number(file, "channels", 1, CHANNELS_MAX, &channels, err)) < 0 ||
        (rc = read_number(file, "codes", 0, LEARN_COLUMNS_MAX, &codes, err)) < 0 ||
        (rc = read_number(file, "binary", 0, 1, &binary, err)) < 0 ||
        (rc = read_number(file, "image_depth", 0, SIDE_MAX, &depth, err)) < 0 ||
        (rc = read_number(file, "height", 1, SIDE_MAX, &height, err)) < 0 ||
        (rc = read_number(file, "image_width", 1, SIDE_MAX, &width, err)) < 0 ||
        (rc = read_number(file, "threads", 0, UINT32_MAX, &threads, err)) < 0 ||
        (rc = read_number(file, "step", 0, COUNT_MAX, &self->step, err)) < 0 ||
        (rc = read_number(file, "epoch", 0, COUNT_MAX, &self->epoch, err)) < 0 ||
        (rc = read_number(file, "epoch_samples", 0, COUNT_MAX, &self->score.samples, err)) < 0)
        return rc;
    self->channels = (uint32_t)channels;
    if (codes > channels || (self->model.name == NN_MLP && !self->model.levels) ||
        (codes > 0 && (!self->model.buckets || !self->model.embedding)))
        return no_model(file, "sizes that do not go together", err);
    self->model.codes = (uint32_t)codes;
    self->model.binary = binary;
    self->depth = (uint32_t)depth;
    self->height = (uint32_t)height;
    self->width = (uint32_t)width;
    self->threads = (uint32_t)threads;
    return read_number(file, "epoch_correct", 0, self->score.samples, &self->score.correct, err);
}

static void read_texts(const struct safetensors *file, struct checkpoint *self) {
    const struct {
        const char *key;
        char *to;
        size_t room;
    } texts[] = {{"kernels", self->kernels, sizeof(self->kernels)},
                 {"isa", self->isa, sizeof(self->isa)},
                 {"precision", self->precision, sizeof(self->precision)},
                 {"token", self->token, sizeof(self->token)},
                 {"data", self->data, sizeof(self->data)}};
    const char *loss = safetensors_metadata(file, "epoch_loss");
    const char *optimizer = safetensors_metadata(file, "optimizer");

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = safetensors_metadata(file, texts[i].key);

        text_copy(texts[i].to, texts[i].room, text ? text : "");
    }
    for (uint32_t i = 0; i < COUNT_OF(optimizers); i++)
        if (optimizer && strcmp(optimizer, optimizers[i]) == 0)
            self->optimizer = i;
    if (!loss || !text_parse_double(loss, &self->score.loss))
        self->score.loss = 0;
}

static int read_overlaps(const struct safetensors *file, struct checkpoint *self,
                         struct opiml_error *err) {
    const char *text = safetensors_metadata(file, "epoch_overlaps");
    AUTO_JS struct js *list = NULL;

    if (!text)
        return 0;
    if (js_parse(text, strlen(text), &list, NULL) < 0 ||
        js_count(list) > 3 * (size_t)NN_DICE_CLASSES_MAX || js_count(list) % 3 != 0)
        return no_model(file, "epoch_overlaps is no list of three numbers for each class", err);
    for (size_t i = 0; i < js_count(list); i++) {
        struct nn_overlap *overlap = &self->score.overlaps[i / 3];
        int64_t voxels = js_as_int(js_at(list, i), -1);

        if (voxels < 0 || voxels > (int64_t)COUNT_MAX)
            return no_model(file, "epoch_overlaps has what is no count of voxels", err);
        *(i % 3 == 0   ? &overlap->both
          : i % 3 == 1 ? &overlap->predicted
                       : &overlap->truth) = (uint64_t)voxels;
    }
    return 0;
}

static int read_classes(const struct safetensors *file, struct checkpoint *self,
                        struct opiml_error *err) {
    const char *text = safetensors_metadata(file, "class_names");

    if (!text)
        return 0;
    if (js_parse(text, strlen(text), &self->classes, NULL) < 0)
        return no_model(file, "class_names is no JSON", err);
    for (size_t i = 0; i < js_count(self->classes); i++)
        if (!js_as_text(js_at(self->classes, i), NULL))
            return no_model(file, "class_names is no list of names", err);
    return 0;
}

/* One column, as many channels as it takes. */
static bool read_column(const struct js *column, uint64_t *numbers, uint64_t *codes) {
    const char *name = js_as_text(js_get(column, "name"), "");
    const char *kind = js_as_text(js_get(column, "kind"), "");
    int64_t width = js_as_int(js_get(column, "width"), 0);
    bool number = strcmp(kind, "number") == 0;

    if (!name[0] || width < 1 || width > LEARN_NUMBERS_MAX ||
        (!number && (strcmp(kind, "category") != 0 || width != 1)) ||
        (number && *codes > 0)) /* numbers come first */
        return false;
    *(number ? numbers : codes) += (uint64_t)width;
    return true;
}

/* Older files have none. */
static int read_columns(const struct safetensors *file, struct checkpoint *self,
                        struct opiml_error *err) {
    const char *text = safetensors_metadata(file, "columns");
    uint64_t numbers = 0, codes = 0;

    if (!text)
        return 0;
    if (js_parse(text, strlen(text), &self->columns, NULL) < 0 ||
        js_count(self->columns) > LEARN_COLUMNS_MAX)
        return no_model(file, "columns is no list of a table's columns", err);
    for (size_t i = 0; i < js_count(self->columns); i++)
        if (!read_column(js_at(self->columns, i), &numbers, &codes))
            return no_model(file, "columns has what is no column", err);
    if (numbers + codes != self->channels || codes != self->model.codes)
        return no_model(file, "columns are not as many as the model takes", err);
    return 0;
}

/* The file holds such a model's weights. Asked of a plan of the network, which takes no memory to
 * speak of: what is built later is as large as the file warrants, whatever the metadata say. */
static int check_tensors(const struct safetensors *file, const struct checkpoint *self,
                         struct opiml_error *err) {
    const struct safetensors_entry *entry;
    struct opiml_error why = {0};
    struct nn_net *net;
    int rc;

    if (file->count > NN_PARAMS_MAX * PARTS)
        return no_model(file, "more tensors than any model has", err);
    if ((rc = nn_net_create(&nn_kernels_plain, 1, &net, err)) < 0)
        return rc;
    rc = nn_model_build(net, &self->model, self->channels, self->depth ? self->depth : 1,
                        self->height, self->width, &why);
    if (rc < 0)
        rc = no_model(file, why.message, err);
    for (uint32_t i = 0; rc >= 0 && i < nn_net_params(net); i++)
        rc = find_tensor(file, nn_net_param(net, i)->name, nn_net_param(net, i), &entry, err);
    nn_net_destroy(net);
    return rc < 0 ? rc : 0;
}

int checkpoint_describe(const struct safetensors *file, struct checkpoint *ret_checkpoint,
                        struct opiml_error *err) {
    const char *format = safetensors_metadata(file, "format");
    CLEANUP(checkpoint_release) struct checkpoint self = {0};
    int rc;

    if (!format || strcmp(format, "opiml-checkpoint-1") != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: no checkpoint of opiml (its metadata lack "
                          "\"format\")",
                          file->name);
    if ((rc = read_sizes(file, &self, err)) < 0 || (rc = read_classes(file, &self, err)) < 0 ||
        (rc = read_columns(file, &self, err)) < 0 || (rc = read_overlaps(file, &self, err)) < 0 ||
        (rc = check_tensors(file, &self, err)) < 0)
        return rc;
    read_texts(file, &self);
    *ret_checkpoint = self;
    self.classes = self.columns = NULL;
    return 0;
}

static int load_tensor(const struct safetensors *file, const char *prefix,
                       const struct nn_param *param, float *to, struct opiml_error *err) {
    const struct safetensors_entry *entry;
    char name[96];
    int rc;

    snprintf(name, sizeof(name), "%s%s", prefix, param->name);
    rc = find_tensor(file, name, param, &entry, err);
    if (rc == 0)
        memcpy(to, entry->data, entry->count * sizeof(*to));
    return rc;
}

int checkpoint_load(const struct safetensors *file, struct nn_net *net, struct nn_shadow *average,
                    struct opiml_error *err) {
    int rc = 0;

    for (uint32_t i = 0; i < nn_net_params(net); i++)
        for (size_t part = 0; part < PARTS && rc == 0; part++) {
            const struct nn_param *param = nn_net_param(net, i);
            float *to = part_of(param, i, part, average);

            rc = to ? load_tensor(file, prefixes[part], param, to, err) : 0;
        }
    return rc;
}

int checkpoint_load_model(const struct safetensors *file, struct nn_net *net,
                          struct opiml_error *err) {
    int rc = 0;

    for (uint32_t i = 0; i < nn_net_params(net) && rc == 0; i++) {
        const struct nn_param *param = nn_net_param(net, i);
        char name[96];

        snprintf(name, sizeof(name), "ema.%s", param->name);
        rc =
            load_tensor(file, safetensors_find(file, name) ? "ema." : "", param, param->value, err);
    }
    return rc;
}

#define LAST_LAYER 2 /* parameters of it: weight and bias */

int checkpoint_load_weights(const struct safetensors *file, struct nn_net *net, bool *ret_kept,
                            struct opiml_error *err) {
    uint32_t params = nn_net_params(net);
    struct opiml_error why = {0};
    int rc;

    *ret_kept = false;
    for (uint32_t i = 0; i < params; i++) {
        const struct nn_param *param = nn_net_param(net, i);

        if ((rc = load_tensor(file, "", param, param->value, &why)) == 0)
            continue;
        if (i + LAST_LAYER < params || !safetensors_find(file, param->name))
            return opiml_fail(err, rc, "%s", why.message);
        *ret_kept = true;
    }
    return 0;
}
