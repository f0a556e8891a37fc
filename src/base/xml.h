/* XML as servers answer: elements and their text. A small part of the language, read strictly and
 * within bounds: no document types, so no entities but the five that XML has itself. */
#ifndef BASE_XML_H
#define BASE_XML_H

#include "base/text.h"

#define XML_DEPTH_MAX 16
#define XML_NAME_MAX 64
#define XML_PATH_MAX (XML_DEPTH_MAX * (XML_NAME_MAX + 1))
#define XML_TEXT_MAX KIB(64) /* of one element, entities resolved */

/* Called as each element ends. `path` names it and those around it, without the prefixes of name
 * spaces: "ListBucketResult/Contents/Key"; `text` is what stood in it beside other elements, a text
 * of `bytes` with a closing zero, borrowed until the call returns. Less than 0 ends the reading. */
typedef int (*xml_element)(void *context, const char *path, const char *text, size_t bytes,
                           struct opiml_error *err);

/* Read a whole document. Attributes, comments and instructions are passed over. OPIML_ECORRUPT with
 * the place where it is no such XML; what `element` returned when that was less than 0. */
int xml_read(const char *data, size_t bytes, xml_element element, void *context,
             struct opiml_error *err);

#endif
