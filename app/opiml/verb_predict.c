/* opiml predict: what does a model see in an image? */
#include <opiml/train.h>

#include "base/cores.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "learn/model.h"
#include "likeliest.h"
#include "one_row.h"
#include "pipeline/pipeline.h"
#include "predict_table.h"
#include "predict_volume.h"
#include "run_folder.h"
#include "screen.h"
#include "verb.h"

#define FILE_MAX MIB(256)

struct predict_config {
    const char *data, *out;
    int64_t top;
    double overlap;
    bool json;
};

#define AT(member) offsetof(struct predict_config, member)

static const struct option predict_options[] = {
    {"data", "PIPELINE", NULL,
     "Pipeline file whose operators prepare the images, instead of the "
     "run's evaluation pipeline",
     AT(data), OPTION_PATH},
    {"top", "N", "5", "Classes to show for each image", AT(top), OPTION_INT, NULL, 1, 1000},
    {"out", "DIR", ".", "Volumes: folder for masks and overlays", AT(out), OPTION_PATH},
    {"overlap", "SHARE", "0.5", "Volumes: overlap of the windows that go through the model",
     AT(overlap), OPTION_NUM, NULL, 0, 0.9},
    OPTION_JSON(struct predict_config),
    {0},
};

struct predictor {
    struct opiml_model *model;
    struct predict_volume volume; /* of a model that tells voxels apart; else without a model */
    struct predict_table table;   /* of one that takes tables, likewise */
    struct opiml_pipeline *pipeline;
    struct one_row *row;
    int in, out; /* the image's field before and behind the operators */
    float *probabilities;
};

static void predictor_release(struct predictor *self) {
    base_free(self->probabilities);
    one_row_close(self->row);
    opiml_pipeline_close(self->pipeline);
    opiml_model_close(self->model);
}

/* The pipeline begins with image files, and ends with what the model takes. */
static int check_pipeline(struct predictor *self, const char *data, struct opiml_error *err) {
    const struct opiml_field *field;
    uint32_t shape[4];

    self->in = opiml_schema_find(pipeline_schema(self->pipeline, 0), "image");
    self->out = opiml_schema_find(opiml_pipeline_schema(self->pipeline), "image");
    if (self->in < 0 || self->out < 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: no field \"image\" goes through it", data);
    field = &pipeline_schema(self->pipeline, 0)->fields[self->in];
    if (field->dtype != OPIML_U8 || field->ndim != 1 || field->shape[0] != -1)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s reads pixels, where predict has image files: a pipeline that "
                          "decodes is wanted",
                          data);
    field = &opiml_pipeline_schema(self->pipeline)->fields[self->out];
    opiml_model_input(self->model, shape);
    if (field->dtype != OPIML_F32 || field->ndim != 3 || field->shape[0] != shape[0] ||
        field->shape[1] != shape[2] || field->shape[2] != shape[3])
        return opiml_fail(err, OPIML_EINVAL,
                          "%s does not give the f32 images of %u x %u x %u that "
                          "the model takes",
                          data, shape[0], shape[2], shape[3]);
    return 0;
}

static int open_row(struct predictor *self, const char *data, struct opiml_error *err) {
    struct one_row_op ops[ONE_ROW_OPS_MAX];
    int rc;

    if ((rc = opiml_pipeline_open(data, &self->pipeline, err)) < 0 ||
        (rc = check_pipeline(self, data, err)) < 0)
        return rc;
    for (uint32_t k = 0; k < self->pipeline->row_ops; k++)
        ops[k] = (struct one_row_op){.op = self->pipeline->op[k]->op,
                                     .params = self->pipeline->op[k]->params,
                                     .in = pipeline_schema(self->pipeline, k),
                                     .shape = &self->pipeline->op[k]->shape};
    return one_row_open(ops, self->pipeline->row_ops, &self->row, err);
}

/* For one image; volumes are worth more than one thread, and of tables many rows go together. */
static int open_model(const char *path, struct opiml_model **ret_model, struct opiml_error *err) {
    struct opiml_model *model = NULL;
    uint32_t rows, threads;
    int rc = opiml_model_open(path, 1, 1, &model, err);

    if (rc < 0)
        return rc;
    rows = model_takes_tables(model) ? PREDICT_TABLE_ROWS : 1;
    threads = opiml_model_segments(model) ? cores_count() : 1;
    if (rows > 1 || threads > 1) {
        opiml_model_close(model);
        return opiml_model_open(path, rows, threads, ret_model, err);
    }
    *ret_model = model;
    return 0;
}

static int predictor_open(struct predictor *self, const struct call *call,
                          struct opiml_error *err) {
    const struct predict_config *config = call->config;
    const char *data = config->data;
    AUTO_FREE char *path = NULL;
    int rc;

    if ((rc = run_checkpoint(call->args[0], &path, err)) < 0 ||
        (rc = open_model(path, &self->model, err)) < 0)
        return rc;
    data = data ? data : opiml_model_data(self->model);
    if (!data) {
        rc = opiml_fail(err, OPIML_EINVAL, "%s was trained without evaluation data", path);
        return run_wants_data(rc, call, NULL, err);
    }
    if (opiml_model_segments(self->model)) {
        self->volume = (struct predict_volume){
            .model = self->model, .data = data, .folder = config->out, .overlap = config->overlap};
        return 0;
    }
    if (model_takes_tables(self->model)) {
        run_tell_columns(call, self->model);
        self->table = (struct predict_table){
            .model = self->model, .data = data, .top = (uint32_t)config->top};
        return 0;
    }
    self->probabilities = base_alloc_array(opiml_model_classes(self->model), sizeof(float));
    if (!self->probabilities)
        return base_fail_memory(err, opiml_model_classes(self->model) * 4, "probabilities");
    rc = open_row(self, data, err);
    if ((rc == OPIML_EINVAL || rc == OPIML_ENOENT) && !config->data)
        return run_wants_data(rc, call, NULL, err);
    return rc;
}

/* The image file as a record of the pipeline: its other fields are zero. */
static int predict_file(struct predictor *self, const char *path, struct opiml_error *err) {
    const struct opiml_schema *schema = pipeline_schema(self->pipeline, 0);
    struct opiml_value in[OPIML_MAX_FIELDS] = {0};
    static uint8_t zero[64];
    const struct opiml_value *out;
    struct opiml_error why = {0};
    AUTO_FREE char *bytes = NULL;
    size_t count;
    int rc;

    if ((rc = file_read(path, FILE_MAX, &bytes, &count, err)) < 0)
        return rc;
    for (uint32_t f = 0; f < schema->count; f++) {
        bool fixed = opiml_field_fixed(&schema->fields[f]);

        in[f] = (struct opiml_value){
            .data = zero, .bytes = fixed ? base_min_u64(schema->fields[f].max_bytes, 64) : 0};
    }
    in[self->in] =
        (struct opiml_value){.data = (uint8_t *)bytes, .bytes = count, .shape = {(int64_t)count}};
    rc = one_row_run(self->row, in, &out, &why);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", path, why.message);
    if (rc == OPIML_OP_DROP)
        return opiml_fail(err, OPIML_EINVAL, "%s: a filter of the pipeline drops it", path);
    return opiml_model_predict(self->model, (const float *)(const void *)out[self->out].data, 1,
                               self->probabilities, err);
}

static void show(struct predictor *self, const char *path, uint32_t top, struct js *to) {
    char shown[SCREEN_NAME_BYTES];
    struct js *object;

    if (to) {
        object = js_object();
        js_set(object, "image", js_text(path));
        js_set(object, "classes", likeliest_json(self->model, self->probabilities, top));
        js_add(to, object);
        return;
    }
    printf("%s\n", screen_name(shown, path));
    for (uint32_t i = 0; i < top && i < opiml_model_classes(self->model); i++) {
        float probability;
        uint32_t label = likeliest_take(self->model, self->probabilities, &probability);

        printf("  %6.2f%%  %s\n", 100.0 * (double)probability,
               screen_name(shown, opiml_model_class(self->model, label)));
    }
}

/* A file that cannot be predicted does not keep the others from it. */
static void tell_bad(const char *what, const char *path, const struct opiml_error *why,
                     struct js *list) {
    struct js *object = list ? js_object() : NULL;

    if (!list) {
        fprintf(stderr, "opiml: predict: %s\n", why->message);
        return;
    }
    js_set(object, what, js_text(path));
    js_set(object, "error", js_text(why->message));
    js_add(list, object);
}

/* What a pipeline file for predicting is made of: the file that is given takes the place of the
 * uri.
 */
#define VOLUME_PIPELINE                                                                            \
    "`dataset: {uri: any.nii, format: nifti, affine: affine}`, the ops of the evaluation that "    \
    "make the field \"image\", without those for labels, and `batch: {size: 1}`"
#define TABLE_PIPELINE                                                                             \
    "`dataset: {uri: any.csv, format: csv}`, the ops of the evaluation without those for labels, " \
    "and `batch: {size: 64}`"

/* A volume goes through the run's own pipeline only if that reads one file a record, a table if it
 * has no parts. Errors of the pipeline begin with its file's name, those of the file with that's.
 */
static int predict_data(struct predictor *self, const struct call *call, const char *path,
                        struct js *list, struct opiml_error *err) {
    const struct predict_config *config = call->config;
    const char *data = self->volume.model ? self->volume.data : self->table.data;
    int rc = self->volume.model ? predict_volume(&self->volume, path, list, err)
                                : predict_table(&self->table, path, list, err);

    if (rc < 0 && !config->data && text_starts(err->message, data))
        return run_wants_data(rc, call, self->volume.model ? VOLUME_PIPELINE : TABLE_PIPELINE, err);
    return rc;
}

static int predict_one(struct predictor *self, const struct call *call, const char *path,
                       struct js *list, struct opiml_error *err) {
    const struct predict_config *config = call->config;
    int rc;

    if (self->volume.model || self->table.model)
        return predict_data(self, call, path, list, err);
    if ((rc = predict_file(self, path, err)) == 0)
        show(self, path, (uint32_t)config->top, list);
    return rc;
}

static int predict_files(struct predictor *self, const struct call *call, struct js *list,
                         struct opiml_error *err) {
    struct opiml_error why = {0};
    int bad = 0, first = 0, rc;

    if (self->volume.model &&
        (rc = predict_volume_check(&self->volume, &call->args[1], call->count - 1, err)) < 0)
        return rc;
    for (int i = 1; i < call->count; i++) {
        rc = predict_one(self, call, call->args[i], list, &why);
        if (rc == 0)
            continue;
        if (call->count == 2 && !list)
            return opiml_fail(err, rc, "%s", why.message);
        if (bad++ == 0)
            first = rc;
        tell_bad(self->table.model ? "table" : "image", call->args[i], &why, list);
    }
    return bad ? opiml_fail(err, first, "%d of %d file%s could not be predicted", bad,
                            call->count - 1, text_s((uint64_t)call->count - 1))
               : 0;
}

static int predict_run(struct call *call, struct opiml_error *err) {
    const struct predict_config *config = call->config;
    CLEANUP(predictor_release) struct predictor self = {0};
    AUTO_JS struct js *list = config->json ? js_array() : NULL;
    AUTO_FREE char *text = NULL;
    int rc = predictor_open(&self, call, err);

    if (rc < 0)
        return rc;
    rc = predict_files(&self, call, list, err);
    run_tell_outside(call, self.model, self.table.outside);
    if (!list)
        return rc;
    text = js_dump(list, 2);
    if (!text)
        return base_fail_memory(err, 1000, "JSON");
    printf("%s\n", text);
    call->reported = true;
    return rc;
}

const struct verb verb_predict = {
    .name = "predict",
    .args = "RUN FILE...",
    .help = "Say what a trained model sees in images, volumes and tables",
    .about =
        "RUN is a run's folder or a checkpoint file; FILE is a JPEG or PNG file, for a "
        "segmentation a volume (.nii, .nii.gz, .npy), for an mlp a table. Each goes through the "
        "operators of the "
        "run's evaluation pipeline, whose data set has to be there still, or of --data. "
        "Prints the likeliest classes with their probabilities. Files that cannot be read "
        "are told, and the exit status is not zero then.\n\n"
        "Of a volume the class of every voxel is written to NAME.mask.nii, as large as the "
        "pipeline gives the volume and placed as its field \"affine\" says, and three "
        "slices with the classes in colour to NAME.overlay.png; the voxels and millilitres "
        "of each class are printed. The pipeline has to read one file a record: where the "
        "run's own has `parts`, name another with --data.\n\n"
        "Of a table each row is told, by its number from 0, without those that filters drop and "
        "bad records. The file is read as the pipeline says, and needs no label.\n\n"
        "JSON is a list: image (of tables: table and row) and classes[] with class, label and "
        "probability (of a volume: "
        "voxels and ml; besides them mask and overlay), or error. A row with a category outside "
        "the model's buckets has outside, which is true.",
    .examples = "opiml predict runs/cifar10 cat.jpg dog.png\n"
                "The five likeliest classes of each.\n"
                "opiml predict runs/brain t1.nii.gz --data brain-predict.yaml --out masks\n"
                "Its mask and a picture of it, in the folder masks.\n"
                "opiml predict runs/rows new.csv --top 1\n"
                "The likeliest class of each row.\n",
    .options = predict_options,
    .config_bytes = sizeof(struct predict_config),
    .openmp = true,
    .args_least = 2,
    .args_most = -1,
    .run = predict_run,
};
