/* Pipelines over data that only nodes see. */
#include "node/remote_index.h"

#include "base/text.h"
#include "base/yaml.h"
#include "dataset/elsewhere.h"
#include "dataset/index_merge.h"
#include "dataset/index_store.h"
#include "node/parts.h"
#include "opiml/v1alpha1/dataset.pb-c.h"
#include "pipeline/pipeline.h"
#include "pipeline/token.h"
#include "rpc/client.h"

#define SERVICE "/opiml.v1alpha1.DatasetService/"
#define TIMEOUT_MS 300000 /* the node may have to index the data */

/* A node that was asked for a data set. */
struct asked {
    char at[280], name[300]; /* "HOST:PORT", and as messages say it */
    uint32_t number;
    struct rpc_client *client;
    Opiml__V1alpha1__Dataset *made;
    struct index index;
};

struct finder {
    struct dataset_finder finder;
    const char *nodes, *path; /* path: of the pipeline file, absolute */
    struct tls *tls;
    struct opiml_error missing; /* why the first node that cannot say what it has does not */
};

static int create(struct rpc_client *client, const char *mapping, const char *file,
                  Opiml__V1alpha1__Dataset **ret_made, struct opiml_error *err) {
    Opiml__V1alpha1__CreateDatasetRequest request = OPIML__V1ALPHA1__CREATE_DATASET_REQUEST__INIT;
    Opiml__V1alpha1__Dataset wanted = OPIML__V1ALPHA1__DATASET__INIT;

    wanted.mapping = (char *)(uintptr_t)mapping;
    wanted.file = (char *)(uintptr_t)file;
    request.dataset = &wanted;
    return rpc_client_call(client, SERVICE "CreateDataset", &request.base,
                           &opiml__v1alpha1__dataset__descriptor, ret_made, err);
}

/* One piece of it into its place. */
static int fetch_piece(struct rpc_client *client, const Opiml__V1alpha1__Dataset *made, uint8_t *to,
                       uint64_t *done, struct opiml_error *err) {
    Opiml__V1alpha1__GetIndexRequest request = OPIML__V1ALPHA1__GET_INDEX_REQUEST__INIT;
    Opiml__V1alpha1__GetIndexResponse *reply;
    int rc;

    request.hash = made->index_hash;
    request.offset = *done;
    rc = rpc_client_call(client, SERVICE "GetIndex", &request.base,
                         &opiml__v1alpha1__get_index_response__descriptor, &reply, err);
    if (rc < 0)
        return rc;
    if (reply->index_bytes != made->index_bytes || reply->data.len == 0 ||
        reply->data.len > made->index_bytes - *done)
        rc = opiml_fail(err, OPIML_ECORRUPT, "the node's index is not of the size it named");
    else
        memcpy(to + *done, reply->data.data, reply->data.len);
    *done += reply->data.len;
    opiml__v1alpha1__get_index_response__free_unpacked(reply, NULL);
    return rc;
}

/* From the cache folder, or from the node. */
static int fetch(struct rpc_client *client, const Opiml__V1alpha1__Dataset *made,
                 struct index *ret_index, struct opiml_error *err) {
    AUTO_FREE uint8_t *data = NULL;
    uint64_t done = 0;
    int rc = 0;

    if (index_store_find_hash(made->index_hash, ret_index) == 0)
        return 0;
    if (made->index_bytes == 0 || made->index_bytes > REMOTE_INDEX_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "an index of %" PRIu64 " bytes; at most %" PRIu64,
                          made->index_bytes, REMOTE_INDEX_BYTES_MAX);
    data = base_alloc(made->index_bytes);
    if (!data)
        return base_fail_memory(err, made->index_bytes, "an index");
    while (rc == 0 && done < made->index_bytes)
        rc = fetch_piece(client, made, data, &done, err);
    return rc < 0 ? rc
                  : index_store_put_hash(made->index_hash, TAKE(data), made->index_bytes, ret_index,
                                         err);
}

/* ---- what one node has ---- */

static void asked_release(struct asked *asked) {
    index_release(&asked->index);
    if (asked->made)
        opiml__v1alpha1__dataset__free_unpacked(asked->made, NULL);
    rpc_client_close(asked->client);
}

static int name_asked(struct asked *asked, const char *at, size_t bytes, struct opiml_error *err) {
    if (bytes >= sizeof(asked->at))
        return opiml_fail(err, OPIML_EINVAL, "%.*s: no place on a network, such as HOST:PORT",
                          (int)bytes, at);
    memcpy(asked->at, at, bytes);
    snprintf(asked->name, sizeof(asked->name), "node %.*s", (int)bytes, at);
    return 0;
}

static int ask_node(struct tls *tls, const char *path, const char *mapping, struct asked *asked,
                    struct opiml_error *err) {
    int rc = rpc_client_open(asked->at, tls, TIMEOUT_MS, &asked->client, err);

    if (rc == 0)
        rc = create(asked->client, mapping, path, &asked->made, err);
    return rc < 0 ? rc : fetch(asked->client, asked->made, &asked->index, err);
}

/* ---- what all have together ---- */

struct all {
    uint32_t count;
    struct asked asked[INDEX_HOLDERS_MAX];
};

static void all_release(struct all **all) {
    for (uint32_t i = 0; *all && i < (*all)->count; i++)
        asked_release(&(*all)->asked[i]);
    base_free(*all);
}

/* Ask each node; those that do not answer are left out. *ret_last: the last reason why not. */
static int ask_all(struct finder *self, const char *mapping, struct all *all,
                   struct opiml_error *ret_last, struct opiml_error *err) {
    uint32_t number = 0;

    for (const char *at = self->nodes; *at; number++) {
        size_t bytes = strcspn(at, ",");
        struct asked *asked = &all->asked[all->count];

        if (number == INDEX_HOLDERS_MAX)
            return opiml_fail(err, OPIML_EINVAL, "%s: at most %d nodes", self->nodes,
                              INDEX_HOLDERS_MAX);
        *asked = (struct asked){.number = number};
        if (name_asked(asked, at, bytes, err) < 0)
            return OPIML_EINVAL;
        if (ask_node(self->tls, self->path, mapping, asked, ret_last) == 0) {
            all->count++;
        } else {
            asked_release(asked);
            if (!self->missing.code)
                self->missing = *ret_last;
        }
        at += bytes + (at[bytes] == ',');
    }
    return 0;
}

static int put_piece(struct asked *asked, const struct index *index, const char *hash,
                     uint64_t *offset, size_t bytes, struct opiml_error *err) {
    Opiml__V1alpha1__PutIndexRequest request = OPIML__V1ALPHA1__PUT_INDEX_REQUEST__INIT;
    Opiml__V1alpha1__PutIndexResponse *reply;
    int rc;

    request.hash = (char *)(uintptr_t)hash;
    request.part_hash = asked->made->index_hash;
    request.index_bytes = index->bytes;
    request.offset = *offset;
    request.data.data = (uint8_t *)index->memory + *offset;
    request.data.len = bytes;
    rc = rpc_client_call(asked->client, SERVICE "PutIndex", &request.base,
                         &opiml__v1alpha1__put_index_response__descriptor, &reply, err);
    if (rc < 0)
        return rc;
    if (reply->offset > index->bytes || (bytes > 0 && reply->offset <= *offset))
        rc = opiml_fail(err, OPIML_ECORRUPT, "%s: the node's answer makes no sense", asked->at);
    *offset = reply->offset;
    opiml__v1alpha1__put_index_response__free_unpacked(reply, NULL);
    return rc;
}

/* Bring a node the index of all; it may have it already, or get it from another consumer, too. */
static int put_index(struct asked *asked, const struct index *index, struct opiml_error *err) {
    char hash[INDEX_HASH_BYTES];
    uint64_t offset = 0;
    int rc;

    index_hash_text(index, hash);
    rc = put_piece(asked, index, hash, &offset, 0, err);
    while (rc == 0 && offset < index->bytes)
        rc = put_piece(asked, index, hash, &offset,
                       base_min_u64(PARTS_PIECE_MAX, index->bytes - offset), err);
    return rc;
}

/* What all hold together. Where all hold the same it is the first one's. */
static int merge(struct all *all, struct index *ret_index, struct opiml_error *err) {
    struct index_holder holders[INDEX_HOLDERS_MAX];
    size_t bytes;
    void *data;
    int rc;

    for (uint32_t i = 0; i < all->count; i++)
        holders[i] =
            (struct index_holder){&all->asked[i].index, all->asked[i].name, all->asked[i].number};
    rc = index_merge(holders, all->count, &data, &bytes, err);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        *ret_index = all->asked[0].index;
        all->asked[0].index = (struct index){0};
        return 0;
    }
    if ((rc = index_check(data, bytes, ret_index, err)) < 0) {
        base_free(data);
        return rc;
    }
    ret_index->memory = data;
    ret_index->bytes = bytes;
    for (uint32_t i = 0; rc == 0 && i < all->count; i++)
        rc = put_index(&all->asked[i], ret_index, err);
    return rc;
}

static int open_all(struct all *all, const struct yaml *yaml, const struct yaml_node *node,
                    struct dataset **ret_dataset, struct opiml_error *err) {
    AUTO_TEXT struct text where = {0};
    CLEANUP(index_release) struct index index = {0};
    int rc = merge(all, &index, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < all->count; i++)
        text_printf(&where, "%s%s", i ? " and " : "", all->asked[i].name);
    if (where.failed)
        return base_fail_memory(err, where.count, "a data set");
    return dataset_open_elsewhere(yaml, node, &index, all->asked[0].made->uri,
                                  all->asked[0].made->prefix, where.at, ret_dataset, err);
}

int remote_index_ask(const char *at, struct tls *tls, const char *path, const struct yaml *yaml,
                     const struct yaml_node *node, struct dataset **ret_dataset,
                     struct opiml_error *err) {
    AUTO_TEXT struct text mapping = {0};
    struct asked asked = {0};
    int rc;

    if ((rc = name_asked(&asked, at, strlen(at), err)) < 0)
        return rc;
    yaml_write(node, &mapping);
    if (mapping.failed)
        return base_fail_memory(err, mapping.count, "a data set");
    rc = ask_node(tls, path, mapping.at, &asked, err);
    if (rc == 0)
        rc = dataset_open_elsewhere(yaml, node, &asked.index, asked.made->uri, asked.made->prefix,
                                    asked.name, ret_dataset, err);
    asked_release(&asked);
    return rc;
}

static int find(struct dataset_finder *finder, const struct yaml *yaml,
                const struct yaml_node *node, uint32_t number, const struct opiml_error *why,
                struct dataset **ret_dataset, struct opiml_error *err) {
    struct finder *self = (struct finder *)finder;
    CLEANUP(all_release) struct all *all = NULL;
    AUTO_TEXT struct text mapping = {0};
    struct opiml_error last = {0};
    int rc;

    if (!why || !elsewhere_may_be(why->code))
        return 0;
    yaml_write(node, &mapping);
    all = base_alloc(sizeof(*all));
    if (mapping.failed || !all)
        return base_fail_memory(err, sizeof(*all), "a data set");
    if ((rc = ask_all(self, mapping.at, all, &last, err)) < 0)
        return rc;
    if (all->count == 0)
        return last.code
                   ? opiml_fail(err, why->code, "%s; and there: %s", why->message, last.message)
                   : 0;
    rc = open_all(all, yaml, node, ret_dataset, err);
    return rc < 0 ? rc : 1;
}

/* A node that did not answer may hold what no other does, but where the token knows better. */
static int check_missing(const struct finder *self, const char *token,
                         const struct opiml_pipeline *pipeline, struct opiml_error *err) {
    struct token at;

    if (!self->missing.code)
        return 0;
    if (token && token_parse(token, &at, NULL) == 0 && at.fingerprint == pipeline->fingerprint)
        return 0;
    return opiml_fail(err, self->missing.code,
                      "%s; which data it holds cannot be known then. Leave it out where the other "
                      "nodes hold all",
                      self->missing.message);
}

int remote_index_open(const char *path, const char *nodes, const char *token, struct tls *tls,
                      struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    AUTO_FREE char *real = realpath(path, NULL);
    struct finder finder = {{find}, nodes, real ? real : path, tls, {0}};
    struct opiml_pipeline *pipeline;
    int rc = pipeline_open_finding(path, &finder.finder, &pipeline, err);

    if (rc < 0)
        return rc;
    if ((rc = check_missing(&finder, token, pipeline, err)) < 0) {
        opiml_pipeline_close(pipeline);
        return rc;
    }
    *ret_pipeline = pipeline;
    return 0;
}
