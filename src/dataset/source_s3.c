/* Objects in S3 buckets. A URI names a prefix that counts as a folder, one object, or a pattern. */
#include "dataset/source_s3.h"

#include <sys/types.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "dataset/parallel.h"
#include "dataset/pattern.h"
#include "dataset/s3_list.h"

#define CONNECTIONS 8            /* of a client for blocking calls */
#define LISTED_NS 10000000000ull /* so long a list is not asked for again only to compare it */

/* ---- what is remembered ---- */

static uint64_t etag_key(const char *key) {
    uint64_t hash = hash_64(key, strlen(key), 0);
    return hash ? hash : 1;
}

void s3_etag_put(struct s3_source *source, const char *key, const char *etag) {
    uint64_t hash = etag_key(key);
    struct s3_etag *place = &source->etags[hash % S3_ETAGS];
    pthread_mutex_lock(&source->lock);
    place->key = hash;
    text_copy(place->etag, sizeof(place->etag), etag);
    pthread_mutex_unlock(&source->lock);
}

void s3_etag_get(struct s3_source *source, const char *key, const struct source_stamp *stamp,
                 char to[S3_ETAG_BYTES]) {
    uint64_t hash = etag_key(key);
    const struct s3_etag *place = &source->etags[hash % S3_ETAGS];
    to[0] = '\0';
    pthread_mutex_lock(&source->lock);
    if (place->key == hash)
        text_copy(to, S3_ETAG_BYTES, place->etag);
    pthread_mutex_unlock(&source->lock);
    if (stamp && to[0] && s3_etag_stamp(to) != stamp->modified_ns)
        to[0] = '\0'; /* of another version: the answer's will show it */
}

const char *s3_reason_keep(struct s3_source *source, const char *reason) {
    const char *kept = NULL;
    pthread_mutex_lock(&source->lock);
    for (size_t i = 0; i < S3_REASONS && !kept; i++) {
        if (!source->reasons[i])
            source->reasons[i] = base_strdup(reason);
        if (!source->reasons[i])
            break;
        if (strcmp(source->reasons[i], reason) == 0)
            kept = source->reasons[i];
    }
    pthread_mutex_unlock(&source->lock);
    return kept;
}

void s3_fail(struct s3_source *source, int code, const char *reason) {
    pthread_mutex_lock(&source->lock);
    if (!source->failure.code)
        opiml_fail(&source->failure, code, "%s", reason);
    pthread_mutex_unlock(&source->lock);
}

static int s3_failure(struct source *base, struct opiml_error *err) {
    struct s3_source *source = (struct s3_source *)base;
    pthread_mutex_lock(&source->lock);
    struct opiml_error why = source->failure;
    pthread_mutex_unlock(&source->lock);
    return why.code ? opiml_fail(err, why.code, "%s", why.message)
                    : opiml_fail(err, OPIML_ECANCELED, "stopped");
}

/* A client for one thread's next calls. */
static int take_client(struct s3_source *source, struct http_client **ret_client,
                       struct opiml_error *err) {
    const struct http_options options = {.ca_file = source->store->ca_file,
                                         .connections = CONNECTIONS,
                                         .stall_s = source->store->stall_s};
    struct http_client *client = NULL;
    pthread_mutex_lock(&source->lock);
    if (source->idle_count > 0)
        client = source->idle[--source->idle_count];
    pthread_mutex_unlock(&source->lock);
    if (!client)
        return http_client_create(&options, ret_client, err);
    *ret_client = client;
    return 0;
}

static void give_client(struct s3_source *source, struct http_client *client) {
    pthread_mutex_lock(&source->lock);
    bool kept = source->idle_count < S3_CLIENTS_IDLE;
    if (kept)
        source->idle[source->idle_count++] = client;
    pthread_mutex_unlock(&source->lock);
    if (!kept)
        http_client_destroy(client);
}

static int run(struct s3_source *source, struct s3_call *call, struct opiml_error *err) {
    struct http_client *client;
    int rc = take_client(source, &client, err);
    if (rc < 0)
        return rc;
    rc = s3_call_run(call, client, err);
    give_client(source, client);
    return rc;
}

static char *full_key(const struct s3_source *source, const char *key) {
    return base_printf("%s%s", source->folder, key);
}

/* ---- one object ---- */

static int look_at(struct s3_source *source, const char *key, struct source_object *ret_object,
                   struct opiml_error *err) {
    AUTO_FREE char *full = full_key(source, key);
    CLEANUP(s3_call_release)
    struct s3_call call = {
        .store = source->store, .head = true, .key = full, .query = "", .end = S3_NO_END};
    if (!full)
        return base_fail_memory(err, strlen(key), "a key");
    int rc = run(source, &call, err);
    if (rc < 0)
        return rc;
    if (!call.etag[0])
        return opiml_fail(err, OPIML_EIO, "s3://%s/%s: %s tells no ETag, to see changes by",
                          source->store->bucket, full, source->store->endpoint);
    s3_etag_put(source, key, call.etag);
    *ret_object = (struct source_object){key, call.total, s3_etag_stamp(call.etag)};
    return 0;
}

/* A blocking read's place in memory, and what has come. */
struct reading {
    struct s3_call call; /* first */
    uint8_t *to;
    size_t room, got;
};

static bool reading_begun(struct s3_call *call) {
    ((struct reading *)call)->got = 0;
    return true;
}

static bool reading_body(struct s3_call *call, const uint8_t *data, size_t bytes) {
    struct reading *reading = (struct reading *)call;
    if (bytes > reading->room - reading->got) {
        call->result = OPIML_EIO;
        snprintf(call->reason, sizeof(call->reason), "%s answers with more than was asked for",
                 call->store->endpoint);
        return false;
    }
    memcpy(reading->to + reading->got, data, bytes);
    reading->got += bytes;
    return true;
}

static void reading_release(struct reading *reading) {
    s3_call_release(&reading->call);
}

static int64_t s3_read(struct source *base, const char *key, void *to, size_t bytes,
                       uint64_t offset, struct opiml_error *err) {
    struct s3_source *source = (struct s3_source *)base;
    AUTO_FREE char *full = full_key(source, key);
    CLEANUP(reading_release)
    struct reading reading = {.call = {.store = source->store,
                                       .key = full,
                                       .query = "",
                                       .begin = offset,
                                       .end = offset + bytes,
                                       .begun = reading_begun,
                                       .body = reading_body},
                              .to = to,
                              .room = bytes};
    if (!full)
        return base_fail_memory(err, strlen(key), "a key");
    if (bytes == 0)
        return 0;
    s3_etag_get(source, key, NULL, reading.call.if_match);
    int rc = run(source, &reading.call, err);
    if (rc < 0)
        return reading.call.http.status == 416 ? 0 : rc; /* behind the end */
    if (!reading.call.if_match[0] && reading.call.etag[0])
        s3_etag_put(source, key, reading.call.etag);
    return (int64_t)reading.got;
}

/* ---- lists ---- */

struct listing {
    struct s3_source *source;
    const struct pattern *pattern; /* NULL: everything */
    struct source_listing to;
    size_t room;
    bool sorted;
};

/* Parts that begin with a dot hide a file, and so do marks of folders, which consoles make. */
static bool is_hidden(const char *key) {
    size_t bytes = strlen(key);
    return bytes == 0 || key[bytes - 1] == '/' || key[0] == '.' || strstr(key, "/.");
}

static int list_add(struct listing *listing, const char *key, uint64_t bytes, uint64_t stamp,
                    struct opiml_error *err) {
    struct source_listing *to = &listing->to;
    if (to->count == listing->room) {
        size_t room = listing->room ? listing->room * 2 : 1024;
        struct source_object *grown = base_realloc(to->objects, room * sizeof(*grown));
        if (!grown)
            return base_fail_memory(err, room * sizeof(*grown), "a listing");
        to->objects = grown;
        listing->room = room;
    }
    char *copy = source_keep(&to->memory, key, strlen(key));
    if (!copy)
        return base_fail_memory(err, strlen(key), "a listing");
    if (to->count > 0 && strcmp(to->objects[to->count - 1].key, copy) >= 0)
        listing->sorted = false;
    to->objects[to->count++] = (struct source_object){copy, bytes, stamp};
    return 0;
}

static int list_each(void *context, const struct s3_found *found, struct opiml_error *err) {
    struct listing *listing = context;
    size_t lead = strlen(listing->source->folder);
    if (strncmp(found->key, listing->source->folder, lead) != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "the list names %s, which was not asked for",
                          found->key);
    const char *key = found->key + lead;
    if (is_hidden(key) || (listing->pattern && !pattern_matches(listing->pattern, key)))
        return 0;
    if (!source_key_safe(key))
        return opiml_fail(err, OPIML_EINVAL,
                          "the key %s has an empty part or \"..\" in it, which no file could be "
                          "called; give it another one",
                          found->key);
    s3_etag_put(listing->source, key, found->etag);
    return list_add(listing, key, found->bytes, s3_etag_stamp(found->etag), err);
}

static int sort_listing(struct listing *listing, struct opiml_error *err) {
    return listing->sorted ? 0 : source_listing_sort(&listing->to, listing->source->base.uri, err);
}

/* The root as a folder, whose stamp changes with any object below it. */
static int add_root(struct listing *listing, struct opiml_error *err) {
    struct source_listing *to = &listing->to;
    const char *endpoint = listing->source->store->endpoint;
    uint64_t hash = hash_64(endpoint, strlen(endpoint), 0);
    for (size_t i = 0; i < to->count; i++) {
        const struct source_object *object = &to->objects[i];
        const uint64_t stamp[] = {hash, object->bytes, object->modified_ns};
        hash = hash_64(object->key, strlen(object->key), hash_64(stamp, sizeof(stamp), 0));
    }
    to->folders = base_alloc_array(1, sizeof(*to->folders));
    char *key = source_keep(&to->memory, "", 0);
    if (!to->folders || !key)
        return base_fail_memory(err, sizeof(*to->folders), "a listing");
    to->folders[0] = (struct source_object){key, hash, 0};
    to->folder_count = 1;
    pthread_mutex_lock(&listing->source->lock);
    listing->source->listing_hash = hash;
    listing->source->listed_ns = clock_now_ns();
    pthread_mutex_unlock(&listing->source->lock);
    return 0;
}

/* How far all names of a pattern are the same, and without wildcards. */
static size_t shared_bytes(const struct pattern *pattern) {
    const char *first = pattern->names[0];
    size_t bytes = strcspn(first, "*?[");
    for (size_t i = 1; i < pattern->count; i++) {
        size_t same = 0;
        while (same < bytes && pattern->names[i][same] == first[same])
            same++;
        bytes = same;
    }
    return bytes;
}

static int list_all(struct listing *listing, struct opiml_error *err) {
    struct s3_source *source = listing->source;
    const struct pattern *pattern = listing->pattern;
    AUTO_FREE char *prefix =
        base_printf("%s%.*s", source->folder, pattern ? (int)shared_bytes(pattern) : 0,
                    pattern ? pattern->names[0] : "");
    struct http_client *client;
    if (!prefix)
        return base_fail_memory(err, strlen(source->folder), "a prefix");
    int rc = take_client(source, &client, err);
    if (rc < 0)
        return rc;
    rc = s3_list(source->store, client, prefix, 0, list_each, listing, err);
    give_client(source, client);
    if (rc == 0)
        rc = sort_listing(listing, err);
    return rc < 0 ? rc : add_root(listing, err);
}

static int nothing(void *context, const struct s3_found *found, struct opiml_error *err) {
    *(bool *)context = true;
    return 0;
}

/* Whether there is any object whose key begins so. */
static int is_there(void *context, const char *name, bool folder, bool *ret_there,
                    struct opiml_error *err) {
    struct s3_source *source = context;
    AUTO_FREE char *prefix = base_printf("%s%s%s", source->folder, name, folder ? "/" : "");
    struct http_client *client;
    *ret_there = false;
    if (!prefix)
        return base_fail_memory(err, strlen(name), "a name");
    int rc = take_client(source, &client, err);
    if (rc < 0)
        return rc;
    rc = s3_list(source->store, client, prefix, 1, nothing, ret_there, err);
    give_client(source, client);
    return rc;
}

/* Names that are all written out: each must be there. */
struct names {
    struct s3_source *source;
    const struct pattern *pattern;
    struct source_object *objects;
};

static int look_at_name(void *context, size_t i, struct opiml_error *err) {
    struct names *names = context;
    return look_at(names->source, names->pattern->names[i], &names->objects[i], err);
}

static int list_names(struct listing *listing, const struct pattern *pattern,
                      struct opiml_error *err) {
    AUTO_FREE struct source_object *objects = base_alloc_array(pattern->count, sizeof(*objects));
    struct names names = {listing->source, pattern, objects};
    if (!objects)
        return base_fail_memory(err, pattern->count * sizeof(*objects), "a listing");
    int rc = parallel_do(pattern->count, S3_CLIENTS_IDLE, look_at_name, &names, err);
    for (size_t i = 0; rc == 0 && i < pattern->count; i++)
        rc = list_add(listing, objects[i].key, objects[i].bytes, objects[i].modified_ns, err);
    return rc < 0 ? rc : sort_listing(listing, err);
}

static int list_pattern(struct listing *listing, struct opiml_error *err) {
    CLEANUP(pattern_release) struct pattern pattern = {0};
    bool glob = false;
    int rc = pattern_expand(listing->source->object, &pattern, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < pattern.count && !glob; i++)
        glob = pattern_is_glob(pattern.names[i]);
    if (!glob)
        return list_names(listing, &pattern, err);
    listing->pattern = &pattern;
    rc = list_all(listing, err);
    listing->pattern = NULL;
    return rc < 0 ? rc
                  : pattern_check_there(&pattern, listing->source->base.uri, is_there,
                                        listing->source, err);
}

static int s3_list_source(struct source *base, struct source_listing *ret_listing,
                          struct opiml_error *err) {
    struct s3_source *source = (struct s3_source *)base;
    struct listing listing = {.source = source, .sorted = true};
    struct pattern one = {.names = &source->object, .count = 1};
    int rc = base->pattern  ? list_pattern(&listing, err)
             : base->single ? list_names(&listing, &one, err)
                            : list_all(&listing, err);
    if (rc < 0) {
        source_listing_release(&listing.to);
        return rc;
    }
    *ret_listing = listing.to;
    return 0;
}

/* The root's stamp: of a list that was just made, or else of a new one. */
static int stat_root(struct s3_source *source, struct source_object *ret_object,
                     struct opiml_error *err) {
    struct source_listing listing;
    pthread_mutex_lock(&source->lock);
    uint64_t listed = source->listed_ns;
    pthread_mutex_unlock(&source->lock);
    if (listed == 0 || clock_now_ns() - listed > LISTED_NS) {
        int rc = s3_list_source(&source->base, &listing, err);
        if (rc < 0)
            return rc;
        source_listing_release(&listing);
    }
    pthread_mutex_lock(&source->lock);
    *ret_object = (struct source_object){"", source->listing_hash, 0};
    pthread_mutex_unlock(&source->lock);
    return 0;
}

static int s3_stat(struct source *base, const char *key, struct source_object *ret_object,
                   struct opiml_error *err) {
    struct s3_source *source = (struct s3_source *)base;
    return key[0] ? look_at(source, key, ret_object, err) : stat_root(source, ret_object, err);
}

/* ---- opening ---- */

static void s3_close(struct source *base) {
    struct s3_source *source = (struct s3_source *)base;
    if (!source)
        return;
    for (uint32_t i = 0; i < source->idle_count; i++)
        http_client_destroy(source->idle[i]);
    for (size_t i = 0; i < S3_REASONS; i++)
        base_free(source->reasons[i]);
    pthread_mutex_destroy(&source->lock);
    s3_store_close(source->store);
    base_free(source->etags);
    base_free(source->folder);
    base_free(source->object);
    base_free(source->base.uri);
    base_free(source->base.prefix);
    base_free(source);
}

static void s3_close_at(struct s3_source **source) {
    if (*source)
        s3_close(&(*source)->base);
}

/* Split before the first part that makes the key a pattern, or before the last part. */
static int split_key(struct s3_source *source, const char *key, bool pattern,
                     struct opiml_error *err) {
    size_t stop = pattern ? strcspn(key, "*?[{") : strlen(key);
    while (stop > 0 && key[stop - 1] != '/')
        stop--;
    base_free(source->folder);
    source->folder = base_printf("%.*s", (int)stop, key);
    source->object = base_strdup(key + stop);
    source->base.pattern = pattern;
    source->base.single = !pattern;
    return source->folder && source->object ? 0 : base_fail_memory(err, strlen(key), "a key");
}

static int set_folder(struct s3_source *source, const char *key, struct opiml_error *err) {
    base_free(source->folder);
    source->folder = base_printf("%s%s", key, key[0] ? "/" : "");
    return source->folder ? 0 : base_fail_memory(err, strlen(key), "a key");
}

/* Find out what the key is: an object, what keys begin with, or a pattern. */
static int find_root(struct s3_source *source, const char *key, bool is_folder,
                     struct opiml_error *err) {
    struct source_object object;
    bool there = false;
    if (key[0] == '\0' || is_folder)
        return set_folder(source, key, err);
    source->folder = base_strdup("");
    if (!source->folder)
        return base_fail_memory(err, 1, "a key");
    int rc = look_at(source, key, &object, err);
    if (rc == 0)
        return split_key(source, key, false, err);
    if (pattern_is(key) && (rc == OPIML_ENOENT || rc == OPIML_EACCES))
        return split_key(source, key, true, err);
    if (rc != OPIML_ENOENT)
        return rc;
    if ((rc = set_folder(source, key, err)) < 0 ||
        (rc = is_there(source, "", false, &there, err)) < 0 || there)
        return rc;
    return opiml_fail(err, OPIML_ENOENT,
                      "s3://%s/%s: %s has no such object, and none whose key begins with %s/",
                      source->store->bucket, key, source->store->endpoint, key);
}

/* The URI, or what it lies below, is one of the roots of a process that serves others. */
static int check_confined(const char *uri, struct opiml_error *err) {
    AUTO_FREE char *at = base_strdup(uri);
    if (!at)
        return base_fail_memory(err, strlen(uri), "a URI");
    for (char *slash; strlen(at) > strlen("s3://"); *slash = '\0') {
        if (source_check_confined(at, NULL, NULL) == 0)
            return 0;
        slash = strrchr(at, '/');
    }
    return source_check_confined(uri, NULL, err);
}

extern const struct source_ops source_s3;

static int s3_open(const char *uri, struct source **ret_source, struct opiml_error *err) {
    AUTO_FREE char *bucket = NULL, *key = NULL;
    int rc = s3_uri_split(uri, &bucket, &key, err);
    if (rc < 0)
        return rc;
    CLEANUP(s3_close_at) struct s3_source *source = base_alloc(sizeof(*source));
    if (!source)
        return base_fail_memory(err, sizeof(*source), "a source");
    pthread_mutex_init(&source->lock, NULL);
    source->base.ops = &source_s3;
    source->base.stamps_all = true;
    source->base.uri = base_printf("s3://%s%s%s", bucket, key[0] ? "/" : "", key);
    source->etags = base_alloc_array(S3_ETAGS, sizeof(*source->etags));
    if (!source->base.uri || !source->etags)
        return base_fail_memory(err, strlen(uri), "a source");
    if ((rc = check_confined(source->base.uri, err)) < 0 ||
        (rc = s3_store_open(bucket, &source->store, err)) < 0 ||
        (rc = find_root(source, key, uri[strlen(uri) - 1] == '/', err)) < 0)
        return rc;
    source->base.prefix = base_printf("s3://%s/%s", bucket, source->folder);
    if (!source->base.prefix)
        return base_fail_memory(err, strlen(uri), "a source");
    *ret_source = &TAKE(source)->base;
    return 0;
}

const struct source_ops source_s3 = {
    .name = "s3",
    .scheme = "s3",
    .help =
        "Objects in S3: s3://bucket/folder, one object, or a pattern; set up as for AWS's tools",
    .open = s3_open,
    .close = s3_close,
    .list = s3_list_source,
    .read = s3_read,
    .stat = s3_stat,
    .queue_open = s3_queue_open,
    .queue_close = s3_queue_close,
    .submit = s3_queue_submit,
    .wait = s3_queue_wait,
    .wake = s3_queue_wake,
    .failure = s3_failure,
};
