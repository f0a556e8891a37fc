#include "dataset/s3_list.h"

#include "base/xml.h"
#include "dataset/number.h"

#define PAGE_KEYS 1000 /* the most that S3 gives */

struct page {
    s3_each each;
    void *context;
    /* The object that is being read. */
    char key[S3_KEY_BYTES_MAX * 3 + 1]; /* as written: perhaps with %XX for each byte */
    char etag[S3_ETAG_BYTES];
    uint64_t bytes;
    bool has_key, has_bytes;
    bool is_encoded, is_cut, is_list;
    char *next;
};

/* Resolve %XX, and + for a space, in place; false: that is no such text. */
static bool decode(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        char c = *at == '+' ? ' ' : *at;
        if (c == '%') {
            int high = number_hex_digit(at[1]), low = high < 0 ? -1 : number_hex_digit(at[2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            at += 2;
        }
        if (c == '\0')
            return false;
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static bool read_size(const char *text, uint64_t *ret_size) {
    char *end;
    errno = 0;
    unsigned long long size = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || size > INT64_MAX)
        return false;
    *ret_size = size;
    return true;
}

/* &quot;ETAG&quot;, mostly. */
static bool read_etag(const char *text, size_t bytes, char to[S3_ETAG_BYTES]) {
    if (bytes >= 2 && text[0] == '"' && text[bytes - 1] == '"') {
        text++;
        bytes -= 2;
    }
    if (bytes == 0 || bytes >= S3_ETAG_BYTES)
        return false;
    memcpy(to, text, bytes);
    to[bytes] = '\0';
    return true;
}

static int wrong(struct opiml_error *err, const char *what) {
    return opiml_fail(err, OPIML_ECORRUPT, "a list of objects in which %s", what);
}

static int end_object(struct page *page, struct opiml_error *err) {
    if (!page->has_key || !page->has_bytes)
        return wrong(err, "an object lacks its key or its size");
    if (!page->etag[0])
        return wrong(err, "an object has no ETag, so that nobody could tell whether it changed");
    if (page->is_encoded && !decode(page->key))
        return wrong(err, "a key has a % that stands for no character");
    if (strlen(page->key) > S3_KEY_BYTES_MAX)
        return wrong(err, "a key is longer than 1024 bytes");
    const struct s3_found found = {page->key, page->etag, page->bytes};
    int rc = page->each(page->context, &found, err);
    page->has_key = page->has_bytes = false;
    page->etag[0] = '\0';
    return rc;
}

static const char list[] = "ListBucketResult";

/* What is said of the page as a whole, before or behind its objects. */
static int take_about(void *context, const char *path, const char *text, size_t bytes,
                      struct opiml_error *err) {
    struct page *page = context;
    if (strncmp(path, list, strlen(list)) != 0)
        return 0;
    const char *name = path + strlen(list);
    if (*name == '\0')
        page->is_list = true;
    else if (strcmp(name, "/EncodingType") == 0)
        page->is_encoded = strcmp(text, "url") == 0;
    else if (strcmp(name, "/IsTruncated") == 0)
        page->is_cut = strcmp(text, "true") == 0;
    else if (strcmp(name, "/NextContinuationToken") == 0 && bytes > 0) {
        base_free(page->next);
        page->next = base_strdup(text);
        if (!page->next)
            return base_fail_memory(err, bytes, "a list of objects");
    }
    return 0;
}

static int take_object(void *context, const char *path, const char *text, size_t bytes,
                       struct opiml_error *err) {
    struct page *page = context;
    const char *name = path + strlen(list);
    if (strncmp(path, list, strlen(list)) != 0)
        return 0;
    if (strcmp(name, "/Contents/Key") == 0) {
        if (bytes == 0 || bytes >= sizeof(page->key) || memchr(text, 0, bytes))
            return wrong(err, "a key is empty or longer than 1024 bytes");
        memcpy(page->key, text, bytes + 1);
        page->has_key = true;
    } else if (strcmp(name, "/Contents/Size") == 0) {
        if (!read_size(text, &page->bytes))
            return wrong(err, "a size is no number");
        page->has_bytes = true;
    } else if (strcmp(name, "/Contents/ETag") == 0) {
        if (!read_etag(text, bytes, page->etag))
            return wrong(err, "an ETag is empty or longer than 95 bytes");
    } else if (strcmp(name, "/Contents") == 0)
        return end_object(page, err);
    return 0;
}

static int read_page(struct page *page, const char *data, size_t bytes, struct opiml_error *err) {
    int rc = xml_read(data, bytes, take_about, page, err);
    if (rc == 0 && !page->is_list)
        rc = wrong(err, "there is no ListBucketResult; is this an S3 endpoint?");
    if (rc == 0)
        rc = xml_read(data, bytes, take_object, page, err);
    if (rc == 0 && page->is_cut && !page->next)
        rc = wrong(err, "more is promised, but not where it begins");
    return rc;
}

int s3_page_read(const char *data, size_t bytes, s3_each each, void *context, char **ret_next,
                 struct opiml_error *err) {
    struct page page = {.each = each, .context = context};
    int rc = read_page(&page, data, bytes, err);
    if (rc == 0)
        *ret_next = page.is_cut ? TAKE(page.next) : NULL;
    base_free(page.next);
    return rc;
}

/* The parameters in order, as they are signed. */
static void make_query(const char *prefix, uint32_t keys, const char *next, struct text *query) {
    query->count = 0;
    if (next) {
        text_add(query, "continuation-token=");
        s3_encode(next, false, query);
        text_add(query, "&");
    }
    text_printf(query, "encoding-type=url&list-type=2&max-keys=%u&prefix=", keys);
    s3_encode(prefix, false, query);
}

/* What a list has brought, so that a server cannot have it grow, or go on, for ever. */
struct bounds {
    s3_each each;
    void *context;
    uint64_t objects, key_bytes;
};

static int count_each(void *context, const struct s3_found *found, struct opiml_error *err) {
    struct bounds *bounds = context;
    bounds->objects++;
    bounds->key_bytes += strlen(found->key) + 1;
    if (bounds->objects > S3_LIST_MAX || bounds->key_bytes > S3_LIST_KEY_BYTES)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d objects, or 8 GiB of their keys",
                          S3_LIST_MAX);
    return bounds->each(bounds->context, found, err);
}

int s3_list(struct s3_store *store, struct http_client *client, const char *prefix, uint32_t most,
            s3_each each, void *context, struct opiml_error *err) {
    CLEANUP(s3_call_release) struct s3_call call = {.store = store, .key = "", .end = S3_NO_END};
    AUTO_TEXT struct text query = {0};
    AUTO_FREE char *next = NULL;
    struct opiml_error why;
    struct bounds bounds = {.each = each, .context = context};
    uint32_t keys = most && most < PAGE_KEYS ? most : PAGE_KEYS;
    for (uint32_t empty = 0;;) {
        uint64_t had = bounds.objects;
        AUTO_FREE char *before = TAKE(next);
        make_query(prefix, keys, before, &query);
        if (query.failed)
            return base_fail_memory(err, query.count, "a list of objects");
        call.query = query.at;
        int rc = s3_call_run(&call, client, err);
        if (rc < 0)
            return rc;
        rc = s3_page_read(call.answer.at ? call.answer.at : "", call.answer.count, count_each,
                          &bounds, &next, &why);
        if (rc < 0)
            return opiml_fail(err, rc, "s3://%s/%s: %s: %s", store->bucket, prefix, store->endpoint,
                              why.message);
        if (!next || most)
            return 0;
        empty = bounds.objects > had ? 0 : empty + 1;
        if (empty > S3_LIST_EMPTY_PAGES || (before && strcmp(before, next) == 0))
            return opiml_fail(err, OPIML_ECORRUPT, "s3://%s/%s: %s: the list does not go on",
                              store->bucket, prefix, store->endpoint);
    }
}
