/* opiml pki issue: a key and its certificate by a site's authority. */
#include "pki.h"

struct issue_config {
    const char *name, *out;
    int64_t days;
    bool client, server, json;
};

static const struct option issue_options[] = {
    {"name", "HOST[,HOST|IP...]", NULL,
     "Whom it is for: names by which it is connected to, or what a client is called",
     offsetof(struct issue_config, name), OPTION_TEXT},
    {"client", NULL, NULL, "Only for clients; neither this nor --server: for both",
     offsetof(struct issue_config, client), OPTION_FLAG},
    {"server", NULL, NULL, "Only for servers", offsetof(struct issue_config, server), OPTION_FLAG},
    {"days", "N", "365", "How long it is valid; not longer than the CA",
     offsetof(struct issue_config, days), OPTION_INT, NULL, 1, AUTHORITY_DAYS_MAX},
    {"out", "DIR", NULL, "Where the two files go; by default beside the CA",
     offsetof(struct issue_config, out), OPTION_PATH},
    OPTION_JSON(struct issue_config),
    {0},
};

static int issue_run(struct call *call, struct opiml_error *err) {
    const struct issue_config *config = call->config;
    const struct authority_request request = {.names = config->name,
                                              .for_servers = config->server || !config->client,
                                              .for_clients = config->client || !config->server,
                                              .days = (uint32_t)config->days,
                                              .folder = config->out,
                                              .now_s = pki_now()};
    AUTO_FREE char *certificate = NULL, *key = NULL, *ca = NULL;
    int rc;

    if (!config->name)
        return opiml_fail(err, OPIML_EINVAL,
                          "--name says whom the certificate is for: --name node.example,192.0.2.7");
    if ((rc = authority_issue(call->args[0], &request, &certificate, &key, err)) < 0)
        return rc;
    ca = text_path(call->args[0], AUTHORITY_CERTIFICATE);
    if (!ca)
        return base_fail_memory(err, strlen(call->args[0]), "a file's name");
    return pki_show_made(certificate, ca, config->json, err);
}

const struct verb verb_pki_issue = {
    .name = "pki issue",
    .args = "DIR",
    .help = "Make a key and a certificate for a node or a consumer",
    .about =
        "Makes NAME.key and NAME.crt, by the first of the names, with the CA in the folder DIR "
        "(`opiml pki init`). A node needs one with the names and addresses that consumers connect "
        "to (--node NAME:PORT), who look whether theirs is among them. For a consumer the name "
        "only "
        "says which one it is. In the files' names * becomes _ and : becomes -.\n\n"
        "The certificate is valid from ten minutes before now on, for clocks that are slow. Made "
        "again, it replaces the old one; both files are written whole, the key first. A node that "
        "has the two takes them up while it runs, when somebody connects, and goes on with the old "
        "ones until the pair is whole.",
    .examples = "opiml pki issue site --name storage-1.example,192.0.2.7 --server\n"
                "For a node that is reached by name and by address.\n"
                "opiml pki issue site --name trainer-7 --client --days 30 --out trainer-7\n"
                "For a consumer, for a month, in a folder of its own.\n",
    .options = issue_options,
    .config_bytes = sizeof(struct issue_config),
    .args_least = 1,
    .args_most = 1,
    .run = issue_run,
};
