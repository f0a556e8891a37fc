/* opiml pki show: what certificates say, and whether they are good. */
#include <dirent.h>
#include <sys/stat.h>

#include "pki.h"

#define FILES_MAX 4096

struct show_config {
    const char *ca;
    bool json;
};

static const struct option show_options[] = {
    {"ca", "FILE", NULL, "The CA's certificate; by default ca.crt in the same folder",
     offsetof(struct show_config, ca), OPTION_PATH},
    OPTION_JSON(struct show_config),
    {0},
};

static int is_certificate(const struct dirent *entry) {
    return text_ends(entry->d_name, ".crt");
}

/* The ca.crt beside a file, when there is one. */
static char *find_ca(const char *path) {
    const char *slash = strrchr(path, '/');
    char *ca = slash ? base_printf("%.*s/" AUTHORITY_CERTIFICATE, (int)(slash - path), path)
                     : base_strdup(AUTHORITY_CERTIFICATE);

    if (ca && access(ca, F_OK) != 0)
        base_free(TAKE(ca));
    return ca;
}

static int show_file(const struct show_config *config, const char *path, struct js *list,
                     struct opiml_error *err) {
    AUTO_FREE char *beside = config->ca ? NULL : find_ca(path);

    return pki_show(path, config->ca ? config->ca : beside, list, err);
}

static void free_entries(struct dirent **entries, int count) {
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static int show_folder(const struct show_config *config, const char *folder, struct js *list,
                       struct opiml_error *err) {
    struct dirent **entries;
    int count = scandir(folder, &entries, is_certificate, alphasort), rc = 0;

    if (count < 0)
        return base_fail_errno(err, errno, "%s", folder);
    if (count == 0)
        rc = opiml_fail(err, OPIML_ENOENT, "%s: no certificates (*.crt) are in it", folder);
    if (count > FILES_MAX)
        rc = opiml_fail(err, OPIML_ELIMIT, "%s: more than %d certificates", folder, FILES_MAX);
    for (int i = 0; rc == 0 && i < count; i++) {
        AUTO_FREE char *path = text_path(folder, entries[i]->d_name);

        if (i > 0 && !list)
            putchar('\n');
        rc = path ? show_file(config, path, list, err) : base_fail_memory(err, 0, "a file's name");
    }
    free_entries(entries, count);
    return rc;
}

static int show_run(struct call *call, struct opiml_error *err) {
    const struct show_config *config = call->config;
    AUTO_JS struct js *list = config->json ? js_array() : NULL;
    AUTO_FREE char *text = NULL;
    struct stat info;
    int rc;

    if (stat(call->args[0], &info) == 0 && S_ISDIR(info.st_mode))
        rc = show_folder(config, call->args[0], list, err);
    else
        rc = show_file(config, call->args[0], list, err);
    if (rc < 0 || !list)
        return rc;
    text = js_dump(list, 2);
    if (!text)
        return base_fail_memory(err, 0, "the report");
    puts(text);
    return 0;
}

const struct verb verb_pki_show = {
    .name = "pki show",
    .args = "FILE|DIR",
    .help = "Show certificates: names, times, and whether they are good",
    .about =
        "Shows the certificate in FILE, or all that lie in DIR as *.crt: its subject, the names "
        "that "
        "it is for, whether it is for servers, clients or a CA, from when until when it is valid "
        "and the days that are left, who has made it, its serial number and its fingerprint "
        "(SHA-256). Whether it is good is judged by the CA's certificate and by this machine's "
        "clock, as the other end of a connection would.\n\n"
        "JSON is a list with file, subject, names, uses, from, until, days_left, issuer, serial, "
        "fingerprint, good (null: there is no CA's certificate to judge by) and problem.",
    .examples = "opiml pki show site\n"
                "All certificates of a site.\n"
                "opiml pki show /etc/opiml/node.crt --ca /etc/opiml/ca.crt\n"
                "Whether a node's is good.\n",
    .options = show_options,
    .config_bytes = sizeof(struct show_config),
    .args_least = 1,
    .args_most = 1,
    .run = show_run,
};
