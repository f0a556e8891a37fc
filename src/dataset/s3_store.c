#include "dataset/s3_store.h"

#include <strings.h>

#include "base/file.h"
#include "dataset/source.h"

#define FILE_BYTES_MAX MIB(1)
#define BUCKET_BYTES_MAX 255

/* ---- AWS's files ---- */

/* The line's part between spaces. */
static void trim(const char **from, const char **to) {
    while (*from < *to && strchr(" \t\r", **from))
        (*from)++;
    while (*from < *to && strchr(" \t\r", (*to)[-1]))
        (*to)--;
}

static bool is_text(const char *from, const char *to, const char *text) {
    size_t bytes = (size_t)(to - from);
    return bytes == strlen(text) && memcmp(from, text, bytes) == 0;
}

/* "[NAME]" or "[profile NAME]". */
static bool is_section(const char *from, const char *to, const char *profile) {
    from++;
    to = memchr(from, ']', (size_t)(to - from)) ? memchr(from, ']', (size_t)(to - from)) : to;
    trim(&from, &to);
    if (to - from > 8 && memcmp(from, "profile ", 8) == 0) {
        from += 8;
        trim(&from, &to);
    }
    return is_text(from, to, profile);
}

struct profile_file {
    char *text; /* NULL: there is none */
    bool has_profile;
};

static void profile_file_release(struct profile_file *file) {
    if (file->text)
        explicit_bzero(file->text, strlen(file->text));
    base_free(file->text);
}

/* The value of a key in the profile; NULL when there is none, or no memory (*failed). Lines that
 * are set in belong to a value of their own and are passed over. */
static char *profile_value(struct profile_file *file, const char *profile, const char *key,
                           bool *failed) {
    bool within = false;
    for (const char *line = file->text; line && *line;) {
        const char *from = line, *end = strchrnul(line, '\n'), *to = end;
        bool set_in = *line == ' ' || *line == '\t';
        line = *end ? end + 1 : end;
        trim(&from, &to);
        if (from == to || *from == '#' || *from == ';' || set_in)
            continue;
        if (*from == '[') {
            within = is_section(from, to, profile);
            file->has_profile |= within;
            continue;
        }
        const char *equals = memchr(from, '=', (size_t)(to - from));
        if (!within || !equals)
            continue;
        const char *key_end = equals, *value = equals + 1;
        trim(&from, &key_end);
        trim(&value, &to);
        if (!is_text(from, key_end, key) || value == to)
            continue;
        char *copy = base_printf("%.*s", (int)(to - value), value);
        *failed |= !copy;
        return copy;
    }
    return NULL;
}

/* One of the files in ~/.aws, or the one that the environment names instead. None is fine. */
static int read_profiles(const char *variable, const char *usual, struct profile_file *ret_file,
                         struct opiml_error *err) {
    const char *named = getenv(variable), *home = getenv("HOME");
    AUTO_FREE char *path = named && named[0] ? base_strdup(named)
                           : home            ? base_printf("%s/.aws/%s", home, usual)
                                             : base_strdup("");
    size_t bytes;
    if (!path)
        return base_fail_memory(err, 0, "a path");
    int rc = path[0] ? file_read(path, FILE_BYTES_MAX, &ret_file->text, &bytes, err) : 0;
    return rc == OPIML_ENOENT ? 0 : rc;
}

struct profiles {
    struct profile_file credentials, config;
};

static void profiles_release(struct profiles *profiles) {
    profile_file_release(&profiles->credentials);
    profile_file_release(&profiles->config);
}

static int read_both(struct profiles *profiles, struct opiml_error *err) {
    int rc =
        read_profiles("AWS_SHARED_CREDENTIALS_FILE", "credentials", &profiles->credentials, err);
    return rc < 0 ? rc : read_profiles("AWS_CONFIG_FILE", "config", &profiles->config, err);
}

/* ---- keys ---- */

static void forget(char **secret) {
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    base_free(TAKE(*secret));
}

struct keys {
    char *access, *secret, *token;
    bool from_file;
};

static void keys_release(struct keys *keys) {
    forget(&keys->access);
    forget(&keys->secret);
    forget(&keys->token);
}

static char *copy_variable(const char *name, bool *failed) {
    const char *value = getenv(name);
    char *copy = value && value[0] ? base_strdup(value) : NULL;
    *failed |= value && value[0] && !copy;
    return copy;
}

static bool is_true(const char *name) {
    const char *value = getenv(name);
    return value && (strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 ||
                     strcmp(value, "1") == 0);
}

/* A header ends at a line's end: nothing in a key may be one. */
static bool is_printable(const char *text) {
    for (; text && *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* Where keys come from other than as keys, which is not known here. */
static const char *foreign_keys(struct profiles *profiles, const char *profile, bool *failed) {
    static const char *const ways[] = {"role_arn", "sso_session", "sso_start_url",
                                       "credential_process", "web_identity_token_file"};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        AUTO_FREE char *in_config = profile_value(&profiles->config, profile, ways[i], failed);
        AUTO_FREE char *beside = profile_value(&profiles->credentials, profile, ways[i], failed);
        if (in_config || beside)
            return ways[i];
    }
    return NULL;
}

static int find_in_files(struct profiles *profiles, const char *profile, struct keys *keys,
                         struct opiml_error *err) {
    struct profile_file *files[] = {&profiles->credentials, &profiles->config};
    bool failed = false;
    for (size_t i = 0; i < COUNT_OF(files) && !keys->access && !failed; i++) {
        keys->access = profile_value(files[i], profile, "aws_access_key_id", &failed);
        keys->secret = profile_value(files[i], profile, "aws_secret_access_key", &failed);
        keys->token = profile_value(files[i], profile, "aws_session_token", &failed);
        keys->from_file = keys->access != NULL;
        if (!keys->access) {
            forget(&keys->secret);
            forget(&keys->token);
        }
    }
    const char *foreign = keys->access ? NULL : foreign_keys(profiles, profile, &failed);
    if (failed)
        return base_fail_memory(err, 0, "S3 credentials");
    if (foreign)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "the profile %s gets its keys by %s, which opiml does not know; put them "
                          "into the environment: eval \"$(aws configure export-credentials "
                          "--profile %s --format env)\"",
                          profile, foreign, profile);
    const char *named = getenv("AWS_PROFILE");
    if (named && named[0] && !profiles->credentials.has_profile && !profiles->config.has_profile)
        return opiml_fail(err, OPIML_EINVAL,
                          "AWS_PROFILE=%s: there is no such profile in ~/.aws/credentials or "
                          "~/.aws/config",
                          profile);
    return 0;
}

static int find_keys(struct profiles *profiles, const char *profile, struct keys *keys,
                     struct opiml_error *err) {
    bool failed = false;
    if (is_true("AWS_NO_SIGN_REQUEST"))
        return 0;
    keys->access = copy_variable("AWS_ACCESS_KEY_ID", &failed);
    if (keys->access) {
        keys->secret = copy_variable("AWS_SECRET_ACCESS_KEY", &failed);
        keys->token = copy_variable("AWS_SESSION_TOKEN", &failed);
    }
    if (failed)
        return base_fail_memory(err, 0, "S3 credentials");
    int rc = keys->access ? 0 : find_in_files(profiles, profile, keys, err);
    if (rc < 0)
        return rc;
    if (keys->access && !keys->secret)
        return opiml_fail(err, OPIML_EINVAL,
                          "there is an S3 access key%s%s, but no secret key beside it",
                          keys->from_file ? " in the profile " : " (AWS_ACCESS_KEY_ID)",
                          keys->from_file ? profile : "");
    if (!is_printable(keys->access) || !is_printable(keys->token))
        return opiml_fail(
            err, OPIML_EINVAL,
            "the S3 access key or session token holds a space or a control character");
    return 0;
}

static bool has_others(struct s3_store *store, uint32_t seen) {
    pthread_mutex_lock(&store->lock);
    bool others = store->keys_made != seen;
    pthread_mutex_unlock(&store->lock);
    return others;
}

bool s3_store_renew(struct s3_store *store, uint32_t seen) {
    CLEANUP(profiles_release) struct profiles profiles = {0};
    CLEANUP(keys_release) struct keys keys = {0};
    struct opiml_error ignored;
    if (has_others(store, seen)) /* of many requests under way the first has done it */
        return true;
    if (!store->from_file || read_both(&profiles, &ignored) < 0 ||
        find_in_files(&profiles, store->profile, &keys, &ignored) < 0 || !keys.access ||
        !keys.secret || !is_printable(keys.access) || !is_printable(keys.token))
        return false;
    pthread_mutex_lock(&store->lock);
    const char *token = store->session_token ? store->session_token : "";
    bool others = strcmp(keys.access, store->access_key) != 0 ||
                  strcmp(keys.secret, store->secret_key) != 0 ||
                  strcmp(keys.token ? keys.token : "", token) != 0;
    if (others) {
        forget(&store->access_key);
        forget(&store->secret_key);
        forget(&store->session_token);
        store->access_key = TAKE(keys.access);
        store->secret_key = TAKE(keys.secret);
        store->session_token = TAKE(keys.token);
        store->signing_day[0] = '\0';
        store->keys_made++;
    }
    others = store->keys_made != seen; /* or another thread was quicker */
    pthread_mutex_unlock(&store->lock);
    return others;
}

bool s3_store_signs(struct s3_store *store) {
    pthread_mutex_lock(&store->lock);
    bool signs = store->access_key != NULL;
    pthread_mutex_unlock(&store->lock);
    return signs;
}

/* ---- the server ---- */

/* The first of these variables that is set, else the profile's value, else the usual one. */
static char *setting(const char *const *variables, struct profiles *profiles, const char *profile,
                     const char *key, const char *usual, bool *failed) {
    char *value = NULL;
    for (size_t i = 0; variables[i] && !value; i++)
        value = copy_variable(variables[i], failed);
    if (!value)
        value = profile_value(&profiles->config, profile, key, failed);
    if (!value && usual) {
        value = base_strdup(usual);
        *failed |= !value;
    }
    return value;
}

/* Whether a bucket can be a part of a host's name that certificates of "*.host" are good for. */
static bool fits_host(const char *bucket) {
    size_t bytes = strlen(bucket);
    return bytes >= 3 && bytes <= 63 &&
           strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == bytes && bucket[0] != '-' &&
           bucket[bytes - 1] != '-';
}

static int choose_addressing(struct s3_store *store, bool is_amazon, struct opiml_error *err) {
    const char *way = getenv("OPIML_S3_ADDRESSING");
    if (!way || !way[0] || strcmp(way, "auto") == 0)
        store->bucket_in_host = is_amazon && fits_host(store->bucket);
    else if (strcmp(way, "virtual") == 0)
        store->bucket_in_host = true;
    else if (strcmp(way, "path") != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "OPIML_S3_ADDRESSING=%s: it may be auto, path or virtual", way);
    if (store->bucket_in_host && !fits_host(store->bucket))
        return opiml_fail(err, OPIML_EINVAL,
                          "the bucket %s cannot be a part of a host's name; set "
                          "OPIML_S3_ADDRESSING=path",
                          store->bucket);
    return 0;
}

/* "https://host:port", which the user may have written with a slash at its end. */
static int take_endpoint(struct s3_store *store, const char *url, struct opiml_error *err) {
    bool tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s is no S3 endpoint; it is written like https://s3.example.org:9000",
                          url);
    const char *host = url + (tls ? 8 : 7);
    size_t bytes = strcspn(host, "/?#");
    if (bytes == 0 || memchr(host, '@', bytes) || host[bytes + strspn(host + bytes, "/")])
        return opiml_fail(err, OPIML_EINVAL,
                          "an S3 endpoint is a scheme, a host and a port, nothing else: "
                          "https://s3.example.org:9000");
    for (size_t i = 0; i < bytes; i++)
        if (host[i] <= ' ' || host[i] > '~')
            return opiml_fail(err, OPIML_EINVAL,
                              "an S3 endpoint with a space or a control character");
    /* The usual port is not in the header. */
    const char *usual = tls ? ":443" : ":80";
    size_t port = strlen(usual), shown = bytes;
    if (bytes > port && memcmp(host + bytes - port, usual, port) == 0)
        shown -= port;
    bool is_amazon = memmem(host, shown, ".amazonaws.com", 14) != NULL;
    int rc = choose_addressing(store, is_amazon, err);
    if (rc < 0)
        return rc;
    const char *bucket = store->bucket_in_host ? store->bucket : "";
    const char *dot = store->bucket_in_host ? "." : "";
    store->host = base_printf("%s%s%.*s", bucket, dot, (int)shown, host);
    store->endpoint =
        base_printf("%s%s%s%.*s", tls ? "https://" : "http://", bucket, dot, (int)bytes, host);
    return store->host && store->endpoint ? 0 : base_fail_memory(err, bytes, "an S3 endpoint");
}

static int choose_endpoint(struct s3_store *store, struct profiles *profiles,
                           struct opiml_error *err) {
    static const char *const urls[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL};
    static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION", NULL};
    static const char *const bundles[] = {"AWS_CA_BUNDLE", NULL};
    bool failed = false;
    store->region = setting(regions, profiles, store->profile, "region", "us-east-1", &failed);
    store->ca_file = setting(bundles, profiles, store->profile, "ca_bundle", NULL, &failed);
    AUTO_FREE char *url = setting(urls, profiles, store->profile, "endpoint_url", NULL, &failed);
    if (store->region &&
        (!store->region[0] || strspn(store->region, "abcdefghijklmnopqrstuvwxyz"
                                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                    "0123456789-_") != strlen(store->region)))
        return opiml_fail(err, OPIML_EINVAL, "%s is no name of a region", store->region);
    if (!url && !failed) {
        bool china = strncmp(store->region, "cn-", 3) == 0;
        url = base_printf("https://s3.%s%s.amazonaws.com%s",
                          is_true("AWS_USE_DUALSTACK_ENDPOINT") ? "dualstack." : "", store->region,
                          china ? ".cn" : "");
        failed = !url;
    }
    return failed ? base_fail_memory(err, 0, "S3 settings") : take_endpoint(store, url, err);
}

static void close_at(struct s3_store **store) {
    s3_store_close(*store);
}

int s3_store_open(const char *bucket, struct s3_store **ret_store, struct opiml_error *err) {
    CLEANUP(profiles_release) struct profiles profiles = {0};
    CLEANUP(keys_release) struct keys keys = {0};
    CLEANUP(close_at) struct s3_store *store = base_alloc(sizeof(*store));
    bool failed = false;
    if (!store)
        return base_fail_memory(err, sizeof(*store), "an S3 bucket");
    pthread_mutex_init(&store->lock, NULL);
    store->bucket = base_strdup(bucket);
    store->profile = copy_variable("AWS_PROFILE", &failed);
    if (!store->profile)
        store->profile = base_strdup("default");
    if (failed || !store->bucket || !store->profile)
        return base_fail_memory(err, strlen(bucket), "an S3 bucket");
    int rc = read_both(&profiles, err);
    if (rc < 0 || (rc = choose_endpoint(store, &profiles, err)) < 0 ||
        (rc = find_keys(&profiles, store->profile, &keys, err)) < 0 ||
        (rc = source_seconds("OPIML_S3_STALL", 10, &store->stall_s, err)) < 0 ||
        (rc = source_seconds("OPIML_S3_DEADLINE", 60, &store->deadline_s, err)) < 0)
        return rc;
    store->access_key = TAKE(keys.access);
    store->secret_key = TAKE(keys.secret);
    store->session_token = TAKE(keys.token);
    store->from_file = keys.from_file;
    *ret_store = TAKE(store);
    return 0;
}

void s3_store_close(struct s3_store *store) {
    if (!store)
        return;
    forget(&store->access_key);
    forget(&store->secret_key);
    forget(&store->session_token);
    explicit_bzero(store->signing_key, sizeof(store->signing_key));
    pthread_mutex_destroy(&store->lock);
    base_free(store->bucket);
    base_free(store->region);
    base_free(store->profile);
    base_free(store->endpoint);
    base_free(store->host);
    base_free(store->ca_file);
    base_free(store);
}

/* ---- URIs ---- */

int s3_uri_split(const char *uri, char **ret_bucket, char **ret_key, struct opiml_error *err) {
    const char *bucket = uri + strlen("s3://");
    size_t bytes = strcspn(bucket, "/");
    const char *key = bucket[bytes] ? bucket + bytes + 1 : "";
    size_t key_bytes = strlen(key);
    if (bytes == 0 || bytes > BUCKET_BYTES_MAX || bucket[0] == '.' ||
        strspn(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") < bytes)
        return opiml_fail(err, OPIML_EINVAL,
                          "%s: an S3 URI names a bucket and what is in it: s3://bucket/folder",
                          uri);
    while (key_bytes > 0 && key[key_bytes - 1] == '/')
        key_bytes--;
    AUTO_FREE char *name = base_printf("%.*s", (int)bytes, bucket);
    AUTO_FREE char *rest = base_printf("%.*s", (int)key_bytes, key);
    if (!name || !rest)
        return base_fail_memory(err, strlen(uri), "an S3 URI");
    *ret_bucket = TAKE(name);
    *ret_key = TAKE(rest);
    return 0;
}
