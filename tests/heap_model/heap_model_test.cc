// Random programs run on loam and on a plain graph, and must agree: nothing
// reachable is lost or changed, and everything unreachable is gone.
//
// LOAM_TEST_SEED=n runs the program of one seed. A failure prints its seed.

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdlib>
#include <string>

#include "tests/heap_model/coverage.h"
#include "tests/heap_model/program.h"
#include "tests/profile/profile_reader.h"

namespace loam_test {
namespace {

// Set by the build: a short test and a long one.
constexpr uint64_t kGroups = LOAM_MODEL_GROUPS;
constexpr uint64_t kSeedsPerGroup = LOAM_MODEL_SEEDS / kGroups;
constexpr size_t kSteps = LOAM_MODEL_STEPS;

Program::Profile ReadProfile(const std::string& path) {
  Program::Profile profile;
  for (const ProfileSample& sample : ProfileReader(path).samples) {
    if (sample.inuse_objects == 0) continue;
    profile[sample.type] += static_cast<uint64_t>(sample.inuse_objects);
  }
  return profile;
}

class HeapModelTest : public testing::TestWithParam<uint64_t> {};

TEST_P(HeapModelTest, RandomProgramsAgree) {
  uint64_t first = GetParam() * kSeedsPerGroup;
  uint64_t end = first + kSeedsPerGroup;
  const char* chosen = getenv("LOAM_TEST_SEED");
  if (chosen != nullptr) {
    first = strtoull(chosen, nullptr, 10);
    end = first + 1;
    if (GetParam() != 0) GTEST_SKIP() << "LOAM_TEST_SEED is set";
  }
  printf("seeds %" PRIu64 " to %" PRIu64 ", %zu steps each\n", first, end - 1,
         kSteps);
  fflush(stdout);
  Coverage coverage;
  for (uint64_t seed = first; seed < end; seed++) {
    Program program(seed, kSteps, &coverage);
    // Eleven: in step with nothing else that the seed chooses.
    if (seed % 11 < 2) program.CheckProfiles(ReadProfile);
    const std::string failure = program.Run();
    ASSERT_EQ(failure, "");
  }
  coverage.Print(stdout);
  if (chosen == nullptr) {
    EXPECT_EQ(coverage.Missing(), "") << "never exercised";
  }
}

INSTANTIATE_TEST_SUITE_P(Groups, HeapModelTest,
                         testing::Range(uint64_t{0}, kGroups));

}  // namespace
}  // namespace loam_test
