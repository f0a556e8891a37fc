/* A gRPC call: framing, routing, status. */
#include "calls.h"

#include "grpc/health/v1/health.pb-c.h"

/* Answers a request of service "N" with N replies; "bad" fails; "large" is too large. */
static int repeat(struct rpc_call *call, void *context, const void *request,
                  struct opiml_error *err) {
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    const Grpc__Health__V1__HealthCheckRequest *asked = request;
    uint32_t *calls = context;

    ++*calls;
    assert_string_equal(rpc_peer(call), "127.0.0.1:1");
    if (strcmp(asked->service, "bad") == 0)
        return opiml_fail(err, OPIML_ESTALE, "100 %% \xc3\xbc\n%s", rpc_text(call, "<%d>", 7));
    reply.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    for (int i = 0; i < atoi(asked->service); i++)
        if (rpc_reply(call, &reply, err) < 0)
            return OPIML_ELIMIT;
    return 0;
}

static uint32_t calls;
static const struct rpc_method methods[] = {
    {"Check", repeat}, {"Watch", repeat, .stays = true}, {0}};
static const struct rpc_service service = {&grpc__health__v1__health__descriptor, methods, &calls};
static const struct rpc_service *const services[] = {&service, NULL};
#define CHECK "/grpc.health.v1.Health/Check"

static void say(const char *path, const char *text, struct answer *ret) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

    request.service = (char *)(uintptr_t)text;
    ask(services, path, &request.base, ret);
}

static void each_message_is_answered(void **state) {
    uint8_t three[] = {0x0a, 1, '3'};
    struct rpc_call *call = call_to(services, CHECK);
    struct answer answer;

    for (size_t piece = 1; piece < 9; piece++) {
        send_message(call, three, sizeof(three), piece);
        take_answer(call, &answer);
        assert_int_equal(answer.messages, 3);
        assert_string_equal(answer.status, ""); /* more may come */
    }
    call_end(call);
    take_answer(call, &answer);
    assert_string_equal(answer.status, "0");
    call_destroy(call);
}

static void an_empty_message_is_one(void **state) {
    struct answer answer;

    calls = 0;
    say(CHECK, "", &answer);
    assert_string_equal(answer.status, "0");
    assert_int_equal(calls, 1);
}

static void failures_have_their_code_and_text(void **state) {
    struct answer answer;

    say(CHECK, "bad", &answer);
    assert_string_equal(answer.status, "9");
    assert_string_equal(answer.text, "100 %25 %C3%BC <7>");
    assert_int_equal(answer.messages, 0);
    say("/grpc.health.v1.Health/Nothing", "1", &answer);
    assert_string_equal(answer.status, "12");
    say("/grpc.health.v1.Healt/Check", "1", &answer);
    assert_string_equal(answer.status, "12");
    say("//", "1", &answer);
    assert_string_equal(answer.status, "12");
    say("", "1", &answer);
    assert_string_equal(answer.status, "12");
}

/* What comes in place of a good message, and the status that it gets. */
static void gets(const uint8_t *data, size_t bytes, const char *status, const char *text) {
    struct rpc_call *call = call_to(services, CHECK);
    struct answer answer;

    calls = 0;
    call_data(call, data, bytes);
    call_end(call);
    take_answer(call, &answer);
    assert_string_equal(answer.status, status);
    if (!strstr(answer.text, text))
        fail_msg("%s", answer.text);
    assert_int_equal(calls, 0);
    call_destroy(call);
}

static void noise_is_refused(void **state) {
    gets((const uint8_t[]){0, 0, 0, 0, 3, 0x0a, 9, '1'}, 8, "3", "no grpc.health.v1");
    gets((const uint8_t[]){0, 0, 0, 0, 3, 0x0a, 1}, 7, "3", "not whole");
    gets((const uint8_t[]){0, 0, 0}, 3, "3", "not whole");
    gets((const uint8_t[]){1, 0, 0, 0, 0}, 5, "12", "compressed");
    gets((const uint8_t[]){0, 0, 0x40, 0, 1}, 5, "8", "4194305 bytes");
    gets((const uint8_t[]){0, 0xff, 0xff, 0xff, 0xff}, 5, "8", "4294967295 bytes");
    gets(NULL, 0, "3", "without a message");
}

static void other_content_is_refused(void **state) {
    struct rpc_call *call = call_create("127.0.0.1:1", NULL, NULL);
    struct call_header headers[2];
    struct answer answer;

    call_take_header(call, ":path", CHECK, strlen(CHECK));
    call_take_header(call, "content-type", "text/html", 9);
    call_route(call, services);
    call_end(call);
    assert_true(call_has_news(call));
    assert_int_equal(call_headers(call, headers), 2);
    assert_string_equal(headers[0].value, "415");
    take_answer(call, &answer);
    assert_string_equal(answer.status, "3");
    call_destroy(call);

    call = call_create("127.0.0.1:1", NULL, NULL);
    call_take_header(call, ":path", CHECK, strlen(CHECK));
    call_take_header(call, "content-type", "application/grpc", 16);
    call_take_header(call, "grpc-encoding", "gzip", 4);
    call_route(call, services);
    take_answer(call, &answer);
    assert_string_equal(answer.status, "12");
    call_destroy(call);
}

static void a_stream_stays_when_the_client_has_said_all(void **state) {
    uint8_t one[] = {0x0a, 1, '1'};
    struct rpc_call *call = call_to(services, "/grpc.health.v1.Health/Watch");
    struct answer answer;

    assert_true(call_stays(call));

    send_message(call, one, sizeof(one), 3);
    call_end(call);
    take_answer(call, &answer);
    assert_int_equal(answer.messages, 1);
    assert_string_equal(answer.status, "");
    call_destroy(call);
}

/* ---- work beside the loop ---- */

static uint32_t dropped;

/* "bad" fails; else the name is what is made. */
static int copy_name(void *context, const char *who, const void *request, void **ret_made,
                     struct opiml_error *err) {
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    if (strcmp(asked->service, "bad") == 0)
        return opiml_fail(err, OPIML_ESTALE, "worked in vain");
    *ret_made = base_strdup(asked->service);
    return *ret_made ? 0 : base_fail_memory(err, 1, "a name");
}

/* Replies once where it takes what was made; "leave" does not. */
static int use_name(struct rpc_call *call, void *context, const void *request,
                    struct opiml_error *err) {
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    const Grpc__Health__V1__HealthCheckRequest *asked = request;

    if (strcmp(asked->service, "leave") != 0) {
        AUTO_FREE char *made = rpc_made(call);

        assert_string_equal(made, asked->service);
        assert_null(rpc_made(call));
    }
    return rpc_reply(call, &reply, err);
}

static void drop_name(void *made) {
    dropped++;
    base_free(made);
}

static const struct rpc_method slow_methods[] = {
    {"Check", use_name, .work = copy_name, .drop = drop_name}, {0}};
static const struct rpc_service slow = {&grpc__health__v1__health__descriptor, slow_methods, NULL};
static const struct rpc_service *const slow_services[] = {&slow, NULL};

/* A call with this message, not yet worked on. */
static struct rpc_call *begin_slow(const char *name) {
    struct rpc_call *call = call_to(slow_services, CHECK);
    uint8_t message[32] = {0x0a, (uint8_t)strlen(name)};

    memcpy(message + 2, name, strlen(name));
    send_message(call, message, 2 + strlen(name), 32);
    assert_true(call_wants_work(call));
    assert_false(call_wants_work(call));
    return call;
}

static void end_slow(struct rpc_call *call, uint32_t messages, const char *status, uint32_t drops) {
    struct answer answer;

    take_answer(call, &answer);
    assert_int_equal(answer.messages, messages);
    assert_string_equal(answer.status, status);
    call_destroy(call);
    assert_int_equal(dropped, drops);
    dropped = 0;
}

static void work_comes_before_the_handler(void **state) {
    struct rpc_call *call = begin_slow("name");
    struct answer answer;

    call_end(call);
    take_answer(call, &answer);
    assert_string_equal(answer.status, ""); /* not yet */
    call_work(call);
    call_worked(call);
    end_slow(call, 1, "0", 0);

    call = begin_slow("leave");
    call_work(call);
    call_worked(call);
    take_answer(call, &answer);
    assert_string_equal(answer.status, ""); /* the client has not said all */
    call_end(call);
    end_slow(call, 0, "0", 1);

    call = begin_slow("bad");
    call_end(call);
    call_work(call);
    call_worked(call);
    end_slow(call, 0, "9", 0);
}

static void work_that_nobody_waits_for_is_dropped(void **state) {
    struct opiml_error busy = {.code = OPIML_EBUSY, .message = "busy"};
    uint8_t more[] = {0x0a, 1, 'x'};
    struct rpc_call *call = begin_slow("name");

    call_work(call);
    call_abandon(call);
    call_worked(call);
    end_slow(call, 0, "", 1);

    call = begin_slow("name");
    call_abandon(call); /* before it has begun */
    call_work(call);
    call_worked(call);
    end_slow(call, 0, "1", 0);

    call = begin_slow("name");
    send_message(call, more, sizeof(more), 8); /* which is refused at once */
    call_work(call);
    call_worked(call);
    end_slow(call, 0, "3", 1);

    call = begin_slow("name");
    call_refuse(call, &busy);
    end_slow(call, 0, "14", 0);
}

/* ---- memory ---- */

/* What "700", a reply of about 5 KB, ends with. */
static void ask_within(struct call_budget *budget, const char *status) {
    uint8_t many[] = {0x0a, 3, '7', '0', '0'};
    struct rpc_call *call = call_within(budget, services, CHECK);
    struct answer answer;

    send_message(call, many, sizeof(many), 8);
    call_end(call);
    assert_true(budget->held > 0);
    take_answer(call, &answer);
    assert_string_equal(answer.status, status);
    call_destroy(call);
    assert_int_equal(budget->held, 0);
}

static void calls_have_a_budget_together(void **state) {
    static const uint8_t large[8000] = {0, 0, 0, 8000 >> 8, 8000 & 255};
    struct call_budget budget = {.most = MIB(1)};
    struct rpc_call *call, *small;
    struct answer answer;

    ask_within(&budget, "0");
    budget.most = 0;
    ask_within(&budget, "8");
    call = call_within(&budget, services, CHECK);
    call_data(call, large, 4000); /* not more than any call may */
    assert_false(call_is_over(call));
    assert_in_range(budget.held, 3900, 4000);
    call_data(call, large + 4000, 1000);
    take_answer(call, &answer);
    assert_string_equal(answer.status, "8");
    small = call_within(&budget, services, CHECK); /* goes on all the same */
    send_message(small, (const uint8_t[]){0x0a, 1, '3'}, 3, 8);
    call_end(small);
    take_answer(small, &answer);
    assert_string_equal(answer.status, "0");
    call_destroy(small);
    call_destroy(call);
    assert_int_equal(budget.held, 0);
}

static void a_request_counts_as_long_as_it_is_worked_on(void **state) {
    struct call_budget budget = {.most = MIB(1)};
    struct rpc_call *call = call_within(&budget, slow_services, CHECK);
    uint8_t message[] = {0x0a, 2, 'a', 'b'};

    send_message(call, message, sizeof(message), 32);
    assert_true(call_wants_work(call));
    assert_int_equal(budget.held, sizeof(message));
    send_message(call, message, sizeof(message), 32); /* which is one too many */
    call_work(call);
    call_worked(call);
    call_destroy(call);
    assert_int_equal(budget.held, 0);
    dropped = 0;
}

static void memory_that_runs_out_is_said(void **state) {
    struct answer answer;
    uint64_t tried = 0;

    do {
        struct rpc_call *call = call_to(services, CHECK);
        uint8_t two[] = {0x0a, 1, '2'};

        base_alloc_fail_at(++tried);
        send_message(call, two, sizeof(two), 8);
        call_end(call);
        base_alloc_fail_at(0);
        take_answer(call, &answer);
        call_destroy(call);
    } while (strcmp(answer.status, "0") != 0 && tried < 20);
    assert_true(tried > 2 && tried < 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_answered),
        cmocka_unit_test(an_empty_message_is_one),
        cmocka_unit_test(failures_have_their_code_and_text),
        cmocka_unit_test(noise_is_refused),
        cmocka_unit_test(other_content_is_refused),
        cmocka_unit_test(a_stream_stays_when_the_client_has_said_all),
        cmocka_unit_test(work_comes_before_the_handler),
        cmocka_unit_test(work_that_nobody_waits_for_is_dropped),
        cmocka_unit_test(calls_have_a_budget_together),
        cmocka_unit_test(a_request_counts_as_long_as_it_is_worked_on),
        cmocka_unit_test(memory_that_runs_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
