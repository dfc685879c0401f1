#include "runtime/cgroup.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/options.h"

namespace loam {
namespace {

// The number in a group's file; kNoLimit if there is none.
uint64_t ReadLimitFile(const char* root, const char* mount, const char* group,
                       const char* file) {
  char path[1024];
  const int length =
      snprintf(path, sizeof(path), "%s%s%s/%s", root, mount, group, file);
  if (length >= static_cast<int>(sizeof(path))) return kNoLimit;
  FILE* in = fopen(path, "re");
  if (in == nullptr) return kNoLimit;
  uint64_t limit = kNoLimit;
  char text[64];
  if (fgets(text, sizeof(text), in) != nullptr) {
    text[strcspn(text, "\n")] = '\0';
    char* end = nullptr;
    const unsigned long long number =
        strtoull(text, &end, 10);     // NOLINT(google-runtime-int)
    if (end != text) limit = number;  // Otherwise it says "max".
  }
  fclose(in);
  return limit;
}

}  // namespace

uint64_t ReadCgroupMemoryLimit(const char* root) {
  char membership[512];
  const int length =
      snprintf(membership, sizeof(membership), "%s/proc/self/cgroup", root);
  if (length >= static_cast<int>(sizeof(membership))) return kNoLimit;
  FILE* in = fopen(membership, "re");
  if (in == nullptr) return kNoLimit;
  uint64_t limit = kNoLimit;
  char line[512];
  while (fgets(line, sizeof(line), in) != nullptr) {
    line[strcspn(line, "\n")] = '\0';
    // "0::/path" in version 2, "N:memory:/path" in version 1.
    char* controllers = strchr(line, ':');
    char* group =
        controllers == nullptr ? nullptr : strchr(controllers + 1, ':');
    if (group == nullptr) continue;
    *group++ = '\0';
    const bool version_2 = strcmp(controllers, ":") == 0;
    if (!version_2 && strstr(controllers, "memory") == nullptr) continue;
    // The limit of every enclosing group holds too.
    for (;;) {
      const uint64_t here =
          version_2 ? ReadLimitFile(root, "/sys/fs/cgroup", group, "memory.max")
                    : ReadLimitFile(root, "/sys/fs/cgroup/memory", group,
                                    "memory.limit_in_bytes");
      if (here < limit) limit = here;
      char* slash = strrchr(group, '/');
      if (slash == nullptr || group[0] == '\0') break;
      *slash = '\0';
    }
  }
  fclose(in);
  // Version 1 says "no limit" with a number near 2^63.
  return limit > (uint64_t{1} << 60) ? kNoLimit : limit;
}

}  // namespace loam
