/* Training files. */
#include "learn/config.h"

#define AT(member) offsetof(struct learn_config, member)

static const struct opiml_param head_rows[] = {
    {"opiml", NULL, "Version of the file's form", AT(version), OPIML_PARAM_U32, NULL, 1, 1},
    {"kind", NULL, "What the file is", AT(kind), OPIML_PARAM_CHOICE, "train", 0, 0},
    {"seed", "0", "Key of the first weights", AT(seed), OPIML_PARAM_U64, NULL, 0, 0},
    {"threads", "0", "Compute threads; 0: one per core", AT(threads), OPIML_PARAM_U32, NULL, 0,
     1024},
    {"precision", "auto", "Of the arithmetic", AT(precision), OPIML_PARAM_CHOICE, "auto|f32|bf16",
     0, 0},
    {"kernels", "auto", "Who computes convolutions", AT(kernels), OPIML_PARAM_CHOICE,
     "auto|onednn|plain", 0, 0},
    {"out", NULL, "Folder for checkpoints", AT(out), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"weights", "", "A safetensors file whose weights a new run starts from", AT(weights),
     OPIML_PARAM_TEXT, NULL, 0, 0},
    {"class_names", "", "Names of the classes, where the data have none", AT(class_names),
     OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {"eval_every", "1", "Epochs between evaluations", AT(eval_every), OPIML_PARAM_U32, NULL, 1,
     100000},
    {"overlap", "0.5", "Of the windows in which larger volumes than the model takes are evaluated",
     AT(overlap), OPIML_PARAM_F64, NULL, 0, 0.9},
    {"target", "0", "The run ends when an evaluation scores so much; 0: after the last epoch",
     AT(target), OPIML_PARAM_F64, NULL, 0, 1},
    {"ema", "0", "Decay of a moving average of the weights, which is evaluated instead; 0: none",
     AT(ema), OPIML_PARAM_F64, NULL, 0, 0.999999},
    {0},
};
static const struct opiml_param data_rows[] = {
    {"train", NULL, "Pipeline file to train on", AT(data.train), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"eval", "", "Pipeline file to evaluate on", AT(data.eval), OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};
static const struct opiml_param model_rows[] = {
    {"name", NULL, "Family", AT(model.name), OPIML_PARAM_CHOICE,
     "resnet|resnet9|unet3d|resnet50|mlp", 0, 0},
    {"depth", "8", "resnet: layers, 6 n + 2", AT(model.depth), OPIML_PARAM_U32, NULL, 8, 200},
    {"levels", "5", "unet3d: how often it halves the volume; mlp: hidden layers", AT(model.levels),
     OPIML_PARAM_U32, NULL, 1, 8},
    {"width", "16", "Channels of the first stage", AT(model.width), OPIML_PARAM_U32, NULL, 1, 1024},
    {"pool", "mean", "resnet: what is taken over the last image", AT(model.pool),
     OPIML_PARAM_CHOICE, "mean|max", 0, 0},
    {"embedding", "16", "mlp: learned numbers of a category", AT(model.embedding), OPIML_PARAM_U32,
     NULL, 1, 256},
    {"buckets", "1000", "mlp: values of a category; others are taken modulo these",
     AT(model.buckets), OPIML_PARAM_U32, NULL, 2, 10000000},
    {"classes", "0",
     "Classes to tell apart; 0: as many as `class_names`, or as the training data name",
     AT(model.classes), OPIML_PARAM_U32, NULL, 0, 100000},
    {0},
};
static const struct opiml_param loss_rows[] = {
    {"name", "cross_entropy", "Loss", AT(loss.name), OPIML_PARAM_CHOICE,
     "cross_entropy|dice_cross_entropy|binary_cross_entropy", 0, 0},
    {"label_smoothing", "0", "Share of the target spread over all classes",
     AT(loss.label_smoothing), OPIML_PARAM_F64, NULL, 0, 0.999},
    {0},
};
static const struct opiml_param optimizer_rows[] = {
    {"name", "sgd", "Optimiser", AT(optimizer.name), OPIML_PARAM_CHOICE, "sgd|adamw|lars", 0, 0},
    {"lr", NULL, "Learning rate at its peak", AT(optimizer.lr), OPIML_PARAM_F64, NULL, 1e-9, 1000},
    {"momentum", "0.9", "sgd, lars: momentum", AT(optimizer.momentum), OPIML_PARAM_F64, NULL, 0,
     0.99999},
    {"nesterov", "true", "sgd: Nesterov's momentum", AT(optimizer.nesterov), OPIML_PARAM_BOOL, NULL,
     0, 0},
    {"weight_decay", "0", "Of convolution and dense weights", AT(optimizer.weight_decay),
     OPIML_PARAM_F64, NULL, 0, 10},
    {"beta1", "0.9", "adamw: decay of the first moment", AT(optimizer.beta1), OPIML_PARAM_F64, NULL,
     0, 0.99999},
    {"beta2", "0.999", "adamw: decay of the second moment", AT(optimizer.beta2), OPIML_PARAM_F64,
     NULL, 0, 0.9999999},
    {"trust", "0.001", "lars: share of the weights' norm that an update of a layer may have",
     AT(optimizer.trust), OPIML_PARAM_F64, NULL, 1e-9, 1},
    {"accumulate", "1", "Batches whose gradients make an update together", AT(accumulate),
     OPIML_PARAM_U32, NULL, 1, 65536},
    {"epsilon", "1e-8", "adamw: added to the root; lars: to the gradient's norm",
     AT(optimizer.epsilon), OPIML_PARAM_F64, NULL, 1e-20, 1},
    {0},
};
static const struct opiml_param schedule_rows[] = {
    {"name", "one_cycle", "How the learning rate moves", AT(schedule.name), OPIML_PARAM_CHOICE,
     "constant|step|cosine|one_cycle", 0, 0},
    {"epochs", NULL, "Passes over the data", AT(schedule.epochs), OPIML_PARAM_U32, NULL, 1, 100000},
    {"warmup", "0.25", "Share of all steps in which it rises", AT(schedule.warmup), OPIML_PARAM_F64,
     NULL, 0, 1},
    {"gamma", "0.1", "step: factor", AT(schedule.gamma), OPIML_PARAM_F64, NULL, 0, 1},
    {"every", "10", "step: epochs between factors", AT(schedule.every), OPIML_PARAM_U32, NULL, 1,
     100000},
    {"final", "0", "Share of the peak that is left at the end", AT(schedule.final), OPIML_PARAM_F64,
     NULL, 0, 1},
    {0},
};

static const struct {
    const char *name;
    const struct opiml_param *rows;
} sections[] = {
    {"data", data_rows},           {"model", model_rows},       {"loss", loss_rows},
    {"optimizer", optimizer_rows}, {"schedule", schedule_rows},
};

/* What rows cannot say. */
static int check_values(const struct learn_config *config, const struct yaml *yaml,
                        struct opiml_error *err) {
    if (config->class_names.count > 0 && config->model.classes > 0 &&
        config->class_names.count != config->model.classes)
        return yaml_fail(yaml, yaml_get(yaml->root, "class_names"), err,
                         "train: class_names: %u name%s; model.classes says %u",
                         config->class_names.count, text_s(config->class_names.count),
                         config->model.classes);
    if (config->model.classes == 1)
        return yaml_fail(yaml, yaml_get(yaml_get(yaml->root, "model"), "classes"), err,
                         "model: classes: 1 is out of range: 2 to 100000, or 0: as many as the "
                         "training data have");
    return 0;
}

/* Of a section's key, or of the key itself where it stands in none. */
static void note_place(const struct yaml *yaml, const char *section, const char *key,
                       char to[LEARN_PLACE_BYTES]) {
    const struct yaml_node *node = section ? yaml_get(yaml->root, section) : yaml->root;
    const struct yaml_node *value = yaml_get(node, key);

    node = value ? value : node ? node : yaml->root;
    if (yaml->name[0])
        snprintf(to, LEARN_PLACE_BYTES, "%.300s:%u:%u: ", yaml->name, node->line, node->column);
}

static int read_config(const struct yaml *yaml, const char *path, struct learn_config *ret_config,
                       struct opiml_error *err) {
    static const char *const names[] = {"data", "model", "loss", "optimizer", "schedule", NULL};
    struct learn_config config = {0};
    int rc;

    if (yaml->root->kind != YAML_MAPPING)
        return yaml_fail(yaml, yaml->root, err,
                         "a training file is a mapping that starts with \"opiml: 1\"");
    if ((rc = conf_check_kind(yaml, "train", err)) < 0 ||
        (rc = conf_read_head(head_rows, names, &config, yaml, yaml->root, "train", err)) < 0)
        return rc;
    for (size_t i = 0; i < COUNT_OF(sections); i++)
        if ((rc = conf_read(sections[i].rows, &config, yaml, yaml_get(yaml->root, sections[i].name),
                            sections[i].name, err)) < 0)
            return rc;
    if ((rc = check_values(&config, yaml, err)) < 0 ||
        (rc = conf_path(path, config.data.train, err)) < 0 ||
        (rc = conf_path(path, config.data.eval, err)) < 0 ||
        (rc = conf_path(path, config.weights, err)) < 0 ||
        (rc = conf_path(path, config.out, err)) < 0)
        return rc;
    note_place(yaml, "model", "name", config.model_at);
    note_place(yaml, "loss", "name", config.loss_at);
    note_place(yaml, "data", "train", config.train_at);
    note_place(yaml, "data", "eval", config.eval_at);
    note_place(yaml, NULL, "weights", config.weights_at);
    *ret_config = config;
    return 0;
}

int learn_config_read(const char *path, struct learn_config *ret_config, struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_load(path, &yaml, err);

    return rc < 0 ? rc : read_config(yaml, path, ret_config, err);
}

int learn_config_parse(const char *text, size_t bytes, const char *name,
                       struct learn_config *ret_config, struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(text, bytes, name, &yaml, err);

    return rc < 0 ? rc : read_config(yaml, name, ret_config, err);
}

int learn_model_set(struct nn_model_conf *model, const char *key, const char *text,
                    struct opiml_error *err) {
    struct learn_config config = {.model = *model};
    int rc = conf_set(model_rows, &config, key, text, err);

    if (rc < 0)
        return rc;
    *model = config.model;
    return 0;
}

const char *learn_kernels_text(const struct learn_config *config) {
    static const char *const texts[] = {"auto", "onednn", "plain"};

    return texts[config->kernels];
}
