/* Configuration rows: one table (struct opiml_param) reads a YAML mapping into a struct, gives the
 * defaults, and prints the help. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <opiml/op.h>

#include "base/text.h"
#include "base/yaml.h"

/* Set `config` from the rows' defaults, then from the mapping `node` (NULL or an empty scalar: only
 * defaults). Unknown keys are refused with the nearest valid one; types and ranges are checked; a
 * row without default must be given. `what` names the thing in messages ("decode"). */
int conf_read(const struct opiml_param *rows, void *config, const struct yaml *yaml,
              const struct yaml_node *node, const char *what, struct opiml_error *err);
/* Defaults only; rows without one are left zero. */
void conf_defaults(const struct opiml_param *rows, void *config);
/* Set one value from text, as on a command line ("size=224,224"). OPIML_ENOENT: no such row. */
int conf_set(const struct opiml_param *rows, void *config, const char *key, const char *text,
             struct opiml_error *err);
/* Append the value as canonical text, the same for equal values however they were written. */
void conf_format(const struct opiml_param *row, const void *config, struct text *to);
/* "u32", "list of f64", "a|b|c": the type as the manual shows it. */
void conf_type_text(const struct opiml_param *row, struct text *to);

#endif
