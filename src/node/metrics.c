/* A node's counters, as Prometheus reads them. */
#include "node/metrics.h"

static void begin(struct text *to, const char *name, const char *type, const char *help) {
    text_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A family of one series without labels. */
static void one(struct text *to, const char *name, const char *type, const char *help,
                double value) {
    begin(to, name, type, help);
    text_printf(to, "%s ", name);
    text_add_double(to, value);
    text_add(to, "\n");
}

static void whole(struct text *to, const char *name, const char *type, const char *help,
                  uint64_t value) {
    begin(to, name, type, help);
    text_printf(to, "%s %" PRIu64 "\n", name, value);
}

/* A label's value, in quotes. */
static void quote(struct text *to, const char *value) {
    text_add(to, "\"");
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            text_add(to, "\\");
        text_add_bytes(to, *value == '\n' ? " " : value, 1);
    }
    text_add(to, "\"");
}

/* ---- the process and the node ---- */

static void write_process(const struct metrics *self, struct text *to) {
    one(to, "process_cpu_seconds_total", "counter", "Processor time of the node's process.",
        (double)self->cpu_ns / 1e9);
    whole(to, "process_resident_memory_bytes", "gauge", "Memory of the node's process.",
          self->node.resident_bytes);
    one(to, "process_start_time_seconds", "gauge", "When it began, since 1970.",
        (double)self->started_ns / 1e9);
    begin(to, "opiml_build_info", "gauge", "Which version this is.");
    text_printf(to, "opiml_build_info{version=\"%s\"} 1\n", OPIML_VERSION);
}

static void write_node(const struct metrics *self, struct text *to) {
    whole(to, "opiml_node_serving", "gauge", "Whether it takes pipelines.",
          self->node.state == NODE_SERVING);
    whole(to, "opiml_node_pipelines", "gauge", "Pipelines that are there.", self->node.pipelines);
    whole(to, "opiml_node_datasets", "gauge", "Data sets that are there.", self->node.datasets);
    whole(to, "opiml_node_pipelines_created_total", "counter", "Pipelines that were created.",
          self->node.pipelines_created);
    whole(to, "opiml_node_pipelines_expired_total", "counter",
          "Pipelines whose lease nobody renewed.", self->node.pipelines_expired);
}

static void write_rpc(const struct metrics *self, struct text *to) {
    whole(to, "opiml_rpc_connections", "gauge", "Connections to the control port.",
          self->rpc.connections);
    whole(to, "opiml_rpc_calls_under_way", "gauge", "Calls that are not answered yet.",
          self->rpc.calls);
    begin(to, "opiml_rpc_calls_total", "counter", "Calls that were answered, by gRPC status.");
    for (size_t status = 0; status < COUNT_OF(self->rpc.by_status); status++)
        if (status == 0 || self->rpc.by_status[status])
            text_printf(to, "opiml_rpc_calls_total{status=\"%zu\"} %" PRIu64 "\n", status,
                        self->rpc.by_status[status]);
    whole(to, "opiml_rpc_calls_left_total", "counter", "Calls whose client went before the answer.",
          self->rpc.left);
}

/* ---- jobs ---- */

static void of_jobs(const struct metrics *self, const char *name, const char *type,
                    const char *help, uint64_t (*get)(const struct jobs_view *job), double scale,
                    struct text *to) {
    begin(to, name, type, help);
    for (uint32_t j = 0; j < self->jobs; j++) {
        text_printf(to, "%s{job=", name);
        quote(to, self->job[j].name);
        text_add(to, "} ");
        text_add_double(to, (double)get(&self->job[j]) * scale);
        text_add(to, "\n");
    }
}

static uint64_t get_pipelines(const struct jobs_view *job) {
    return job->pipelines;
}
static uint64_t get_memory(const struct jobs_view *job) {
    return job->memory_bytes;
}
static uint64_t get_weight(const struct jobs_view *job) {
    return job->weight;
}
static uint64_t get_cpu(const struct jobs_view *job) {
    return job->turns.cpu_ns;
}
static uint64_t get_wait(const struct jobs_view *job) {
    return job->turns.wait_ns;
}
static uint64_t get_sent(const struct jobs_view *job) {
    return job->turns.bytes;
}

static void write_jobs(const struct metrics *self, struct text *to) {
    whole(to, "opiml_node_memory_budget_bytes", "gauge", "Memory that pipelines may have.",
          self->budget.memory_bytes);
    whole(to, "opiml_node_memory_taken_bytes", "gauge", "What they have of it.",
          self->budget.taken_bytes);
    whole(to, "opiml_node_threads", "gauge", "Threads that compute at once.", self->budget.threads);
    if (self->jobs == 0)
        return;
    of_jobs(self, "opiml_job_pipelines", "gauge", "Pipelines of a job.", get_pipelines, 1, to);
    of_jobs(self, "opiml_job_memory_bytes", "gauge", "Memory that they have.", get_memory, 1, to);
    of_jobs(self, "opiml_job_weight", "gauge", "What part of the processors is its.", get_weight, 1,
            to);
    of_jobs(self, "opiml_job_cpu_seconds_total", "counter", "Processor time that it has had.",
            get_cpu, 1e-9, to);
    of_jobs(self, "opiml_job_wait_seconds_total", "counter",
            "How long its threads have waited for a turn at the processors, summed.", get_wait,
            1e-9, to);
    of_jobs(self, "opiml_job_sent_bytes_total", "counter", "Bytes that were sent for it.", get_sent,
            1, to);
}

/* ---- pipelines ---- */

static void of_pipelines(const struct metrics *self, const char *name, const char *type,
                         const char *help, size_t offset, struct text *to) {
    begin(to, name, type, help);
    for (uint32_t p = 0; p < self->pipelines; p++) {
        const void *at = (const char *)&self->pipeline[p].stats + offset;

        text_printf(to, "%s{pipeline=", name);
        quote(to, self->pipeline[p].id);
        text_printf(to, "} %" PRIu64 "\n", *(const uint64_t *)at);
    }
}

/* One series for each station of each pipeline; `place` tells apart those of one name. */
static void of_stations(const struct metrics *self, const char *name, const char *help,
                        size_t offset, bool seconds, struct text *to) {
    begin(to, name, "counter", help);
    for (uint32_t p = 0; p < self->pipelines; p++) {
        const struct opiml_feed_stats *stats = &self->pipeline[p].stats;

        for (uint32_t s = 0; s < stats->stations; s++) {
            const void *at = (const char *)&stats->station[s] + offset;
            uint64_t value = *(const uint64_t *)at;

            text_printf(to, "%s{pipeline=", name);
            quote(to, self->pipeline[p].id);
            text_printf(to, ",place=\"%u\",station=", s);
            quote(to, stats->station[s].name);
            text_add(to, "} ");
            if (seconds)
                text_add_double(to, (double)value / 1e9);
            else
                text_printf(to, "%" PRIu64, value);
            text_add(to, "\n");
        }
    }
}

static void write_pipelines(const struct metrics *self, struct text *to) {
    of_pipelines(self, "opiml_pipeline_read_bytes_total", "counter", "Bytes read of its data.",
                 offsetof(struct opiml_feed_stats, bytes_read), to);
    of_pipelines(self, "opiml_pipeline_pool_bytes", "gauge", "Memory that it has for batches.",
                 offsetof(struct opiml_feed_stats, pool_bytes), to);
    of_stations(self, "opiml_station_rows_total",
                "Rows that have gone by a station; batches by the one that sends them.",
                offsetof(struct opiml_station_stats, rows), false, to);
    of_stations(self, "opiml_station_bytes_total", "Their bytes.",
                offsetof(struct opiml_station_stats, bytes), false, to);
    of_stations(self, "opiml_station_busy_seconds_total", "Work, summed over threads.",
                offsetof(struct opiml_station_stats, busy_ns), true, to);
    of_stations(self, "opiml_station_wait_seconds_total", "Waiting, summed over threads.",
                offsetof(struct opiml_station_stats, wait_ns), true, to);
}

void metrics_write(const struct metrics *metrics, struct text *to) {
    write_process(metrics, to);
    write_node(metrics, to);
    write_rpc(metrics, to);
    write_jobs(metrics, to);
    if (metrics->pipelines)
        write_pipelines(metrics, to);
}
