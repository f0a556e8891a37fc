/* Croissant metadata (docs.mlcommons.org/croissant, 1.1): JSON-LD that describes a data set's files
 * and fields for catalogues. Written for what is read here, and read as far as it says which files
 * there are and how they would be read: a plain JSON parser looks at a fixed part of it, with no
 * joins, transformations or downloads. What the vocabulary has no word for (files that make records
 * together, rows of arrays, bytes of raw records) is kept in a property of our own, a pipeline
 * file's mapping, which others pass over. */
#ifndef DATASET_CROISSANT_H
#define DATASET_CROISSANT_H

#include "base/json.h"
#include "base/text.h"
#include "dataset/dataset.h"

#define CROISSANT_BYTES_MAX MIB(16)
#define CROISSANT_FILES_MAX 64            /* entries of the distribution that are looked at */
#define CROISSANT_MAPPING "opiml:dataset" /* the property */
#define CROISSANT_PATTERNS_MAX 16         /* of names of files that are told apart */

/* What the files do not say. NULL: left out, except the name, which is then the last of the URI,
 * and the description, which is made of what is there. */
struct croissant_about {
    const char *name, *description, *license, *url, *creator, *published;
};

/* Whether a text is a date as the vocabulary takes it: ISO 8601, "2026-01-31", or with a time
 * behind it, "2026-01-31T09:30:00Z". */
bool croissant_is_date(const char *text);

/* The document, which is the caller's. Files are named relative to the data set's folder, where the
 * document belongs. */
int croissant_make(const struct dataset *dataset, const struct croissant_about *about,
                   struct js **ret_document, struct opiml_error *err);

struct croissant_files {
    const char *id, *pattern, *encoding; /* borrowed from the document; "" where there is none */
    const char *format;                  /* that reads them here; NULL: none */
    const char *why;                     /* there is no mapping; NULL: there is */
    size_t count;                        /* of patterns, of which `pattern` is the first */
    struct text patterns;                /* all, with commas between */
    struct text encodings;               /* all, of which `encoding` is the first: "a, b" */
    struct text dataset;                 /* the mapping of a pipeline file beside the document */
};

struct croissant {
    struct js *document;
    const char *name, *description, *license; /* borrowed; "" */
    size_t count;
    struct croissant_files files[CROISSANT_FILES_MAX];
};

/* OPIML_ECORRUPT for what is no JSON, OPIML_EINVAL for what is no Croissant, OPIML_ELIMIT for more
 * than CROISSANT_FILES_MAX entries. Release it in any case. */
int croissant_read(const char *data, size_t bytes, struct croissant *ret_croissant,
                   struct opiml_error *err);
void croissant_release(struct croissant *croissant);

/* The format that an encoding means, NULL for none of ours. */
const char *croissant_find_format(const char *encoding);
/* The type that "cr:Int32" means, in any prefix; 0 for none of ours. */
uint32_t croissant_find_dtype(const char *type);

#endif
