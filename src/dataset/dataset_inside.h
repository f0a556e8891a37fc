/* What the parts of a dataset's making share: dataset_conf.c reads what was asked for,
 * dataset_build.c finds or builds the index, dataset_open.c makes the dataset of both, and
 * dataset.c answers what is asked of it then. */
#ifndef DATASET_DATASET_INSIDE_H
#define DATASET_DATASET_INSIDE_H

#include "base/text.h"
#include "dataset/dataset.h"
#include "dataset/format.h"

enum { INDEX_POLICY_AUTO, INDEX_POLICY_FULL, INDEX_POLICY_REBUILD, INDEX_POLICY_KEEP };

/* What all formats take; a format's own parameters follow in the same mapping. */
struct dataset_common {
    char uri[OPIML_TEXT_MAX]; /* for the table of keys only: the node itself may be longer */
    char format[OPIML_TEXT_MAX];
    uint32_t index;
    bool direct;
    double weight;
};

struct dataset {
    _Atomic uint32_t users;
    struct source *source;
    const struct format *format;
    void *params; /* of the format */
    struct index index;
    struct source_stamp *stamps; /* of a part: what its objects are like here; NULL: as indexed */
    bool direct;
};

#define DATASET_NOT_HERE UINT64_MAX /* the bytes of an object that a part does not hold */
/* What an object was like when it was indexed here. */
struct source_stamp dataset_stamp(const struct dataset *dataset, uint32_t object);

struct dataset_request {
    const char *uri, *base;      /* base: the folder that relative paths begin at */
    const struct format *format; /* NULL: to be found */
    const char *option;          /* how the user says which; NULL: as in a file */
    uint32_t policy;
    const struct yaml *yaml; /* with the mapping: both NULL when there is none */
    const struct yaml_node *node;
    const struct dataset_head *head;
};

#define FORMATS_MAX 32
/* The names of all formats as a text and, unless NULL, as words for text_nearest. */
void dataset_name_formats(struct text *text, const char *words[FORMATS_MAX + 1]);
/* NULL for "auto" and NULL. OPIML_EINVAL: there is no such format. */
int dataset_choose_format(const char *name, const struct format **ret_format,
                          struct opiml_error *err);
/* NULL is "auto", too. */
int dataset_choose_policy(const char *name, uint32_t *ret_policy, struct opiml_error *err);
/* The mapping, which begins with a struct dataset_common and in which a uri of any length is fine.
 * As long as the format is not known (NULL) what may be its keys is left out. The caller frees
 * *ret_config. */
int dataset_read_config(const struct format *format, const struct yaml *yaml,
                        const struct yaml_node *node, void **ret_config, struct opiml_error *err);
/* The format's own parameters, from the mapping if there is one. The caller frees them. */
int dataset_read_params(const struct format *format, const struct dataset_request *request,
                        void **ret_params, struct opiml_error *err);
/* Append the parameters, a line each. */
void dataset_params_text(const struct format *format, const void *params, struct text *text);

/* Find dataset->format, its parameters and the index, or build it, for the open dataset->source. */
int dataset_load_index(struct dataset *dataset, const struct dataset_request *request,
                       struct opiml_error *err);

#endif
