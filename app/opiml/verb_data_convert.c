/* opiml data convert: a dataset's records as files of another format. */
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "dataset/convert.h"
#include "dataset/format.h"
#include "records.h"
#include "screen.h"
#include "verb.h"

struct convert_config {
    const char *format, *from_format, *fields, *set;
    int64_t shard_records, threads;
    uint64_t shard_bytes;
    double budget;
    bool overwrite, no_check, json;
};

#define AT(member) offsetof(struct convert_config, member)

static const struct option convert_options[] = {
    {"format", "FORMAT", NULL, "What to write; else the name of TO tells, as in rows.jsonl",
     AT(format), OPTION_TEXT},
    {"set", "KEY=VALUE,...", NULL, "Options of the written format, which are listed above", AT(set),
     OPTION_TEXT},
    {"fields", "NEW=OLD,...", NULL,
     "Fields to take, in this order; NEW= gives another name; without it all of them", AT(fields),
     OPTION_TEXT},
    {"from-format", "FORMAT", NULL, "The format of FROM, when it cannot be found by looking",
     AT(from_format), OPTION_TEXT},
    {"shard-records", "N", "0", "Most records of a shard; 0: as many as --shard-bytes takes",
     AT(shard_records), OPTION_INT, NULL, 0, 9e18},
    {"shard-bytes", "BYTES", "0",
     "Most bytes of a shard, as they are in FROM; 0: a 32nd of all, from 4MiB to 128MiB, unless "
     "--shard-records is given",
     AT(shard_bytes), OPTION_BYTES},
    {"budget", "N", "0",
     "Bad records that may be left out: a share of all below 1, else a count, as errors.budget of "
     "a "
     "pipeline has it",
     AT(budget), OPTION_NUM, NULL, 0, 1e12},
    {"overwrite", NULL, NULL, "Start over where an earlier conversion lies, or replace the file",
     AT(overwrite), OPTION_FLAG},
    {"no-check", NULL, NULL, "Do not read back what was written", AT(no_check), OPTION_FLAG},
    {"threads", "N", "0", "Shards written at a time; 0: one per usable core", AT(threads),
     OPTION_INT, NULL, 0, CONVERT_THREADS_MAX},
    OPTION_JSON(struct convert_config),
    {0},
};

/* ---- what to write ---- */

static int fail_unknown(const char *name, struct opiml_error *err) {
    AUTO_TEXT struct text names = {0};

    for (const struct writer *const *kind = writer_kinds(); *kind; kind++)
        text_printf(&names, "%s%s", names.count ? ", " : "", (*kind)->name);
    if (!name)
        return opiml_fail(
            err, OPIML_EINVAL,
            "the name of the destination tells no format; say which with --format: %s",
            names.at ? names.at : "");
    return opiml_fail(err, OPIML_EINVAL, "\"%s\" is no format that is written; there are %s", name,
                      names.at ? names.at : "");
}

/* Else a folder would be made of a name that everybody takes for a file of another kind. */
static int check_name(const char *to, const struct writer *writer, struct opiml_error *err) {
    for (const struct format *const *kind = format_kinds(); *kind; kind++)
        if ((*kind)->takes(to))
            return opiml_fail(err, OPIML_EINVAL,
                              "%s: the name is of format %s, and --format says %s; name it "
                              "otherwise, or end it in / for a folder",
                              to, (*kind)->name, writer->name);
    return 0;
}

/* By --format, else by the name, which is then a file's. */
static int choose_writer(const struct convert_config *config, const char *to,
                         const struct writer **ret_writer, bool *ret_single,
                         struct opiml_error *err) {
    const struct format *format = NULL;

    if (config->format) {
        format = format_find(config->format);
        *ret_writer = writer_find(config->format);
        *ret_single = format && format->takes(to);
        if (!*ret_writer || !format)
            return fail_unknown(config->format, err);
        return *ret_single ? 0 : check_name(to, *ret_writer, err);
    }
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        if (!(*kind)->found_by_looking || !(*kind)->takes(to) ||
            !(*ret_writer = writer_find((*kind)->name)))
            continue;
        *ret_single = true;
        return 0;
    }
    return fail_unknown(NULL, err);
}

static int check_shards(const struct convert_config *config, const char *to,
                        struct opiml_error *err) {
    if (config->shard_records == 0 && config->shard_bytes == 0)
        return 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: --shard-%s cuts a folder into shards, and this is one file; leave it "
                      "out, or name a folder",
                      to, config->shard_records ? "records" : "bytes");
}

/* The writer's options: their defaults, then those of --set. The caller frees. */
static int read_set(const struct writer *writer, const char *set, void **ret_params,
                    struct opiml_error *err) {
    AUTO_FREE char *words = base_strdup(set ? set : "");
    AUTO_FREE void *params = base_alloc(writer->params_bytes);
    struct opiml_error why;
    char *rest = words;
    int rc = 0;

    if (!words || !params)
        return base_fail_memory(err, writer->params_bytes, "options");
    if (writer->params)
        conf_defaults(writer->params, params);
    while (set && rest && rc == 0) {
        char *key = strsep(&rest, ","), *value = strchr(key, '=');

        if (!value)
            return opiml_fail(err, OPIML_EINVAL, "--set: \"%s\" is not KEY=VALUE", key);
        *value++ = 0;
        rc = writer->params ? conf_set(writer->params, params, key, value, &why) : OPIML_ENOENT;
        if (rc == OPIML_ENOENT)
            return opiml_fail(err, OPIML_EINVAL, "--set: format %s has no option \"%s\"",
                              writer->name, key);
        if (rc < 0)
            return opiml_fail(err, rc, "--set: %s", why.message);
    }
    *ret_params = TAKE(params);
    return 0;
}

/* ---- showing ---- */

static bool show_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct progress *progress = context;

    if (progress_due(progress)) {
        double passed = (double)(clock_now_ns() - progress->start_ns) / 1e9;
        char rate[32], left[32];

        screen_duration(left, sizeof(left), passed * (double)(total - done) / (double)done);
        progress_draw(progress, "%" PRIu64 " of %" PRIu64 " records %s  %s/s  ends in %s", done,
                      total, what, text_format_rate(rate, sizeof(rate), (double)done / passed),
                      left);
    }
    return !signals_seen();
}

static void digest_text(char to[40], struct hash128 digest) {
    snprintf(to, 40, "%016" PRIx64 "%016" PRIx64, digest.high, digest.low);
}

static int show_json(const struct call *call, const struct writer *writer,
                     const struct convert_report *report, double seconds, struct opiml_error *err) {
    AUTO_JS struct js *root = js_object();
    AUTO_FREE char *text = NULL;
    char digest[40];

    digest_text(digest, report->digest);
    js_set(root, "from", js_text(call->args[0]));
    js_set(root, "to", js_text(call->args[1]));
    js_set(root, "format", js_text(writer->name));
    js_set(root, "records", js_u64(report->records));
    js_set(root, "skipped", js_u64(report->skipped));
    js_set(root, "shards", js_u64(report->shards));
    js_set(root, "resumed", js_u64(report->resumed));
    js_set(root, "checked", js_bool(report->checked));
    js_set(root, "digest", js_text(digest));
    js_set(root, "dataset", js_text(report->dataset.at));
    js_set(root, "notes", report->notes.count ? js_text(report->notes.at) : js_null());
    js_set(root, "elapsed_s", js_num(seconds));
    js_set(root, "records_per_s", js_num(seconds > 0 ? (double)report->records / seconds : 0));
    text = js_dump(root, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

static void show_notes(const struct text *notes) {
    size_t at = 0;

    while (at < notes->count) {
        size_t bytes = strcspn(notes->at + at, "\n");

        printf("  note: %.*s\n", (int)bytes, notes->at + at);
        at += bytes + 1;
    }
}

static void show_text(const struct call *call, const struct writer *writer,
                      const struct convert_report *report, bool single, double seconds) {
    char records[32], shards[32], name[SCREEN_NAME_BYTES];

    printf("%s: %s record%s as %s in %s shard%s, in %.1f s%s\n", screen_name(name, call->args[1]),
           text_format_count(records, sizeof(records), report->records), text_s(report->records),
           writer->name, text_format_count(shards, sizeof(shards), report->shards),
           text_s(report->shards), seconds, report->checked ? "; read back and compared" : "");
    if (report->resumed)
        printf("  %" PRIu64 " shard%s there already\n", report->resumed,
               report->resumed == 1 ? " was" : "s were");
    if (report->skipped)
        printf("  %" PRIu64 " bad %s left out, such as %s\n", report->skipped,
               report->skipped == 1 ? "record was" : "records were",
               report->first_bad.code ? report->first_bad.message : "one of an earlier call");
    show_notes(&report->notes);
    if (single)
        printf("  in a pipeline file beside it: dataset: %s\n", report->dataset.at);
    else
        printf("  %s/" CONVERT_DATASET " says how to read it\n", screen_name(name, call->args[1]));
}

static int convert_run_verb(struct call *call, struct opiml_error *err) {
    const struct convert_config *config = call->config;
    CLEANUP(records_close_at) struct dataset *from = NULL;
    CLEANUP(convert_report_release) struct convert_report report = {0};
    AUTO_FREE void *params = NULL;
    struct progress progress;
    struct convert_ask ask = {.to = call->args[1],
                              .fields = config->fields,
                              .shard_records = (uint64_t)config->shard_records,
                              .shard_bytes = config->shard_bytes,
                              .budget = config->budget,
                              .threads = (uint32_t)config->threads,
                              .overwrite = config->overwrite,
                              .no_check = config->no_check,
                              .progress = show_progress,
                              .context = &progress};
    /* All files are looked at: what is written outlives what it comes from. */
    const struct dataset_ask how = {
        .format = config->from_format, .index = "full", .option = "--from-format"};
    uint64_t start = clock_now_ns();
    double seconds;
    int rc = choose_writer(config, ask.to, &ask.writer, &ask.single, err);

    if (rc == 0 && ask.single)
        rc = check_shards(config, ask.to, err);
    if (rc < 0 || (rc = read_set(ask.writer, config->set, &params, err)) < 0 ||
        (rc = records_open(call->args[0], &how, &from, err)) < 0)
        return rc;
    ask.params = params;
    ask.from = from;
    signals_catch(NULL, NULL);
    progress_begin(&progress);
    rc = convert_run(&ask, &report, err);
    progress_end(&progress);
    if (rc == OPIML_ECANCELED && signals_seen())
        rc = signals_fail(err);
    signals_release();
    if (rc < 0)
        return rc;
    seconds = (double)(clock_now_ns() - start) / 1e9;
    if (config->json)
        return show_json(call, ask.writer, &report, seconds, err);
    show_text(call, ask.writer, &report, ask.single, seconds);
    return 0;
}

const struct verb verb_data_convert = {
    .name = "data convert",
    .args = "FROM TO",
    .help = "Write a dataset's records in another format",
    .about =
        "FROM is a folder, a file, a URI, or a pipeline file (*.yaml), whose dataset is taken: the "
        "way to name a format that needs parameters. TO is a folder, which is made, or one file "
        "where its name tells the format, as rows.csv and set.npz do. A name that tells another "
        "format than --format is refused, unless it ends in / and is a folder's; so are "
        "--shard-records and --shard-bytes for one file.\n\n"
        "A record is its named, typed fields, in whatever format; what is written reads back as "
        "the same records, and unless --no-check says otherwise all of it is read back and "
        "compared. Images in JPEG or PNG stay as they are. A folder also gets dataset.yaml, the "
        "beginning of a pipeline file, which says how to read it: opiml data ls "
        "TO/dataset.yaml.\n\n"
        "A folder is filled shard by shard, several at a time. Where one shard ends is fixed "
        "before the first is written, so that the number of threads changes no byte. A conversion "
        "that was stopped, even by a power cut, goes on when the same call is made again, also "
        "with a larger --budget: the hidden journal (TO/.opiml-convert) tells what is there. It "
        "refuses a folder that holds other things, and one where FROM or the options are not the "
        "same any more. With --overwrite it empties what an earlier conversion has filled, as long "
        "as "
        "nothing else lies there.\n\n"
        "One file is made in a hidden folder beside it (.NAME.converting) and gets its name when "
        "it was compared: a call that is stopped leaves no such file, and the same call begins "
        "anew.\n\n"
        "A bad record of FROM ends it, unless --budget allows for some; those are left out. So "
        "does one that the written format cannot hold, such as an image that is neither JPEG nor "
        "PNG in webdataset.\n\n"
        "Where the format has no place for the names of classes (all but image-folder), labels "
        "stay numbers, and LABEL.labels.txt in the folder has the names, one a line from 0, as "
        "TensorFlow Datasets has them. Numbers of types that a tf.train.Example does not have "
        "(f64, f16, bf16) go into tfrecord as their bytes, so that none changes; the report says "
        "so. As float lists go f32: for columns of csv, types: [\"NAME:f32\"] in a pipeline file "
        "for FROM.\n\n"
        "Formats, and their options for --set:\n\n"
        "    csv            cells are numbers and texts (UTF-8); delimiter=comma|tab|semicolon "
        "(.tsv: tab)\n"
        "    hdf5           a dataset a field; deflate=0..3, shuffle=true|false\n"
        "    image-folder   image (JPEG or PNG) and label; a folder a class\n"
        "    jsonl          numbers, arrays and texts; other bytes as lists of numbers\n"
        "    nifti          a volume a field and record, [z, y, x]; gzip=0..3, affine=FIELD\n"
        "    npy            a file a field; records=auto|row|file\n"
        "    npz            an archive of fields; records=auto|row|file, deflate=0..3\n"
        "    raw            fields of fixed size without gaps\n"
        "    safetensors    a tensor a field, a row a record\n"
        "    tfrecord       tf.train.Example messages; index=true writes offsets beside\n"
        "    tokens         the one field tokens, of u16 or i32\n"
        "    webdataset     image (JPEG or PNG), label, other bytes by their name",
    .examples = "opiml data convert data/shapes/train data/shards --format webdataset\n"
                "A folder of images as tar archives.\n"
                "opiml data convert train.yaml rows.csv --fields label,x0=width\n"
                "Two fields of a pipeline file's dataset as a table.\n"
                "opiml data convert volumes.yaml cases --format npz --set deflate=1 --threads 8\n"
                "Volumes as compressed NumPy archives.\n",
    .options = convert_options,
    .config_bytes = sizeof(struct convert_config),
    .args_least = 2,
    .args_most = 2,
    .run = convert_run_verb,
};
