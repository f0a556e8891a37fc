/* Quotas of control groups, as the kernel's files say them. */
#include "../test.h"

#include <math.h>
#include <sys/stat.h>

#include "base/cores.h"

static void write_below(const char *root, const char *path, const char *text) {
    char folder[4096], *slash;

    snprintf(folder, sizeof(folder), "%s/%s", root, path);
    for (slash = strchr(folder + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0700);
        *slash = '/';
    }
    test_write(root, path, text, strlen(text));
}

static void without_any_there_is_no_limit(void **state) {
    char *root = test_folder();

    assert_true(isinf(cores_quota(root)));
    write_below(root, "proc/self/cgroup", "0::/\n");
    assert_true(isinf(cores_quota(root)));
    write_below(root, "sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_true(isinf(cores_quota(root)));
    test_folder_remove(root);
}

static void the_least_of_all_groups_counts(void **state) {
    char *root = test_folder();

    write_below(root, "proc/self/cgroup", "0::/a/b\n");
    write_below(root, "sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    assert_true(cores_quota(root) == 2.5);
    write_below(root, "sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    assert_true(cores_quota(root) == 0.5);
    write_below(root, "sys/fs/cgroup/cpu.max", "25000 100000\n");
    assert_true(cores_quota(root) == 0.25);
    test_folder_remove(root);
}

static void the_first_version_is_understood(void **state) {
    char *root = test_folder();

    write_below(root, "proc/self/cgroup",
                "3:cpuset:/x\n2:cpu,cpuacct:/x\n1:name=systemd:/\n0::/\n");
    write_below(root, "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "150000\n");
    write_below(root, "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    assert_true(cores_quota(root) == 1.5);
    write_below(root, "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    assert_true(isinf(cores_quota(root)));
    test_folder_remove(root);
}

static void a_processor_has_a_name(void **state) {
    char *root = test_folder(), model[CORES_MODEL_BYTES];

    cores_model(root, model);
    assert_string_equal(model, "");
    write_below(root, "proc/cpuinfo",
                "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: a b\n\n"
                "processor\t: 1\nmodel name\t: Another\n");
    cores_model(root, model);
    assert_string_equal(model, "Some CPU @ 2 GHz");
    write_below(root, "proc/cpuinfo",
                "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\nCPU revision\t: 3\n");
    cores_model(root, model);
    assert_string_equal(model, "0x41 0xd08 3");
    write_below(root, "proc/cpuinfo", "model name:\nCPU part: \n:\n");
    cores_model(root, model);
    test_folder_remove(root);
}

static void there_is_always_one(void **state) {
    assert_true(cores_count() >= 1);
    assert_true(cores_share() > 0 && cores_share() <= cores_count());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_there_is_no_limit),
        cmocka_unit_test(the_least_of_all_groups_counts),
        cmocka_unit_test(the_first_version_is_understood),
        cmocka_unit_test(a_processor_has_a_name),
        cmocka_unit_test(there_is_always_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
