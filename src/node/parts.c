/* Parts of data sets that are spread over nodes. */
#include "node/parts.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/yaml.h"

struct entry {
    char hash[INDEX_HASH_BYTES]; /* "": the place is free */
    uint8_t *data;               /* until it is open */
    uint64_t bytes, got;
    struct dataset *dataset; /* NULL: not open yet */
    uint64_t asked_ns;
};

struct parts {
    pthread_mutex_t opening; /* before `lock`, which is not held to open */
    pthread_mutex_t lock;
    struct entry entry[PARTS_MAX];
};

static void forget(struct entry *entry) {
    base_free(entry->data);
    dataset_close(entry->dataset);
    *entry = (struct entry){0};
}

int parts_create(struct parts **ret_parts, struct opiml_error *err) {
    struct parts *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "parts of data sets");
    pthread_mutex_init(&self->opening, NULL);
    pthread_mutex_init(&self->lock, NULL);
    *ret_parts = self;
    return 0;
}

void parts_destroy(struct parts *self) {
    if (!self)
        return;
    for (size_t i = 0; i < PARTS_MAX; i++)
        forget(&self->entry[i]);
    pthread_mutex_destroy(&self->opening);
    pthread_mutex_destroy(&self->lock);
    base_free(self);
}

/* ---- under the lock ---- */

static struct entry *find(struct parts *self, const char *hash) {
    for (size_t i = 0; hash[0] && i < PARTS_MAX; i++)
        if (strcmp(self->entry[i].hash, hash) == 0)
            return &self->entry[i];
    return NULL;
}

/* What can be forgotten, and was asked for longest ago; NULL: nothing. */
static struct entry *oldest(struct parts *self) {
    uint64_t now = clock_now_ns();
    struct entry *found = NULL;

    for (size_t i = 0; i < PARTS_MAX; i++) {
        struct entry *entry = &self->entry[i];

        if (!entry->hash[0] || (!entry->dataset && now - entry->asked_ns < PARTS_PATIENCE_NS))
            continue;
        if (!found || entry->asked_ns < found->asked_ns)
            found = entry;
    }
    return found;
}

/* A free place, with room for so many bytes. */
static struct entry *make_room(struct parts *self, uint64_t bytes) {
    for (;;) {
        uint64_t sum = bytes;
        struct entry *place = NULL, *old;

        for (size_t i = 0; i < PARTS_MAX; i++) {
            sum += self->entry[i].bytes;
            place = self->entry[i].hash[0] ? place : &self->entry[i];
        }
        if (place && sum <= PARTS_BYTES_MAX)
            return place;
        if (!(old = oldest(self)))
            return NULL;
        forget(old);
    }
}

static int enter(struct parts *self, const struct parts_piece *piece, struct entry **ret_entry,
                 struct opiml_error *err) {
    struct entry *place = find(self, piece->hash);

    if (place && place->bytes != piece->bytes)
        return opiml_fail(err, OPIML_EINVAL, "index_bytes: the index has %" PRIu64, place->bytes);
    if (!place) {
        place = make_room(self, piece->bytes);
        if (!place)
            return opiml_fail(err, OPIML_EBUSY,
                              "this node takes in as many indexes as it can; try again later");
        place->data = base_alloc(piece->bytes);
        if (!place->data)
            return base_fail_memory(err, piece->bytes, "an index");
        text_copy(place->hash, sizeof(place->hash), piece->hash);
        place->bytes = piece->bytes;
        place->asked_ns = clock_now_ns();
    }
    *ret_entry = place;
    return 0;
}

static int take(struct parts *self, const struct parts_piece *piece, bool *ret_whole,
                uint64_t *ret_offset, struct opiml_error *err) {
    struct entry *entry = NULL;
    size_t bytes = 0;
    int rc;

    *ret_offset = 0;
    *ret_whole = false;
    if (piece->data_bytes == 0 && !find(self, piece->hash)) /* who only asks takes no place */
        return 0;
    if ((rc = enter(self, piece, &entry, err)) < 0)
        return rc;
    if (!entry->dataset && piece->offset == entry->got)
        bytes = base_min_u64(piece->data_bytes, entry->bytes - entry->got);
    if (bytes > 0)
        memcpy(entry->data + entry->got, piece->data, bytes);
    entry->got += bytes;
    if (bytes > 0 || entry->dataset) /* who brings nothing does not keep others out */
        entry->asked_ns = clock_now_ns();
    *ret_offset = entry->got;
    *ret_whole = !entry->dataset && entry->got == entry->bytes;
    return 0;
}

/* ---- opening ---- */

/* Takes the image in any case. */
static int open_part(struct datasets *datasets, const struct parts_piece *piece, uint8_t *data,
                     struct dataset **ret_dataset, struct opiml_error *err) {
    CLEANUP(datasets_view_release) struct datasets_view own = {0};
    AUTO_FREE uint8_t *owned = data;
    AUTO_YAML struct yaml *yaml = NULL;
    char hash[INDEX_HASH_BYTES];
    struct index index;
    int rc = index_check(data, piece->bytes, &index, err);

    if (rc < 0)
        return rc;
    index_hash_text(&index, hash);
    if (strcmp(hash, piece->hash) != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "an index of another hash than %s", piece->hash);
    if ((rc = datasets_get_hash(datasets, piece->part_hash, &own, err)) < 0 ||
        (rc = yaml_parse(own.mapping, strlen(own.mapping), own.file, &yaml, err)) < 0)
        return rc;
    index.memory = data;
    index.bytes = piece->bytes;
    rc = dataset_open_part(yaml, yaml->root, &index, own.dataset, ret_dataset, err);
    if (rc == 0)
        owned = NULL; /* the data set's now */
    return rc;
}

/* It did not open when another thread tried, or has been pushed out. */
static int fail_gone(const struct parts_piece *piece, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ESTALE,
                      "the index %s is not here any more: it has to be brought again", piece->hash);
}

/* Open what has come, unless another thread has meanwhile. */
static int open_entry(struct parts *self, struct datasets *datasets,
                      const struct parts_piece *piece, struct opiml_error *err) {
    struct dataset *dataset = NULL;
    struct entry *entry;
    uint8_t *data = NULL;
    bool open;
    int rc;

    pthread_mutex_lock(&self->lock);
    entry = find(self, piece->hash);
    open = entry && entry->dataset;
    if (entry && !entry->dataset && entry->got == entry->bytes)
        data = TAKE(entry->data);
    pthread_mutex_unlock(&self->lock);
    if (!data)
        return open ? 0 : fail_gone(piece, err);
    rc = open_part(datasets, piece, data, &dataset, err);
    pthread_mutex_lock(&self->lock);
    entry = find(self, piece->hash);
    if (entry && rc < 0)
        forget(entry);
    else if (entry)
        entry->dataset = TAKE(dataset);
    else if (rc == 0)
        rc = fail_gone(piece, err);
    pthread_mutex_unlock(&self->lock);
    dataset_close(dataset);
    return rc;
}

int parts_put(struct parts *self, struct datasets *datasets, const struct parts_piece *piece,
              uint64_t *ret_offset, struct opiml_error *err) {
    bool whole;
    int rc;

    if (strlen(piece->hash) != INDEX_HASH_BYTES - 1)
        return opiml_fail(err, OPIML_EINVAL, "hash: 32 hexadecimal digits");
    if (piece->bytes < sizeof(struct index_header) || piece->bytes > PARTS_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "an index of %" PRIu64 " bytes; a node takes in up to %" PRIu64,
                          piece->bytes, PARTS_BYTES_MAX);
    if (piece->data_bytes > PARTS_PIECE_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "data: a piece of %zu bytes; at most %" PRIu64,
                          piece->data_bytes, PARTS_PIECE_MAX);
    pthread_mutex_lock(&self->lock);
    rc = take(self, piece, &whole, ret_offset, err);
    pthread_mutex_unlock(&self->lock);
    if (rc < 0 || !whole)
        return rc;
    pthread_mutex_lock(&self->opening);
    rc = open_entry(self, datasets, piece, err);
    pthread_mutex_unlock(&self->opening);
    return rc;
}

struct dataset *parts_find(struct parts *self, const char *hash) {
    struct dataset *found = NULL;
    struct entry *entry;

    pthread_mutex_lock(&self->lock);
    entry = find(self, hash);
    if (entry && entry->dataset) {
        entry->asked_ns = clock_now_ns();
        found = dataset_ref(entry->dataset);
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}
