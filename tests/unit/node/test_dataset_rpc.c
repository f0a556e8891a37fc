/* The data set service. */
#include "../pipeline/harness.h"
#include "../rpc/calls.h"

#include "base/text.h"
#include "google/protobuf/empty.pb-c.h"
#include "node/dataset_rpc.h"
#include "opiml/v1alpha1/dataset.pb-c.h"

#define SERVICE "/opiml.v1alpha1.DatasetService/"

typedef Opiml__V1alpha1__Dataset dataset_message;

static struct dataset_rpc rpc;
static const struct rpc_service *const services[] = {&rpc.service, NULL};
static struct harness data;
static char mapping[4096];

static int set_up(void **state) {
    struct datasets *datasets;

    data = harness_make(40);
    snprintf(mapping, sizeof(mapping), "{uri: %s, format: raw, fields: [\"x:u8:16\", \"y:i32\"]}",
             data.folder);
    assert_int_equal(datasets_create(&datasets, NULL), 0);
    dataset_rpc_init(&rpc, datasets);
    return 0;
}

static int tear_down(void **state) {
    datasets_destroy(rpc.datasets);
    harness_remove(&data);
    return 0;
}

/* The reply, where the status is 0. */
static void *call(const char *method, const ProtobufCMessage *request,
                  const ProtobufCMessageDescriptor *type, const char *status) {
    struct answer answer;
    char path[100];

    snprintf(path, sizeof(path), SERVICE "%s", method);
    ask(services, path, request, &answer);
    if (strcmp(answer.status, status) != 0)
        fail_msg("%s: %s %s", method, answer.status, answer.text);
    return status[0] == '0' ? first_reply(&answer, type) : NULL;
}

static dataset_message *create(const char *id, const char *text, const char *status) {
    Opiml__V1alpha1__CreateDatasetRequest request = OPIML__V1ALPHA1__CREATE_DATASET_REQUEST__INIT;
    dataset_message dataset = OPIML__V1ALPHA1__DATASET__INIT;

    dataset.mapping = (char *)(uintptr_t)text;
    request.dataset = text ? &dataset : NULL;
    request.dataset_id = (char *)(uintptr_t)id;
    return call("CreateDataset", &request.base, &opiml__v1alpha1__dataset__descriptor, status);
}

static dataset_message *get(const char *name, const char *status) {
    Opiml__V1alpha1__GetDatasetRequest request = OPIML__V1ALPHA1__GET_DATASET_REQUEST__INIT;

    request.name = (char *)(uintptr_t)name;
    return call("GetDataset", &request.base, &opiml__v1alpha1__dataset__descriptor, status);
}

static dataset_message *update(const char *name, const char *text, const char *path,
                               bool allow_missing, const char *status) {
    Opiml__V1alpha1__UpdateDatasetRequest request = OPIML__V1ALPHA1__UPDATE_DATASET_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    dataset_message dataset = OPIML__V1ALPHA1__DATASET__INIT;
    char *paths[] = {(char *)(uintptr_t)path};

    dataset.name = (char *)(uintptr_t)name;
    dataset.mapping = (char *)(uintptr_t)text;
    mask.n_paths = path ? 1 : 0;
    mask.paths = paths;
    request.dataset = &dataset;
    request.update_mask = &mask;
    request.allow_missing = allow_missing;
    return call("UpdateDataset", &request.base, &opiml__v1alpha1__dataset__descriptor, status);
}

static void give_back(dataset_message *message) {
    opiml__v1alpha1__dataset__free_unpacked(message, NULL);
}

static void what_is_created_says_what_it_is(void **state) {
    dataset_message *made = create("mine", mapping, "0"), *again;

    assert_string_equal(made->name, "datasets/mine");
    assert_string_equal(made->format, "raw");
    assert_int_equal(made->records, 40);
    assert_int_equal(made->n_fields, 2);
    assert_string_equal(made->fields[0]->name, "x");
    assert_string_equal(made->fields[0]->type, "u8");
    assert_int_equal(made->fields[0]->n_shape, 1);
    assert_int_equal(made->fields[0]->shape[0], 16);
    assert_true(text_starts(made->uri, "file:///"));
    assert_true(text_starts(made->prefix, made->uri));
    assert_int_equal(strlen(made->index_hash), 32);
    assert_true(made->index_bytes > 0);
    again = get("datasets/mine", "0");
    assert_string_equal(again->index_hash, made->index_hash);
    give_back(again);
    give_back(made);
    give_back(create("mine", mapping, "0"));
    create("mine", "{uri: /nowhere, format: csv}", "5");
    create("mine", NULL, "3");
    create("No", mapping, "3");
    create("text", "nonsense: [", "3");
    get("datasets/other", "5");
    get("mine", "5");
}

static void what_may_change_can_be_changed(void **state) {
    struct harness other = harness_make(50);
    dataset_message *made;
    char text[4096];

    snprintf(text, sizeof(text), "{uri: %s, format: raw, fields: [\"x:u8:16\", \"y:i32\"]}",
             other.folder);
    update("datasets/mine", mapping, "*", false, "5");
    give_back(update("datasets/mine", mapping, "*", true, "0"));
    made = update("datasets/mine", text, "mapping", false, "0");
    assert_int_equal(made->records, 50);
    give_back(made);
    made = update("datasets/mine", "", NULL, false, "0"); /* the same, anew */
    assert_int_equal(made->records, 50);
    give_back(made);
    update("datasets/mine", mapping, "records", false, "3");
    update("datasets/mine", "", "*", false, "3");
    update("", mapping, "*", true, "3");
    update("datasets/No", mapping, "*", true, "3");
    harness_remove(&other);
}

static void pages(void **state) {
    Opiml__V1alpha1__ListDatasetsRequest request = OPIML__V1ALPHA1__LIST_DATASETS_REQUEST__INIT;
    static const char *const ids[] = {"gamma", "alpha", "beta"};
    Opiml__V1alpha1__ListDatasetsResponse *reply;
    char token[64] = "";

    for (size_t i = 0; i < COUNT_OF(ids); i++)
        give_back(create(ids[i], mapping, "0"));
    request.page_size = 2;
    for (int page = 0; page < 2; page++) {
        request.page_token = token;
        reply = call("ListDatasets", &request.base,
                     &opiml__v1alpha1__list_datasets_response__descriptor, "0");
        assert_int_equal(reply->n_datasets, page ? 1 : 2);
        assert_string_equal(reply->datasets[0]->name, page ? "datasets/gamma" : "datasets/alpha");
        snprintf(token, sizeof(token), "%s", reply->next_page_token);
        assert_int_equal(token[0] == 0, page == 1);
        opiml__v1alpha1__list_datasets_response__free_unpacked(reply, NULL);
    }
    request.page_size = -1;
    call("ListDatasets", &request.base, NULL, "3");
    request.page_size = 0;
    request.page_token = (char *)"nothing";
    call("ListDatasets", &request.base, NULL, "5");
}

static void an_index_comes_in_pieces(void **state) {
    Opiml__V1alpha1__GetIndexRequest request = OPIML__V1ALPHA1__GET_INDEX_REQUEST__INIT;
    Opiml__V1alpha1__StatsDatasetRequest about = OPIML__V1ALPHA1__STATS_DATASET_REQUEST__INIT;
    Opiml__V1alpha1__DeleteDatasetRequest gone = OPIML__V1ALPHA1__DELETE_DATASET_REQUEST__INIT;
    Opiml__V1alpha1__GetIndexResponse *reply;
    Opiml__V1alpha1__StatsDatasetResponse *stats;
    Google__Protobuf__Empty *nothing;
    dataset_message *made = create("mine", mapping, "0");

    request.hash = made->index_hash;
    request.offset = made->index_bytes - 10;
    reply = call("GetIndex", &request.base, &opiml__v1alpha1__get_index_response__descriptor, "0");
    assert_int_equal(reply->data.len, 10);
    assert_int_equal(reply->index_bytes, made->index_bytes);
    opiml__v1alpha1__get_index_response__free_unpacked(reply, NULL);
    request.offset = made->index_bytes;
    call("GetIndex", &request.base, NULL, "3");
    request.hash = (char *)"0123";
    call("GetIndex", &request.base, NULL, "5");
    about.name = (char *)"datasets/mine";
    stats = call("StatsDataset", &about.base, &opiml__v1alpha1__stats_dataset_response__descriptor,
                 "0");
    assert_int_equal(stats->stats->index_pieces, 1);
    assert_int_equal(stats->stats->index_bytes, 10);
    opiml__v1alpha1__stats_dataset_response__free_unpacked(stats, NULL);
    gone.name = (char *)"datasets/mine";
    nothing = call("DeleteDataset", &gone.base, &google__protobuf__empty__descriptor, "0");
    google__protobuf__empty__free_unpacked(nothing, NULL);
    call("DeleteDataset", &gone.base, NULL, "5");
    call("StatsDataset", &about.base, NULL, "5");
    give_back(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_created_says_what_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_change_can_be_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_index_comes_in_pieces, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
