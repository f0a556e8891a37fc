/* opiml node calibrate: what operators cost on this machine. */
#include <ftw.h>
#include <unistd.h>

#include <opiml/feed.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "make.h"
#include "op/registry.h"
#include "pipeline/calibration.h"
#include "pipeline/pipeline.h"
#include "pipeline/wire_cost.h"
#include "verb.h"

#define OPERATORS_MAX 64 /* that one run measures */
#define SIZES 3
#define IMAGES 36 /* of each size */
#define VOLUMES 4 /* likewise */

struct calibrate_config {
    bool json;
};

static const struct option calibrate_options[] = {
    OPTION_JSON(struct calibrate_config),
    {0},
};

/* What was seen of one operator. */
struct seen {
    const struct opiml_op *op;
    uint32_t points;
    struct calibration_point point[CALIBRATION_POINTS_MAX];
    struct calibration_cost cost;
};

struct calibration {
    uint32_t count;
    struct seen seen[OPERATORS_MAX];
    struct wire_cost wire;
};

static void close_pipeline(struct opiml_pipeline **pipeline) {
    opiml_pipeline_close(*pipeline);
}

/* ---- measuring ---- */

static struct seen *find_seen(struct calibration *self, const struct opiml_op *op) {
    for (uint32_t i = 0; i < self->count; i++)
        if (self->seen[i].op == op)
            return &self->seen[i];
    if (self->count == COUNT_OF(self->seen))
        return NULL;
    self->seen[self->count].op = op;
    return &self->seen[self->count++];
}

static void add_point(struct calibration *self, const struct opiml_op *op,
                      const struct profile_class *class, uint32_t k) {
    struct seen *seen = find_seen(self, op);

    if (seen && seen->points < COUNT_OF(seen->point) && class->samples > 0)
        seen->point[seen->points++] = (struct calibration_point){
            .in = class->bytes[k], .out = class->bytes[k + 1], .ns = class->op_ns[k]};
}

static int measure(struct calibration *self, const struct opiml_pipeline *pipeline,
                   struct opiml_error *err) {
    struct profile_classes classes;
    struct profile profile;
    int rc;

    profile_classes(pipeline, &classes);
    rc = profile_make(pipeline, &classes, 0, &profile, err);
    for (uint32_t c = 0; rc == 0 && c < profile.classes; c++)
        for (uint32_t k = 0; k < pipeline->row_ops; k++)
            add_point(self, pipeline->op[k]->op, &profile.class[c], k);
    return rc;
}

static int measure_file(struct calibration *self, const char *path, struct opiml_error *err) {
    CLEANUP(close_pipeline) struct opiml_pipeline *pipeline = NULL;
    int rc = opiml_pipeline_open(path, &pipeline, err);

    return rc < 0 ? rc : measure(self, pipeline, err);
}

/* ---- what is measured where no pipeline is named ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    return remove(path);
}

static void remove_tree(char **path) {
    if (*path)
        nftw(*path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    base_free(*path);
}

static int make_folder(char **ret_folder, struct opiml_error *err) {
    const char *base = getenv("TMPDIR");
    AUTO_FREE char *folder = base_printf("%s/opiml-calibrate-XXXXXX", base ? base : "/tmp");

    if (!folder)
        return base_fail_memory(err, 0, "a path");
    if (!mkdtemp(folder))
        return base_fail_errno(err, errno, "%s", folder);
    *ret_folder = TAKE(folder);
    return 0;
}

static const struct make_format *find_format(const struct make_format *formats, const char *name) {
    while (strcmp(formats->name, name) != 0)
        formats++;
    return formats;
}

/* Data of one kind and size, in a folder "NAME-SIZE". */
static int make_data(const char *folder, const char *name, const struct make_format *format,
                     uint32_t size, uint64_t count, struct opiml_error *err) {
    AUTO_FREE char *root = base_printf("%s/%s-%u", folder, name, size);
    struct make_conf conf = {.seed = 1, .classes = 2, .size = size, .fields = 16, .root = root};
    const struct make_split split = {.name = "train", .count = count};
    int rc;

    for (uint32_t k = 0; k < conf.classes; k++)
        conf.shape[k] = k;
    if (!root)
        return base_fail_memory(err, 0, "a path");
    if ((rc = file_make_folders(root, err)) < 0 || (rc = format->begin(&conf, &split, err)) < 0)
        return rc;
    return format->shard(&conf, &split, 0, count, err);
}

/* `rest` stands behind "dataset: {uri: FOLDER/NAME-SIZE/". */
static int measure_text(struct calibration *self, const char *folder, const char *name,
                        uint32_t size, const char *rest, struct opiml_error *err) {
    CLEANUP(close_pipeline) struct opiml_pipeline *pipeline = NULL;
    AUTO_FREE char *text = base_printf(
        "opiml: 1\nkind: pipeline\nseed: 1\ndataset: {uri: \"%s/%s-%u/%s\nbatch: {size: 1}\n",
        folder, name, size, rest);
    int rc;

    if (!text)
        return base_fail_memory(err, 0, "a pipeline");
    rc = opiml_pipeline_parse(text, strlen(text), "calibration.yaml", &pipeline, err);
    return rc < 0 ? rc : measure(self, pipeline, err);
}

static int measure_images(struct calibration *self, const char *folder, struct opiml_error *err) {
    static const uint32_t sizes[SIZES] = {64, 192, 480};
    static const char *const chains[] = {
        "train\", format: image-folder}\nops:\n  - decode: {}\n  - resize: {size: [48, 48]}\n"
        "  - random_flip: {p: 0.5}\n  - normalize: {to: f32}",
        "train\", format: image-folder}\nops:\n  - decode: {}\n  - resize: {size: [224, 224]}\n"
        "  - random_flip: {p: 0.5}\n  - normalize: {to: f32}",
        "train\", format: image-folder}\nops:\n  - decode: {}\n"
        "  - random_resized_crop: {size: [48, 48]}\n  - normalize: {to: f32}",
        "train\", format: image-folder}\nops:\n  - decode: {}\n"
        "  - random_resized_crop: {size: [224, 224]}\n  - random_flip: {p: 0.5}\n"
        "  - normalize: {to: f32}"};
    const struct make_format *format = find_format(make_image_formats, "image-folder");
    int rc = 0;

    for (size_t s = 0; rc == 0 && s < SIZES; s++) {
        rc = make_data(folder, "images", format, sizes[s], IMAGES, err);
        for (size_t i = 0; rc == 0 && i < COUNT_OF(chains); i++)
            rc = measure_text(self, folder, "images", sizes[s], chains[i], err);
    }
    return rc;
}

static int measure_volumes(struct calibration *self, const char *folder, struct opiml_error *err) {
    static const uint32_t sizes[SIZES] = {24, 48, 80};
    static const char *const chains[] = {
        "train/images\", format: npy}\nops:\n"
        "  - volume_random_crop: {fields: [data], size: [16, 16, 16]}\n"
        "  - cast: {field: data, to: f32}\n  - gaussian_noise: {field: data, std: [0, 0.1]}",
        "train/images\", format: npy}\nops:\n"
        "  - volume_random_crop: {fields: [data], size: [24, 24, 24]}\n"
        "  - cast: {field: data, to: f32}\n  - gaussian_noise: {field: data, std: [0, 0.1]}"};
    const struct make_format *format = find_format(make_volume_formats, "npy");
    int rc = 0;

    for (size_t s = 0; rc == 0 && s < SIZES; s++) {
        rc = make_data(folder, "volumes", format, sizes[s], VOLUMES, err);
        for (size_t i = 0; rc == 0 && i < COUNT_OF(chains); i++)
            rc = measure_text(self, folder, "volumes", sizes[s], chains[i], err);
    }
    return rc;
}

static int measure_presets(struct calibration *self, struct opiml_error *err) {
    CLEANUP(remove_tree) char *folder = NULL;
    int rc = make_folder(&folder, err);

    if (rc < 0 || (rc = measure_images(self, folder, err)) < 0)
        return rc;
    return measure_volumes(self, folder, err);
}

/* ---- the report ---- */

static void keep(struct calibration *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        struct seen *seen = &self->seen[i];

        calibration_fit(seen->point, seen->points, &seen->cost);
        if (seen->points)
            calibration_put(seen->op, &seen->cost);
    }
    wire_cost_recall(true, &self->wire);
}

static void print_text(const struct calibration *self) {
    printf("%-24s %-16s %10s %12s %12s %7s\n", "OPERATOR", "implementation", "ns/row", "ns/byte in",
           "ns/byte out", "off by");
    for (uint32_t i = 0; i < self->count; i++) {
        const struct calibration_cost *cost = &self->seen[i].cost;

        printf("%-24s %016" PRIx64 " %10.0f %12.3f %12.3f %6.0f%%\n", self->seen[i].op->name,
               op_implementation(self->seen[i].op), cost->row_ns, cost->in_ns, cost->out_ns,
               cost->error * 100);
    }
    printf("\nTCP: %.2f ns to send a byte, %.2f to receive one\n", self->wire.send_ns,
           self->wire.receive_ns);
}

static int print_json(const struct calibration *self, struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    struct js *list = js_array();
    AUTO_FREE char *text = NULL;

    for (uint32_t i = 0; i < self->count; i++) {
        const struct calibration_cost *cost = &self->seen[i].cost;
        struct js *one = js_object();
        char id[20];

        snprintf(id, sizeof(id), "%016" PRIx64, op_implementation(self->seen[i].op));
        js_set(one, "operator", js_text(self->seen[i].op->name));
        js_set(one, "implementation", js_text(id));
        js_set(one, "row_ns", js_num(cost->row_ns));
        js_set(one, "byte_in_ns", js_num(cost->in_ns));
        js_set(one, "byte_out_ns", js_num(cost->out_ns));
        js_set(one, "error", js_num(cost->error));
        js_set(one, "points", js_int(cost->points));
        js_add(list, one);
    }
    js_set(root, "operators", list);
    js_set(root, "send_byte_ns", js_num(self->wire.send_ns));
    js_set(root, "receive_byte_ns", js_num(self->wire.receive_ns));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "a calibration");
    puts(text);
    return 0;
}

static int calibrate_run(struct call *call, struct opiml_error *err) {
    const struct calibrate_config *config = call->config;
    AUTO_FREE struct calibration *self = base_alloc(sizeof(*self));
    int rc = 0;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a calibration");
    for (int i = 0; rc == 0 && i < call->count; i++)
        rc = measure_file(self, call->args[i], err);
    if (call->count == 0)
        rc = measure_presets(self, err);
    if (rc < 0)
        return rc;
    keep(self);
    if (config->json)
        return print_json(self, err);
    print_text(self);
    return 0;
}

const struct verb verb_node_calibrate = {
    .name = "node calibrate",
    .args = "[PIPELINE...]",
    .help = "Measure what operators cost here, and keep it for plans",
    .about =
        "Runs operators on records of several sizes, and finds for each what a row takes on one "
        "processor: so long, and so much longer for each byte that goes in and for each that "
        "comes out; of an RGB image three bytes are a pixel. Without PIPELINE these are the "
        "operators on images and volumes, with data that are made for it and removed; with "
        "pipeline files it is their row operators, with their data.\n\n"
        "The costs are kept in the cache folder ($XDG_CACHE_HOME/opiml, ~/.cache/opiml), for 30 "
        "days, for each operator and its implementation, on this kind of processor, by this "
        "version of opiml. A plan that is made here, or asks the node that this user runs here, "
        "then only glances at records of a pipeline that it has not met before. `opiml plan "
        "--measure` measures the pipeline itself, which is more exact.\n\n"
        "\"off by\" is how far the points that were measured are from the cost, on average.\n\n"
        "JSON has operators[] (operator, implementation, row_ns, byte_in_ns, byte_out_ns, error, "
        "points), send_byte_ns and receive_byte_ns.",
    .examples = "opiml node calibrate\n"
                "Once on each machine that runs a node.\n"
                "sudo -u opiml XDG_CACHE_HOME=/var/cache opiml node calibrate\n"
                "As the user of the node that systemd runs, into its cache folder.\n"
                "opiml node calibrate train.yaml\n"
                "The operators of a pipeline, with its data.\n",
    .options = calibrate_options,
    .config_bytes = sizeof(struct calibrate_config),
    .args_least = 0,
    .args_most = -1,
    .run = calibrate_run,
};
