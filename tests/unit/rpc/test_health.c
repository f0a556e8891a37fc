/* gRPC's health checking. */
#include "calls.h"

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/health.h"

#define PATH "/grpc.health.v1.Health/"
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static struct health health;
static const struct rpc_service *const services[] = {&health.service, NULL};

/* The state that a method says of a service; -1: it fails with NOT_FOUND. */
static int state_of(const char *path, const char *service) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *reply;
    struct answer answer;
    int status;

    request.service = (char *)(uintptr_t)service;
    ask(services, path, &request.base, &answer);
    if (strcmp(answer.status, "5") == 0)
        return -1;
    reply = first_reply(&answer, &grpc__health__v1__health_check_response__descriptor);
    status = (int)reply->status;
    grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    return status;
}

static void the_state_of_the_server_and_its_services(void **state) {
    health_init(&health, services);
    assert_int_equal(state_of(PATH "Check", ""), STATUS(SERVING));
    assert_int_equal(state_of(PATH "Check", "grpc.health.v1.Health"), STATUS(SERVING));
    assert_int_equal(state_of(PATH "Check", "grpc.health.v1.Healt"), -1);
    assert_int_equal(state_of(PATH "Watch", ""), STATUS(SERVING));
    assert_int_equal(state_of(PATH "Watch", "other"), STATUS(SERVICE_UNKNOWN));
    health.serving = false;
    assert_int_equal(state_of(PATH "Check", ""), STATUS(NOT_SERVING));
    assert_int_equal(state_of(PATH "Watch", ""), STATUS(NOT_SERVING));
}

static void a_watch_hears_of_changes(void **state) {
    static const char *const names[] = {"", "grpc.health.v1.Health", "other"};

    health_init(&health, services);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct rpc_call *call = call_to(services, PATH "Watch");
        uint8_t message[64] = {0x0a, (uint8_t)strlen(names[i])};
        Grpc__Health__V1__HealthCheckResponse *reply;
        struct answer answer;

        memcpy(message + 2, names[i], strlen(names[i]));
        call_again(call); /* before it has asked */
        send_message(call, message, 2 + strlen(names[i]), 64);
        call_end(call);
        take_answer(call, &answer);
        assert_int_equal(answer.messages, 1);
        health.serving = false;
        call_again(call);
        take_answer(call, &answer);
        assert_int_equal(answer.messages, i < 2);
        if (i < 2) {
            reply = first_reply(&answer, &grpc__health__v1__health_check_response__descriptor);
            assert_int_equal(reply->status, STATUS(NOT_SERVING));
            grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
        }
        health.serving = true;
        call_destroy(call);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_of_the_server_and_its_services),
        cmocka_unit_test(a_watch_hears_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
