/* The data sets of a node. */
#include "node/datasets.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/yaml.h"
#include "node/keep.h"
#include "node/parts.h"

struct entry {
    struct datasets_view at; /* .id "": the place is free */
    bool made;               /* its id is the server's */
    uint64_t again_ns;       /* not open: when it is tried (again) */
    char hash[INDEX_HASH_BYTES];
    uint64_t asked; /* when it was last asked for, by `turn` */
};

struct datasets {
    struct parts *parts;
    pthread_mutex_t writing; /* over what changes and is kept; before `lock`, which is never held
                                to wait */
    struct keep *keep;       /* borrowed; NULL: none */
    pthread_t opener;
    bool opens, stops;
    pthread_cond_t changed;
    pthread_mutex_t lock;
    uint64_t turn;
    struct entry entry[DATASETS_MAX]; /* in no order */
};

void datasets_view_release(struct datasets_view *view) {
    dataset_close(view->dataset);
    base_free(view->mapping);
    base_free(view->file);
    base_free(view->why);
    *view = (struct datasets_view){0};
}

int datasets_create(struct datasets **ret_datasets, struct opiml_error *err) {
    struct datasets *self = base_alloc(sizeof(*self));
    int rc;
    pthread_condattr_t monotonic;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "data sets");
    if ((rc = parts_create(&self->parts, err)) < 0) {
        base_free(self);
        return rc;
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->writing, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret_datasets = self;
    return 0;
}

void datasets_destroy(struct datasets *datasets) {
    if (!datasets)
        return;
    pthread_mutex_lock(&datasets->lock);
    datasets->stops = true;
    pthread_cond_signal(&datasets->changed);
    pthread_mutex_unlock(&datasets->lock);
    if (datasets->opens)
        pthread_join(datasets->opener, NULL);
    for (size_t i = 0; i < DATASETS_MAX; i++)
        datasets_view_release(&datasets->entry[i].at);
    parts_destroy(datasets->parts);
    pthread_cond_destroy(&datasets->changed);
    pthread_mutex_destroy(&datasets->writing);
    pthread_mutex_destroy(&datasets->lock);
    base_free(datasets);
}

int datasets_open(const char *mapping, const char *file, struct dataset **ret_dataset,
                  struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(mapping, strlen(mapping), file, &yaml, err);

    return rc < 0 ? rc : dataset_open(yaml, yaml->root, ret_dataset, err);
}

/* ---- under the lock ---- */

static struct entry *find(struct datasets *self, const char *id) {
    for (size_t i = 0; i < DATASETS_MAX; i++)
        if (id[0] && strcmp(self->entry[i].at.id, id) == 0)
            return &self->entry[i];
    return NULL;
}

static struct entry *find_hash(struct datasets *self, const char *hash) {
    for (size_t i = 0; i < DATASETS_MAX; i++)
        if (self->entry[i].at.dataset && strcmp(self->entry[i].hash, hash) == 0)
            return &self->entry[i];
    return NULL;
}

static int copy(const struct entry *from, struct datasets_view *ret_view, struct opiml_error *err) {
    char *mapping = base_strdup(from->at.mapping), *file = base_strdup(from->at.file);
    char *why = from->at.why ? base_strdup(from->at.why) : NULL;

    if (!mapping || !file || (from->at.why && !why)) {
        base_free(mapping);
        base_free(file);
        base_free(why);
        return base_fail_memory(err, strlen(from->at.mapping), "a data set");
    }
    *ret_view = from->at;
    ret_view->mapping = mapping;
    ret_view->file = file;
    ret_view->why = why;
    ret_view->dataset = from->at.dataset ? dataset_ref(from->at.dataset) : NULL;
    return 0;
}

/* A free place, or that of the one with a made id that was asked for longest ago. */
static struct entry *find_place(struct datasets *self) {
    struct entry *oldest = NULL;

    for (size_t i = 0; i < DATASETS_MAX; i++) {
        struct entry *entry = &self->entry[i];

        if (!entry->at.id[0])
            return entry;
        if (entry->made && (!oldest || entry->asked < oldest->asked))
            oldest = entry;
    }
    return oldest;
}

static int enter(struct datasets *self, struct entry *place, const char *id, bool made,
                 const char *mapping, const char *file, struct dataset *dataset,
                 struct opiml_error *err) {
    char *new_mapping = base_strdup(mapping), *new_file = base_strdup(file);
    struct datasets_stats stats = {0};

    if (!new_mapping || !new_file) {
        base_free(new_mapping);
        base_free(new_file);
        return base_fail_memory(err, strlen(mapping), "a data set");
    }
    if (strcmp(place->at.id, id) == 0)
        stats = place->at.stats;
    datasets_view_release(&place->at);
    text_copy(place->at.id, sizeof(place->at.id), id);
    place->at.mapping = new_mapping;
    place->at.file = new_file;
    place->at.dataset = dataset ? dataset_ref(dataset) : NULL;
    place->at.stats = stats;
    place->made = made;
    place->asked = ++self->turn;
    place->hash[0] = 0;
    if (dataset)
        index_hash_text(dataset_index(dataset), place->hash);
    return 0;
}

/* What is to be entered, and under which id. */
struct putting {
    char id[ID_MAX + 1];
    bool made, replace;
    const char *mapping, *file;
    struct dataset *dataset;
};

static void make_id(struct putting *what) {
    struct hash128 sum =
        hash_128_pieces((const struct hash_piece[]){{what->mapping, strlen(what->mapping) + 1},
                                                    {what->file, strlen(what->file)}},
                        2);

    what->made = true;
    snprintf(what->id, sizeof(what->id), "d-%016" PRIx64 "%016" PRIx64, sum.high, sum.low);
}

/* The place that it would have. */
static int find_room(struct datasets *self, const struct putting *what, struct entry **ret_place,
                     struct opiml_error *err) {
    struct entry *place = find(self, what->id);

    if (place && !what->replace &&
        (strcmp(place->at.mapping, what->mapping) != 0 || strcmp(place->at.file, what->file) != 0))
        return opiml_fail(err, OPIML_EEXIST, "datasets/%s is another data set", place->at.id);
    if (!place)
        place = find_place(self);
    if (!place)
        return opiml_fail(err, OPIML_ELIMIT,
                          "this node has %d data sets already, which is its most", DATASETS_MAX);
    *ret_place = place;
    return 0;
}

static int put(struct datasets *self, const struct putting *what, struct datasets_view *ret_view,
               struct opiml_error *err) {
    struct entry *place;
    int rc;

    if ((rc = find_room(self, what, &place, err)) < 0 ||
        (rc = enter(self, place, what->id, what->made, what->mapping, what->file, what->dataset,
                    err)) < 0)
        return rc;
    return copy(place, ret_view, err);
}

/* ---- for all ---- */

/* With `writing` held: nobody takes the room meanwhile. */
static int keep_it(struct datasets *self, const struct putting *what, struct opiml_error *err) {
    struct entry *place;
    int rc;

    if (!self->keep || what->made)
        return 0;
    pthread_mutex_lock(&self->lock);
    rc = find_room(self, what, &place, err);
    pthread_mutex_unlock(&self->lock);
    if (rc < 0)
        return rc;
    return keep_put_dataset(self->keep, &(struct keep_dataset){what->id, what->mapping, what->file},
                            err);
}

int datasets_put(struct datasets *datasets, const char *id, const char *mapping, const char *file,
                 struct dataset *dataset, bool replace, struct datasets_view *ret_view,
                 struct opiml_error *err) {
    struct putting what = {
        .mapping = mapping, .file = file, .dataset = dataset, .replace = replace};
    int rc = id_check(id, err);

    if (rc < 0)
        return rc;
    text_copy(what.id, sizeof(what.id), id);
    if (!id[0])
        make_id(&what);
    pthread_mutex_lock(&datasets->writing);
    rc = keep_it(datasets, &what, err);
    if (rc == 0) {
        pthread_mutex_lock(&datasets->lock);
        rc = put(datasets, &what, ret_view, err);
        pthread_mutex_unlock(&datasets->lock);
    }
    pthread_mutex_unlock(&datasets->writing);
    return rc;
}

int datasets_get(struct datasets *datasets, const char *id, struct datasets_view *ret_view,
                 struct opiml_error *err) {
    struct entry *entry;
    int rc;

    pthread_mutex_lock(&datasets->lock);
    entry = find(datasets, id);
    rc = entry ? copy(entry, ret_view, err)
               : opiml_fail(err, OPIML_ENOENT, "there is no data set \"%s\"", id);
    pthread_mutex_unlock(&datasets->lock);
    return rc;
}

int datasets_get_hash(struct datasets *datasets, const char *hash, struct datasets_view *ret_view,
                      struct opiml_error *err) {
    struct entry *entry;
    int rc;

    pthread_mutex_lock(&datasets->lock);
    entry = find_hash(datasets, hash);
    rc = entry ? copy(entry, ret_view, err)
               : opiml_fail(err, OPIML_ENOENT, "there is no data set of index %.40s here any more",
                            hash);
    pthread_mutex_unlock(&datasets->lock);
    return rc;
}

int datasets_next(struct datasets *datasets, const char *after, struct datasets_view *ret_view,
                  struct opiml_error *err) {
    struct entry *next = NULL;
    int rc;

    pthread_mutex_lock(&datasets->lock);
    for (size_t i = 0; i < DATASETS_MAX; i++) {
        struct entry *entry = &datasets->entry[i];

        if (strcmp(entry->at.id, after) > 0 && /* "" comes behind nothing */
            (!next || strcmp(entry->at.id, next->at.id) < 0))
            next = entry;
    }
    rc = next ? copy(next, ret_view, err) : OPIML_ENOENT;
    pthread_mutex_unlock(&datasets->lock);
    return rc;
}

int datasets_remove(struct datasets *datasets, const char *id, struct opiml_error *err) {
    struct entry *entry;
    bool kept;
    int rc = 0;

    pthread_mutex_lock(&datasets->writing);
    pthread_mutex_lock(&datasets->lock);
    entry = find(datasets, id);
    kept = entry && !entry->made && datasets->keep;
    pthread_mutex_unlock(&datasets->lock);
    if (!entry)
        rc = opiml_fail(err, OPIML_ENOENT, "there is no \"datasets/%s\"", id);
    else if (kept)
        rc = keep_remove_dataset(datasets->keep, id, err);
    pthread_mutex_lock(&datasets->lock);
    if (rc == 0)
        datasets_view_release(&entry->at);
    pthread_mutex_unlock(&datasets->lock);
    pthread_mutex_unlock(&datasets->writing);
    return rc;
}

struct dataset *datasets_find(struct datasets *datasets, const char *hash) {
    struct dataset *found = NULL;
    struct entry *entry;

    pthread_mutex_lock(&datasets->lock);
    entry = find_hash(datasets, hash);
    if (entry) {
        entry->asked = ++datasets->turn;
        found = dataset_ref(entry->at.dataset);
    }
    pthread_mutex_unlock(&datasets->lock);
    return found ? found : parts_find(datasets->parts, hash);
}

struct parts *datasets_parts(struct datasets *datasets) {
    return datasets->parts;
}

void datasets_add(struct datasets *datasets, const char *hash, const struct datasets_stats *more) {
    struct entry *entry;

    pthread_mutex_lock(&datasets->lock);
    entry = find_hash(datasets, hash);
    if (entry) {
        entry->at.stats.pipelines += more->pipelines;
        entry->at.stats.index_pieces += more->index_pieces;
        entry->at.stats.index_bytes += more->index_bytes;
    }
    pthread_mutex_unlock(&datasets->lock);
}

uint32_t datasets_count(struct datasets *datasets) {
    uint32_t count = 0;

    pthread_mutex_lock(&datasets->lock);
    for (size_t i = 0; i < DATASETS_MAX; i++)
        count += datasets->entry[i].at.id[0] != 0;
    pthread_mutex_unlock(&datasets->lock);
    return count;
}

/* ---- what was kept ---- */

#define AGAIN_NS (DATASETS_AGAIN_S * UINT64_C(1000000000))

/* The next one to be opened, and when; NULL: all are open. */
static struct entry *next_shut(struct datasets *self) {
    struct entry *next = NULL;

    for (size_t i = 0; i < DATASETS_MAX; i++) {
        struct entry *entry = &self->entry[i];

        if (entry->at.id[0] && !entry->at.dataset && (!next || entry->again_ns < next->again_ns))
            next = entry;
    }
    return next;
}

/* What came of one, if it is still the one that was looked at. */
static void settle(struct datasets *self, const struct datasets_view *of, struct dataset *dataset,
                   const struct opiml_error *why) {
    struct entry *entry = find(self, of->id);

    if (!entry || entry->at.dataset || strcmp(entry->at.mapping, of->mapping) != 0 ||
        strcmp(entry->at.file, of->file) != 0)
        return;
    base_free(TAKE(entry->at.why));
    if (dataset) {
        entry->at.dataset = dataset_ref(dataset);
        index_hash_text(dataset_index(dataset), entry->hash);
        return;
    }
    entry->at.why = base_strdup(why->message);
    entry->again_ns = clock_now_ns() + AGAIN_NS;
    if (!of->why || strcmp(of->why, why->message) != 0)
        log_write("node", LOG_WARN, "datasets/%s cannot be opened: %s; it is tried again", of->id,
                  why->message);
}

/* Open one, with the lock held before and after. */
static void open_shut(struct datasets *self, struct entry *entry) {
    CLEANUP(datasets_view_release) struct datasets_view view = {0};
    struct dataset *dataset = NULL;
    struct opiml_error why = {0};

    if (copy(entry, &view, &why) < 0) {
        view = (struct datasets_view){0};
        entry->again_ns = clock_now_ns() + AGAIN_NS;
        return;
    }
    pthread_mutex_unlock(&self->lock);
    datasets_open(view.mapping, view.file, &dataset, &why);
    pthread_mutex_lock(&self->lock);
    settle(self, &view, dataset, &why);
    if (dataset)
        dataset_close(dataset);
}

static void wait_until(struct datasets *self, uint64_t ns) {
    const struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
                                   .tv_nsec = (long)(ns % 1000000000)};

    pthread_cond_timedwait(&self->changed, &self->lock, &until);
}

static void *opener_main(void *argument) {
    struct datasets *self = argument;
    struct entry *next;

    pthread_mutex_lock(&self->lock);
    while (!self->stops && (next = next_shut(self))) {
        if (next->again_ns > clock_now_ns())
            wait_until(self, next->again_ns);
        else
            open_shut(self, next);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static int restore(void *context, const struct keep_dataset *kept, struct opiml_error *err) {
    struct datasets *self = context;
    struct entry *place = find_place(self);

    if (!kept->id[0] || id_check(kept->id, NULL) < 0 || !place) {
        log_write("node", LOG_WARN, "datasets/%s was not kept as it was, and is forgotten",
                  kept->id);
        return 0;
    }
    place->again_ns = 0;
    return enter(self, place, kept->id, false, kept->mapping, kept->file, NULL, err);
}

int datasets_keep(struct datasets *datasets, struct keep *keep, struct opiml_error *err) {
    int rc;

    datasets->keep = keep;
    rc = keep_each_dataset(keep, restore, datasets, err);
    if (rc < 0 || datasets_count(datasets) == 0)
        return rc;
    rc = pthread_create(&datasets->opener, NULL, opener_main, datasets);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting a thread");
    datasets->opens = true;
    return 0;
}
