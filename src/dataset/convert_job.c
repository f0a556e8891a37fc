/* The threads of a conversion. */
#include "dataset/convert_job.h"

#include <unistd.h>

#include "dataset/number.h"

static void fail_job(struct convert_job *job, const struct opiml_error *err) {
    pthread_mutex_lock(&job->lock);
    if (!job->error.code)
        job->error = *err;
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->stop, true);
}

static void *work(void *context) {
    struct convert_job *job = context;
    locale_t locale = number_locale(), before = locale ? uselocale(locale) : (locale_t)0;
    while (!atomic_load(&job->stop)) {
        uint64_t shard = atomic_fetch_add(&job->next, 1);
        struct opiml_error err = {0};
        if (shard >= job->shard_count)
            break;
        if (job->work(job, shard, &err) < 0)
            fail_job(job, &err);
    }
    if (locale) {
        uselocale(before);
        freelocale(locale);
    }
    return NULL;
}

int convert_job_step(struct convert_job *job, struct opiml_error *err) {
    uint64_t done = atomic_fetch_add(&job->done, 1) + 1;
    bool on = !atomic_load(&job->stop);
    if (on && job->ask->progress && pthread_equal(pthread_self(), job->main))
        on = job->ask->progress(job->ask->context, job->what, done, atomic_load(&job->total));
    return on ? 0 : opiml_fail(err, OPIML_ECANCELED, "stopped");
}

int convert_job_each(struct convert_job *job, const char *what, uint64_t total,
                     int (*each)(struct convert_job *job, uint64_t shard, struct opiml_error *err),
                     struct opiml_error *err) {
    pthread_t threads[CONVERT_THREADS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t wanted = job->ask->threads ? job->ask->threads : cores < 1 ? 1 : (uint64_t)cores;
    uint32_t started = 0;
    wanted = base_min_u64(base_min_u64(wanted, CONVERT_THREADS_MAX), job->shard_count);
    job->work = each;
    job->what = what;
    job->main = pthread_self();
    atomic_store(&job->next, 0);
    atomic_store(&job->done, 0);
    atomic_store(&job->total, total);
    /* Fewer threads than were asked for only make it slower. */
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, work, job) == 0)
        started++;
    work(job);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return job->error.code ? opiml_fail(err, job->error.code, "%s", job->error.message) : 0;
}
