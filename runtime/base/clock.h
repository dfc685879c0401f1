// Monotonic time.

#ifndef LOAM_RUNTIME_BASE_CLOCK_H_
#define LOAM_RUNTIME_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace loam {

inline uint64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_CLOCK_H_
