/* opiml export: a trained model for other programs. */
#include <opiml/train.h>

#include "base/text.h"
#include "run_folder.h"
#include "screen.h"
#include "verb.h"

struct export_config {
    const char *out;
    uint32_t format;
};

#define AT(member) offsetof(struct export_config, member)

enum { BY_NAME, ONNX, SAFETENSORS };

static const struct option export_options[] = {
    {"out", "FILE", "model.onnx", "File to write; what is there is replaced", AT(out), OPTION_PATH},
    {"format", "FORMAT", "auto", "auto: by the file's name", AT(format), OPTION_CHOICE,
     "auto|onnx|safetensors", 0, 0},
    {0},
};

static int find_format(const struct export_config *config, uint32_t *ret_form,
                       struct opiml_error *err) {
    bool onnx = config->format == ONNX || text_ends(config->out, ".onnx");

    if (config->format == BY_NAME && !onnx && !text_ends(config->out, ".safetensors"))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: its name ends neither in .onnx nor in .safetensors: say with "
                          "--format which it is to be",
                          config->out);
    *ret_form =
        config->format != SAFETENSORS && onnx ? OPIML_EXPORT_ONNX : OPIML_EXPORT_SAFETENSORS;
    return 0;
}

static void close_model(struct opiml_model **model) {
    opiml_model_close(*model);
}

static int export_run(struct call *call, struct opiml_error *err) {
    const struct export_config *config = call->config;
    CLEANUP(close_model) struct opiml_model *model = NULL;
    AUTO_FREE char *path = NULL;
    char shown[SCREEN_NAME_BYTES];
    uint32_t form = OPIML_EXPORT_ONNX;
    int rc;

    if ((rc = find_format(config, &form, err)) < 0 ||
        (rc = run_checkpoint(call->args[0], &path, err)) < 0 ||
        (rc = opiml_model_open(path, 1, 1, &model, err)) < 0 ||
        (rc = opiml_model_export(model, form, config->out, err)) < 0)
        return rc;
    printf("%s\n", screen_name(shown, config->out));
    return 0;
}

const struct verb verb_export = {
    .name = "export",
    .args = "RUN",
    .help = "Write a trained model for other programs",
    .about = "RUN is a run's folder or a checkpoint file. An ONNX model (opset 21) has the input "
             "\"image\", of the size that the run was trained on, as its evaluation pipeline makes "
             "it, and the output \"logits\", for any number of images at once. Of a segmentation "
             "that is one window of a volume: laying windows over it and joining them is the "
             "caller's. A safetensors file has the weights alone, with the "
             "names and shapes that torchvision gives those of its models: resnet50's load with "
             "load_state_dict, but for num_batches_tracked.\n\n"
             "Where the run kept a moving average of its weights, that is written.",
    .examples =
        "opiml export runs/cifar10 --out cifar10.onnx\n"
        "For ONNX Runtime and others.\n"
        "opiml export runs/imagenet --out resnet50.safetensors\n"
        "For PyTorch: model.load_state_dict(safetensors.torch.load_file(FILE), strict=False).\n",
    .options = export_options,
    .config_bytes = sizeof(struct export_config),
    .args_least = 1,
    .args_most = 1,
    .run = export_run,
};
