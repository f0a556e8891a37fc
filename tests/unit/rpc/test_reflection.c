/* Server reflection over a descriptor set of two made-up files. */
#include "calls.h"

#include "base/protobuf.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/reflection.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer_message;

#define ASK(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define SAID(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

static struct reflection reflection;
static const struct rpc_service *const services[] = {&reflection.service, &reflection.older, NULL};

/* A FileDescriptorSet: a.proto with message a.M { f; message N {}; enum E }, b.proto with service
 * b.S { C }. The numbers are those of google/protobuf/descriptor.proto. */
static void write_set(struct text *to) {
    struct text file = {0}, message = {0}, part = {0};

    protobuf_add_text(&part, 1, "f");
    protobuf_add_message(&message, 2, &part);
    part.count = 0;
    protobuf_add_text(&part, 1, "N");
    protobuf_add_message(&message, 3, &part);
    part.count = 0;
    protobuf_add_text(&part, 1, "E");
    protobuf_add_message(&message, 4, &part);
    protobuf_add_text(&message, 1, "M");
    protobuf_add_text(&file, 1, "a.proto");
    protobuf_add_text(&file, 2, "a");
    protobuf_add_message(&file, 4, &message);
    protobuf_add_message(to, 1, &file);
    file.count = message.count = part.count = 0;
    protobuf_add_text(&part, 1, "C");
    protobuf_add_text(&message, 1, "S");
    protobuf_add_message(&message, 2, &part);
    protobuf_add_text(&file, 1, "b.proto");
    protobuf_add_text(&file, 2, "b");
    protobuf_add_message(&file, 6, &message);
    protobuf_add_message(to, 1, &file);
    text_release(&file);
    text_release(&message);
    text_release(&part);
}

static int setup(void **state) {
    struct text set = {0};

    write_set(&set);
    assert_int_equal(reflection_init(&reflection, services, set.at, set.count, NULL), 0);
    text_release(&set);
    return 0;
}

static int teardown(void **state) {
    reflection_release(&reflection);
    return 0;
}

static answer_message *inquire(const char *version, question *asked) {
    struct answer answer;
    char path[80];

    snprintf(path, sizeof(path), "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo",
             version);
    ask(services, path, &asked->base, &answer);
    assert_string_equal(answer.status, "0");
    return first_reply(&answer, &grpc__reflection__v1__server_reflection_response__descriptor);
}

/* The name of the file that declares a symbol; "" when none does. */
static void declares(const char *symbol, const char *file) {
    question asked = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    answer_message *reply;

    asked.message_request_case = ASK(FILE_CONTAINING_SYMBOL);
    asked.file_containing_symbol = (char *)(uintptr_t)symbol;
    reply = inquire("v1", &asked);
    if (!file[0]) {
        assert_int_equal(reply->message_response_case, SAID(ERROR_RESPONSE));
        assert_int_equal(reply->error_response->error_code, 5);
    } else {
        assert_int_equal(reply->message_response_case, SAID(FILE_DESCRIPTOR_RESPONSE));
        assert_int_equal(reply->file_descriptor_response->n_file_descriptor_proto, 1);
        /* Field 1, its length, the name. */
        assert_memory_equal(reply->file_descriptor_response->file_descriptor_proto[0].data + 2,
                            file, strlen(file));
    }
    assert_string_equal(reply->original_request->file_containing_symbol, symbol);
    grpc__reflection__v1__server_reflection_response__free_unpacked(reply, NULL);
}

static void symbols_are_found(void **state) {
    declares("a.M", "a.proto");
    declares("a.M.f", "a.proto");
    declares("a.M.N", "a.proto");
    declares("a.M.E", "a.proto");
    declares("b.S", "b.proto");
    declares("b.S.C", "b.proto");
    declares("a", "");
    declares("a.M.x", "");
    declares("a.Mx", "");
    declares("b.S.Cx", "");
    declares("b.S.C.x", "");
    declares("", "");
    declares("..", "");
}

static void files_and_services_are_listed(void **state) {
    question asked = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    answer_message *reply;

    for (int older = 0; older < 2; older++) {
        asked.message_request_case = ASK(LIST_SERVICES);
        asked.list_services = (char *)"";
        reply = inquire(older ? "v1alpha" : "v1", &asked);
        assert_int_equal(reply->message_response_case, SAID(LIST_SERVICES_RESPONSE));
        assert_int_equal(reply->list_services_response->n_service, 2);
        assert_string_equal(reply->list_services_response->service[1]->name,
                            "grpc.reflection.v1alpha.ServerReflection");
        grpc__reflection__v1__server_reflection_response__free_unpacked(reply, NULL);
    }
    asked.message_request_case = ASK(FILE_BY_FILENAME);
    asked.file_by_filename = (char *)"b.proto";
    reply = inquire("v1", &asked);
    assert_int_equal(reply->message_response_case, SAID(FILE_DESCRIPTOR_RESPONSE));
    grpc__reflection__v1__server_reflection_response__free_unpacked(reply, NULL);
    asked.file_by_filename = (char *)"c.proto";
    reply = inquire("v1", &asked);
    assert_int_equal(reply->message_response_case, SAID(ERROR_RESPONSE));
    grpc__reflection__v1__server_reflection_response__free_unpacked(reply, NULL);
}

static void a_damaged_set_is_refused(void **state) {
    struct reflection other;

    assert_int_equal(reflection_init(&other, services, "\xff\xff", 2, NULL), OPIML_EINTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_are_found),
        cmocka_unit_test(files_and_services_are_listed),
        cmocka_unit_test(a_damaged_set_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
