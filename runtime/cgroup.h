// The memory limit of the control group (the container) that the process is in.

#ifndef LOAM_RUNTIME_CGROUP_H_
#define LOAM_RUNTIME_CGROUP_H_

#include <cstdint>

namespace loam {

// The least of the limits of the group and those around it, version 1 or 2, or
// kNoLimit. `root` stands before the names of the files that are read,
// /proc/self/cgroup and those below /sys/fs/cgroup: "" but in tests.
uint64_t ReadCgroupMemoryLimit(const char* root);

}  // namespace loam

#endif  // LOAM_RUNTIME_CGROUP_H_
