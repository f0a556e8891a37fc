/* The client of those who run nodes. */
#include "node/admin.h"

#include "base/clock.h"
#include "base/text.h"
#include "google/protobuf/duration.pb-c.h"
#include "opi_api/inventory/v1/inventory.pb-c.h"
#include "opiml/v1alpha1/dataset.pb-c.h"
#include "opiml/v1alpha1/node.pb-c.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "rpc/client.h"

#define PACKAGE "/opiml.v1alpha1."

static void take_jobs(const Opiml__V1alpha1__Node *from, struct admin_view *to) {
    to->budget = (struct jobs_budget){.threads = from->compute_threads,
                                      .memory_bytes = from->memory_budget_bytes,
                                      .job_memory_bytes = from->job_memory_bytes,
                                      .taken_bytes = from->memory_taken_bytes};
    for (size_t j = 0; j < from->n_jobs && j < JOBS_MAX; j++) {
        const Opiml__V1alpha1__Job *job = from->jobs[j];
        struct admin_job *one = &to->job[to->jobs++];

        *one = (struct admin_job){.weight = job->weight,
                                  .pipelines = job->pipelines,
                                  .memory_bytes = job->memory_bytes,
                                  .cpu_ns = job->cpu_ns,
                                  .wait_ns = job->wait_ns,
                                  .sent_bytes = job->sent_bytes};
        text_copy(one->name, sizeof(one->name), job->name);
    }
}

static void take_node(Opiml__V1alpha1__Node *from, struct admin_view *to) {
    to->status = (struct node_status){.state = (enum node_state)from->state,
                                      .resident_bytes = from->resident_bytes,
                                      .pipelines = from->pipelines,
                                      .datasets = from->datasets,
                                      .pipelines_created = from->pipelines_created,
                                      .pipelines_expired = from->pipelines_expired,
                                      .data_port = (uint16_t)from->data_port};
    if (from->uptime && from->uptime->seconds >= 0)
        to->status.uptime_ns =
            (uint64_t)from->uptime->seconds * 1000000000u + (uint32_t)from->uptime->nanos;
    text_copy(to->version, sizeof(to->version), from->version);
    to->pid = from->pid;
    take_jobs(from, to);
    opiml__v1alpha1__node__free_unpacked(from, NULL);
}

static int look_node(struct rpc_client *client, struct admin_view *view, struct opiml_error *err) {
    Opiml__V1alpha1__GetNodeRequest request = OPIML__V1ALPHA1__GET_NODE_REQUEST__INIT;
    Opiml__V1alpha1__Node *reply;
    int rc = rpc_client_call(client, PACKAGE "NodeService/GetNode", &request.base,
                             &opiml__v1alpha1__node__descriptor, &reply, err);

    if (rc == 0)
        take_node(reply, view);
    return rc;
}

static int look_inventory(struct rpc_client *client, struct admin_view *view,
                          struct opiml_error *err) {
    OpiApi__Inventory__V1__GetInventoryRequest request =
        OPI_API__INVENTORY__V1__GET_INVENTORY_REQUEST__INIT;
    OpiApi__Inventory__V1__Inventory *reply;
    int rc =
        rpc_client_call(client, "/opi_api.inventory.v1.InventoryService/GetInventory",
                        &request.base, &opi_api__inventory__v1__inventory__descriptor, &reply, err);

    if (rc < 0)
        return rc;
    if (reply->system)
        snprintf(view->machine, sizeof(view->machine), "%.70s%s%.70s", reply->system->vendor,
                 reply->system->vendor[0] ? " " : "", reply->system->name);
    if (reply->processor) {
        view->cores = (uint32_t)reply->processor->total_cores;
        view->threads = (uint32_t)reply->processor->total_threads;
    }
    if (reply->memory) {
        view->memory_bytes = (uint64_t)reply->memory->total_physical_bytes;
        view->memory_free_bytes = (uint64_t)reply->memory->total_usable_bytes;
    }
    opi_api__inventory__v1__inventory__free_unpacked(reply, NULL);
    return 0;
}

/* A pipeline that has ended meanwhile has no counters, which is no failure. */
static int look_stats(struct rpc_client *client, struct admin_pipeline *to,
                      struct opiml_error *err) {
    Opiml__V1alpha1__StatsPipelineRequest request = OPIML__V1ALPHA1__STATS_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__StatsPipelineResponse *reply;
    int rc;

    request.name = to->name;
    rc = rpc_client_call(client, PACKAGE "PipelineService/StatsPipeline", &request.base,
                         &opiml__v1alpha1__stats_pipeline_response__descriptor, &reply, err);
    if (rc < 0)
        return rc == OPIML_ENOENT ? 0 : rc;
    for (size_t s = 0; reply->stats && s < reply->stats->n_stations; s++) {
        const Opiml__V1alpha1__StationStats *station = reply->stats->stations[s];

        if (strcmp(station->name, "parse") == 0)
            to->rows = station->rows;
        if (strcmp(station->name, "send") == 0) {
            to->batches = station->rows;
            to->bytes = station->bytes;
        }
    }
    opiml__v1alpha1__stats_pipeline_response__free_unpacked(reply, NULL);
    return 0;
}

static int take_pipelines(struct rpc_client *client,
                          const Opiml__V1alpha1__ListPipelinesResponse *from,
                          struct admin_view *view, struct opiml_error *err) {
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->n_pipelines && view->pipelines < ADMIN_LIST_MAX; i++) {
        struct admin_pipeline *to = &view->pipeline[view->pipelines++];
        const Opiml__V1alpha1__Pipeline *one = from->pipelines[i];

        text_copy(to->name, sizeof(to->name), one->name);
        text_copy(to->file, sizeof(to->file), one->file);
        to->state = (uint32_t)one->state;
        to->operators = one->operators;
        to->generation = one->generation;
        rc = look_stats(client, to, err);
    }
    return rc;
}

/* Page by page, as long as they bring something. */
static int look_pipelines(struct rpc_client *client, struct admin_view *view,
                          struct opiml_error *err) {
    Opiml__V1alpha1__ListPipelinesRequest request = OPIML__V1ALPHA1__LIST_PIPELINES_REQUEST__INIT;
    Opiml__V1alpha1__ListPipelinesResponse *reply;
    char token[ID_MAX + 1] = "";
    bool more = true;
    int rc = 0;

    request.page_size = ADMIN_LIST_MAX;
    while (rc == 0 && more && view->pipelines < ADMIN_LIST_MAX) {
        request.page_token = token;
        rc = rpc_client_call(client, PACKAGE "PipelineService/ListPipelines", &request.base,
                             &opiml__v1alpha1__list_pipelines_response__descriptor, &reply, err);
        if (rc == OPIML_ENOENT && token[0]) /* the page's last one is gone */
            return 0;
        if (rc < 0)
            return rc;
        rc = take_pipelines(client, reply, view, err);
        text_copy(token, sizeof(token), reply->next_page_token);
        more = token[0] && reply->n_pipelines > 0;
        opiml__v1alpha1__list_pipelines_response__free_unpacked(reply, NULL);
    }
    return rc;
}

static void take_datasets(const Opiml__V1alpha1__ListDatasetsResponse *from,
                          struct admin_view *view) {
    for (size_t i = 0; i < from->n_datasets && view->datasets < ADMIN_LIST_MAX; i++) {
        struct admin_dataset *to = &view->dataset[view->datasets++];
        const Opiml__V1alpha1__Dataset *one = from->datasets[i];

        text_copy(to->name, sizeof(to->name), one->name);
        text_copy(to->uri, sizeof(to->uri), one->uri);
        text_copy(to->format, sizeof(to->format), one->format);
        text_copy(to->index_hash, sizeof(to->index_hash), one->index_hash);
        text_copy(to->failure, sizeof(to->failure), one->failure);
        to->open = one->state == OPIML__V1ALPHA1__DATASET__STATE__STATE_OPEN;
        to->records = one->records;
        to->index_bytes = one->index_bytes;
    }
}

static int look_datasets(struct rpc_client *client, struct admin_view *view,
                         struct opiml_error *err) {
    Opiml__V1alpha1__ListDatasetsRequest request = OPIML__V1ALPHA1__LIST_DATASETS_REQUEST__INIT;
    Opiml__V1alpha1__ListDatasetsResponse *reply;
    char token[ID_MAX + 1] = "";
    bool more = true;
    int rc;

    request.page_size = ADMIN_LIST_MAX;
    while (more && view->datasets < ADMIN_LIST_MAX) {
        request.page_token = token;
        rc = rpc_client_call(client, PACKAGE "DatasetService/ListDatasets", &request.base,
                             &opiml__v1alpha1__list_datasets_response__descriptor, &reply, err);
        if (rc == OPIML_ENOENT && token[0])
            return 0;
        if (rc < 0)
            return rc;
        take_datasets(reply, view);
        text_copy(token, sizeof(token), reply->next_page_token);
        more = token[0] && reply->n_datasets > 0;
        opiml__v1alpha1__list_datasets_response__free_unpacked(reply, NULL);
    }
    return 0;
}

int admin_look(const char *at, struct tls *tls, bool lists, struct admin_view *ret_view,
               struct opiml_error *err) {
    struct rpc_client *client;
    int rc = rpc_client_open(at, tls, ADMIN_TIMEOUT_MS, &client, err);

    if (rc < 0)
        return rc;
    memset(ret_view, 0, sizeof(*ret_view));
    ret_view->at_ns = clock_now_ns();
    rc = look_node(client, ret_view, err);
    if (rc == 0 && lists && (rc = look_inventory(client, ret_view, err)) == 0 &&
        (rc = look_pipelines(client, ret_view, err)) == 0)
        rc = look_datasets(client, ret_view, err);
    rpc_client_close(client);
    return rc;
}

int admin_drain(const char *at, struct tls *tls, double grace_s, bool stop,
                struct node_status *ret_status, struct opiml_error *err) {
    Opiml__V1alpha1__DrainNodeRequest drain = OPIML__V1ALPHA1__DRAIN_NODE_REQUEST__INIT;
    Opiml__V1alpha1__StopNodeRequest end = OPIML__V1ALPHA1__STOP_NODE_REQUEST__INIT;
    Google__Protobuf__Duration grace = GOOGLE__PROTOBUF__DURATION__INIT;
    AUTO_FREE struct admin_view *view = base_alloc(sizeof(*view));
    Opiml__V1alpha1__Node *reply;
    struct rpc_client *client;
    int rc;

    if (!view)
        return base_fail_memory(err, sizeof(*view), "a node's state");
    if ((rc = rpc_client_open(at, tls, ADMIN_TIMEOUT_MS, &client, err)) < 0)
        return rc;
    grace.seconds = (int64_t)grace_s;
    grace.nanos = (int32_t)((grace_s - (double)grace.seconds) * 1e9);
    drain.grace = end.grace = &grace;
    rc = rpc_client_call(
        client, stop ? PACKAGE "NodeService/StopNode" : PACKAGE "NodeService/DrainNode",
        stop ? &end.base : &drain.base, &opiml__v1alpha1__node__descriptor, &reply, err);
    rpc_client_close(client);
    if (rc < 0)
        return rc;
    take_node(reply, view);
    *ret_status = view->status;
    return 0;
}
