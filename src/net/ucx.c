/* UCX through libucp. */
#include "net/ucx.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <ucp/api/ucp.h>
#include <ucs/debug/log_def.h>

#include "base/file.h"
#include "base/log.h"

#define LIBRARY "libucp.so.0"
#define MESSAGE_ID 1
/* Up to so many bytes a message goes at once and is copied to where it belongs; the other end
 * fetches larger ones there itself. */
#define AT_ONCE_MOST KIB(8)
#define SIGNALS 32 /* those that have a fixed number */

#define CALLS(X)                                                                                   \
    X(ucp_config_read)                                                                             \
    X(ucp_config_modify)                                                                           \
    X(ucp_config_release)                                                                          \
    X(ucp_init_version)                                                                            \
    X(ucp_cleanup)                                                                                 \
    X(ucp_worker_create)                                                                           \
    X(ucp_worker_destroy)                                                                          \
    X(ucp_worker_get_address)                                                                      \
    X(ucp_worker_release_address)                                                                  \
    X(ucp_worker_get_efd)                                                                          \
    X(ucp_worker_arm)                                                                              \
    X(ucp_worker_progress)                                                                         \
    X(ucp_worker_set_am_recv_handler)                                                              \
    X(ucp_ep_create)                                                                               \
    X(ucp_ep_close_nbx)                                                                            \
    X(ucp_am_send_nbx)                                                                             \
    X(ucp_am_recv_data_nbx)                                                                        \
    X(ucp_request_check_status)                                                                    \
    X(ucp_request_free)                                                                            \
    X(ucp_mem_map)                                                                                 \
    X(ucp_mem_unmap)                                                                               \
    X(ucs_status_string)                                                                           \
    X(ucs_log_push_handler)

static struct {
#define X(name) __typeof__(name) *name;
    CALLS(X)
#undef X
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing; /* of the library; NULL: it is there */

struct ucx_memory {
    void *at;
    uint64_t bytes;
    ucp_mem_h handle;
};

struct ucx {
    ucx_take *take;
    void *context;
    ucp_context_h library;
    ucp_worker_h worker;
    ucp_ep_h other; /* NULL: not connected */
    int fd;
    ucs_status_t lost; /* UCS_OK: it is not */
    struct ucx_memory memory[UCX_MEMORIES_MAX];
    uint32_t memories;
    uint32_t sending; /* sends that are not done */
};

/* ---- the library ---- */

/* Its own place for them is standard output, which is the program's. */
static ucs_log_func_rc_t write_log(const char *file, unsigned line, const char *function,
                                   ucs_log_level_t level,
                                   const ucs_log_component_config_t *component, const char *message,
                                   va_list arguments) {
    char text[512];

    if (level <= UCS_LOG_LEVEL_DIAG && log_enabled("ucx", LOG_DEBUG)) {
        vsnprintf(text, sizeof(text), message, arguments);
        log_write("ucx", LOG_DEBUG, "%s", text);
    }
    return UCS_LOG_FUNC_RC_STOP;
}

static void find_calls(void *library) {
#define X(name)                                                                                    \
    if (!(*(void **)&lib.name = dlsym(library, #name)))                                            \
        missing = #name;
    CALLS(X)
#undef X
}

/* Loading it puts handlers of its own on SIGHUP, which a node reads its certificates at, SIGSEGV
 * and others: they stay as they were. */
static void load(void) {
    struct sigaction before[SIGNALS];
    void *library;

    for (int n = 1; n < SIGNALS; n++)
        sigaction(n, NULL, &before[n]);
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (int n = 1; n < SIGNALS; n++)
        sigaction(n, &before[n], NULL);
    if (!library) {
        missing = LIBRARY;
        return;
    }
    find_calls(library);
    if (!missing)
        lib.ucs_log_push_handler(write_log);
}

int ucx_load(struct opiml_error *err) {
    pthread_once(&once, load);
    if (!missing)
        return 0;
    return opiml_fail(err, OPIML_ENODEV,
                      "batches over UCX need libucp, of which %s is missing (Debian: libucx0)",
                      missing);
}

static int fail(ucs_status_t status, const char *what, struct opiml_error *err) {
    int code = status == UCS_ERR_NO_MEMORY ? OPIML_ENOMEM : OPIML_EIO;

    return opiml_fail(err, code, "UCX: %s: %s", what, lib.ucs_status_string(status));
}

static bool is_up(const char *path) {
    AUTO_FREE char *text = NULL;
    size_t bytes;

    return file_read(path, KIB(4), &text, &bytes, NULL) == 0 && strstr(text, "ACTIVE");
}

bool ucx_has_rdma(void) {
    bool found = false;
    glob_t ports;

    if (glob("/sys/class/infiniband/*/ports/*/state", GLOB_NOSORT, NULL, &ports) != 0)
        return false;
    for (size_t i = 0; i < ports.gl_pathc && !found; i++)
        found = is_up(ports.gl_pathv[i]);
    globfree(&ports);
    return found;
}

/* ---- receiving ---- */

static int code_of(ucs_status_t status) {
    return status == UCS_OK ? 0 : status == UCS_ERR_CANCELED ? OPIML_ECANCELED : OPIML_EIO;
}

static void received(void *request, ucs_status_t status, size_t bytes, void *user_data) {
    struct ucx_receive *what = user_data;

    what->done = true;
    what->rc = code_of(status);
    if (request)
        lib.ucp_request_free(request);
}

/* Fetch a message from where it lies. */
static void fetch(struct ucx *self, void *from, uint64_t bytes, struct ucx_receive *to) {
    const ucp_request_param_t how = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                        UCP_OP_ATTR_FLAG_NO_IMM_CMPL | (to->memory ? UCP_OP_ATTR_FIELD_MEMH : 0),
        .cb.recv_am = received,
        .user_data = to,
        .memh = to->memory ? to->memory->handle : NULL};
    ucs_status_ptr_t request = lib.ucp_am_recv_data_nbx(self->worker, from, to->at, bytes, &how);

    if (UCS_PTR_IS_ERR(request))
        received(NULL, UCS_PTR_STATUS(request), 0, to);
}

static ucs_status_t on_message(void *context, const void *header, size_t header_bytes, void *data,
                               size_t bytes, const ucp_am_recv_param_t *how) {
    struct ucx *self = context;
    struct ucx_receive *to = self->take(self->context, header, header_bytes, bytes);
    bool waits = how->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV; /* to be fetched */

    if (!to)
        return waits ? UCS_ERR_REJECTED : UCS_OK;
    to->done = false;
    if (waits) {
        fetch(self, data, bytes, to);
        return UCS_INPROGRESS;
    }
    if (bytes)
        memcpy(to->at, data, bytes);
    to->rc = 0;
    to->done = true;
    return UCS_OK;
}

/* ---- opening ---- */

static int open_library(struct ucx *self, struct opiml_error *err) {
    const ucp_params_t wanted = {.field_mask = UCP_PARAM_FIELD_FEATURES,
                                 .features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP};
    ucp_config_t *config;
    ucs_status_t status = lib.ucp_config_read(NULL, NULL, &config);

    if (status != UCS_OK)
        return fail(status, "reading its settings", err);
    /* Its preset waits in connect(), for two minutes where a firewall answers nothing. Version 1.13
     * knows it by the first name. */
    if (!getenv("UCX_TCP_CONN_NB")) {
        lib.ucp_config_modify(config, "CONN_NB", "y");
        lib.ucp_config_modify(config, "TCP_CONN_NB", "y");
    }
    status = lib.ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &wanted, config, &self->library);
    lib.ucp_config_release(config);
    return status == UCS_OK ? 0 : fail(status, "opening it", err);
}

static int open_worker(struct ucx *self, struct opiml_error *err) {
    const ucp_worker_params_t wanted = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                        .thread_mode = UCS_THREAD_MODE_SERIALIZED};
    const ucp_am_handler_param_t handler = {.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID |
                                                          UCP_AM_HANDLER_PARAM_FIELD_CB |
                                                          UCP_AM_HANDLER_PARAM_FIELD_ARG,
                                            .id = MESSAGE_ID,
                                            .cb = on_message,
                                            .arg = self};
    ucs_status_t status = lib.ucp_worker_create(self->library, &wanted, &self->worker);

    if (status == UCS_OK)
        status = lib.ucp_worker_set_am_recv_handler(self->worker, &handler);
    if (status == UCS_OK)
        status = lib.ucp_worker_get_efd(self->worker, &self->fd);
    return status == UCS_OK ? 0 : fail(status, "making an end", err);
}

int ucx_open(ucx_take *take, void *context, struct ucx **ret_ucx, struct opiml_error *err) {
    struct ucx *self;
    int rc = ucx_load(err);

    if (rc < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "UCX");
    self->take = take;
    self->context = context;
    if ((rc = open_library(self, err)) < 0 || (rc = open_worker(self, err)) < 0) {
        ucx_close(self);
        return rc;
    }
    *ret_ucx = self;
    return 0;
}

int ucx_address(struct ucx *self, void **ret_address, size_t *ret_bytes, struct opiml_error *err) {
    ucp_address_t *address;
    size_t bytes;
    ucs_status_t status = lib.ucp_worker_get_address(self->worker, &address, &bytes);
    void *copy;

    if (status != UCS_OK)
        return fail(status, "its address", err);
    copy = base_alloc(bytes);
    if (copy)
        memcpy(copy, address, bytes);
    lib.ucp_worker_release_address(self->worker, address);
    if (!copy)
        return base_fail_memory(err, bytes, "an address");
    *ret_address = copy;
    *ret_bytes = bytes;
    return 0;
}

static void on_lost(void *context, ucp_ep_h other, ucs_status_t status) {
    ((struct ucx *)context)->lost = status;
}

/* PEER: sends to who has gone are done, with a failure, instead of never. */
int ucx_connect(struct ucx *self, const void *address, struct opiml_error *err) {
    const ucp_ep_params_t wanted = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                                                  UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                                                  UCP_EP_PARAM_FIELD_ERR_HANDLER,
                                    .address = address,
                                    .err_mode = UCP_ERR_HANDLING_MODE_PEER,
                                    .err_handler = {on_lost, self}};
    ucs_status_t status = lib.ucp_ep_create(self->worker, &wanted, &self->other);

    if (status == UCS_OK)
        return 0;
    self->other = NULL;
    return fail(status, "connecting", err);
}

/* ---- sending ---- */

static void sent(void *request, ucs_status_t status, void *user_data) {
    struct ucx_send *send = user_data;

    send->ucx->sending--;
    send->done = true;
    send->rc = code_of(status);
    lib.ucp_request_free(request);
}

int ucx_send(struct ucx *self, const void *header, size_t header_bytes, const void *at,
             uint64_t bytes, struct ucx_send *ret_send, struct opiml_error *err) {
    const ucp_request_param_t how = {
        .op_attr_mask =
            UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS,
        .flags = bytes > AT_ONCE_MOST ? UCP_AM_SEND_FLAG_RNDV : UCP_AM_SEND_FLAG_EAGER,
        .cb.send = sent,
        .user_data = ret_send};
    ucs_status_ptr_t request;

    if (self->lost != UCS_OK)
        return ucx_lost(self, err);
    if (!self->other)
        return opiml_fail(err, OPIML_EIO, "UCX: not connected");
    *ret_send = (struct ucx_send){.ucx = self};
    request = lib.ucp_am_send_nbx(self->other, MESSAGE_ID, header, header_bytes, at, bytes, &how);
    if (UCS_PTR_IS_ERR(request))
        return fail(UCS_PTR_STATUS(request), "sending", err);
    ret_send->done |= request == NULL;
    self->sending += request != NULL;
    return 0;
}

/* ---- progress ---- */

bool ucx_progress(struct ucx *self) {
    return lib.ucp_worker_progress(self->worker) > 0;
}

int ucx_arm(struct ucx *self, struct opiml_error *err) {
    ucs_status_t status = lib.ucp_worker_arm(self->worker);

    if (status == UCS_OK || status == UCS_ERR_BUSY)
        return status == UCS_OK;
    return fail(status, "waiting", err);
}

int ucx_fd(const struct ucx *self) {
    return self->fd;
}

int ucx_lost(const struct ucx *self, struct opiml_error *err) {
    return self->lost == UCS_OK ? 0 : fail(self->lost, "the connection is lost", err);
}

/* ---- memory ---- */

struct ucx_memory *ucx_map(struct ucx *self, void *at, uint64_t bytes) {
    const ucp_mem_map_params_t wanted = {.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS |
                                                       UCP_MEM_MAP_PARAM_FIELD_LENGTH,
                                         .address = at,
                                         .length = bytes};
    struct ucx_memory *memory = &self->memory[self->memories];

    if (bytes <= AT_ONCE_MOST)
        return NULL;
    for (uint32_t i = 0; i < self->memories; i++)
        if (self->memory[i].at == at && self->memory[i].bytes >= bytes)
            return &self->memory[i];
    if (self->memories == UCX_MEMORIES_MAX)
        return NULL;
    *memory = (struct ucx_memory){.at = at, .bytes = bytes};
    if (lib.ucp_mem_map(self->library, &wanted, &memory->handle) != UCS_OK)
        return NULL;
    self->memories++;
    return memory;
}

/* ---- closing ---- */

void ucx_disconnect(struct ucx *self) {
    const ucp_request_param_t now = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                     .flags = UCP_EP_CLOSE_FLAG_FORCE};
    ucs_status_ptr_t request;

    if (!self->other)
        return;
    request = lib.ucp_ep_close_nbx(TAKE(self->other), &now);
    if (UCS_PTR_IS_PTR(request)) {
        while (lib.ucp_request_check_status(request) == UCS_INPROGRESS)
            lib.ucp_worker_progress(self->worker);
        lib.ucp_request_free(request);
    }
    /* What waited for the connection to be made is given up a little later. */
    while (self->sending > 0)
        lib.ucp_worker_progress(self->worker);
}

void ucx_close(struct ucx *self) {
    if (!self)
        return;
    ucx_disconnect(self);
    if (self->worker)
        lib.ucp_worker_destroy(self->worker);
    for (uint32_t i = 0; i < self->memories; i++)
        lib.ucp_mem_unmap(self->library, self->memory[i].handle);
    if (self->library)
        lib.ucp_cleanup(self->library);
    base_free(self);
}
