/* Reading Croissant metadata: which files, and what their fields are. */
#include "dataset/croissant.h"

#include "base/yaml.h"
#include "dataset/format.h"
#include "dataset/writer.h"

#define FIELDS_MAX OPIML_LIST_MAX

/* A property that may be a text or a list of them: the first. */
static const char *first_text(const struct js *value) {
    return js_as_text(js_count(value) > 0 ? js_at(value, 0) : value, "");
}

/* "cr:FileSet", or with another prefix. */
static bool is_type(const struct js *value, const char *name) {
    const char *type = first_text(js_get(value, "@type"));
    size_t bytes = strlen(type), wanted = strlen(name);
    return bytes >= wanted && strcmp(type + bytes - wanted, name) == 0 &&
           (bytes == wanted || strchr(":/", type[bytes - wanted - 1]));
}

static const char *id_of(const struct js *value) {
    return js_as_text(js_get(value, "@id"), "");
}

/* By what it is called, else by the files' names. */
static const char *find_format(const struct croissant_files *files) {
    const char *format = croissant_find_format(files->encoding);
    if (format)
        return format;
    for (const struct format *const *kind = format_kinds(); *kind; kind++)
        if ((*kind)->found_by_looking && (*kind)->takes(files->pattern))
            return (*kind)->name;
    return NULL;
}

/* ---- fields ---- */

struct field {
    const char *name; /* as the files have it */
    uint32_t dtype;   /* 0: none of ours */
    bool text;        /* u8 of any length */
    bool sized;       /* its type says how many bytes a number has */
    char shape[64];   /* ":4x4x3", or nothing */
};

/* "4, 4, 3" becomes ":4x4x3"; false for what is no shape of ours. */
static bool read_shape(const char *text, char to[64]) {
    size_t used = 0;
    uint32_t ndim = 0;
    while (*text) {
        char *end;
        long long size = strtoll(text, &end, 10);
        if (end == text || size == 0 || size < -1 || ndim++ == OPIML_MAX_DIMS || used > 40)
            return false;
        used += (size_t)snprintf(to + used, 64 - used, size < 0 ? "%c*" : "%c%lld",
                                 ndim == 1 ? ':' : 'x', size);
        text = end + strspn(end, " ");
        if (*text && *text != ',')
            return false;
        text += *text == ',';
    }
    return ndim > 0;
}

static bool read_field(const struct js *value, const char *files, struct field *field) {
    const struct js *source = js_get(value, "source"), *extract = js_get(source, "extract");
    const char *set = id_of(js_get(source, "fileSet")),
               *object = id_of(js_get(source, "fileObject"));
    const char *path = js_as_text(js_get(extract, "jsonPath"), "");
    const char *type = first_text(js_get(value, "dataType"));
    if (strcmp(set, files) != 0 && strcmp(object, files) != 0)
        return false;
    *field = (struct field){.name = js_as_text(js_get(extract, "column"), NULL)};
    if (!field->name && text_starts(path, "$."))
        field->name = path + 2;
    if (!field->name)
        field->name = js_as_text(js_get(value, "name"), id_of(value));
    field->dtype = croissant_find_dtype(type);
    field->sized = field->dtype != 0 && !text_starts(type, "sc:");
    field->text = text_ends(type, ":Text") || text_ends(type, ":ImageObject");
    const char *shape = js_as_text(js_get(value, "arrayShape"), "");
    if (shape[0] && !read_shape(shape, field->shape)) {
        field->dtype = 0;
        field->sized = false;
    }
    return field->name[0];
}

static size_t find_fields(const struct js *document, const char *files,
                          struct field to[FIELDS_MAX]) {
    const struct js *sets = js_get(document, "recordSet");
    size_t count = 0;
    for (size_t s = 0; s < js_count(sets); s++) {
        const struct js *fields = js_get(js_at(sets, s), "field");
        for (size_t f = 0; f < js_count(fields) && count < FIELDS_MAX; f++)
            count += read_field(js_at(fields, f), files, &to[count]);
    }
    return count;
}

/* ---- mappings ---- */

/* name:type entries of those fields that have one; csv has its own names for types. */
static void add_types(const struct field *fields, size_t count, bool csv, struct text *to) {
    const char *between = "";
    for (size_t i = 0; i < count; i++) {
        const struct field *field = &fields[i];
        bool number = field->dtype == OPIML_I32 || field->dtype == OPIML_I64 ||
                      field->dtype == OPIML_F32 || field->dtype == OPIML_F64;
        const char *type = field->text      ? (csv ? "text" : "u8:*")
                           : csv && !number ? NULL
                           : field->dtype   ? opiml_dtype_text(field->dtype)
                                            : NULL;
        if (!type || strchr(field->name, ':'))
            continue;
        AUTO_FREE char *entry = base_printf("%s:%s%s", field->name, type, field->shape);
        text_add(to, between);
        write_quoted(to, entry ? entry : "");
        to->failed |= !entry;
        between = ", ";
    }
}

static void add_names(const struct field *fields, size_t count, struct text *to) {
    for (size_t i = 0; i < count; i++) {
        text_add(to, i ? ", " : "");
        write_quoted(to, fields[i].name);
    }
}

static void make_mapping(const struct field *fields, size_t count, struct croissant_files *files) {
    static const char *const typed[] = {"jsonl", "tfrecord", "raw"};
    static const char *const named[] = {"npz", "hdf5", "safetensors"};
    struct text *to = &files->dataset;
    bool csv = strcmp(files->format, "csv") == 0;
    AUTO_FREE char *many = base_printf("{%s}", files->patterns.at);
    to->failed |= !many;
    text_add(to, "{uri: ");
    /* An image folder is the folder. */
    write_quoted(to, strcmp(files->format, "image-folder") == 0 ? "."
                     : files->count > 1 && many                 ? many
                                                                : files->pattern);
    text_printf(to, ", format: %s", files->format);
    if (csv && count > 0) {
        text_add(to, ", types: [");
        add_types(fields, count, true, to);
        text_add(to, "]");
    }
    for (size_t i = 0; i < COUNT_OF(typed); i++)
        if (count > 0 && strcmp(files->format, typed[i]) == 0) {
            text_add(to, ", fields: [");
            add_types(fields, count, false, to);
            text_add(to, "]");
        }
    for (size_t i = 0; i < COUNT_OF(named); i++)
        if (count > 0 && strcmp(files->format, named[i]) == 0) {
            text_add(to, ", fields: [");
            add_names(fields, count, to);
            text_add(to, "]");
        }
    text_add(to, "}");
}

/* A mapping that was written here, as long as it names files below the document's folder. */
static bool read_mapping(const struct js *entry, struct croissant_files *files) {
    const char *text = js_as_text(js_get(entry, CROISSANT_MAPPING), "");
    AUTO_YAML struct yaml *yaml = NULL;
    struct opiml_error err;
    for (const char *at = text; *at; at++)
        if ((uint8_t)*at < ' ')
            return false; /* it is to stay one line */
    if (!text[0] || yaml_parse(text, strlen(text), "mapping", &yaml, &err) < 0)
        return false;
    const struct yaml_node *uri = yaml_get(yaml->root, "uri");
    const struct yaml_node *format = yaml_get(yaml->root, "format");
    const struct format *found = format ? format_find(format->text) : NULL;
    if (!found || !uri || (strcmp(uri->text, ".") != 0 && !source_key_safe(uri->text)))
        return false;
    files->format = found->name;
    text_add(&files->dataset, text);
    return true;
}

/* All names of the files, in the manner of braces. NULL, or why they are not to be read. */
static const char *read_patterns(const struct js *names, struct croissant_files *files) {
    const char *why = NULL;
    bool list = js_count(names) > 0;
    files->count = list ? js_count(names) : 1;
    for (size_t i = 0; i < files->count; i++) {
        const char *name = js_as_text(list ? js_at(names, i) : names, "");
        text_printf(&files->patterns, "%s%s", i ? "," : "", name);
        if (strstr(name, "://"))
            why = "its files lie elsewhere; download them";
        else if (!source_key_safe(name))
            why = "its files have no name below the document's folder";
    }
    return why;
}

static void read_encodings(const struct js *kinds, struct croissant_files *files) {
    text_add(&files->encodings, files->encoding);
    for (size_t i = 1; i < js_count(kinds); i++)
        text_printf(&files->encodings, ", %s", js_as_text(js_at(kinds, i), ""));
}

/* Whether braces around the names say what they are. */
static bool is_one_pattern(const struct croissant_files *files) {
    size_t commas = 0;
    for (const char *at = files->patterns.at; *at; at++)
        commas += *at == ',';
    return files->count == 1 || (commas + 1 == files->count && !strpbrk(files->patterns.at, "{}"));
}

static int read_files(const struct js *document, const struct js *entry,
                      struct croissant_files *files, struct opiml_error *err) {
    const struct js *names = js_get(entry, is_type(entry, "FileSet") ? "includes" : "contentUrl");
    struct field fields[FIELDS_MAX];
    size_t count;
    *files = (struct croissant_files){.id = id_of(entry),
                                      .encoding = first_text(js_get(entry, "encodingFormat")),
                                      .pattern = first_text(names)};
    files->format = find_format(files);
    files->why = read_patterns(names, files);
    read_encodings(js_get(entry, "encodingFormat"), files);
    if (files->patterns.failed || files->encodings.failed)
        return base_fail_memory(err, files->patterns.count, "names of files");
    if (js_get(entry, "containedIn"))
        files->why = "its files lie within an archive; unpack it";
    else if (!files->why && !files->format)
        files->why = "files of this kind are not read";
    if (files->why)
        return 0;
    if (read_mapping(entry, files))
        return files->dataset.failed ? base_fail_memory(err, files->dataset.count, "a mapping") : 0;
    if (!is_one_pattern(files))
        files->why = "its names have braces or commas in them, and cannot be told as one pattern";
    count = find_fields(document, files->id, fields);
    /* A type that is not the file's would shift all that follows. */
    for (size_t i = 0; i < count && strcmp(files->format, "raw") == 0; i++)
        if (!fields[i].sized || strchr(fields[i].name, ':'))
            files->why = "it does not say how many bytes each field has; `fields` has to";
    if (files->why)
        return 0;
    make_mapping(fields, count, files);
    return files->dataset.failed ? base_fail_memory(err, files->dataset.count, "a mapping") : 0;
}

/* A text, or one by language. */
static const char *text_of(const struct js *document, const char *key) {
    const struct js *value = js_get(document, key);
    return js_as_text(js_get(value, "en"), first_text(value));
}

int croissant_read(const char *data, size_t bytes, struct croissant *croissant,
                   struct opiml_error *err) {
    *croissant = (struct croissant){.name = "", .description = "", .license = ""};
    int rc = js_parse(data, bytes, &croissant->document, err);
    if (rc < 0)
        return opiml_fail(err, OPIML_ECORRUPT, "no JSON: %s", err ? err->message : "");
    const struct js *document = croissant->document, *list = js_get(document, "distribution");
    if (!is_type(document, "Dataset") ||
        !strstr(first_text(js_get(document, "conformsTo")), "mlcommons.org/croissant"))
        return opiml_fail(err, OPIML_EINVAL,
                          "no Croissant metadata: a Dataset that conforms to it is wanted");
    croissant->name = text_of(document, "name");
    croissant->description = text_of(document, "description");
    croissant->license = text_of(document, "license");
    if (js_count(list) > CROISSANT_FILES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d entries of the distribution",
                          CROISSANT_FILES_MAX);
    for (size_t i = 0; rc == 0 && i < js_count(list); i++)
        if (is_type(js_at(list, i), "FileSet") || is_type(js_at(list, i), "FileObject"))
            rc = read_files(document, js_at(list, i), &croissant->files[croissant->count++], err);
    return rc;
}

void croissant_release(struct croissant *croissant) {
    for (size_t i = 0; i < croissant->count; i++) {
        text_release(&croissant->files[i].dataset);
        text_release(&croissant->files[i].patterns);
        text_release(&croissant->files[i].encodings);
    }
    js_free(croissant->document);
    *croissant = (struct croissant){0};
}
