/* JSON values (over jansson). A value belongs to whoever made it until js_set or js_add takes it;
 * what cannot be made for lack of memory is left out. One value is for one thread at a time. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/base.h"

struct js; /* never NULL-checked by callers: every function accepts NULL and passes it on */

struct js *js_object(void);
struct js *js_array(void);
struct js *js_text(const char *text); /* NULL and invalid UTF-8 are handled: null, replaced bytes */
struct js *js_int(int64_t number);
struct js *js_u64(uint64_t number); /* past INT64_MAX as text */
struct js *js_num(double number);   /* not finite: null */
struct js *js_bool(bool value);
struct js *js_null(void);
void js_set(struct js *object, const char *key, struct js *value); /* takes value */
void js_add(struct js *array, struct js *value);                   /* takes value */

/* One whole value. Refused with line and column: duplicate keys, anything behind the value,
 * integers past 64 bits, more than 2048 levels. */
int js_parse(const char *data, size_t bytes, struct js **ret_value, struct opiml_error *err);
struct js *js_get(const struct js *object, const char *key); /* borrowed; NULL when absent */
struct js *js_at(const struct js *array, size_t i);          /* borrowed; NULL past the end */
size_t js_count(const struct js *array_or_object);
/* Go through an object: NULL starts; returns the next key or NULL at the end. */
const char *js_next_key(const struct js *object, const char *key);
const char *js_as_text(const struct js *value, const char *otherwise);
bool js_is_int(const struct js *value);
int64_t js_as_int(const struct js *value, int64_t otherwise);
double js_as_num(const struct js *value, double otherwise);
/* As text, keys in the order they were set; `indent` spaces, 0 for one line. Numbers read back as
 * the same numbers, in every locale. The caller frees; NULL when memory is out or for NULL. */
char *js_dump(const struct js *value, int indent);
void js_free(struct js *value);
void js_free_at(struct js **value);
#define AUTO_JS CLEANUP(js_free_at)

#endif
