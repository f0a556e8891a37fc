/* The jobs that share a node. */
#include "node/jobs.h"

#include <ctype.h>
#include <pthread.h>

#include "base/cores.h"
#include "base/text.h"

struct job {
    struct jobs *jobs; /* NULL: this place is free */
    char name[JOBS_NAME_BYTES];
    uint32_t uses, weight, pipelines;
    uint64_t memory_bytes;
    uint64_t asked; /* when it was last joined, by `turn` */
    struct turns_job *turns;
};

struct jobs {
    pthread_mutex_t lock;
    struct jobs_limits limits;
    char *weights;
    struct turns *turns;
    uint64_t turn, taken_bytes;
    struct job job[JOBS_MAX]; /* in no order */
};

/* ---- limits ---- */

/* One of "NAME=WEIGHT,...": its end, and NULL in *ret_name behind the last. */
static const char *next_weight(const char *at, const char **ret_name, size_t *ret_bytes,
                               unsigned long *ret_weight) {
    size_t bytes = strcspn(at, ",");
    const char *equals = memchr(at, '=', bytes);
    char *end = NULL;

    *ret_name = bytes ? at : NULL;
    *ret_bytes = equals ? (size_t)(equals - at) : 0;
    *ret_weight = equals && isdigit((unsigned char)equals[1]) ? strtoul(equals + 1, &end, 10) : 0;
    if (end != at + bytes)
        *ret_weight = 0;
    return at + bytes + (at[bytes] == ',');
}

static int check_weights(const char *weights, struct opiml_error *err) {
    const char *name;
    size_t bytes;

    for (const char *at = weights; at && *at;) {
        unsigned long weight;
        const char *next = next_weight(at, &name, &bytes, &weight);

        if (bytes == 0 || weight == 0 || weight > TURNS_WEIGHT_MAX)
            return opiml_fail(err, OPIML_EINVAL,
                              "%.*s: no weight of a client or a job, such as trainer-7=3 or "
                              "trainer-7/eval=2; 1 to %d",
                              (int)strcspn(at, ","), at, TURNS_WEIGHT_MAX);
        at = next;
    }
    return 0;
}

/* What is said of the job counts before what is said of its client. */
static uint32_t find_weight(const char *weights, const char *job) {
    size_t who = strcspn(job, "/");
    uint32_t found = 1;
    const char *name;
    size_t bytes;

    for (const char *at = weights; at && *at;) {
        unsigned long weight;

        at = next_weight(at, &name, &bytes, &weight);
        if (bytes == strlen(job) && memcmp(name, job, bytes) == 0)
            return (uint32_t)weight;
        if (bytes == who && memcmp(name, job, bytes) == 0)
            found = (uint32_t)weight;
    }
    return found;
}

static int fill_limits(struct jobs_limits *limits, struct opiml_error *err) {
    char all[32], one[32];

    if (!limits->threads)
        limits->threads = (uint32_t)base_min_u64(JOBS_THREADS, cores_count());
    if (!limits->memory_bytes)
        limits->memory_bytes = JOBS_MEMORY_BYTES;
    if (!limits->job_threads)
        limits->job_threads = limits->threads;
    if (!limits->job_memory_bytes)
        limits->job_memory_bytes = limits->memory_bytes / 2;
    if (limits->job_threads > limits->threads)
        return opiml_fail(err, OPIML_EINVAL, "a job's %u threads are more than the node's %u",
                          limits->job_threads, limits->threads);
    if (limits->job_memory_bytes > limits->memory_bytes)
        return opiml_fail(err, OPIML_EINVAL, "a job's %s of memory are more than the node's %s",
                          text_format_bytes(one, sizeof(one), limits->job_memory_bytes),
                          text_format_bytes(all, sizeof(all), limits->memory_bytes));
    return check_weights(limits->weights, err);
}

int jobs_create(const struct jobs_limits *limits, struct jobs **ret_jobs, struct opiml_error *err) {
    struct jobs *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "jobs");
    self->limits = *limits;
    pthread_mutex_init(&self->lock, NULL);
    rc = fill_limits(&self->limits, err);
    if (rc == 0 && limits->weights && !(self->weights = base_strdup(limits->weights)))
        rc = base_fail_memory(err, strlen(limits->weights), "weights");
    if (rc == 0)
        rc = turns_create(self->limits.threads, &self->turns, err);
    if (rc < 0)
        jobs_destroy(self);
    else
        *ret_jobs = self;
    return rc;
}

void jobs_destroy(struct jobs *jobs) {
    if (!jobs)
        return;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        assert(jobs->job[i].uses == 0);
        turns_part(jobs->job[i].turns);
    }
    turns_destroy(jobs->turns);
    pthread_mutex_destroy(&jobs->lock);
    base_free(jobs->weights);
    base_free(jobs);
}

uint32_t jobs_threads(const struct jobs *jobs) {
    return jobs->limits.job_threads;
}

/* ---- who shares ---- */

/* The job of this name, else a free place, else that of the one which nobody has used for longest.
 */
static struct job *find_place(struct jobs *self, const char *name) {
    struct job *place = NULL;

    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &self->job[i];

        if (job->jobs && strcmp(job->name, name) == 0)
            return job;
        if (!job->jobs && (!place || place->jobs))
            place = job;
        else if (job->jobs && job->uses == 0 &&
                 (!place || (place->jobs && job->asked < place->asked)))
            place = job;
    }
    return place;
}

static int begin(struct jobs *self, struct job *place, const char *name, struct opiml_error *err) {
    const struct turns_limits limits = {.weight = find_weight(self->weights, name),
                                        .threads = self->limits.job_threads,
                                        .bytes_per_s = self->limits.job_bytes_per_s};
    struct turns_job *turns;
    int rc = turns_join(self->turns, &limits, &turns, err);

    if (rc < 0)
        return rc;
    turns_part(place->turns);
    *place = (struct job){.jobs = self, .turns = turns, .weight = limits.weight};
    text_copy(place->name, sizeof(place->name), name);
    return 0;
}

static int join(struct jobs *self, const char *name, struct job **ret_job,
                struct opiml_error *err) {
    struct job *job = find_place(self, name);
    int rc;

    if (!job)
        return opiml_fail(err, OPIML_ELIMIT, "this node has %d jobs already, which is its most",
                          JOBS_MAX);
    if ((!job->jobs || strcmp(job->name, name) != 0) && (rc = begin(self, job, name, err)) < 0)
        return rc;
    job->uses++;
    job->asked = ++self->turn;
    *ret_job = job;
    return 0;
}

static int check_id(const char *id, struct opiml_error *err) {
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    if (!id[length] && length <= ID_MAX)
        return 0;
    return opiml_fail(err, OPIML_EINVAL,
                      "\"%.80s\" is no job's name: at most %d letters, digits, \".\", \"_\" and "
                      "\"-\"",
                      id, ID_MAX);
}

int jobs_join(struct jobs *jobs, const char *who, const char *id, struct job **ret_job,
              struct opiml_error *err) {
    char name[JOBS_NAME_BYTES];
    int rc = check_id(id, err);

    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "%.*s%s%s", JOBS_WHO_BYTES - 1, who, id[0] ? "/" : "", id);
    pthread_mutex_lock(&jobs->lock);
    rc = join(jobs, name, ret_job, err);
    pthread_mutex_unlock(&jobs->lock);
    return rc;
}

struct job *jobs_ref(struct job *job) {
    pthread_mutex_lock(&job->jobs->lock);
    job->uses++;
    pthread_mutex_unlock(&job->jobs->lock);
    return job;
}

void jobs_leave(struct job *job) {
    struct jobs *jobs = job ? job->jobs : NULL;

    if (!job)
        return;
    pthread_mutex_lock(&jobs->lock);
    assert(job->uses > 0);
    job->uses--;
    pthread_mutex_unlock(&jobs->lock);
}

struct turns_job *jobs_turns(struct job *job) {
    return job->turns;
}

const char *jobs_name(const struct job *job) {
    return job->name;
}

/* ---- memory ---- */

static uint64_t job_free(const struct job *job) {
    return job->jobs->limits.job_memory_bytes - job->memory_bytes;
}

static uint64_t node_free(const struct jobs *jobs) {
    return jobs->limits.memory_bytes - jobs->taken_bytes;
}

uint64_t jobs_room(struct job *job) {
    uint64_t bytes;

    pthread_mutex_lock(&job->jobs->lock);
    bytes = base_min_u64(job_free(job), node_free(job->jobs));
    pthread_mutex_unlock(&job->jobs->lock);
    return bytes;
}

/* What is left, for messages; with the lock. */
static char *describe_room(const struct job *job, char to[JOBS_NAME_BYTES + 256]) {
    const struct jobs_limits *limits = &job->jobs->limits;
    char free[32], all[32], own_free[32], own[32];

    snprintf(to, JOBS_NAME_BYTES + 256,
             "%s of the node's %s are free, and %s of the %s that job %s may have (--memory and "
             "--job-memory)",
             text_format_bytes(free, sizeof(free), node_free(job->jobs)),
             text_format_bytes(all, sizeof(all), limits->memory_bytes),
             text_format_bytes(own_free, sizeof(own_free), job_free(job)),
             text_format_bytes(own, sizeof(own), limits->job_memory_bytes), job->name);
    return to;
}

int jobs_refuse(struct job *job, const struct opiml_error *why, struct opiml_error *err) {
    char room[JOBS_NAME_BYTES + 256];

    if (strstr(why->message, "--job-memory")) /* it says so already */
        return opiml_fail(err, OPIML_ELIMIT, "%s", why->message);
    pthread_mutex_lock(&job->jobs->lock);
    describe_room(job, room);
    pthread_mutex_unlock(&job->jobs->lock);
    return opiml_fail(err, OPIML_ELIMIT, "this node has no memory for it: %s: %s", room,
                      why->message);
}

int jobs_take(struct job *job, uint64_t bytes, struct opiml_error *err) {
    char room[JOBS_NAME_BYTES + 256], wanted[32];
    int rc = 0;

    pthread_mutex_lock(&job->jobs->lock);
    if (job->pipelines == JOBS_PIPELINES_MAX)
        rc = opiml_fail(err, OPIML_ELIMIT,
                        "job %s has %d pipelines on this node already, which is the most of one",
                        job->name, JOBS_PIPELINES_MAX);
    else if (bytes > job_free(job) || bytes > node_free(job->jobs))
        rc = opiml_fail(err, OPIML_ELIMIT,
                        "this node has no memory for it: a pipeline of %s, and %s",
                        text_format_bytes(wanted, sizeof(wanted), bytes), describe_room(job, room));
    if (rc == 0) {
        job->pipelines++;
        job->memory_bytes += bytes;
        job->jobs->taken_bytes += bytes;
    }
    pthread_mutex_unlock(&job->jobs->lock);
    return rc;
}

void jobs_give(struct job *job, uint64_t bytes) {
    pthread_mutex_lock(&job->jobs->lock);
    assert(job->pipelines > 0 && job->memory_bytes >= bytes);
    job->pipelines--;
    job->memory_bytes -= bytes;
    job->jobs->taken_bytes -= bytes;
    pthread_mutex_unlock(&job->jobs->lock);
}

/* ---- what there is ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct jobs_view *)a)->name, ((const struct jobs_view *)b)->name);
}

uint32_t jobs_look(struct jobs *jobs, struct jobs_view ret_views[JOBS_MAX],
                   struct jobs_budget *ret_budget) {
    const struct jobs_limits *limits = &jobs->limits;
    uint32_t count = 0;

    pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        const struct job *job = &jobs->job[i];
        struct jobs_view *view = &ret_views[count];

        if (!job->jobs)
            continue;
        *view = (struct jobs_view){
            .weight = job->weight, .pipelines = job->pipelines, .memory_bytes = job->memory_bytes};
        text_copy(view->name, sizeof(view->name), job->name);
        turns_look(job->turns, &view->turns);
        count++;
    }
    *ret_budget = (struct jobs_budget){.threads = limits->threads,
                                       .job_threads = limits->job_threads,
                                       .memory_bytes = limits->memory_bytes,
                                       .job_memory_bytes = limits->job_memory_bytes,
                                       .taken_bytes = jobs->taken_bytes};
    pthread_mutex_unlock(&jobs->lock);
    qsort(ret_views, count, sizeof(ret_views[0]), compare_names);
    return count;
}
