// In scope, the OS gives this process no more memory. Nothing else may ask for
// some meanwhile: keep the scope small.

#ifndef LOAM_TESTS_SNAPSHOT_NO_MEMORY_H_
#define LOAM_TESTS_SNAPSHOT_NO_MEMORY_H_

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace loam_test {

class NoMemory {
 public:
  NoMemory() {
    EXPECT_EQ(getrlimit(RLIMIT_AS, &before_), 0);
    const rlimit none = {0, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  }
  ~NoMemory() { EXPECT_EQ(setrlimit(RLIMIT_AS, &before_), 0); }
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;

 private:
  rlimit before_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SNAPSHOT_NO_MEMORY_H_
