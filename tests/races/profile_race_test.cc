// A profile that is written while the first collection ends.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "runtime/base/race_hooks.h"
#include "tests/api/test_heap.h"
#include "tests/profile/profile_reader.h"
#include "tests/races/gate.h"

namespace loam {
namespace {

#ifdef LOAM_RACE_HOOKS

using loam_test::TestHeap;

TEST(ProfileRaceTest, TheFirstCollectionEndsWhileItIsWritten) {
  loam_options options = loam_test::TestOptions();
  options.profile_rate = 1;
  TestHeap heap(options);
  constexpr int kObjects = 100;
  for (int i = 0; i < kObjects; i++) loam_alloc_bytes(heap.m(), 100);
  const std::string path = testing::TempDir() + "/profile_race_test.pprof";
  {
    Gate gate(RacePoint::kMomentChosen);
    std::thread writer([&] {
      EXPECT_EQ(loam_heap_profile_write(heap.heap(), path.c_str()), LOAM_OK);
    });
    gate.WaitUntilReached();
    heap.Collect();
    gate.Open();
    writer.join();
  }
  // As of before that collection, or as of its end.
  EXPECT_EQ(loam_test::ProfileReader(path).Totals().alloc_objects, kObjects);
  std::filesystem::remove(path);
}

#else

TEST(ProfileRaceTest, NeedsRaceHooks) {
  GTEST_SKIP() << "race hooks exist in the sanitizer configurations only";
}

#endif

}  // namespace
}  // namespace loam
