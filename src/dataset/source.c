/* Sources in general: the table, URIs and the calls that are the same for all. */
#include "dataset/source.h"

#include <strings.h>
#include <sys/vfs.h>

#include "base/text.h"

#define SOURCE(kind) extern const struct source_ops source_##kind;
#include "source_list.inc"
#undef SOURCE

#define KEY_BYTES_MAX 4096
#define SECONDS_MAX 86400

const struct source_ops *const *source_kinds(void) {
    static const struct source_ops *const kinds[] = {
#define SOURCE(kind) &source_##kind,
#include "source_list.inc"
#undef SOURCE
        NULL,
    };
    return kinds;
}

/* The scheme's length when the text begins with one ("file:"), else 0. A single letter is none. */
static size_t scheme_length(const char *uri) {
    size_t n = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return n > 1 && strncmp(uri + n, "://", 3) == 0 ? n : 0;
}

static int fail_scheme(const char *uri, size_t length, struct opiml_error *err) {
    AUTO_TEXT struct text known = {0};
    for (const struct source_ops *const *kind = source_kinds(); *kind; kind++)
        text_printf(&known, "%s%s", known.count ? ", " : "", (*kind)->scheme);
    return opiml_fail(err, OPIML_ENOTSUP, "%s: no source for \"%.*s://\"; there are: %s", uri,
                      (int)length, uri, known.at ? known.at : "");
}

static bool is_scheme(const char *scheme, const char *uri, size_t length) {
    return scheme && strlen(scheme) == length && strncasecmp(scheme, uri, length) == 0;
}

/* Behind the scheme stands a path: relative to `base`, or else to the current folder. */
static int open_path(const struct source_ops *kind, const char *path, const char *base,
                     struct source **ret_source, struct opiml_error *err) {
    AUTO_FREE char *whole = text_user_path(base && base[0] ? base : ".", path);
    AUTO_FREE char *uri = whole ? base_printf("%s://%s", kind->scheme, whole) : NULL;
    if (!uri)
        return base_fail_memory(err, strlen(path), "a path");
    return kind->open(uri, ret_source, err);
}

/* ---- aliases ---- */

static struct alias { char *uri, *path; } aliases[SOURCE_ALIASES_MAX];

int source_alias(const char *uri, const char *path, struct opiml_error *err) {
    struct alias *to = aliases;

    while (to < aliases + SOURCE_ALIASES_MAX && to->uri && strcmp(to->uri, uri) != 0)
        to++;
    if (to == aliases + SOURCE_ALIASES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s: more than %d aliases", uri, SOURCE_ALIASES_MAX);
    if (scheme_length(uri) == 0 || path[0] != '/')
        return opiml_fail(err, OPIML_EINVAL,
                          "%s=%s: an alias is a URI and an absolute path, such as "
                          "s3://photographs=/data/photographs",
                          uri, path);
    base_free(to->uri);
    base_free(to->path);
    to->uri = base_strdup(uri);
    to->path = base_strdup(path);
    return to->uri && to->path ? 0 : base_fail_memory(err, strlen(uri), "an alias");
}

/* The path that a URI has here, the caller's; NULL: none. The longest alias counts. */
static char *find_alias(const char *uri) {
    const struct alias *best = NULL;

    for (size_t i = 0; i < SOURCE_ALIASES_MAX && aliases[i].uri; i++) {
        size_t length = strlen(aliases[i].uri);

        if (strncmp(uri, aliases[i].uri, length) == 0 && (uri[length] == 0 || uri[length] == '/') &&
            (!best || length > strlen(best->uri)))
            best = &aliases[i];
    }
    return best ? base_printf("%s%s", best->path, uri + strlen(best->uri)) : NULL;
}

int source_open(const char *uri, const char *base, struct source **ret_source,
                struct opiml_error *err) {
    AUTO_FREE char *alias = find_alias(uri);
    const struct source_ops *const *kind = source_kinds();
    size_t length;

    uri = alias ? alias : uri;
    length = scheme_length(uri);
    if (uri[0] == '\0')
        return opiml_fail(err, OPIML_EINVAL, "the dataset's uri is empty");
    if (length == 0) {
        /* A path: relative to `base`, or else to the current folder. */
        AUTO_FREE char *path = text_user_path(base && base[0] ? base : ".", uri);
        if (!path)
            return base_fail_memory(err, strlen(uri), "a path");
        return kind[0]->open(path, ret_source, err);
    }
    for (; *kind; kind++)
        if (is_scheme((*kind)->scheme, uri, length) || is_scheme((*kind)->alias, uri, length))
            return (*kind)->path ? open_path(*kind, uri + length + 3, base, ret_source, err)
                                 : (*kind)->open(uri, ret_source, err);
    return fail_scheme(uri, length, err);
}

void source_close(struct source *source) {
    if (source)
        source->ops->close(source);
}

bool source_is_remote(const struct source *source) {
    /* NFS, SMB, CIFS, Ceph, Lustre, FUSE: statfs(2), linux/magic.h. */
    static const uint32_t magic[] = {0x6969,     0x517b,     0xfe534d42, 0xff534d42,
                                     0x00c36400, 0x0bd00bd0, 0x65735546};
    struct statfs found;

    if (!source->local)
        return true;
    for (size_t i = 0; i < COUNT_OF(magic); i++)
        if (statfs(source->local, &found) == 0 && (uint32_t)found.f_type == magic[i])
            return true;
    return false;
}

void source_bind(struct source *source, const char *(*key)(void *context, uint32_t object),
                 void *context) {
    source->key = key;
    source->key_context = context;
}

void source_bind_stamps(struct source *source,
                        struct source_stamp (*stamp)(void *context, uint32_t object)) {
    source->stamp = stamp;
}

int source_queue_open(struct source *source, uint32_t depth, bool direct, void *buffers,
                      size_t buffers_bytes, struct source_queue **ret_queue,
                      struct opiml_error *err) {
    assert(source->key);
    if (depth == 0)
        return opiml_fail(err, OPIML_EINVAL, "%s: a queue of depth 0", source->uri);
    return source->ops->queue_open(source, depth, direct, buffers, buffers_bytes, ret_queue, err);
}

int source_seconds(const char *variable, uint32_t usual, uint32_t *ret_seconds,
                   struct opiml_error *err) {
    const char *text = getenv(variable);
    uint32_t seconds = usual;
    if (text && text[0]) {
        seconds = 0;
        for (const char *at = text; *at && seconds <= SECONDS_MAX; at++)
            seconds = *at >= '0' && *at <= '9' ? seconds * 10 + (uint32_t)(*at - '0') : UINT32_MAX;
        if (seconds == 0 || seconds > SECONDS_MAX)
            return opiml_fail(err, OPIML_EINVAL, "%s=%s: a number of seconds, from 1 to %d",
                              variable, text, SECONDS_MAX);
    }
    *ret_seconds = seconds;
    return 0;
}

uint32_t source_room(uint32_t bytes, bool direct) {
    /* One byte more than wanted shows that an object has grown; a direct read starts and ends on
     * the borders of 4096 bytes around it. Other reads begin behind such a border of 64 bytes. */
    uint64_t room = direct ? base_align_up((uint64_t)bytes + 1, 4096) + 4096 : (uint64_t)bytes + 65;
    return (uint32_t)base_min_u64(room, UINT32_MAX);
}

bool source_key_safe(const char *key) {
    size_t part = 0, length = strlen(key);
    if (length == 0 || length >= KEY_BYTES_MAX)
        return false;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && key[i] != '/')
            continue;
        size_t n = i - part;
        if (n == 0 || (n == 1 && key[part] == '.') ||
            (n == 2 && key[part] == '.' && key[part + 1] == '.'))
            return false;
        part = i + 1;
    }
    return true;
}

/* What the keys of a listing lie in: a chain of chunks, the newest first. */
struct chunk {
    struct chunk *next;
    size_t used, room;
    char at[];
};

char *source_keep(void **memory, const char *key, size_t bytes) {
    struct chunk *chunk = *memory;
    if (!chunk || chunk->room - chunk->used <= bytes) {
        size_t room = base_max_u64(KIB(128) - sizeof(*chunk), bytes + 1);
        struct chunk *more = base_alloc(sizeof(*chunk) + room);
        if (!more)
            return NULL;
        more->next = chunk;
        more->room = room;
        *memory = chunk = more;
    }
    char *at = chunk->at + chunk->used;
    memcpy(at, key, bytes);
    at[bytes] = '\0';
    chunk->used += bytes + 1;
    return at;
}

void source_keep_join(void **memory, void *more) {
    struct chunk *last = more;
    if (!last)
        return;
    while (last->next)
        last = last->next;
    last->next = *memory;
    *memory = more;
}

int source_by_key(const void *a, const void *b) {
    return strcmp(((const struct source_object *)a)->key, ((const struct source_object *)b)->key);
}

int source_listing_sort(struct source_listing *listing, const char *uri, struct opiml_error *err) {
    qsort(listing->objects, listing->count, sizeof(*listing->objects), source_by_key);
    for (size_t i = 1; i < listing->count; i++)
        if (source_by_key(&listing->objects[i - 1], &listing->objects[i]) == 0)
            return opiml_fail(err, OPIML_EINVAL, "%s names %s twice", uri, listing->objects[i].key);
    return 0;
}

void source_listing_release(struct source_listing *listing) {
    struct chunk *chunk = listing->memory;
    while (chunk) {
        struct chunk *next = chunk->next;
        base_free(chunk);
        chunk = next;
    }
    base_free(listing->objects);
    base_free(listing->folders);
    memset(listing, 0, sizeof(*listing));
}
