/* opiml node status: what one node is, and does. */
#include <time.h>

#include "base/text.h"
#include "node_probe.h"
#include "node_view.h"
#include "screen.h"
#include "verb.h"

struct status_config {
    const char *node, *metrics;
    double interval;
    uint32_t probe; /* an enum probe */
    struct tls_files tls;
    bool json;
};

enum probe { PROBE_NO, PROBE_ALIVE, PROBE_READY };

static const struct option status_options[] = {
    {"node", "HOST:PORT", NODE_LISTEN, "The node", offsetof(struct status_config, node),
     OPTION_TEXT},
    {"interval", "SECONDS", "0.5", "Over how long rates are measured",
     offsetof(struct status_config, interval), OPTION_NUM, NULL, 0.01, 3600},
    {"probe", "WHAT", "no",
     "Ask the metrics port of this machine's node, without a certificate, and say nothing where "
     "all "
     "is well: whether it is alive, or ready for pipelines",
     offsetof(struct status_config, probe), OPTION_CHOICE, "no|alive|ready"},
    {"metrics", "HOST:PORT", NODE_METRICS, "Where that is, for --probe",
     offsetof(struct status_config, metrics), OPTION_TEXT},
    OPTIONS_TLS(struct status_config),
    OPTION_JSON(struct status_config),
    {0},
};

struct rates {
    double rows, bytes; /* per second */
};

/* Since an earlier look; what was not there then has no rate yet. */
static struct rates find_rates(const struct admin_view *before, const struct admin_view *now,
                               const struct admin_pipeline *pipeline) {
    double seconds = (double)(now->at_ns - before->at_ns) / 1e9;

    for (uint32_t i = 0; i < before->pipelines; i++) {
        const struct admin_pipeline *then = &before->pipeline[i];

        if (strcmp(then->name, pipeline->name) == 0 && then->generation == pipeline->generation &&
            pipeline->rows >= then->rows && pipeline->bytes >= then->bytes)
            return (struct rates){(double)(pipeline->rows - then->rows) / seconds,
                                  (double)(pipeline->bytes - then->bytes) / seconds};
    }
    return (struct rates){0};
}

/* Processors that a job has had since an earlier look; of one that was not there then, none. */
static double find_processors(const struct admin_view *before, const struct admin_view *now,
                              const struct admin_job *job) {
    for (uint32_t j = 0; j < before->jobs; j++)
        if (strcmp(before->job[j].name, job->name) == 0 && job->cpu_ns >= before->job[j].cpu_ns)
            return (double)(job->cpu_ns - before->job[j].cpu_ns) /
                   (double)(now->at_ns - before->at_ns);
    return 0;
}

static const char *pipeline_state(uint32_t state) {
    static const char *const names[] = {"unknown", "waiting", "running", "ended"};

    return names[state < COUNT_OF(names) ? state : 0];
}

/* ---- text ---- */

static void show_pipeline(const struct admin_view *before, const struct admin_view *now,
                          const struct admin_pipeline *pipeline) {
    struct rates rates = find_rates(before, now, pipeline);
    char name[SCREEN_NAME_BYTES], file[SCREEN_NAME_BYTES], rate[32];

    printf("  %-40s %-8s %10s rows/s %9.1f MB/s %10" PRIu64 " batches  %s\n",
           screen_name(name, pipeline->name), pipeline_state(pipeline->state),
           text_format_rate(rate, sizeof(rate), rates.rows), rates.bytes / 1e6, pipeline->batches,
           screen_name(file, pipeline->file));
}

static void show_jobs(const struct admin_view *before, const struct admin_view *now) {
    char name[SCREEN_NAME_BYTES], memory[32], all[32];

    printf("jobs: %u; %s of %s memory, %u threads\n", now->jobs,
           text_format_bytes(memory, sizeof(memory), now->budget.taken_bytes),
           text_format_bytes(all, sizeof(all), now->budget.memory_bytes), now->budget.threads);
    for (uint32_t j = 0; j < now->jobs; j++) {
        const struct admin_job *job = &now->job[j];

        printf("  %-40s weight %-4u %2u pipeline%-1s %10s  %5.2f processors\n",
               screen_name(name, job->name), job->weight, job->pipelines, text_s(job->pipelines),
               text_format_bytes(memory, sizeof(memory), job->memory_bytes),
               find_processors(before, now, job));
    }
}

static void show(const char *at, const struct admin_view *before, const struct admin_view *now) {
    const struct node_status *status = &now->status;
    char a[SCREEN_NAME_BYTES], b[SCREEN_NAME_BYTES], time[32], memory[32], all[32], free[32];

    printf("%s: opiml %s, %s, up %s, process %d with %s\n", at, screen_name(a, now->version),
           node_view_state(status->state),
           screen_duration(time, sizeof(time), (double)status->uptime_ns / 1e9), now->pid,
           text_format_bytes(memory, sizeof(memory), status->resident_bytes));
    printf("machine: %s; %u cores, %u threads; %s of %s memory available\n",
           now->machine[0] ? screen_name(b, now->machine) : "(not told)", now->cores, now->threads,
           text_format_bytes(free, sizeof(free), now->memory_free_bytes),
           text_format_bytes(all, sizeof(all), now->memory_bytes));
    printf("pipelines: %u now, %" PRIu64 " so far, %" PRIu64 " of them left by their consumers\n",
           status->pipelines, status->pipelines_created, status->pipelines_expired);
    for (uint32_t i = 0; i < now->pipelines; i++)
        show_pipeline(before, now, &now->pipeline[i]);
    show_jobs(before, now);
    printf("data sets: %u\n", status->datasets);
    for (uint32_t i = 0; i < now->datasets; i++) {
        const struct admin_dataset *dataset = &now->dataset[i];

        if (!dataset->open)
            printf("  %-40s not open: %s\n", screen_name(a, dataset->name),
                   dataset->failure[0] ? screen_name(b, dataset->failure) : "it is being opened");
        else
            printf("  %-40s %-12s %12s records  %s\n", screen_name(a, dataset->name),
                   dataset->format, text_format_count(time, sizeof(time), dataset->records),
                   screen_name(b, dataset->uri));
    }
}

/* ---- JSON ---- */

static struct js *pipelines_json(const struct admin_view *before, const struct admin_view *now) {
    struct js *list = js_array();

    for (uint32_t i = 0; i < now->pipelines; i++) {
        const struct admin_pipeline *pipeline = &now->pipeline[i];
        struct rates rates = find_rates(before, now, pipeline);
        struct js *one = js_object();

        js_set(one, "name", js_text(pipeline->name));
        js_set(one, "file", js_text(pipeline->file));
        js_set(one, "state", js_text(pipeline_state(pipeline->state)));
        js_set(one, "operators", js_u64(pipeline->operators));
        js_set(one, "generation", js_u64(pipeline->generation));
        js_set(one, "batches", js_u64(pipeline->batches));
        js_set(one, "rows", js_u64(pipeline->rows));
        js_set(one, "bytes", js_u64(pipeline->bytes));
        js_set(one, "rows_per_second", js_num(rates.rows));
        js_set(one, "bytes_per_second", js_num(rates.bytes));
        js_add(list, one);
    }
    return list;
}

static struct js *jobs_json(const struct admin_view *before, const struct admin_view *now) {
    struct js *list = js_array();

    for (uint32_t j = 0; j < now->jobs; j++) {
        const struct admin_job *job = &now->job[j];
        struct js *one = js_object();

        js_set(one, "name", js_text(job->name));
        js_set(one, "weight", js_u64(job->weight));
        js_set(one, "pipelines", js_u64(job->pipelines));
        js_set(one, "memory_bytes", js_u64(job->memory_bytes));
        js_set(one, "cpu_seconds", js_num((double)job->cpu_ns / 1e9));
        js_set(one, "wait_seconds", js_num((double)job->wait_ns / 1e9));
        js_set(one, "sent_bytes", js_u64(job->sent_bytes));
        js_set(one, "processors", js_num(find_processors(before, now, job)));
        js_add(list, one);
    }
    return list;
}

static struct js *budget_json(const struct jobs_budget *budget) {
    struct js *one = js_object();

    js_set(one, "threads", js_u64(budget->threads));
    js_set(one, "memory_bytes", js_u64(budget->memory_bytes));
    js_set(one, "memory_taken_bytes", js_u64(budget->taken_bytes));
    js_set(one, "job_memory_bytes", js_u64(budget->job_memory_bytes));
    return one;
}

static struct js *datasets_json(const struct admin_view *now) {
    struct js *list = js_array();

    for (uint32_t i = 0; i < now->datasets; i++) {
        const struct admin_dataset *dataset = &now->dataset[i];
        struct js *one = js_object();

        js_set(one, "name", js_text(dataset->name));
        js_set(one, "uri", js_text(dataset->uri));
        js_set(one, "format", js_text(dataset->format));
        js_set(one, "open", js_bool(dataset->open));
        js_set(one, "failure", js_text(dataset->failure));
        js_set(one, "records", js_u64(dataset->records));
        js_set(one, "index_hash", js_text(dataset->index_hash));
        js_set(one, "index_bytes", js_u64(dataset->index_bytes));
        js_add(list, one);
    }
    return list;
}

static void print_json(const char *at, const struct admin_view *before,
                       const struct admin_view *now) {
    AUTO_JS struct js *all = node_view_json(at, now);
    struct js *machine = js_object();
    AUTO_FREE char *text = NULL;

    js_set(machine, "name", js_text(now->machine));
    js_set(machine, "cores", js_u64(now->cores));
    js_set(machine, "threads", js_u64(now->threads));
    js_set(machine, "memory_bytes", js_u64(now->memory_bytes));
    js_set(machine, "memory_free_bytes", js_u64(now->memory_free_bytes));
    js_set(all, "machine", machine);
    js_set(all, "budget", budget_json(&now->budget));
    js_set(all, "job", jobs_json(before, now));
    js_set(all, "pipeline", pipelines_json(before, now));
    js_set(all, "dataset", datasets_json(now));
    text = js_dump(all, 2);
    puts(text ? text : "{}");
}

static int node_status_run(struct call *call, struct opiml_error *err) {
    const struct status_config *config = call->config;
    AUTO_FREE struct admin_view *before = base_alloc(sizeof(*before));
    AUTO_FREE struct admin_view *now = base_alloc(sizeof(*now));
    CLEANUP(node_view_close_tls) struct tls *tls = NULL;
    struct tls_files files = config->tls;
    int rc;

    if (config->probe)
        return node_probe(config->metrics, config->probe == PROBE_READY, err);
    if (!before || !now)
        return base_fail_memory(err, 2 * sizeof(*now), "a node's state");
    if ((rc = tls_options_open(&files, &tls, err)) < 0 ||
        (rc = admin_look(config->node, tls, true, before, err)) < 0)
        return rc;
    if (before->pipelines) {
        double whole = (double)(int64_t)config->interval;

        nanosleep(&(struct timespec){.tv_sec = (time_t)whole,
                                     .tv_nsec = (long)((config->interval - whole) * 1e9)},
                  NULL);
    }
    if ((rc = admin_look(config->node, tls, true, now, err)) < 0)
        return rc;
    if (config->json)
        print_json(config->node, before, now);
    else
        show(config->node, before, now);
    return 0;
}

const struct verb verb_node_status = {
    .name = "node status",
    .args = "",
    .help = "Show what a node is, and what it does now",
    .about = "Its version, state and memory; the machine that it is on; its pipelines, with what "
             "each makes in a second just now; the jobs that share it, with what they have of its "
             "processors and its memory; and its data sets.",
    .examples = "opiml node status --node dpu1:50251\n"
                "One node.\n"
                "opiml node status --json --interval 5\n"
                "The one on this machine, with rates over five seconds.\n"
                "opiml node status --probe ready\n"
                "For Kubernetes: the status is 0 while the node on this machine takes pipelines.\n",
    .options = status_options,
    .config_bytes = sizeof(struct status_config),
    .run = node_status_run,
};
