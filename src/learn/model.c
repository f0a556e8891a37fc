/* Trained models: evaluate and predict. */
#include "learn/model.h"

#include "base/file.h"
#include "learn/checkpoint.h"
#include "learn/evaluate.h"
#include "learn/window.h"
#include "nn/onnx.h"

struct opiml_model {
    struct checkpoint info;
    struct nn_net *net;
    const struct nn_kernels *kernels;
    struct bad bad;
    char number[16]; /* a class without a name */
};

#define PIXELS_MAX (UINT64_C(1) << 19) /* of a batch: a few hundred MB to 2 GB of activations */

/* Large images go through in small batches, which lose nothing. */
static uint32_t fit_rows(const struct checkpoint *info, uint32_t rows) {
    uint64_t pixels = base_max_u64(info->depth, 1) * info->height * info->width;
    uint64_t fit = base_max_u64(PIXELS_MAX / pixels, 1);

    return (uint32_t)base_min_u64(rows, fit);
}

static int build(struct opiml_model *self, const char *path, uint32_t rows, uint32_t threads,
                 struct opiml_error *err) {
    CLEANUP(safetensors_release) struct safetensors file = {0};
    char version[64];
    int rc;

    if ((rc = safetensors_read(path, &file, err)) < 0 ||
        (rc = checkpoint_describe(&file, &self->info, err)) < 0 ||
        (rc = nn_kernels_open("auto", threads, &self->kernels, version, sizeof(version), err)) <
            0 ||
        (rc = nn_net_create(self->kernels, fit_rows(&self->info, rows), &self->net, err)) < 0 ||
        (rc = nn_model_build(self->net, &self->info.model, self->info.channels,
                             self->info.depth ? self->info.depth : 1, self->info.height,
                             self->info.width, err)) < 0 ||
        (rc = nn_net_finish(self->net, 0, err)) < 0)
        return rc;
    return checkpoint_load_model(&file, self->net, err);
}

int opiml_model_open(const char *checkpoint, uint32_t rows, uint32_t threads,
                     struct opiml_model **ret_model, struct opiml_error *err) {
    struct opiml_model *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a model");
    rc = build(self, checkpoint, rows, threads ? threads : 1, err);
    if (rc < 0)
        opiml_model_close(self);
    else
        *ret_model = self;
    return rc;
}

void opiml_model_close(struct opiml_model *self) {
    if (!self)
        return;
    nn_net_destroy(self->net);
    bad_release(&self->bad);
    checkpoint_release(&self->info);
    base_free(self);
}

uint32_t opiml_model_classes(const struct opiml_model *self) {
    return self->info.model.classes;
}

const char *opiml_model_class(const struct opiml_model *self, uint32_t label) {
    const char *name = js_as_text(js_at(self->info.classes, label), NULL);

    if (name)
        return name;
    snprintf(((struct opiml_model *)(uintptr_t)self)->number, sizeof(self->number), "%u", label);
    return self->number;
}

void opiml_model_input(const struct opiml_model *self, uint32_t ret_shape[4]) {
    ret_shape[0] = self->info.channels;
    ret_shape[1] = self->info.depth;
    ret_shape[2] = self->info.height;
    ret_shape[3] = self->info.width;
}

const char *opiml_model_data(const struct opiml_model *self) {
    return self->info.data[0] ? self->info.data : NULL;
}

/* One output tells two classes apart: its sigmoid is the second one's probability. */
static void both_sides(float logit, float *probabilities) {
    nn_softmax((float[]){0, logit}, 2, probabilities);
}

int opiml_model_predict(struct opiml_model *self, const float *images, uint32_t rows,
                        float *probabilities, struct opiml_error *err) {
    struct nn_tensor *output = nn_net_output(self->net);
    size_t pixels = (size_t)self->info.channels * self->info.height * self->info.width;

    for (uint32_t first = 0; first < rows; first += output->n) {
        uint32_t count = (uint32_t)base_min_u64(nn_net_batch(self->net), rows - first);
        int rc;

        memcpy(nn_net_input(self->net)->data, images + first * pixels,
               count * pixels * sizeof(*images));
        nn_net_rows(self->net, count);
        if ((rc = nn_net_forward(self->net, false, err)) < 0)
            return rc;
        for (uint32_t r = 0; r < count; r++) {
            float *to = probabilities + ((size_t)first + r) * self->info.model.classes;

            if (self->info.model.binary)
                both_sides(output->data[r], to);
            else
                nn_softmax(output->data + (size_t)r * output->c, output->c, to);
            if (to[0] != to[0]) /* all of them, then */
                return opiml_fail(err, OPIML_ECORRUPT,
                                  "the model's output is no number: its weights are damaged");
        }
    }
    return 0;
}

bool opiml_model_segments(const struct opiml_model *self) {
    return nn_pixels(nn_net_output(self->net)) > 1;
}

static int choose_classes(const float *logits, uint32_t classes, uint64_t voxels,
                          uint8_t *ret_classes, struct opiml_error *err) {
    for (uint64_t v = 0; v < voxels; v++) {
        uint32_t best = 0;

        for (uint32_t k = 0; k < classes; k++) {
            if (logits[k * voxels + v] != logits[k * voxels + v])
                return opiml_fail(err, OPIML_ECORRUPT,
                                  "the model's output is no number: its weights are damaged, or "
                                  "the image has values that are none");
            if (logits[k * voxels + v] > logits[best * voxels + v])
                best = k;
        }
        ret_classes[v] = (uint8_t)best;
    }
    return 0;
}

int opiml_model_segment(struct opiml_model *self, const float *image, const uint32_t size[3],
                        double overlap, uint8_t *ret_classes, struct opiml_error *err) {
    CLEANUP(learn_window_release) struct learn_window window = {0};
    uint64_t voxels = (uint64_t)size[0] * size[1] * size[2];
    float *logits;
    int rc;

    if (!opiml_model_segments(self))
        return opiml_fail(err, OPIML_EINVAL, "the model tells whole images apart, not voxels");
    if ((rc = learn_window_init(&window, self->net, overlap, err)) < 0 ||
        (rc = learn_window_run(&window, image, size, &logits, err)) < 0)
        return rc;
    return choose_classes(logits, self->info.model.classes, voxels, ret_classes, err);
}

static struct learn_fields takes_of(const struct opiml_model *self) {
    return (struct learn_fields){.kind = opiml_model_segments(self) ? LEARN_VOXELS : LEARN_LABEL,
                                 .table.codes = self->info.model.codes,
                                 .channels = self->info.channels,
                                 .depth = self->info.depth,
                                 .height = self->info.height,
                                 .width = self->info.width};
}

bool model_takes_tables(const struct opiml_model *self) {
    return self->info.model.name == NN_MLP;
}

bool model_knows_columns(const struct opiml_model *self) {
    return self->info.columns != NULL;
}

uint32_t model_buckets(const struct opiml_model *self) {
    return self->info.model.buckets;
}

int model_find_columns(const struct opiml_model *self, const struct opiml_schema *schema,
                       const char *path, struct learn_table *ret_table, struct opiml_error *err) {
    const struct learn_fields takes = takes_of(self);
    struct learn_fields fields = {.image = -1, .label = opiml_schema_find(schema, "label")};
    int rc = learn_columns_find(schema, path, &self->info.model, &fields, err);

    if (rc < 0 ||
        (rc = learn_table_match(&fields.table, schema, path, self->info.columns, "the model",
                                err)) < 0 ||
        (rc = learn_fields_fit(&fields, path, &takes, "the model", err)) < 0)
        return rc;
    *ret_table = fields.table;
    return 0;
}

/* The model and the pipeline speak of the same images and classes. */
static int check_data(const struct opiml_model *self, struct opiml_pipeline *pipeline,
                      const char *path, struct learn_fields *fields, struct opiml_error *err) {
    AUTO_JS struct js *names = learn_class_names(pipeline);
    const struct learn_fields takes = takes_of(self);
    int rc = learn_fields_find(pipeline, path, &self->info.model, fields, err);

    if (rc < 0 || (rc = learn_table_match(&fields->table, opiml_pipeline_schema(pipeline), path,
                                          self->info.columns, "the model", err)) < 0)
        return rc;
    if ((rc = learn_fields_fit(fields, path, &takes, "the model", err)) < 0)
        return rc;
    return learn_class_names_match(names, path, self->info.classes, "the model", err);
}

int opiml_model_eval(struct opiml_model *self, const char *path,
                     struct opiml_eval_result *ret_result, struct opiml_error *err) {
    struct opiml_pipeline *pipeline;
    struct learn_fields fields;
    int rc = opiml_pipeline_open(path, &pipeline, err);

    if (rc < 0)
        return rc;
    rc = check_data(self, pipeline, path, &fields, err);
    if (rc == 0)
        rc = learn_evaluate(self->net, pipeline, &fields, LEARN_OVERLAP, NULL, &self->bad,
                            ret_result, err);
    opiml_pipeline_close(pipeline);
    return rc;
}

static int export_onnx(struct opiml_model *self, const char *path, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    int rc = nn_onnx_encode(self->net, nn_model_name(&self->info.model), &text, err);

    return rc < 0 ? rc : file_write_atomic(path, text.at, text.count, err);
}

int opiml_model_export(struct opiml_model *self, uint32_t form, const char *path,
                       struct opiml_error *err) {
    return form == OPIML_EXPORT_ONNX ? export_onnx(self, path, err)
                                     : checkpoint_write_weights(path, self->net, err);
}

const char *opiml_model_bad(const struct opiml_model *self, uint32_t i) {
    return bad_line(&self->bad, i);
}
