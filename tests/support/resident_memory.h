// How much memory of this process is resident, in bytes.

#ifndef LOAM_TESTS_SUPPORT_RESIDENT_MEMORY_H_
#define LOAM_TESTS_SUPPORT_RESIDENT_MEMORY_H_

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace loam_test {

inline size_t ResidentBytes() {
  FILE* in = fopen("/proc/self/statm", "r");
  size_t pages = 0;
  size_t resident = 0;
  if (in == nullptr || fscanf(in, "%zu %zu", &pages, &resident) != 2) abort();
  fclose(in);
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace loam_test

#endif  // LOAM_TESTS_SUPPORT_RESIDENT_MEMORY_H_
