/* A folder of images, one folder per class: "cat/0001.jpg". Every folder right below the root is a
 * class, also an empty one, and labels number them in bytewise order of name. A record's key is its
 * path without the extension. */
#include "dataset/format.h"

enum { FIELD_IMAGE, FIELD_LABEL, FIELDS };

static bool image_folder_takes(const char *key) {
    static const char *const extensions[] = {"jpg", "jpeg", "png", NULL};
    return format_has_extension(key, extensions);
}

struct class {
    const char *name; /* not terminated */
    size_t bytes;
};

static int by_name(const void *a, const void *b) {
    const struct class *x = a, *y = b;
    size_t shared = x->bytes < y->bytes ? x->bytes : y->bytes;
    int order = memcmp(x->name, y->name, shared);
    return order ? order : x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The class folders: those listed and those that objects name. */
static int gather_classes(const struct source *source, const struct source_listing *listing,
                          struct class **ret_classes, size_t *ret_count, struct opiml_error *err) {
    size_t count = 0, unique = 0;
    AUTO_FREE struct class *classes =
        base_alloc_array(listing->count + listing->folder_count, sizeof(*classes));
    if (!classes)
        return base_fail_memory(err, listing->count * sizeof(*classes), "the classes");
    for (size_t i = 0; i < listing->folder_count; i++) {
        const char *key = listing->folders[i].key;
        if (key[0] && !strchr(key, '/'))
            classes[count++] = (struct class){key, strlen(key)};
    }
    for (size_t i = 0; i < listing->count; i++) {
        const char *key = listing->objects[i].key, *slash = strchr(key, '/');
        if (!slash)
            return opiml_fail(err, OPIML_EINVAL,
                              "%s%s lies in no class folder; an image folder has one folder per "
                              "class, such as cat/%s",
                              source->prefix, key, key);
        struct class class = {key, (size_t)(slash - key)};
        if (count == 0 || by_name(&classes[count - 1], &class) != 0)
            classes[count++] = class;
    }
    qsort(classes, count, sizeof(*classes), by_name);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || by_name(&classes[unique - 1], &classes[i]) != 0)
            classes[unique++] = classes[i];
    *ret_count = unique;
    *ret_classes = TAKE(classes);
    return 0;
}

static int add_record(const struct source *source, struct index_draft *draft,
                      const struct source_listing *listing, size_t i, uint32_t label,
                      struct opiml_error *err) {
    const struct source_object *object = &listing->objects[i];
    if (object->bytes > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%s%s: an image of more than 2 GiB", source->prefix,
                          object->key);
    if (!image_folder_takes(object->key))
        return opiml_fail(err, OPIML_EINVAL,
                          "%s%s: the name of an image ends in .jpg, .jpeg or .png", source->prefix,
                          object->key);
    const char *dot = strrchr(object->key, '.');
    const struct index_record record = {
        .key = draft->object_keys[i],
        .key_bytes = (uint32_t)(dot - object->key),
        .bytes = (uint32_t)object->bytes,
        .object = (uint32_t)i,
        .label = label,
    };
    return index_rows_add(&draft->rows, &record, NULL, NULL, 0, err);
}

static int add_schema(struct index_draft *draft, uint64_t max_bytes, struct opiml_error *err) {
    int rc =
        opiml_schema_add(&draft->schema, "image", OPIML_U8, 1, (int64_t[]){-1}, max_bytes, err);
    if (rc == 0)
        rc = opiml_schema_add(&draft->schema, "label", OPIML_I32, 0, NULL, 0, err);
    return rc;
}

static int image_folder_build(struct source *source, const struct source_listing *listing,
                              const void *params, struct index_draft *draft,
                              struct opiml_error *err) {
    AUTO_FREE struct class *classes = NULL;
    size_t count = 0;
    uint64_t max_bytes = 0;
    draft->flags |= INDEX_WHOLE | INDEX_KEYS;
    int rc = gather_classes(source, listing, &classes, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = index_draft_add_class(draft, classes[i].name, classes[i].bytes, err);
    const struct class *class = NULL;
    for (size_t i = 0; rc == 0 && i < listing->count; i++) {
        const char *key = listing->objects[i].key;
        struct class mine = {key, (size_t)(strchr(key, '/') - key)};
        if (!class || by_name(class, &mine) != 0)
            class = bsearch(&mine, classes, count, sizeof(*classes), by_name);
        max_bytes = base_max_u64(max_bytes, listing->objects[i].bytes);
        rc = add_record(source, draft, listing, i, (uint32_t)(class - classes), err);
    }
    return rc < 0 ? rc : add_schema(draft, max_bytes, err);
}

static bool image_folder_check(const struct index *index, const void *params) {
    const struct opiml_schema *schema = &index->schema;
    return schema->count == FIELDS && index->header->parts == 0 && index->records &&
           (index->header->flags & INDEX_WHOLE) &&
           opiml_schema_find(schema, "image") == FIELD_IMAGE &&
           opiml_schema_find(schema, "label") == FIELD_LABEL &&
           schema->fields[FIELD_IMAGE].dtype == OPIML_U8 && schema->fields[FIELD_IMAGE].ndim == 1 &&
           schema->fields[FIELD_IMAGE].shape[0] == -1 &&
           schema->fields[FIELD_IMAGE].max_bytes >= index->header->max_read &&
           schema->fields[FIELD_LABEL].dtype == OPIML_I32 && schema->fields[FIELD_LABEL].ndim == 0;
}

static int image_folder_parse(const struct index *index, const void *params, uint64_t record,
                              const struct source_bytes *from, struct opiml_value *values,
                              uint8_t *scratch, struct opiml_error *err) {
    const uint8_t *data = from->at;
    uint32_t bytes = from->bytes;
    int32_t label = (int32_t)index->records[record].label;
    values[FIELD_IMAGE] = format_value(data, bytes);
    values[FIELD_LABEL] = format_scalar(&scratch, &label, sizeof(label));
    return 0;
}

static uint64_t image_folder_scratch(const struct index *index) {
    return 8;
}

/* Whether the root lies above the folder that was meant: all images are in folders of their own
 * within the classes. */
static void image_folder_hint(const struct index *index, struct text *to) {
    const struct index_record *first = &index->records[0];
    const char *key = index->pool + first->key;
    for (uint64_t i = 0; i < index->header->records; i++) {
        const struct index_record *record = &index->records[i];
        const char *at = index->pool + record->key, *end = at + record->key_bytes;
        const char *slash = memchr(at, '/', record->key_bytes);
        if (!slash || !memchr(slash + 1, '/', (size_t)(end - slash) - 1))
            return;
    }
    const char *behind = (const char *)memchr(key, '/', first->key_bytes) + 1;
    char shown[200];
    text_show(shown, sizeof(shown), 0, key, (size_t)(strchr(behind, '/') - key));
    text_printf(to,
                "no class has images of its own, only folders of them, such as %s; if those "
                "are the classes, name the folder around them",
                shown);
}

const struct format format_image_folder = {
    .name = "image-folder",
    .help = "JPEG and PNG files in one folder per class; fields image and label",
    .found_by_looking = true,
    .takes = image_folder_takes,
    .build = image_folder_build,
    .check = image_folder_check,
    .parse = image_folder_parse,
    .scratch_bytes = image_folder_scratch,
    .hint = image_folder_hint,
};
