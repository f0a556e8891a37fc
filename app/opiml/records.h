/* Records of a dataset, one by one, for looking at them. */
#ifndef APP_RECORDS_H
#define APP_RECORDS_H

#include "base/json.h"
#include "base/text.h"
#include "dataset/dataset.h"

/* `where` is a URI, or a pipeline file (*.yaml), whose dataset is taken: the way to name a format
 * that needs parameters, so OPIML_EINVAL where `ask` names another, and where it mixes several. Of
 * an index `ask` says how to look at the files, unless the file says "rebuild". */
int records_open(const char *where, const struct dataset_ask *ask, struct dataset **ret_dataset,
                 struct opiml_error *err);
void records_close_at(struct dataset **dataset);

/* One record in memory; {0} before the first read, and used again by later ones. */
struct record {
    uint64_t number;
    uint8_t *data, *scratch;
    uint32_t bytes; /* as read */
    struct opiml_value values[OPIML_MAX_FIELDS];
};
int record_read(const struct dataset *dataset, uint64_t number, struct record *record,
                struct opiml_error *err);
void record_release(struct record *record);

/* A value as a few characters: "7", "[0.5, 0.25, ...]", "a short text", "3,421 bytes". */
void record_format(const struct opiml_field *field, const struct opiml_value *value,
                   struct text *to);
/* The same as JSON: numbers, lists of numbers, text; NULL for what is neither and for long ones. */
struct js *record_json(const struct opiml_field *field, const struct opiml_value *value);
/* "u8 32 x 32 x 3" */
void record_format_type(const struct opiml_field *field, const int64_t *shape, struct text *to);

#endif
