/* The pipeline service. */
#include "wanted.h"

#include "../rpc/calls.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "node/keep.h"
#include "node/pipeline_rpc.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"

#define SERVICE "/opiml.v1alpha1.PipelineService/"

typedef Opiml__V1alpha1__Pipeline pipeline_message;

static struct pipeline_rpc pipelines;
static const struct rpc_service *const services[] = {&pipelines.service, NULL};
static struct wanted wanted;

static int set_up(void **state) {
    wanted_make(&wanted);
    pipeline_rpc_init(&pipelines, NULL, 4711);
    return 0;
}

static int tear_down(void **state) {
    pipeline_rpc_release(&pipelines);
    wanted_remove(&wanted);
    return 0;
}

static pipeline_message make_message(void) {
    pipeline_message message = OPIML__V1ALPHA1__PIPELINE__INIT;

    message.text = wanted.text;
    message.file = (char *)"/w/p.yaml";
    message.hash = wanted.request.hash;
    message.fingerprint = wanted.request.fingerprint;
    message.operators = wanted.request.operators;
    message.n_implementations = wanted.request.operators;
    message.implementations = wanted.implementations;
    message.world = 1;
    message.batches = 7;
    message.stripes = 1;
    message.depth = 2;
    return message;
}

/* Create one; NULL when that fails with this status. */
static pipeline_message *create(pipeline_message *message, const char *id, const char *status) {
    Opiml__V1alpha1__CreatePipelineRequest request = OPIML__V1ALPHA1__CREATE_PIPELINE_REQUEST__INIT;
    struct answer answer;

    request.pipeline = message;
    request.pipeline_id = (char *)(uintptr_t)id;
    ask(services, SERVICE "CreatePipeline", &request.base, &answer);
    assert_string_equal(answer.status, status);
    return status[0] == '0' ? first_reply(&answer, &opiml__v1alpha1__pipeline__descriptor) : NULL;
}

static void give_back(pipeline_message *message) {
    opiml__v1alpha1__pipeline__free_unpacked(message, NULL);
}

static pipeline_message *get(const char *name, const char *status) {
    Opiml__V1alpha1__GetPipelineRequest request = OPIML__V1ALPHA1__GET_PIPELINE_REQUEST__INIT;
    struct answer answer;

    request.name = (char *)(uintptr_t)name;
    ask(services, SERVICE "GetPipeline", &request.base, &answer);
    assert_string_equal(answer.status, status);
    return status[0] == '0' ? first_reply(&answer, &opiml__v1alpha1__pipeline__descriptor) : NULL;
}

static void delete (const char *name, bool allow_missing, const char *status) {
    Opiml__V1alpha1__DeletePipelineRequest request = OPIML__V1ALPHA1__DELETE_PIPELINE_REQUEST__INIT;
    struct answer answer;

    request.name = (char *)(uintptr_t)name;
    request.allow_missing = allow_missing;
    ask(services, SERVICE "DeletePipeline", &request.base, &answer);
    assert_string_equal(answer.status, status);
}

static void what_is_created_is_there_until_it_is_deleted(void **state) {
    pipeline_message message = make_message(), *made, *again;

    message.name = (char *)"pipelines/mine"; /* not for the client to say */
    message.data_port = 1;
    made = create(&message, "first", "0");
    assert_string_equal(made->name, "pipelines/first");
    assert_int_equal(made->data_port, 4711);
    assert_int_equal(made->ticket.len, WIRE_TICKET_BYTES);
    assert_true(made->frame_bytes > 8 * 64);
    assert_int_equal(made->state, OPIML__V1ALPHA1__PIPELINE__STATE__STATE_WAITING);
    again = create(&message, "first", "0"); /* may be repeated */
    assert_memory_equal(again->ticket.data, made->ticket.data, WIRE_TICKET_BYTES);
    give_back(again);
    again = get("pipelines/first", "0");
    assert_string_equal(again->text, wanted.text);
    assert_int_equal(again->ticket.len, 0); /* is for who has created it */
    give_back(again);
    message.batches++;
    create(&message, "first", "6");
    delete ("pipelines/first", false, "0");
    get("pipelines/first", "5");
    get("first", "5");
    get("", "5");
    delete ("pipelines/first", false, "5");
    delete ("pipelines/first", true, "0");
    give_back(made);
}

static void what_is_wrong_is_refused(void **state) {
    pipeline_message message = make_message();

    create(NULL, "", "3");
    message.text = (char *)"";
    create(&message, "", "3");
    message = make_message(), message.n_implementations--;
    create(&message, "", "3");
    message = make_message(), message.fingerprint++;
    create(&message, "", "9");
    message = make_message();
    create(&message, "A", "3");
}

/* What the call has made is dropped: nobody waits for it any more. */
static void create_and_go(pipeline_message *message, const char *id) {
    Opiml__V1alpha1__CreatePipelineRequest request = OPIML__V1ALPHA1__CREATE_PIPELINE_REQUEST__INIT;
    struct rpc_call *call = call_to(services, SERVICE "CreatePipeline");
    uint8_t packed[1 << 12];

    request.pipeline = message;
    request.pipeline_id = (char *)(uintptr_t)id;
    send_message(call, packed, protobuf_c_message_pack(&request.base, packed), 7);
    call_end(call);
    assert_true(call_wants_work(call));
    call_work(call);
    call_abandon(call);
    call_worked(call);
    call_destroy(call);
}

static int count_kept(void *context, const struct keep_pipeline *kept, struct opiml_error *err) {
    assert_string_equal(kept->id, "mine");
    *(uint32_t *)context += 1;
    return 0;
}

static void who_repeats_and_goes_takes_nothing_away(void **state) {
    pipeline_message message = make_message();
    char *folder = test_folder();
    uint32_t kept = 0;
    struct keep *keep;

    assert_int_equal(keep_open(folder, &keep, NULL), 0);
    assert_int_equal(pipeline_rpc_keep(&pipelines, keep, NULL), 0);
    create_and_go(&message, "never");
    give_back(create(&message, "", "0")); /* nobody can ask for it again */
    give_back(create(&message, "mine", "0"));
    create_and_go(&message, "mine");
    give_back(get("pipelines/mine", "0"));
    pipeline_rpc_release(&pipelines);
    keep_close(keep);
    assert_int_equal(keep_open(folder, &keep, NULL), 0);
    assert_int_equal(keep_each_pipeline(keep, count_kept, &kept, NULL), 0);
    assert_int_equal(kept, 1);
    /* It is gone when it is deleted. */
    pipeline_rpc_init(&pipelines, NULL, 4711);
    assert_int_equal(pipeline_rpc_keep(&pipelines, keep, NULL), 0);
    create_and_go(&message, "mine");
    delete ("pipelines/mine", false, "0");
    keep_close(keep);
    kept = 0;
    assert_int_equal(keep_open(folder, &keep, NULL), 0);
    assert_int_equal(keep_each_pipeline(keep, count_kept, &kept, NULL), 0);
    assert_int_equal(kept, 0);
    keep_close(keep);
    test_folder_remove(folder);
}

static pipeline_message *update(const char *name, int64_t seconds, const char *path,
                                const char *status) {
    Opiml__V1alpha1__UpdatePipelineRequest request = OPIML__V1ALPHA1__UPDATE_PIPELINE_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Google__Protobuf__Duration lease = GOOGLE__PROTOBUF__DURATION__INIT;
    pipeline_message message = OPIML__V1ALPHA1__PIPELINE__INIT;
    char *paths[] = {(char *)(uintptr_t)path};
    struct answer answer;

    lease.seconds = seconds;
    message.name = (char *)(uintptr_t)name;
    message.lease_duration = &lease;
    mask.n_paths = path ? 1 : 0;
    mask.paths = paths;
    request.pipeline = &message;
    request.update_mask = &mask;
    ask(services, SERVICE "UpdatePipeline", &request.base, &answer);
    assert_string_equal(answer.status, status);
    return status[0] == '0' ? first_reply(&answer, &opiml__v1alpha1__pipeline__descriptor) : NULL;
}

static void leases_can_change_and_be_renewed(void **state) {
    Opiml__V1alpha1__RenewPipelineRequest renewal = OPIML__V1ALPHA1__RENEW_PIPELINE_REQUEST__INIT;
    Google__Protobuf__Duration lease = GOOGLE__PROTOBUF__DURATION__INIT;
    pipeline_message message = make_message(), *made;
    struct answer answer;

    message.lease_duration = &lease; /* none: the node's */
    made = create(&message, "mine", "0");
    assert_int_equal(made->lease_duration->seconds, PIPELINES_LEASE_S);
    assert_true(made->expire_time->seconds > 1600000000);
    assert_true(made->generation > 0 && made->job > 0);
    give_back(made);
    give_back(update("pipelines/mine", 5, NULL, "0"));
    give_back(update("pipelines/mine", 6, "*", "0"));
    made = update("pipelines/mine", 7, "lease_duration", "0");
    assert_int_equal(made->lease_duration->seconds, 7);
    give_back(made);
    update("pipelines/mine", -1, "*", "3");
    update("pipelines/mine", 4000, "*", "3");
    update("pipelines/mine", 7, "text", "3");
    update("pipelines/mine", 7, "nothing", "3");
    update("pipelines/other", 7, "*", "5");
    update("", 7, "*", "3");
    lease.seconds = 7;
    give_back(create(&message, "mine", "0")); /* the same once more */
    lease.nanos = -1;
    create(&message, "more", "3");
    renewal.name = (char *)"pipelines/mine";
    ask(services, SERVICE "RenewPipeline", &renewal.base, &answer);
    assert_string_equal(answer.status, "0");
    renewal.name = (char *)"pipelines/other";
    ask(services, SERVICE "RenewPipeline", &renewal.base, &answer);
    assert_string_equal(answer.status, "5");
}

static void it_is_its_clients(void **state) {
    Opiml__V1alpha1__RenewPipelineRequest renewal = OPIML__V1ALPHA1__RENEW_PIPELINE_REQUEST__INIT;
    pipeline_message message = make_message(), *made;
    struct answer answer;

    give_back(create(&message, "mine", "0"));
    call_peer = "192.0.2.7:1";
    create(&message, "mine", "6"); /* although it is the same */
    update("pipelines/mine", 5, NULL, "7");
    delete ("pipelines/mine", true, "7");
    renewal.name = (char *)"pipelines/mine";
    ask(services, SERVICE "RenewPipeline", &renewal.base, &answer);
    assert_string_equal(answer.status, "7");
    made = get("pipelines/mine", "0"); /* anybody may look */
    assert_int_equal(made->ticket.len, 0);
    give_back(made);
    call_peer = "127.0.0.1:2"; /* by another connection */
    give_back(create(&message, "mine", "0"));
    delete ("pipelines/mine", false, "0");
    call_peer = "127.0.0.1:1";
}

static void counters_by_station(void **state) {
    Opiml__V1alpha1__StatsPipelineRequest request = OPIML__V1ALPHA1__STATS_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__StatsPipelineResponse *reply;
    pipeline_message message = make_message();
    struct answer answer;

    give_back(create(&message, "mine", "0"));
    request.name = (char *)"pipelines/mine";
    ask(services, SERVICE "StatsPipeline", &request.base, &answer);
    assert_string_equal(answer.status, "0");
    reply = first_reply(&answer, &opiml__v1alpha1__stats_pipeline_response__descriptor);
    assert_true(reply->stats->pool_bytes > 0);
    assert_true(reply->stats->n_stations >= 4);
    assert_string_equal(reply->stats->stations[reply->stats->n_stations - 1]->name, "send");
    opiml__v1alpha1__stats_pipeline_response__free_unpacked(reply, NULL);
    request.name = (char *)"pipelines/other";
    ask(services, SERVICE "StatsPipeline", &request.base, &answer);
    assert_string_equal(answer.status, "5");
}

static void pages(void **state) {
    Opiml__V1alpha1__ListPipelinesRequest request = OPIML__V1ALPHA1__LIST_PIPELINES_REQUEST__INIT;
    static const char *const ids[] = {"gamma", "alpha", "beta"};
    Opiml__V1alpha1__ListPipelinesResponse *reply;
    pipeline_message message = make_message();
    char token[64] = "";
    struct answer answer;

    for (size_t i = 0; i < COUNT_OF(ids); i++)
        give_back(create(&message, ids[i], "0"));
    request.page_size = 2;
    for (int page = 0; page < 2; page++) {
        request.page_token = token;
        ask(services, SERVICE "ListPipelines", &request.base, &answer);
        assert_string_equal(answer.status, "0");
        reply = first_reply(&answer, &opiml__v1alpha1__list_pipelines_response__descriptor);
        assert_int_equal(reply->n_pipelines, page ? 1 : 2);
        assert_string_equal(reply->pipelines[0]->name,
                            page ? "pipelines/gamma" : "pipelines/alpha");
        assert_int_equal(reply->pipelines[0]->ticket.len, 0);
        snprintf(token, sizeof(token), "%s", reply->next_page_token);
        assert_int_equal(token[0] == 0, page == 1);
        opiml__v1alpha1__list_pipelines_response__free_unpacked(reply, NULL);
    }
    request.page_size = -1;
    ask(services, SERVICE "ListPipelines", &request.base, &answer);
    assert_string_equal(answer.status, "3");
    request.page_size = 0;
    request.page_token = (char *)"nothing";
    ask(services, SERVICE "ListPipelines", &request.base, &answer);
    assert_string_equal(answer.status, "5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_created_is_there_until_it_is_deleted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_repeats_and_goes_takes_nothing_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leases_can_change_and_be_renewed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_its_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_by_station, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
