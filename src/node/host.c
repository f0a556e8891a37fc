/* Which machine this is. */
#include "node/host.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void host_id(char to[HOST_ID_BYTES]) {
    AUTO_FILE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || fscanf(file, "%36[0-9a-f-]", to) != 1)
        to[0] = 0;
}

/* A node that is on this machine may still be out of sight: in another network namespace. */
int host_connect(const char *name, const char *at, int *ret_fd, struct opiml_error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (length == 0)
        return opiml_fail(err, OPIML_ENODEV, "%s: the node shares no memory with this machine", at);
    if (length >= sizeof(address.sun_path))
        return opiml_fail(err, OPIML_ECORRUPT, "%s: the node's answer makes no sense", at);
    memcpy(address.sun_path + 1, name, length);
    length += offsetof(struct sockaddr_un, sun_path) + 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, (socklen_t)length) < 0)
        return opiml_fail(
            err, OPIML_ENODEV,
            "%s: the node's memory cannot be reached from here: %s (it has to be in the "
            "same network namespace)",
            at, strerror(errno));
    *ret_fd = fd;
    fd = -1;
    return 0;
}
