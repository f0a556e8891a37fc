/* YAML documents (over libfyaml) as a plain tree in which every node knows its line and column. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/base.h"

#define YAML_BYTES_MAX MIB(1)
#define YAML_DEPTH_MAX 64

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column;   /* from 1 */
    const char *text;        /* of a scalar; "" for null and for every other kind */
    bool quoted;             /* a quoted scalar is text even when it looks like a number */
    struct yaml_node *next;  /* sibling */
    struct yaml_node *child; /* first element or first value */
    const char *key;         /* when it stands in a mapping */
    uint32_t key_line, key_column;
    uint32_t count; /* of elements */
};

struct yaml {
    char *name; /* of the file, for messages */
    struct yaml_node *root;
    void *memory;
};

/* Both: errors name file, line and column, and are OPIML_EINVAL for what is no document of ours and
 * OPIML_ELIMIT for what is too large. Aliases are resolved, as nodes of their own that share
 * children, and count towards the limits as if written out; duplicate keys, tags, several documents
 * and unfinished ones are refused. One document has at most 65536 nodes, YAML_DEPTH_MAX levels, 64
 * anchors and 4096 keys a mapping. A tree never changes: threads may share it. */
int yaml_load(const char *path, struct yaml **ret_yaml, struct opiml_error *err);
int yaml_parse(const char *data, size_t bytes, const char *name, struct yaml **ret_yaml,
               struct opiml_error *err);
void yaml_free(struct yaml *yaml);
void yaml_free_at(struct yaml **yaml);
#define AUTO_YAML CLEANUP(yaml_free_at)

/* The value of a key, NULL when absent or `map` is no mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* opiml_fail with "file:line:column: " before the message, unless the file's name is empty. */
int yaml_fail(const struct yaml *yaml, const struct yaml_node *at, struct opiml_error *err,
              const char *format, ...) OPIML_PRINTF(4, 5);
int yaml_fail_key(const struct yaml *yaml, const struct yaml_node *at, struct opiml_error *err,
                  const char *format, ...) OPIML_PRINTF(4, 5); /* at the node's key */

struct text;
/* A node as YAML in one line, which reads as the same tree: what was quoted still is. */
void yaml_write(const struct yaml_node *node, struct text *to);

#endif
