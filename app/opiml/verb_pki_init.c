/* opiml pki init: a certificate authority for a site. */
#include <sys/random.h>

#include "pki.h"

struct init_config {
    const char *name;
    int64_t days;
    bool json;
};

static const struct option init_options[] = {
    {"name", "NAME", NULL,
     "What the CA is called in certificates; by default opiml and a random number, so that "
     "messages "
     "tell one site's from another's",
     offsetof(struct init_config, name), OPTION_TEXT},
    {"days", "N", "3650", "How long it is valid", offsetof(struct init_config, days), OPTION_INT,
     NULL, 1, AUTHORITY_DAYS_MAX},
    OPTION_JSON(struct init_config),
    {0},
};

static int init_run(struct call *call, struct opiml_error *err) {
    const struct init_config *config = call->config;
    const char *folder = call->args[0];
    AUTO_FREE char *path = text_path(folder, AUTHORITY_CERTIFICATE);
    char name[32];
    uint32_t number;
    int rc;

    if (!path)
        return base_fail_memory(err, strlen(folder), "a file's name");
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return base_fail_errno(err, errno, "random numbers");
    snprintf(name, sizeof(name), "opiml %08" PRIx32, number);
    rc = authority_create(folder, config->name ? config->name : name, (uint32_t)config->days,
                          pki_now(), err);
    return rc < 0 ? rc : pki_show_made(path, NULL, config->json, err);
}

const struct verb verb_pki_init = {
    .name = "pki init",
    .args = "DIR",
    .help = "Make a certificate authority for a site",
    .about =
        "Makes the folder DIR with ca.crt and ca.key. Nodes and their consumers trust whoever has "
        "a certificate by this CA (`opiml pki issue`) and nobody else: give ca.crt to all of them "
        "as --tls-ca, and keep ca.key where only who runs the site reads it. It is not needed "
        "but to make certificates.\n\n"
        "The key is EC P-256, in PEM, without a passphrase, readable for its owner only. A folder "
        "that holds a CA already is refused.\n\n"
        "There is no list of revoked certificates: what is to lose its access soon needs a short "
        "--days, and a site that has lost a key makes a new CA.",
    .examples = "opiml pki init site\n"
                "ca.crt and ca.key in the folder site.\n"
                "opiml pki init site --name 'Lab 3' --days 365\n"
                "For a year, and with another name.\n",
    .options = init_options,
    .config_bytes = sizeof(struct init_config),
    .args_least = 1,
    .args_most = 1,
    .run = init_run,
};
