/* Processors that this process may use. */
#ifndef BASE_CORES_H
#define BASE_CORES_H

#include "base/base.h"

/* To run threads on: those that the scheduler allows it, or as many as a quota of its control group
 * is worth, rounded up. At least 1. */
uint32_t cores_count(void);
/* The same with a quota's fraction: 0.5 is half of the time of one. */
double cores_share(void);
/* The quota of control groups, versions 1 and 2 (Linux, admin-guide/cgroup-v2.rst, cpu.max), below
 * a root other than "" in tests: the least of the group and those that it is in. Infinite where
 * there is none. */
double cores_quota(const char *root);
#define CORES_MODEL_BYTES 128
/* What kind of processor the first one is, by the kernel's /proc/cpuinfo below `root`: its name, or
 * on Arm the numbers of its maker and part. "" when it does not say. */
void cores_model(const char *root, char to[CORES_MODEL_BYTES]);

#endif
