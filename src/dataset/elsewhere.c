/* A source whose bytes lie on another machine. */
#include "dataset/elsewhere.h"

struct elsewhere {
    struct source base;
    char *where;
};

static int refuse(const struct source *source, struct opiml_error *err) {
    const struct elsewhere *self = (const struct elsewhere *)source;

    return opiml_fail(err, OPIML_ENOENT, "%s: the data lie on %s, and cannot be read here",
                      source->uri, self->where);
}

static void elsewhere_close(struct source *source) {
    struct elsewhere *self = (struct elsewhere *)source;

    base_free(source->uri);
    base_free(source->prefix);
    base_free(self->where);
    base_free(self);
}

static int elsewhere_list(struct source *source, struct source_listing *ret_listing,
                          struct opiml_error *err) {
    return refuse(source, err);
}

static int64_t elsewhere_read(struct source *source, const char *key, void *to, size_t bytes,
                              uint64_t offset, struct opiml_error *err) {
    return refuse(source, err);
}

static int elsewhere_stat(struct source *source, const char *key, struct source_object *ret_object,
                          struct opiml_error *err) {
    return refuse(source, err);
}

static int elsewhere_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                                size_t buffers_bytes, struct source_queue **ret_queue,
                                struct opiml_error *err) {
    return refuse(source, err);
}

static const struct source_ops elsewhere_ops = {
    .name = "elsewhere",
    .help = "on another machine",
    .close = elsewhere_close,
    .list = elsewhere_list,
    .read = elsewhere_read,
    .stat = elsewhere_stat,
    .queue_open = elsewhere_queue_open,
};

int elsewhere_open(const char *uri, const char *prefix, const char *where,
                   struct source **ret_source, struct opiml_error *err) {
    struct elsewhere *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a source");
    self->base.ops = &elsewhere_ops;
    self->base.uri = base_strdup(uri);
    self->base.prefix = base_strdup(prefix);
    self->where = base_strdup(where);
    if (!self->base.uri || !self->base.prefix || !self->where) {
        elsewhere_close(&self->base);
        return base_fail_memory(err, strlen(uri), "a source");
    }
    *ret_source = &self->base;
    return 0;
}

bool elsewhere_may_be(int code) {
    return code == OPIML_ENOENT || code == OPIML_EACCES || code == OPIML_EIO ||
           code == OPIML_ETIMEDOUT;
}

bool elsewhere_is(const struct source *source) {
    return source->ops == &elsewhere_ops;
}
