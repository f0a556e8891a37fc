/* opiml data lay: put a folder's files on a raw device, in a layout that block:// reads. */
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "dataset/block.h"
#include "verb.h"

struct lay_config {
    bool overwrite, check, json;
};

#define AT(member) offsetof(struct lay_config, member)

static const struct option lay_options[] = {
    {"overwrite", NULL, NULL, "Lay also where something is, which is lost", AT(overwrite),
     OPTION_FLAG},
    {"check", NULL, NULL, "Only read what is there, and compare all checksums", AT(check),
     OPTION_FLAG},
    OPTION_JSON(struct lay_config),
    {0},
};

static const char *device_path(const char *name) {
    return strncasecmp(name, "block://", 8) == 0 ? name + 8 : name;
}

static void source_close_at(struct source **source) {
    source_close(*source);
}

static int lay(const char *from, const char *device, const struct lay_config *config,
               struct block_report *ret_report, struct opiml_error *err) {
    CLEANUP(source_close_at) struct source *source = NULL;
    int rc = source_open(from, NULL, &source, err);

    if (rc == 0 && source->ops->format)
        return opiml_fail(err, OPIML_EINVAL, "%s: rows are no files: convert them first",
                          source->uri);
    if (rc == 0)
        rc = block_lay(source, device, config->overwrite, ret_report, err);
    return rc;
}

static int show_json(const char *device, const struct block_report *report, double seconds,
                     struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    AUTO_FREE char *text = NULL;

    js_set(root, "device", js_text(device));
    js_set(root, "objects", js_u64(report->objects));
    js_set(root, "bytes", js_u64(report->bytes));
    js_set(root, "elapsed_s", js_num(seconds));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static int lay_run(struct call *call, struct opiml_error *err) {
    const struct lay_config *config = call->config;
    const char *device = device_path(call->args[call->count - 1]);
    struct block_report report = {0};
    uint64_t start = clock_now_ns();
    char bytes[32], count[32];
    double seconds;
    int rc = 0;

    if (call->count != (config->check ? 1 : 2))
        return opiml_fail(err, OPIML_EINVAL,
                          config->check ? "--check takes the device alone"
                                        : "give what to lay, and the device");
    if (!config->check)
        rc = lay(call->args[0], device, config, &report, err);
    if (rc == 0)
        rc = block_verify(device, &report, err);
    if (rc < 0)
        return rc;
    seconds = (double)(clock_now_ns() - start) / 1e9;
    if (config->json)
        return show_json(device, &report, seconds, err);
    printf("block://%s: %s object%s in %s, %s in %.1f s\n", device,
           text_format_count(count, sizeof(count), report.objects), text_s(report.objects),
           text_format_bytes(bytes, sizeof(bytes), report.bytes),
           config->check ? "checked" : "laid and checked", seconds);
    return 0;
}

const struct verb verb_data_lay = {
    .name = "data lay",
    .args = "SOURCE DEVICE",
    .help = "Lay files on a raw device, for block://",
    .about =
        "Volumes that a host is given as block devices (NVMe namespaces, virtio-blk) need no file "
        "system to be read: this puts the files of a folder on one, each at a multiple of 4096 "
        "bytes, with a table of their names, places and checksums, and "
        "\"block:///dev/nvme0n1\" is the uri of a dataset whose files lie there. Shards are best: "
        "`opiml data convert` makes them.\n\n"
        "A device that holds anything in its first 64 KiB is refused, unless that is to be "
        "overwritten; one that is mounted is refused always. The table is written last, so that a "
        "device whose "
        "laying was "
        "interrupted holds nothing. All is read back and compared. Nobody notices when a device is "
        "laid anew while it is read: stop its readers first.\n\n"
        "A file of the right size may stand for a device.",
    .examples = "opiml data lay data/shards block:///dev/nvme1n1\n"
                "A folder's files on a device.\n"
                "opiml data lay --check block:///dev/nvme1n1\n"
                "Whether they are still what they were.\n",
    .options = lay_options,
    .config_bytes = sizeof(struct lay_config),
    .args_least = 1,
    .args_most = 2,
    .run = lay_run,
};
