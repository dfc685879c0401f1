// Who looks at all spans waits for the background sweeper, which is held at
// one: it is no mutator, and no stop concerns it.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "gtest/gtest.h"
#include "runtime/base/race_hooks.h"
#include "tests/races/gate.h"

namespace loam {
namespace {

#ifdef LOAM_RACE_HOOKS

struct Look {
  const char* name;
  loam_status (*look)(loam_mutator* m);
};

class BackgroundRaceTest : public testing::TestWithParam<Look> {};

TEST_P(BackgroundRaceTest, WaitsForTheBackgroundSweeper) {
  constexpr size_t kBytes = 512;
  constexpr size_t kObjects = (20 << 20) / kBytes;
  loam_options options;
  loam_options_init(&options);
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  loam_heap* heap = nullptr;
  loam_mutator* m = nullptr;
  ASSERT_EQ(loam_heap_create(&options, &heap), LOAM_OK);
  ASSERT_EQ(loam_mutator_attach(heap, "main", &m), LOAM_OK);
  std::vector<uint64_t*> kept(kObjects / 2);
  loam_root* root = nullptr;
  ASSERT_EQ(loam_root_add_range(heap, kept.data(), kept.size(), LOAM_POINTER,
                                "kept", &root),
            LOAM_OK);
  loam_gc_disable(m);
  for (size_t i = 0; i < kObjects; i++) {
    auto* words = static_cast<uint64_t*>(loam_alloc_bytes(m, kBytes));
    ASSERT_NE(words, nullptr);
    if (i % 2 == 0) kept[i / 2] = words;
    words[0] = words[kBytes / 8 - 1] = i;
  }
  ASSERT_EQ(loam_gc_enable(m), LOAM_OK);

  Gate gate(RacePoint::kSweepTokenTaken);
  {
    // A cycle whose sweeping is left to the background.
    const Gate::PassScope pass;
    loam_stats stats = {};
    stats.struct_size = sizeof(stats);
    do {
      ASSERT_NE(loam_alloc_bytes(m, 64 << 10), nullptr);
      ASSERT_EQ(loam_heap_stats(heap, &stats), LOAM_OK);
    } while (stats.cycles == 0);
  }
  loam_enter_native(m);
  gate.WaitUntilReached();
  std::atomic<bool> has_looked{false};
  std::thread other([&] {
    loam_mutator* mine = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap, "other", &mine), LOAM_OK);
    EXPECT_EQ(GetParam().look(mine), LOAM_OK);
    has_looked.store(true);
    ASSERT_EQ(loam_mutator_detach(mine), LOAM_OK);
  });
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  EXPECT_FALSE(has_looked.load());
  gate.Open();
  other.join();
  ASSERT_EQ(loam_leave_native(m), LOAM_OK);
  for (size_t i = 0; i < kept.size(); i++) {
    ASSERT_EQ(kept[i][0], 2 * i);
    ASSERT_EQ(kept[i][kBytes / 8 - 1], 2 * i);
  }
  EXPECT_EQ(loam_heap_check(m, LOAM_CHECK_FULL, nullptr, nullptr), LOAM_OK);
  ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  ASSERT_EQ(loam_heap_destroy(heap), LOAM_OK);
}

loam_status WriteMap(loam_mutator* m) {
  const std::string path = testing::TempDir() + "sweep_race_map.html";
  const loam_status status = loam_heap_map_write(m, path.c_str());
  remove(path.c_str());
  return status;
}

loam_status Walk(loam_mutator* m) {
  const auto visit = [](void*, size_t, const loam_type*, void*) { return 1; };
  return loam_heap_walk(m, visit, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Looks, BackgroundRaceTest,
                         testing::Values(Look{"Collection",
                                              [](loam_mutator* m) {
                                                return loam_collect(
                                                    m, LOAM_COLLECT_FULL);
                                              }},
                                         Look{"Walk", Walk},
                                         Look{"Check",
                                              [](loam_mutator* m) {
                                                return loam_heap_check(
                                                    m, LOAM_CHECK_FULL, nullptr,
                                                    nullptr);
                                              }},
                                         Look{"Map", WriteMap}),
                         [](const testing::TestParamInfo<Look>& info) {
                           return std::string(info.param.name);
                         });

#else

TEST(BackgroundRaceTest, NeedsRaceHooks) {
  GTEST_SKIP() << "race hooks exist in the sanitizer configurations only";
}

#endif

}  // namespace
}  // namespace loam
