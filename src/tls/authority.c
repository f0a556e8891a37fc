/* A certificate authority for one site. */
#include "tls/authority.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define SERIAL_BITS 159 /* a positive number of 20 bytes, the most that RFC 5280 allows */
#define COMMON_NAME_MAX 64
#define DAY_S 86400

static void free_key(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}
static void free_bio(BIO **bio) {
    BIO_free(*bio);
}
#define AUTO_KEY CLEANUP(free_key) EVP_PKEY
#define AUTO_X509 CLEANUP(certificate_free) X509
#define AUTO_BIO CLEANUP(free_bio) BIO

static int fail_openssl(struct opiml_error *err, const char *what) {
    const char *why = ERR_reason_error_string(ERR_peek_error());
    int rc = opiml_fail(err, OPIML_EINTERNAL, "%s: %s", what, why ? why : "OpenSSL failed");

    ERR_clear_error();
    return rc;
}

/* ---- names ---- */

/* A host's name: labels of letters, digits and -, the first of which may be *. */
static bool is_host(const char *name) {
    size_t label = 0;

    if (strlen(name) > 253 || name[0] == 0)
        return false;
    if (name[0] == '*' && name[1] == '.')
        name += 2;
    for (; *name; name++) {
        if (*name == '.') {
            if (label == 0 || name[-1] == '-')
                return false;
            label = 0;
        } else if ((!isalnum((unsigned char)*name) && *name != '-') ||
                   (*name == '-' && label == 0) || ++label > 63) {
            return false;
        }
    }
    return label > 0 && name[-1] != '-';
}

static GENERAL_NAME *make_name(const char *text) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_IA5STRING *host = address ? NULL : ASN1_IA5STRING_new();

    if (name && address) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    } else if (name && host && ASN1_STRING_set(host, text, -1)) {
        GENERAL_NAME_set0_value(name, GEN_DNS, host);
    } else {
        ASN1_OCTET_STRING_free(address);
        ASN1_IA5STRING_free(host);
        GENERAL_NAME_free(name);
        return NULL;
    }
    return name;
}

static int add_name(GENERAL_NAMES *names, const char *text, struct opiml_error *err) {
    uint8_t address[16];
    GENERAL_NAME *name;

    if (!is_host(text) && inet_pton(AF_INET, text, address) != 1 &&
        inet_pton(AF_INET6, text, address) != 1)
        return opiml_fail(err, OPIML_EINVAL, "\"%s\" is neither the name of a host nor an address",
                          text);
    if (sk_GENERAL_NAME_num(names) >= AUTHORITY_NAMES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d names", AUTHORITY_NAMES_MAX);
    name = make_name(text);
    if (!name || !sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        return base_fail_memory(err, strlen(text), "a name");
    }
    return 0;
}

/* All of them, and the first one as a text that the caller frees. */
static int read_names(const char *list, GENERAL_NAMES *names, char **ret_first,
                      struct opiml_error *err) {
    AUTO_FREE char *copy = base_strdup(list);
    char *rest = NULL;
    int rc;

    if (!copy)
        return base_fail_memory(err, strlen(list), "names");
    for (char *at = strtok_r(copy, ",", &rest); at; at = strtok_r(NULL, ",", &rest)) {
        if ((rc = add_name(names, at, err)) < 0)
            return rc;
        if (!*ret_first && !(*ret_first = base_strdup(at)))
            return base_fail_memory(err, strlen(at), "names");
    }
    return *ret_first ? 0 : opiml_fail(err, OPIML_EINVAL, "no name is given");
}

/* ---- certificates ---- */

static bool set_serial(X509 *x509) {
    BIGNUM *number = BN_new();
    bool done = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));

    BN_free(number);
    return done;
}

static bool set_subject(X509 *x509, const char *name) {
    char cut[COMMON_NAME_MAX + 1];

    snprintf(cut, sizeof(cut), "%s", name);
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)cut, -1, -1, 0);
}

/* An extension by its text, as openssl's configuration has it. */
static bool add_extension(X509 *x509, X509 *issuer, int nid, const char *text) {
    X509_EXTENSION *extension;
    X509V3_CTX context;
    bool done;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    done = extension && X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    return done;
}

/* All but names, extensions and the signature. */
static int begin_certificate(const char *name, EVP_PKEY *key, int64_t now_s, uint32_t days,
                             X509 **ret_x509, struct opiml_error *err) {
    X509 *x509 = X509_new();
    int64_t from_s = now_s - AUTHORITY_SKEW_S, until_s = now_s + (int64_t)days * DAY_S;

    *ret_x509 = x509;
    if (!x509 || !X509_set_version(x509, X509_VERSION_3) || !set_serial(x509) ||
        !set_subject(x509, name) || !X509_set_pubkey(x509, key) ||
        !ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)from_s) ||
        !ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)until_s))
        return fail_openssl(err, "making a certificate");
    return 0;
}

/* ---- files ---- */

/* A file for its owner only. */
static int write_private(const char *path, const char *data, size_t bytes,
                         struct opiml_error *err) {
    CLEANUP(file_writer_release) struct file_writer writer = {.fd = -1};
    int rc = file_writer_init(&writer, path, err);

    if (rc < 0)
        return rc;
    if (fchmod(writer.fd, 0600) < 0) /* before there is something in it to read */
        return base_fail_errno(err, errno, "%s: its permissions", path);
    if ((rc = file_writer_add(&writer, data, bytes, err)) < 0)
        return rc;
    return file_writer_commit(&writer, err);
}

static int write_key(const char *path, EVP_PKEY *key, struct opiml_error *err) {
    AUTO_BIO *bio = BIO_new(BIO_s_secmem());
    char *text;
    long bytes;

    if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        return fail_openssl(err, path);
    bytes = BIO_get_mem_data(bio, &text);
    return write_private(path, text, (size_t)bytes, err);
}

static int write_certificate(const char *path, X509 *x509, struct opiml_error *err) {
    AUTO_BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long bytes;

    if (!bio || !PEM_write_bio_X509(bio, x509))
        return fail_openssl(err, path);
    bytes = BIO_get_mem_data(bio, &text);
    return file_write_atomic(path, text, (size_t)bytes, err);
}

/* ---- the CA ---- */

static int fail_lone_key(const char *secret, struct opiml_error *err) {
    return opiml_fail(err, OPIML_EINVAL,
                      "%s has no %s beside it: an interrupted `opiml pki init` left it, and it is "
                      "of no use: remove it",
                      secret, AUTHORITY_CERTIFICATE);
}

int authority_create(const char *folder, const char *name, uint32_t days, int64_t now_s,
                     struct opiml_error *err) {
    AUTO_FREE char *certificate = text_path(folder, AUTHORITY_CERTIFICATE);
    AUTO_FREE char *secret = text_path(folder, AUTHORITY_KEY);
    AUTO_KEY *key = NULL;
    AUTO_X509 *x509 = NULL;
    int rc;

    if (!certificate || !secret)
        return base_fail_memory(err, strlen(folder), "a file's name");
    if (access(certificate, F_OK) == 0)
        return opiml_fail(err, OPIML_EEXIST,
                          "%s holds a CA already; a new one would make all of its certificates "
                          "worthless: take another folder, or remove this one's ca.* yourself",
                          folder);
    if (access(secret, F_OK) == 0)
        return fail_lone_key(secret, err);
    if (name[0] == 0 || strlen(name) > COMMON_NAME_MAX)
        return opiml_fail(err, OPIML_EINVAL, "\"%s\": a CA's name has 1 to %d bytes", name,
                          COMMON_NAME_MAX);
    key = EVP_EC_gen("P-256");
    if (!key)
        return fail_openssl(err, "making a key");
    if ((rc = begin_certificate(name, key, now_s, days, &x509, err)) < 0)
        return rc;
    if (!X509_set_issuer_name(x509, X509_get_subject_name(x509)) ||
        !add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(x509, x509, NID_subject_key_identifier, "hash") ||
        !add_extension(x509, x509, NID_authority_key_identifier, "keyid:always") ||
        !X509_sign(x509, key, EVP_sha256()))
        return fail_openssl(err, "making the CA's certificate");
    if ((rc = file_make_folders(folder, err)) < 0 || (rc = write_key(secret, key, err)) < 0)
        return rc;
    return write_certificate(certificate, x509, err);
}

static int open_authority(const char *folder, X509 **ret_ca, EVP_PKEY **ret_key,
                          struct opiml_error *err) {
    AUTO_FREE char *certificate = text_path(folder, AUTHORITY_CERTIFICATE);
    AUTO_FREE char *secret = text_path(folder, AUTHORITY_KEY);
    AUTO_FREE char *text = NULL;
    AUTO_BIO *bio = NULL;
    size_t bytes;
    int rc;

    if (!certificate || !secret)
        return base_fail_memory(err, strlen(folder), "a file's name");
    if (access(certificate, F_OK) < 0 && errno == ENOENT)
        return access(secret, F_OK) == 0
                   ? fail_lone_key(secret, err)
                   : opiml_fail(err, OPIML_ENOENT, "%s holds no CA: `opiml pki init %s` makes one",
                                folder, folder);
    if ((rc = certificate_read(certificate, ret_ca, err)) < 0 ||
        (rc = file_read(secret, CERTIFICATE_FILE_MAX, &text, &bytes, err)) < 0)
        return rc;
    bio = BIO_new_mem_buf(text, (int)bytes);
    *ret_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (char[]){""}) : NULL;
    OPENSSL_cleanse(text, bytes);
    ERR_clear_error();
    if (!*ret_key)
        return opiml_fail(err, OPIML_EINVAL, "%s: no private key is in it, as PEM", secret);
    if (!X509_check_private_key(*ret_ca, *ret_key)) {
        ERR_clear_error();
        return opiml_fail(err, OPIML_EINVAL, "%s is not the key of %s", secret, certificate);
    }
    return 0;
}

/* ---- what it makes ---- */

static int check_request(const struct authority_request *request, const struct certificate *ca,
                         const char *folder, struct opiml_error *err) {
    char until[CERTIFICATE_TIME];
    int rc = certificate_check_time(ca, request->now_s, folder, err);

    if (rc < 0)
        return rc;
    if (!request->for_servers && !request->for_clients)
        return opiml_fail(err, OPIML_EINVAL, "a certificate for neither servers nor clients");
    if (request->now_s + (int64_t)request->days * DAY_S > ca->until_s)
        return opiml_fail(err, OPIML_EACCES,
                          "%u days are more than the CA has left: it ends at %s (--days %" PRId64
                          " fits)",
                          request->days, certificate_time(until, ca->until_s),
                          (ca->until_s - request->now_s) / DAY_S);
    return 0;
}

static int sign(const struct authority_request *request, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key,
                char **ret_first, X509 **ret_x509, struct opiml_error *err) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    const char *uses = !request->for_clients   ? "serverAuth"
                       : !request->for_servers ? "clientAuth"
                                               : "serverAuth,clientAuth";
    int rc = names ? read_names(request->names, names, ret_first, err)
                   : base_fail_memory(err, 0, "names");

    if (rc == 0)
        rc = begin_certificate(*ret_first, key, request->now_s, request->days, ret_x509, err);
    if (rc == 0 &&
        (!X509_set_issuer_name(*ret_x509, X509_get_subject_name(ca)) ||
         !add_extension(*ret_x509, ca, NID_basic_constraints, "critical,CA:FALSE") ||
         !add_extension(*ret_x509, ca, NID_key_usage, "critical,digitalSignature") ||
         !add_extension(*ret_x509, ca, NID_ext_key_usage, uses) ||
         !X509_add1_ext_i2d(*ret_x509, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) ||
         !add_extension(*ret_x509, ca, NID_subject_key_identifier, "hash") ||
         !add_extension(*ret_x509, ca, NID_authority_key_identifier, "keyid:always") ||
         !X509_sign(*ret_x509, ca_key, EVP_sha256())))
        rc = fail_openssl(err, "making a certificate");
    GENERAL_NAMES_free(names);
    return rc;
}

/* The first name as the start of a file's: with _ for * and - for the colons of addresses. */
static void make_file_name(char *name) {
    for (; *name; name++)
        *name = *name == '*' ? '_' : *name == ':' ? '-' : *name;
}

int authority_issue(const char *folder, const struct authority_request *request,
                    char **ret_certificate, char **ret_key, struct opiml_error *err) {
    const char *to = request->folder ? request->folder : folder;
    AUTO_X509 *ca = NULL, *x509 = NULL;
    AUTO_KEY *ca_key = NULL, *key = NULL;
    AUTO_FREE char *first = NULL, *certificate = NULL, *secret = NULL;
    struct certificate what;
    int rc;

    if ((rc = open_authority(folder, &ca, &ca_key, err)) < 0)
        return rc;
    certificate_describe(ca, &what);
    if ((rc = check_request(request, &what, folder, err)) < 0)
        return rc;
    key = EVP_EC_gen("P-256");
    if (!key)
        return fail_openssl(err, "making a key");
    if ((rc = sign(request, ca, ca_key, key, &first, &x509, err)) < 0)
        return rc;
    make_file_name(first);
    if (strcmp(first, "ca") == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "\"ca\" is the CA's own file; give another name first");
    certificate = base_printf("%s/%s.crt", to, first);
    secret = base_printf("%s/%s.key", to, first);
    if (!certificate || !secret)
        return base_fail_memory(err, strlen(to), "a file's name");
    if ((rc = file_make_folders(to, err)) < 0 || (rc = write_key(secret, key, err)) < 0 ||
        (rc = write_certificate(certificate, x509, err)) < 0)
        return rc;
    *ret_certificate = TAKE(certificate);
    *ret_key = TAKE(secret);
    return 0;
}
