// What the kernel says of this process's memory: /proc/self/smaps.

#ifndef LOAM_TESTS_SUPPORT_MAPPINGS_H_
#define LOAM_TESTS_SUPPORT_MAPPINGS_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/sanitized.h"

namespace loam_test {

struct Mapping {
  uintptr_t start = 0;
  uintptr_t end = 0;
  std::string permissions;  // "rw-p"
  size_t resident_bytes = 0;
  std::string flags;  // " rd wr mr mw me ac nh": one of two letters each

  size_t bytes() const { return end - start; }
  bool HasFlag(const char* flag) const {
    return flags.find(std::string(" ") + flag) != std::string::npos;
  }
};

inline std::vector<Mapping> Mappings() {
  std::vector<Mapping> mappings;
  FILE* in = fopen("/proc/self/smaps", "r");
  if (in == nullptr) abort();
  char line[4096];
  while (fgets(line, sizeof(line), in) != nullptr) {
    size_t start = 0;
    size_t end = 0;
    size_t kib = 0;
    char permissions[8];
    if (sscanf(line, "%zx-%zx %7s", &start, &end, permissions) == 3) {
      Mapping mapping;
      mapping.start = start;
      mapping.end = end;
      mapping.permissions = permissions;
      mappings.push_back(mapping);
    } else if (sscanf(line, "Rss: %zu kB", &kib) == 1) {
      mappings.back().resident_bytes = kib * 1024;
    } else if (strncmp(line, "VmFlags:", 8) == 0) {
      mappings.back().flags = line + 8;
    }
  }
  fclose(in);
  return mappings;
}

// The mapping that an address lies in; all zero if there is none.
inline Mapping MappingOf(uintptr_t address) {
  for (const Mapping& mapping : Mappings()) {
    if (address >= mapping.start && address < mapping.end) return mapping;
  }
  return {};
}

// How much of [start, end) is mapped.
inline size_t MappedBytes(uintptr_t start, uintptr_t end) {
  size_t bytes = 0;
  for (const Mapping& mapping : Mappings()) {
    const uintptr_t from = mapping.start > start ? mapping.start : start;
    const uintptr_t to = mapping.end < end ? mapping.end : end;
    if (from < to) bytes += to - from;
  }
  return bytes;
}

// What is mapped without access or kept from huge pages: what loam maps beside
// pages of its heaps, and malloc does not.
inline size_t RuntimeBytes() {
  size_t bytes = 0;
  for (const Mapping& mapping : Mappings()) {
    if (mapping.permissions == "---p" || mapping.HasFlag("nh")) {
      bytes += mapping.bytes();
    }
  }
  return bytes;
}

// Whether that is `bytes` more than it was. With a sanitizer, which maps such
// memory too, nobody can tell: true.
inline bool RuntimeHasGrownBy(size_t bytes, size_t before) {
  return kSanitized || RuntimeBytes() == before + bytes;
}

}  // namespace loam_test

#endif  // LOAM_TESTS_SUPPORT_MAPPINGS_H_
