/* Safetensors files. */
#include "nn/safetensors.h"

#include "base/file.h"
#include "base/hash.h"

#define FILE_MAX (UINT64_C(64) << 30)
#define SUM_KEY "xxh3_128"
#define SUM_BYTES 33

/* ---- writing ---- */

/* XXH3-128 of all tensors' bytes, in hexadecimal digits. */
static char *format_sum(struct hash128 sum, char to[SUM_BYTES]) {
    snprintf(to, SUM_BYTES, "%016" PRIx64 "%016" PRIx64, sum.high, sum.low);
    return to;
}

static int sum_entries(const struct safetensors_entry *entries, uint32_t count, char to[SUM_BYTES],
                       struct opiml_error *err) {
    AUTO_FREE struct hash_piece *pieces = base_alloc_array(count, sizeof(*pieces));

    if (!pieces)
        return base_fail_memory(err, count * sizeof(*pieces), "a checksum");
    for (uint32_t i = 0; i < count; i++)
        pieces[i] = (struct hash_piece){entries[i].data, entries[i].count * sizeof(float)};
    format_sum(hash_128_pieces(pieces, count), to);
    return 0;
}

static struct js *header_of(const struct safetensors_entry *entries, uint32_t count,
                            struct js *metadata, const char *sum) {
    struct js *header = js_object(), *texts = js_object();
    uint64_t offset = 0;

    for (const char *key = js_next_key(metadata, NULL); key; key = js_next_key(metadata, key))
        js_set(texts, key, js_text(js_as_text(js_get(metadata, key), "")));
    js_set(texts, SUM_KEY, js_text(sum));
    js_set(header, "__metadata__", texts);
    for (uint32_t i = 0; i < count; i++) {
        struct js *entry = js_object(), *shape = js_array(), *offsets = js_array();

        for (uint32_t d = 0; d < entries[i].ndim; d++)
            js_add(shape, js_int(entries[i].shape[d]));
        js_add(offsets, js_u64(offset));
        offset += entries[i].count * sizeof(float);
        js_add(offsets, js_u64(offset));
        js_set(entry, "dtype", js_text("F32"));
        js_set(entry, "shape", shape);
        js_set(entry, "data_offsets", offsets);
        js_set(header, entries[i].name, entry);
    }
    return header;
}

int safetensors_write(const char *path, const struct safetensors_entry *entries, uint32_t count,
                      struct js *metadata, struct opiml_error *err) {
    CLEANUP(file_writer_release) struct file_writer writer = {.fd = -1};
    AUTO_JS struct js *header = NULL;
    AUTO_FREE char *text = NULL;
    char sum[SUM_BYTES];
    uint64_t length, padded;
    int rc = sum_entries(entries, count, sum, err);

    if (rc < 0)
        return rc;
    header = header_of(entries, count, metadata, sum);
    text = js_dump(header, 0);
    if (!text)
        return base_fail_memory(err, count * 100, "a checkpoint's header");
    length = strlen(text);
    padded =
        base_align_up(length, 8); /* so that tensors lie aligned; blanks are part of the header */
    if ((rc = file_writer_init(&writer, path, err)) < 0 ||
        (rc = file_writer_add(&writer, &padded, sizeof(padded), err)) < 0 ||
        (rc = file_writer_add(&writer, text, length, err)) < 0 ||
        (rc = file_writer_add(&writer, "        ", padded - length, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < count; i++)
        if ((rc = file_writer_add(&writer, entries[i].data, entries[i].count * sizeof(float),
                                  err)) < 0)
            return rc;
    return file_writer_commit(&writer, err);
}

/* ---- reading ---- */

static int bad(const struct safetensors *file, struct opiml_error *err, const char *what) {
    return opiml_fail(err, OPIML_ECORRUPT, "%s: no safetensors file: %s", file->name, what);
}

/* Bytes of an element of the format's types; 0: there is no such type. */
static uint64_t element_bytes(const char *dtype) {
    static const struct {
        const char *name;
        uint32_t bytes;
    } types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                 {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                 {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};

    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(dtype, types[i].name) == 0)
            return types[i].bytes;
    return 0;
}

static bool is_f32(const struct js *info) {
    return strcmp(js_as_text(js_get(info, "dtype"), ""), "F32") == 0;
}

/* *ret_bytes: of the tensor, whatever its type. */
static int read_entry(const struct safetensors *file, const struct js *info, const char *data,
                      uint64_t room, struct safetensors_entry *entry, uint64_t *ret_bytes,
                      struct opiml_error *err) {
    const struct js *shape = js_get(info, "shape"), *offsets = js_get(info, "data_offsets");
    int64_t from = js_as_int(js_at(offsets, 0), -1), to = js_as_int(js_at(offsets, 1), -1);
    uint64_t each = element_bytes(js_as_text(js_get(info, "dtype"), ""));

    if (each == 0)
        return bad(file, err, "a tensor of a type that the format does not have");
    entry->ndim = (uint32_t)js_count(shape);
    if (entry->ndim > COUNT_OF(entry->shape))
        return bad(file, err, "a tensor of more than 5 dimensions");
    entry->count = 1;
    for (uint32_t d = 0; d < entry->ndim; d++) {
        entry->shape[d] = js_as_int(js_at(shape, d), -1);
        if (entry->shape[d] < 0 ||
            __builtin_mul_overflow(entry->count, (uint64_t)entry->shape[d], &entry->count))
            return bad(file, err, "a tensor of impossible shape");
    }
    if (from < 0 || to < from || (uint64_t)to > room || entry->count > room ||
        (uint64_t)(to - from) != entry->count * each)
        return bad(file, err, "a tensor outside the file, or of another size than its shape");
    *ret_bytes = entry->count * each;
    entry->data = (const float *)(const void *)(data + from);
    /* Others are not looked into. */
    if (is_f32(info) && (uintptr_t)entry->data % sizeof(float) != 0)
        return bad(file, err, "a tensor at an odd offset");
    return 0;
}

/* The tensors fill the file, and are what was written; other programs' files have no sum. */
static int check_data(const struct safetensors *file, const char *data, uint64_t room,
                      uint64_t total, struct opiml_error *err) {
    const char *sum = safetensors_metadata(file, SUM_KEY);
    char here[SUM_BYTES];

    if (total != room)
        return bad(file, err, "its tensors do not fill it");
    if (sum && strcmp(sum, format_sum(hash_128(data, room), here)) != 0)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: damaged: its checksum is another", file->name);
    return 0;
}

static int read_entries(struct safetensors *file, struct opiml_error *err) {
    uint64_t length, room, bytes = 0, total = 0;
    const char *data;
    int rc;

    if (file->bytes < sizeof(length))
        return bad(file, err, "too short");
    memcpy(&length, file->memory, sizeof(length));
    if (length > SAFETENSORS_HEADER_MAX || length > file->bytes - sizeof(length))
        return bad(file, err, "its header is longer than the file");
    if ((rc = js_parse(file->memory + sizeof(length), length, &file->header, err)) < 0)
        return bad(file, err, "its header is no JSON");
    file->entries = base_alloc_array(js_count(file->header) + 1, sizeof(*file->entries));
    if (!file->entries)
        return base_fail_memory(err, js_count(file->header) * sizeof(*file->entries), file->name);
    data = file->memory + sizeof(length) + length;
    room = file->bytes - sizeof(length) - length;
    for (const char *key = js_next_key(file->header, NULL); key;
         key = js_next_key(file->header, key)) {
        struct safetensors_entry *entry = &file->entries[file->count];
        const struct js *info = js_get(file->header, key);

        if (strcmp(key, "__metadata__") == 0)
            continue;
        entry->name = key;
        if ((rc = read_entry(file, info, data, room, entry, &bytes, err)) < 0)
            return rc;
        total += bytes;
        file->count += is_f32(info);
    }
    return check_data(file, data, room, total, err);
}

int safetensors_parse(char *data, size_t bytes, const char *name, struct safetensors *ret_file,
                      struct opiml_error *err) {
    struct safetensors file = {.memory = data, .bytes = bytes, .name = base_strdup(name)};
    int rc = file.name ? read_entries(&file, err) : base_fail_memory(err, strlen(name), name);

    if (rc < 0) {
        file.memory = NULL;
        safetensors_release(&file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int safetensors_read(const char *path, struct safetensors *ret_file, struct opiml_error *err) {
    AUTO_FREE char *data = NULL;
    size_t bytes;
    int rc = file_read(path, FILE_MAX, &data, &bytes, err);

    if (rc < 0 || (rc = safetensors_parse(data, bytes, path, ret_file, err)) < 0)
        return rc;
    ret_file->memory = TAKE(data);
    return 0;
}

void safetensors_release(struct safetensors *file) {
    js_free(file->header);
    base_free(file->entries);
    base_free(file->memory);
    base_free(file->name);
    *file = (struct safetensors){0};
}

const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name) {
    for (uint32_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0)
            return &file->entries[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key) {
    return js_as_text(js_get(js_get(file->header, "__metadata__"), key), NULL);
}
