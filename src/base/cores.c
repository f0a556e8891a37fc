/* Processors that this process may use. */
#include "base/cores.h"

#include <math.h>
#include <sched.h>

#include "base/file.h"

#define LINE_MAX_BYTES 4096
#define MODEL_LINES 64 /* that a processor has in /proc/cpuinfo, at most */

/* The first number of a file, and the one behind it when `ret_second` is not NULL. False: there is
 * no such file, or no number in it ("max"). */
static bool read_numbers(const char *path, double *ret_first, double *ret_second) {
    AUTO_FREE char *text = NULL;
    size_t bytes;

    if (file_read(path, LINE_MAX_BYTES, &text, &bytes, NULL) < 0)
        return false;
    return sscanf(text, ret_second ? "%lf %lf" : "%lf", ret_first, ret_second) >=
           1 + (ret_second != NULL);
}

static double quota_v2(const char *root, const char *group) {
    AUTO_FREE char *path = base_printf("%s/sys/fs/cgroup%s/cpu.max", root, group);
    double quota, period;

    if (!path || !read_numbers(path, &quota, &period) || quota <= 0 || period <= 0)
        return INFINITY;
    return quota / period;
}

static double quota_v1(const char *root, const char *group) {
    static const char *const mounts[] = {"cpu", "cpu,cpuacct"};

    for (size_t i = 0; i < COUNT_OF(mounts); i++) {
        AUTO_FREE char *quota_path =
            base_printf("%s/sys/fs/cgroup/%s%s/cpu.cfs_quota_us", root, mounts[i], group);
        AUTO_FREE char *period_path =
            base_printf("%s/sys/fs/cgroup/%s%s/cpu.cfs_period_us", root, mounts[i], group);
        double quota, period;

        if (quota_path && period_path && read_numbers(quota_path, &quota, NULL) && quota > 0 &&
            read_numbers(period_path, &period, NULL) && period > 0)
            return quota / period;
    }
    return INFINITY;
}

/* Of a group, and all that it is in. */
static double least_quota(const char *root, char *group,
                          double (*quota)(const char *root, const char *group)) {
    double least = INFINITY;

    for (;;) {
        char *slash = strrchr(group, '/');

        least = fmin(least, quota(root, strcmp(group, "/") == 0 ? "" : group));
        if (!slash || !group[0])
            return least;
        *slash = 0;
    }
}

/* Whether a list such as "cpu,cpuacct" has the controller. */
static bool has_cpu(const char *list) {
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == 3 && memcmp(at, "cpu", 3) == 0)
            return true;
    return false;
}

double cores_quota(const char *root) {
    AUTO_FREE char *path = base_printf("%s/proc/self/cgroup", root), *text = NULL;
    double least = INFINITY;
    char *rest = NULL;
    size_t bytes;

    if (!path || file_read(path, KIB(64), &text, &bytes, NULL) < 0)
        return least;
    /* Each line is NUMBER:CONTROLLERS:GROUP; version 2 has no controllers. */
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = 0;
        list++;
        if (!list[0])
            least = fmin(least, least_quota(root, group, quota_v2));
        else if (has_cpu(list))
            least = fmin(least, least_quota(root, group, quota_v1));
    }
    return least;
}

double cores_share(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return fmin(count < 1 ? 1 : count, cores_quota(""));
}

uint32_t cores_count(void) {
    return (uint32_t)fmax(1, ceil(cores_share()));
}

void cores_model(const char *root, char to[CORES_MODEL_BYTES]) {
    static const char *const keys[] = {"model name", "CPU implementer", "CPU part", "CPU revision"};
    AUTO_FREE char *path = base_printf("%s/proc/cpuinfo", root);
    AUTO_FILE FILE *file = path ? fopen(path, "re") : NULL;
    char line[LINE_MAX_BYTES];
    size_t used = 0;

    to[0] = 0;
    for (uint32_t i = 0; file && i < MODEL_LINES && fgets(line, sizeof(line), file); i++) {
        char *value = strchr(line, ':');

        if (line[0] == '\n')
            break; /* the next processor */
        if (value)
            value += 1 + strspn(value + 1, " \t");
        for (size_t k = 0; value && k < COUNT_OF(keys); k++)
            if (strncmp(line, keys[k], strlen(keys[k])) == 0 && used < CORES_MODEL_BYTES - 1)
                used += (size_t)snprintf(to + used, CORES_MODEL_BYTES - used, "%s%.*s",
                                         used ? " " : "", (int)strcspn(value, "\n"), value);
    }
}
