#include "dataset/croissant.h"

#include "dataset/format.h"
#include "dataset/writer.h"

#define VERSION "http://mlcommons.org/croissant/1.1"
#define FILES "files"     /* @id of the one entry of the distribution that is written */
#define RECORDS "records" /* ... and of the record set */

/* What encodings are called: registered types, else the page that describes them, as the
 * specification has it. */
static const struct {
    const char *format, *encoding;
} encodings[] = {
    {"csv", "text/csv"},
    {"csv", "text/tab-separated-values"},
    {"jsonl", "application/jsonlines"},
    {"jsonl", "application/x-ndjson"},
    {"image-folder", "image/jpeg"},
    {"image-folder", "image/png"},
    {"webdataset", "application/x-tar"},
    {"tfrecord", "https://www.tensorflow.org/tutorials/load_data/tfrecord"},
    {"npy", "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"},
    {"npz", "https://numpy.org/doc/stable/reference/generated/numpy.savez.html"},
    {"nifti", "https://nifti.nimh.nih.gov/"},
    {"hdf5", "application/x-hdf5"},
    {"safetensors", "https://huggingface.co/docs/safetensors"},
    {"raw", "application/octet-stream"},
    {"tokens", "application/octet-stream"},
};

static const struct {
    uint32_t dtype;
    const char *type;
} types[] = {
    {OPIML_U8, "cr:UInt8"},    {OPIML_I8, "cr:Int8"},     {OPIML_U16, "cr:UInt16"},
    {OPIML_I16, "cr:Int16"},   {OPIML_I32, "cr:Int32"},   {OPIML_I64, "cr:Int64"},
    {OPIML_F16, "cr:Float16"}, {OPIML_F32, "cr:Float32"}, {OPIML_F64, "cr:Float64"},
    {OPIML_I64, "sc:Integer"}, {OPIML_F64, "sc:Float"},   {OPIML_BF16, "sc:Float"},
    {OPIML_U8, "sc:Boolean"},
};

static const char *type_name(uint32_t dtype) {
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].dtype == dtype)
            return types[i].type;
    return "sc:Text";
}

const char *croissant_find_format(const char *encoding) {
    for (size_t i = 0; i < COUNT_OF(encodings); i++)
        if (strcmp(encodings[i].encoding, encoding) == 0)
            return encodings[i].format;
    return NULL;
}

uint32_t croissant_find_dtype(const char *type) {
    const char *colon = strrchr(type, ':');
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].type + strlen("cr:"), colon ? colon + 1 : type) == 0)
            return types[i].dtype;
    return 0;
}

static struct js *make_context(void) {
    /* Terms of the specification's own context that stand for one name. */
    static const char *const terms[][2] = {
        {"@language", "en"},
        {"@vocab", "https://schema.org/"},
        {"arrayShape", "cr:arrayShape"},
        {"citeAs", "cr:citeAs"},
        {"column", "cr:column"},
        {"conformsTo", "dct:conformsTo"},
        {"containedIn", "cr:containedIn"},
        {"cr", "http://mlcommons.org/croissant/"},
        {"dct", "http://purl.org/dc/terms/"},
        {"equivalentProperty", "cr:equivalentProperty"},
        {"extract", "cr:extract"},
        {"field", "cr:field"},
        {"fileObject", "cr:fileObject"},
        {"fileProperty", "cr:fileProperty"},
        {"fileSet", "cr:fileSet"},
        {"format", "cr:format"},
        {"includes", "cr:includes"},
        {"isArray", "cr:isArray"},
        {"isLiveDataset", "cr:isLiveDataset"},
        {"jsonPath", "cr:jsonPath"},
        {"key", "cr:key"},
        {"md5", "cr:md5"},
        {"opiml", "urn:opiml:"},
        {"parentField", "cr:parentField"},
        {"path", "cr:path"},
        {"rai", "http://mlcommons.org/croissant/RAI/"},
        {"recordSet", "cr:recordSet"},
        {"references", "cr:references"},
        {"regex", "cr:regex"},
        {"repeated", "cr:repeated"},
        {"replace", "cr:replace"},
        {"samplingRate", "cr:samplingRate"},
        {"sc", "https://schema.org/"},
        {"separator", "cr:separator"},
        {"source", "cr:source"},
        {"subField", "cr:subField"},
        {"transform", "cr:transform"},
    };
    static const char *const json[] = {"data", "examples"};
    static const char *const languages[] = {"description", "name"};
    struct js *context = js_object();
    for (size_t i = 0; i < COUNT_OF(terms); i++)
        js_set(context, terms[i][0], js_text(terms[i][1]));
    for (size_t i = 0; i < COUNT_OF(json); i++) {
        struct js *term = js_object();
        AUTO_FREE char *id = base_printf("cr:%s", json[i]);
        js_set(term, "@id", js_text(id));
        js_set(term, "@type", js_text("@json"));
        js_set(context, json[i], term);
    }
    for (size_t i = 0; i < COUNT_OF(languages); i++) {
        struct js *term = js_object();
        js_set(term, "@container", js_text("@language"));
        js_set(context, languages[i], term);
    }
    struct js *type = js_object();
    js_set(type, "@id", js_text("cr:dataType"));
    js_set(type, "@type", js_text("@vocab"));
    js_set(context, "dataType", type);
    return context;
}

/* "train/cat/1.jpg" is one of the files that are called star/star/star.jpg. */
static void pattern_of(const char *key, struct text *to) {
    const char *slash;
    for (; (slash = strchr(key, '/')); key = slash + 1)
        text_add(to, "*/");
    const char *dot =
        text_ends(key, ".nii.gz") ? key + strlen(key) - strlen(".nii.gz") : strrchr(key, '.');
    text_printf(to, "*%s", dot ? dot : "");
}

struct patterns {
    struct text at[CROISSANT_PATTERNS_MAX];
    size_t count;
};

static void patterns_release(struct patterns *patterns) {
    for (size_t i = 0; i < patterns->count; i++)
        text_release(&patterns->at[i]);
}

static int add_pattern(struct patterns *patterns, const char *key, struct opiml_error *err) {
    AUTO_TEXT struct text text = {0};
    pattern_of(key, &text);
    if (text.failed)
        return base_fail_memory(err, strlen(key), "a pattern");
    for (size_t i = 0; i < patterns->count; i++)
        if (strcmp(patterns->at[i].at, text.at) == 0)
            return 0;
    if (patterns->count == CROISSANT_PATTERNS_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "files of more than %d kinds of names",
                          CROISSANT_PATTERNS_MAX);
    patterns->at[patterns->count++] = text;
    text = (struct text){0};
    return 0;
}

/* Of all objects that records lie in. */
static int find_patterns(const struct dataset *dataset, struct patterns *patterns,
                         struct opiml_error *err) {
    struct source *source = dataset_source(dataset);
    uint32_t pieces = dataset_pieces(dataset);
    int rc = 0;
    for (uint64_t r = 0, last = UINT64_MAX; rc == 0 && r < dataset_count(dataset); r++)
        for (uint32_t p = 0; rc == 0 && p < pieces; p++) {
            struct dataset_extent extent;
            dataset_locate(dataset, r, p, &extent);
            if (extent.object == last)
                continue;
            last = extent.object;
            const char *key = source->key(source->key_context, extent.object);
            if (!source->single) {
                rc = add_pattern(patterns, key, err);
                continue;
            }
            const char *slash = strrchr(source->local ? source->local : key, '/');
            patterns->count = 1;
            patterns->at[0].count = 0;
            text_add(&patterns->at[0], slash ? slash + 1 : key);
        }
    return rc;
}

static const char *encoding_of(const char *format, const char *pattern) {
    static const char *const seconds[] = {"tsv", "png", NULL};
    const char *first = NULL;
    bool second = format_has_extension(pattern, seconds);
    for (size_t i = 0; i < COUNT_OF(encodings); i++)
        if (strcmp(encodings[i].format, format) == 0) {
            if (!second || first)
                return encodings[i].encoding;
            first = encodings[i].encoding;
        }
    return first ? first : "application/octet-stream";
}

static struct js *make_files(const struct dataset *dataset, const struct patterns *patterns) {
    struct js *list = js_array(), *files = js_object();
    struct js *includes = js_array(), *kinds = js_array();
    AUTO_TEXT struct text mapping = {0};
    for (size_t i = 0; i < patterns->count; i++) {
        const char *kind = encoding_of(dataset_format_name(dataset), patterns->at[i].at);
        size_t k = 0;
        js_add(includes, js_text(patterns->at[i].at));
        while (k < js_count(kinds) && strcmp(js_as_text(js_at(kinds, k), ""), kind) != 0)
            k++;
        if (k == js_count(kinds))
            js_add(kinds, js_text(kind));
    }
    js_set(files, "@type", js_text("cr:FileSet"));
    js_set(files, "@id", js_text(FILES));
    js_set(files, "name", js_text(FILES));
    js_set(files, "encodingFormat", kinds);
    js_set(files, "includes", includes);
    dataset_mapping(dataset, &mapping);
    js_set(files, CROISSANT_MAPPING, js_text(mapping.failed ? "" : mapping.at));
    js_add(list, files);
    return list;
}

/* Where a field's value comes from, in the terms that there are. */
static struct js *make_source(const struct dataset *dataset, const struct opiml_field *field) {
    struct js *source = js_object(), *files = js_object(), *extract = js_object();
    const char *format = dataset_format_name(dataset);
    bool folder = strcmp(format, "image-folder") == 0;
    bool label = folder && strcmp(field->name, "label") == 0;
    js_set(files, "@id", js_text(FILES));
    if (folder)
        js_set(extract, "fileProperty", js_text(label ? "fullpath" : "content"));
    else
        js_set(extract, "column", js_text(field->name));
    js_set(source, "fileSet", files);
    js_set(source, "extract", extract);
    if (label) { /* the folder's name */
        struct js *transform = js_object();
        js_set(transform, "regex", js_text("([^/]*)/[^/]*$"));
        js_set(source, "transform", transform);
    }
    return source;
}

static struct js *make_field(const struct dataset *dataset, const struct opiml_field *field) {
    struct js *one = js_object();
    AUTO_FREE char *id = base_printf(RECORDS "/%s", field->name);
    AUTO_TEXT struct text shape = {0};
    bool bytes = write_is_text(field);
    bool name = dataset_class(dataset, 0) && strcmp(field->name, "label") == 0;
    for (uint32_t d = 0; d < field->ndim; d++)
        text_printf(&shape, "%s%" PRId64, d ? "," : "", field->shape[d]);
    js_set(one, "@type", js_text("cr:Field"));
    js_set(one, "@id", js_text(id));
    js_set(one, "name", js_text(field->name));
    if (name)
        js_set(one, "description",
               js_text("The class's name; its number is its place in bytewise order"));
    js_set(one, "dataType",
           js_text(bytes && strcmp(field->name, "image") == 0 ? "sc:ImageObject"
                   : bytes || name                            ? "sc:Text"
                                                              : type_name(field->dtype)));
    if (!bytes && field->ndim > 0) {
        js_set(one, "isArray", js_bool(true));
        js_set(one, "arrayShape", js_text(shape.at));
    }
    js_set(one, "source", make_source(dataset, field));
    return one;
}

static struct js *make_records(const struct dataset *dataset) {
    const struct opiml_schema *schema = dataset_schema(dataset);
    struct js *list = js_array(), *records = js_object(), *fields = js_array();
    for (uint32_t i = 0; i < schema->count; i++)
        js_add(fields, make_field(dataset, &schema->fields[i]));
    js_set(records, "@type", js_text("cr:RecordSet"));
    js_set(records, "@id", js_text(RECORDS));
    js_set(records, "name", js_text(RECORDS));
    js_set(records, "field", fields);
    js_add(list, records);
    return list;
}

/* So many digits, and their number within a range; *at moves on. */
static bool take_number(const char **at, int digits, int least, int most, int *ret_number) {
    int number = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        number = number * 10 + (**at - '0');
    }
    *ret_number = number;
    return number >= least && number <= most;
}

static bool take_one(const char **at, const char *choices) {
    if (!**at || !strchr(choices, **at))
        return false;
    ++*at;
    return true;
}

static int days_of(int year, int month) {
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 ? 28 + leap : 30 + (month + month / 8) % 2;
}

static bool take_hours_and_minutes(const char **at) {
    int number;
    return take_number(at, 2, 0, 23, &number) && take_one(at, ":") &&
           take_number(at, 2, 0, 59, &number);
}

static bool take_time(const char **at) {
    int second;
    if (!take_hours_and_minutes(at))
        return false;
    if (take_one(at, ":")) {
        if (!take_number(at, 2, 0, 60, &second))
            return false;
        if (take_one(at, ".") && !take_one(at, "0123456789"))
            return false;
        while (take_one(at, "0123456789"))
            ;
    }
    return take_one(at, "Z") || !take_one(at, "+-") || take_hours_and_minutes(at);
}

bool croissant_is_date(const char *text) {
    int year, month, day;
    if (!take_number(&text, 4, 0, 9999, &year) || !take_one(&text, "-") ||
        !take_number(&text, 2, 1, 12, &month) || !take_one(&text, "-") ||
        !take_number(&text, 2, 1, days_of(year, month), &day))
        return false;
    return (!take_one(&text, "T") || take_time(&text)) && !*text;
}

static void set_about(struct js *document, const struct dataset *dataset,
                      const struct croissant_about *about) {
    AUTO_FREE char *uri = base_strdup(dataset_uri(dataset));
    size_t length = uri ? strlen(uri) : 0;
    while (length > 1 && uri[length - 1] == '/')
        uri[--length] = '\0';
    const char *last = uri ? strrchr(uri, '/') : NULL;
    AUTO_FREE char *made =
        base_printf("%" PRIu64 " record%s, as %s", dataset_count(dataset),
                    text_s(dataset_count(dataset)), dataset_format_name(dataset));
    js_set(document, "name", js_text(about->name ? about->name : last && last[1] ? last + 1 : uri));
    js_set(document, "description", js_text(about->description ? about->description : made));
    if (about->license)
        js_set(document, "license", js_text(about->license));
    if (about->url)
        js_set(document, "url", js_text(about->url));
    if (about->creator) {
        struct js *creator = js_object();
        js_set(creator, "@type", js_text("sc:Organization"));
        js_set(creator, "name", js_text(about->creator));
        js_set(document, "creator", creator);
    }
    if (about->published)
        js_set(document, "datePublished", js_text(about->published));
}

int croissant_make(const struct dataset *dataset, const struct croissant_about *about,
                   struct js **ret_document, struct opiml_error *err) {
    CLEANUP(patterns_release) struct patterns patterns = {0};
    int rc = find_patterns(dataset, &patterns, err);
    if (rc < 0)
        return rc;
    struct js *document = js_object();
    if (!document)
        return base_fail_memory(err, 0, "a description");
    js_set(document, "@context", make_context());
    js_set(document, "@type", js_text("sc:Dataset"));
    js_set(document, "conformsTo", js_text(VERSION));
    set_about(document, dataset, about);
    js_set(document, "distribution", make_files(dataset, &patterns));
    js_set(document, "recordSet", make_records(dataset));
    *ret_document = document;
    return 0;
}
