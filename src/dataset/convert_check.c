/* Reading back what was written, as anybody would read it. */
#include "base/yaml.h"
#include "dataset/convert_job.h"

struct convert_back {
    struct dataset *dataset;
    struct convert_fields fields;
    uint64_t *first;    /* number of each shard's first record */
    struct hash128 sum; /* WRITE_SORTED: of all shards; under the job's lock */
    bool *differs;      /* per shard */
};

static int open_result(struct convert_job *job, struct convert_back *back,
                       struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = NULL;
    AUTO_FREE char *text = base_printf("dataset: %s\n", job->dataset.at);
    const char *root = job->plan.root, *slash = strrchr(root, '/');
    int folder = slash ? (int)(slash - root + 1) : 0;
    AUTO_FREE char *name = job->plan.single ? base_printf("%.*s" CONVERT_DATASET, folder, root)
                                            : base_printf("%s/" CONVERT_DATASET, root);
    if (!text || !name)
        return base_fail_memory(err, job->dataset.count, "a dataset's description");
    int rc = yaml_parse(text, strlen(text), name, &yaml, err);
    return rc < 0 ? rc : dataset_open(yaml, yaml_get(yaml->root, "dataset"), &back->dataset, err);
}

static int check_shard(struct convert_job *job, uint64_t number, struct opiml_error *err) {
    CLEANUP(convert_record_release) struct convert_record record = {0};
    struct convert_back *back = job->back;
    const struct convert_shard *shard = &job->shards[number];
    bool sorted = job->ask->writer->flags & WRITE_SORTED;
    struct hash128 sum = {0};
    for (uint64_t i = 0; i < shard->kept; i++) {
        struct opiml_value values[OPIML_MAX_FIELDS];
        int rc = convert_record_read(&record, back->dataset, back->first[number] + i, err);
        if (rc == 0)
            rc = convert_job_step(job, err);
        if (rc < 0) {
            back->differs[number] = convert_is_bad(rc);
            return rc;
        }
        convert_fields_take(&back->fields, record.values, values);
        sum = hash128_add(sum, convert_record_hash(&back->fields.schema, values, sorted ? 0 : i));
    }
    pthread_mutex_lock(&job->lock);
    back->sum = hash128_add(back->sum, sum);
    pthread_mutex_unlock(&job->lock);
    if (sorted || (sum.low == shard->digest.low && sum.high == shard->digest.high))
        return 0;
    back->differs[number] = true;
    return opiml_fail(err, OPIML_ECORRUPT,
                      "%s: shard %" PRIu64 " reads back as other records than were written; run "
                      "again to write it anew",
                      job->to, number);
}

static int check_all(struct convert_job *job, struct convert_back *back, struct opiml_error *err) {
    uint64_t records = 0;
    struct hash128 wanted = {0};
    struct opiml_error why;
    for (uint64_t s = 0; s < job->shard_count; s++) {
        back->first[s] = records;
        records += job->shards[s].kept;
        wanted = hash128_add(wanted, job->shards[s].digest);
    }
    int rc = open_result(job, back, err);
    if (rc < 0)
        return rc;
    rc = convert_fields_find(&back->fields, &job->fields.schema, dataset_schema(back->dataset),
                             &why);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", job->to, why.message);
    if (dataset_count(back->dataset) != records)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "%s: it reads back as %" PRIu64 " record%s instead of %" PRIu64
                          "; --overwrite starts over",
                          job->to, dataset_count(back->dataset),
                          text_s(dataset_count(back->dataset)), records);
    job->back = back;
    rc = convert_job_each(job, "checked", records, check_shard, err);
    job->back = NULL;
    if (rc < 0 || (back->sum.low == wanted.low && back->sum.high == wanted.high))
        return rc;
    back->differs[0] = true;
    return opiml_fail(err, OPIML_ECORRUPT,
                      "%s: it reads back as other records than were written; run again to write it "
                      "anew",
                      job->to);
}

/* What is not as it was written is to be written again. Where reading sorts, a record is not of the
 * shard by whose number it was read, and may be of any. */
static void undo(struct convert_job *job, const bool *differs) {
    bool sorted = job->ask->writer->flags & WRITE_SORTED, any = false;
    for (uint64_t s = 0; s < job->shard_count; s++)
        any |= differs[s];
    for (uint64_t s = 0; s < job->shard_count; s++)
        job->shards[s].done &= !(sorted ? any : differs[s]);
}

int convert_check(struct convert_job *job, struct opiml_error *err) {
    struct convert_back back = {.first = base_alloc_array(job->shard_count, sizeof(*back.first)),
                                .differs =
                                    base_alloc_array(job->shard_count, sizeof(*back.differs))};
    int rc = back.first && back.differs
                 ? check_all(job, &back, err)
                 : base_fail_memory(err, job->shard_count * sizeof(*back.first), "shards");
    if (rc < 0 && back.differs)
        undo(job, back.differs);
    dataset_close(back.dataset);
    base_free(back.first);
    base_free(back.differs);
    return rc;
}
