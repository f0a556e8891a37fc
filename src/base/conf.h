/* Configuration rows: one table (struct opiml_param) reads a YAML mapping into a struct, gives the
 * defaults, and prints the help. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <opiml/op.h>

#include "base/text.h"
#include "base/yaml.h"

/* Set `config` from the rows' defaults, then from the mapping `node` (NULL or an empty scalar: only
 * defaults). Unknown keys are refused with the nearest valid one; types and ranges are checked; a
 * row without default must be given. A list takes 0 to OPIML_LIST_MAX entries. Numbers are decimal
 * and read alike in every locale; one in quotes is a text, except for sizes ("64 MiB"). `what`
 * names the thing in messages ("decode"). OPIML_EINVAL; what was read before the mistake is set.
 * `yaml` may be NULL when `node` is. */
int conf_read(const struct opiml_param *rows, void *config, const struct yaml *yaml,
              const struct yaml_node *node, const char *what, struct opiml_error *err);
/* The same for a mapping in which nested sections stand beside the rows: their keys
 * (NULL-terminated) are passed over, and count as valid when an unknown key is looked up. */
int conf_read_head(const struct opiml_param *rows, const char *const *sections, void *config,
                   const struct yaml *yaml, const struct yaml_node *node, const char *what,
                   struct opiml_error *err);
/* Defaults only; rows without one stay as they are. The table must be sound. */
void conf_defaults(const struct opiml_param *rows, void *config);
/* Set one value from text, as on a command line: key "size", text "224,224" or "[224, 224]".
 * OPIML_EINVAL: no such row, and which is near, or not its value; nothing is changed. */
int conf_set(const struct opiml_param *rows, void *config, const char *key, const char *text,
             struct opiml_error *err);
/* Is a file's `kind` another one that there is? OPIML_EINVAL says so, and which verb takes it. */
int conf_check_kind(const struct yaml *yaml, const char *wanted, struct opiml_error *err);
/* Names of files stand relative to the file that they are written in: make one that was read from
 * the file `path` relative to the current folder, in place. An empty name stays empty. */
int conf_path(const char *path, char name[OPIML_TEXT_MAX], struct opiml_error *err);
/* Append the value as canonical text: the same for equal values however they were written,
 * different for different ones, without spaces except inside quotes. */
void conf_format(const struct opiml_param *row, const void *config, struct text *to);
/* "whole number", "list of numbers", "a|b|c": the type as the manual shows it. */
void conf_type_text(const struct opiml_param *row, struct text *to);
/* What is wrong with a table for a struct of `config_bytes`, as a phrase ("a default that the
 * parameter itself refuses"); NULL when it is sound. The other functions trust a table: ask this
 * first about one that comes from outside. */
const char *conf_table_problem(const struct opiml_param *rows, size_t config_bytes);

#endif
