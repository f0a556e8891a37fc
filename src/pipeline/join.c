/* Joining a feed that another process of this host makes. */
#include "pipeline/join.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "dataset/elsewhere.h"
#include "net/descriptor.h"
#include "pipeline/handed_index.h"
#include "pipeline/pipeline.h"
#include "pipeline/serve.h"

#define SERVER_MS 60000   /* to be there */
#define OTHERS_MS 1800000 /* for all consumers to come, and the feed to be opened */
#define MEMORY_MS 10000
#define INDEX_MS 600000 /* a round that is under way has to end first */
#define RETRY_MS 50

struct join {
    struct feed_router router;
    const struct opiml_pipeline *pipeline;
    const struct opiml_feed_options *options;
    struct opiml_error lost; /* .code negative: the way has failed, and there is no other */
};

static int try_connect(const char *name, int *ret_fd, struct opiml_error *err) {
    struct sockaddr_un address;
    uint32_t bytes;
    int rc = serve_address(name, &address, &bytes, err);
    AUTO_FD int fd = rc < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (rc < 0)
        return rc;
    if (fd < 0)
        return base_fail_errno(err, errno, "joining a feed");
    if (connect(fd, (struct sockaddr *)&address, bytes) < 0)
        return errno == ECONNREFUSED
                   ? opiml_fail(err, OPIML_ENOENT,
                                "nobody serves a feed under the name %s on this machine: opiml "
                                "feed PIPELINE --serve %s --consumers N does",
                                name, name)
                   : base_fail_errno(err, errno, "joining the feed %s", name);
    if (!serve_same_user(fd))
        return opiml_fail(err, OPIML_EACCES, "the feed %s is another user's", name);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* Who serves may be starting just now. */
static int connect_to(const char *name, int *ret_fd, struct opiml_error *err) {
    uint64_t until = clock_now_ns() + SERVER_MS * 1000000ull;
    int rc;

    while ((rc = try_connect(name, ret_fd, err)) == OPIML_ENOENT && clock_now_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    return rc;
}

/* ---- the pipeline ---- */

struct finder {
    struct dataset_finder finder;
    const char *name;
};

static int take_index(const char *name, uint32_t number, const struct yaml *yaml,
                      const struct yaml_node *node, struct dataset **ret_dataset,
                      struct opiml_error *err) {
    const struct serve_hello hello = {
        .magic = SERVE_MAGIC, .version = SERVE_VERSION, .wish = SERVE_INDEX, .dataset = number};
    struct handed_index message;
    struct index index = {0};
    AUTO_FD int fd = -1;
    char where[SERVE_NAME_MAX + 40];
    int rc = connect_to(name, &fd, err);

    if (rc < 0)
        return rc;
    if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != (ssize_t)sizeof(hello))
        return base_fail_errno(err, errno, "the feed %s", name);
    snprintf(where, sizeof(where), "who serves the feed %s", name);
    if ((rc = handed_index_take(fd, INDEX_MS, &message, &index, err)) == 0)
        rc = dataset_open_elsewhere(yaml, node, &index, message.uri, message.prefix, where,
                                    ret_dataset, err);
    index_release(&index);
    return rc;
}

static int find(struct dataset_finder *finder, const struct yaml *yaml,
                const struct yaml_node *node, uint32_t number, const struct opiml_error *why,
                struct dataset **ret_dataset, struct opiml_error *err) {
    const struct finder *self = (const struct finder *)finder;
    struct opiml_error last;

    if (!why || !elsewhere_may_be(why->code))
        return 0;
    if (take_index(self->name, number, yaml, node, ret_dataset, &last) == 0)
        return 1;
    return opiml_fail(err, why->code, "%s; and the feed %s: %s", why->message, self->name,
                      last.message);
}

int opiml_pipeline_open_joined(const char *path, const char *name,
                               struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    struct finder finder = {{find}, name};

    return pipeline_open_finding(path, &finder.finder, ret_pipeline, err);
}

/* ---- its batches ---- */

static int say_hello(const struct join *self, int fd, uint64_t first, uint64_t batches,
                     struct opiml_error *err) {
    struct serve_hello hello = {.magic = SERVE_MAGIC,
                                .version = SERVE_VERSION,
                                .rank = self->options->rank,
                                .world = self->options->world,
                                .pipeline = self->pipeline->hash,
                                .fingerprint = self->pipeline->fingerprint,
                                .first = first,
                                .batches = batches};

    if (self->options->resume)
        text_copy(hello.token, sizeof(hello.token), self->options->resume);
    if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != (ssize_t)sizeof(hello))
        return base_fail_errno(err, errno, "joining the feed %s", self->options->join);
    return 0;
}

/* It comes when all consumers have. */
static int hear_welcome(const struct join *self, int fd, struct serve_welcome *welcome,
                        struct opiml_error *err) {
    const char *name = self->options->join;
    ssize_t n;

    if (descriptor_wait(fd, OTHERS_MS) == 0)
        return opiml_fail(err, OPIML_ETIMEDOUT,
                          "the feed %s: its other consumers have not come within %d minutes", name,
                          OTHERS_MS / 60000);
    n = recv(fd, welcome, sizeof(*welcome), MSG_DONTWAIT);
    if (n <= 0)
        return opiml_fail(err, OPIML_EIO, "the feed %s: who serves it has gone", name);
    if (n != (ssize_t)sizeof(*welcome) || welcome->magic != SERVE_MAGIC ||
        welcome->version != SERVE_VERSION)
        return opiml_fail(err, OPIML_EINVAL, "the feed %s: another version of opiml serves it",
                          name);
    welcome->why[sizeof(welcome->why) - 1] = 0;
    if (welcome->code < 0)
        return opiml_fail(err, welcome->code, "the feed %s: %s", name, welcome->why);
    return 0;
}

static int arrange(struct feed_router *router, uint64_t first, uint64_t batches,
                   struct routes *ret_routes, struct opiml_error *err) {
    struct join *self = (struct join *)router;
    struct serve_welcome welcome;
    struct link *link;
    AUTO_FD int fd = -1;
    int rc;

    if (self->lost.code < 0)
        return opiml_fail(err, self->lost.code, "%s", self->lost.message);
    if ((rc = connect_to(self->options->join, &fd, err)) < 0 ||
        (rc = say_hello(self, fd, first, batches, err)) < 0 ||
        (rc = hear_welcome(self, fd, &welcome, err)) < 0 ||
        (rc = link_shm_borrow(fd, welcome.place_bytes, MEMORY_MS, &link, err)) < 0)
        return rc;
    fd = -1; /* the link's now */
    *ret_routes = (struct routes){.count = 1,
                                  .route[0] = {.link = link,
                                               .cut = self->pipeline->ops,
                                               .depth = SERVE_PLACES,
                                               .frame_bytes = welcome.place_bytes}};
    return 0;
}

/* It has failed for all: the others cannot go on without this one, nor this one without them. */
static void lost(struct feed_router *router, uint32_t route, uint64_t next,
                 const struct opiml_error *why) {
    struct join *self = (struct join *)router;

    opiml_fail(&self->lost, why->code, "the feed %s: %s", self->options->join, why->message);
}

int join_open(const struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
              struct join **ret_join, struct opiml_error *err) {
    struct sockaddr_un address;
    uint32_t bytes;
    struct join *self;
    int rc = serve_address(options->join, &address, &bytes, err);

    if (rc < 0)
        return rc;
    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a feed");
    *self = (struct join){
        .router = {.arrange = arrange, .lost = lost}, .pipeline = pipeline, .options = options};
    *ret_join = self;
    return 0;
}

struct feed_router *join_router(struct join *join) {
    return &join->router;
}

void join_close(struct join *join) {
    base_free(join);
}
