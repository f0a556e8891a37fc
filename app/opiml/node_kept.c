/* A node with what an earlier one has kept. */
#include "node_kept.h"

#include "base/log.h"
#include "base/text.h"
#include "node/keep.h"

int node_kept_create(const char *state, struct node_options *options, struct node **ret_node,
                     struct opiml_error *err) {
    AUTO_FREE char *folder = NULL;
    struct opiml_error why;
    int rc = 0;

    if (!state)
        rc = keep_folder(&folder, err);
    else if (strcmp(state, "none") != 0 && !(folder = text_user_path(".", state)))
        rc = base_fail_memory(err, strlen(state), "a folder's name");
    if (rc < 0)
        return rc;
    options->state = folder;
    rc = node_create(options, ret_node, &why);
    /* Nobody has asked for it: a second node of a machine goes without, as does a build without
     * SQLite. */
    if (folder && !state &&
        ((rc == OPIML_EBUSY && strstr(why.message, folder)) || rc == OPIML_ENOTSUP)) {
        log_write("node", LOG_WARN, "nothing is kept: %s", why.message);
        options->state = NULL;
        rc = node_create(options, ret_node, &why);
    }
    options->state = NULL; /* the folder's name goes, and it is open */
    return rc < 0 ? opiml_fail(err, rc, "%s", why.message) : 0;
}
