/* gRPC's server reflection. */
#include "rpc/reflection.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet file_set;
typedef Google__Protobuf__FileDescriptorProto file_descriptor;
typedef Google__Protobuf__DescriptorProto message_descriptor;
typedef Google__Protobuf__ServiceDescriptorProto service_descriptor;
typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer;

#define ASKS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define SAYS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

/* ---- symbols ---- */

/* What is left of a symbol behind `name` and a dot: "" when it is the name itself, NULL when it
 * does not begin with it. */
static const char *behind(const char *symbol, const char *name) {
    size_t length = strlen(name);

    if (strncmp(symbol, name, length) != 0 || (symbol[length] && symbol[length] != '.'))
        return NULL;
    return symbol[length] ? symbol + length + 1 : "";
}

static bool enum_declares(Google__Protobuf__EnumDescriptorProto *const *enums, size_t count,
                          const char *symbol) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(enums[i]->name, symbol) == 0)
            return true;
    return false;
}

static bool message_declares(const message_descriptor *message, const char *symbol) {
    const char *rest = behind(symbol, message->name);

    if (!rest || !rest[0])
        return rest != NULL;
    for (size_t i = 0; i < message->n_nested_type; i++)
        if (message_declares(message->nested_type[i], rest))
            return true;
    for (size_t i = 0; i < message->n_field; i++)
        if (strcmp(message->field[i]->name, rest) == 0)
            return true;
    return enum_declares(message->enum_type, message->n_enum_type, rest);
}

static bool service_declares(const service_descriptor *service, const char *symbol) {
    const char *rest = behind(symbol, service->name);

    if (!rest || !rest[0])
        return rest != NULL;
    for (size_t i = 0; i < service->n_method; i++)
        if (strcmp(service->method[i]->name, rest) == 0)
            return true;
    return false;
}

static bool file_declares(const file_descriptor *file, const char *symbol) {
    const char *rest = file->package ? behind(symbol, file->package) : symbol;

    if (!rest)
        return false;
    for (size_t i = 0; i < file->n_message_type; i++)
        if (message_declares(file->message_type[i], rest))
            return true;
    for (size_t i = 0; i < file->n_service; i++)
        if (service_declares(file->service[i], rest))
            return true;
    return enum_declares(file->enum_type, file->n_enum_type, rest);
}

static const file_descriptor *find_file(const file_set *set, const char *name, const char *symbol) {
    for (size_t i = 0; i < set->n_file; i++)
        if (name ? strcmp(set->file[i]->name, name) == 0 : file_declares(set->file[i], symbol))
            return set->file[i];
    return NULL;
}

/* ---- answers ---- */

static int say_error(struct rpc_call *call, answer *reply, const char *text,
                     struct opiml_error *err) {
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

    error.error_code = opiml_code_grpc(OPIML_ENOENT);
    error.error_message = (char *)(uintptr_t)text;
    reply->message_response_case = SAYS(ERROR_RESPONSE);
    reply->error_response = &error;
    return rpc_reply(call, reply, err);
}

static int say_file(struct rpc_call *call, answer *reply, const file_descriptor *file,
                    struct opiml_error *err) {
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    ProtobufCBinaryData data;

    if (!file)
        return say_error(call, reply, "no file declares that", err);
    data.len = protobuf_c_message_get_packed_size(&file->base);
    data.data = rpc_take(call, data.len);
    if (!data.data)
        return base_fail_memory(err, data.len, "a file descriptor");
    protobuf_c_message_pack(&file->base, data.data);
    files.n_file_descriptor_proto = 1;
    files.file_descriptor_proto = &data;
    reply->message_response_case = SAYS(FILE_DESCRIPTOR_RESPONSE);
    reply->file_descriptor_response = &files;
    return rpc_reply(call, reply, err);
}

static int say_services(struct rpc_call *call, answer *reply, const struct reflection *self,
                        struct opiml_error *err) {
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Grpc__Reflection__V1__ServiceResponse *services;
    size_t count = 0;

    while (self->services[count])
        count++;
    services = rpc_take(call, count * sizeof(*services));
    list.service = rpc_take(call, count * sizeof(list.service[0]));
    if (!services || !list.service)
        return base_fail_memory(err, count * sizeof(*services), "a list of services");
    for (size_t i = 0; i < count; i++) {
        services[i] =
            (Grpc__Reflection__V1__ServiceResponse)GRPC__REFLECTION__V1__SERVICE_RESPONSE__INIT;
        services[i].name = (char *)(uintptr_t)self->services[i]->descriptor->name;
        list.service[i] = &services[i];
    }
    list.n_service = count;
    reply->message_response_case = SAYS(LIST_SERVICES_RESPONSE);
    reply->list_services_response = &list;
    return rpc_reply(call, reply, err);
}

static int say_info(struct rpc_call *call, void *context, const void *request,
                    struct opiml_error *err) {
    const struct reflection *self = context;
    question *asked = (question *)(uintptr_t)request;
    answer reply = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

    reply.valid_host = asked->host;
    reply.original_request = asked;
    switch (asked->message_request_case) {
    case ASKS(FILE_BY_FILENAME):
        return say_file(call, &reply, find_file(self->files, asked->file_by_filename, NULL), err);
    case ASKS(FILE_CONTAINING_SYMBOL):
        return say_file(call, &reply, find_file(self->files, NULL, asked->file_containing_symbol),
                        err);
    case ASKS(LIST_SERVICES): return say_services(call, &reply, self, err);
    default: return say_error(call, &reply, "there are no extensions", err);
    }
}

int reflection_init(struct reflection *reflection, const struct rpc_service *const *services,
                    const void *set, size_t bytes, struct opiml_error *err) {
    static const struct rpc_method methods[] = {{"ServerReflectionInfo", say_info}, {0}};
    static ProtobufCServiceDescriptor older;

    /* The two differ in the name of their package alone. */
    older = grpc__reflection__v1__server_reflection__descriptor;
    older.name = "grpc.reflection.v1alpha.ServerReflection";
    *reflection = (struct reflection){
        .service = {&grpc__reflection__v1__server_reflection__descriptor, methods, reflection},
        .older = {&older, methods, reflection},
        .services = services,
        .files = google__protobuf__file_descriptor_set__unpack(NULL, bytes, set)};
    if (!reflection->files)
        return opiml_fail(err, OPIML_EINTERNAL, "the descriptor set of this build is damaged");
    return 0;
}

void reflection_release(struct reflection *reflection) {
    google__protobuf__file_descriptor_set__free_unpacked(TAKE(reflection->files), NULL);
}
