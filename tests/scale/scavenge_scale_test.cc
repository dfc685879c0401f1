// A heap of a gibibyte of which a sixteenth stays alive: how soon the rest is
// the OS's again, and what that costs.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/resident_memory.h"

namespace loam_test {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kObjectBytes = 4096;
constexpr size_t kObjects = 1024 * kMiB / kObjectBytes;
constexpr size_t kSurvivors = kObjects / 16;

enum class Survivors { kTheFirst, kAny };

// Fills the heap, drops all but the survivors, and collects.
void GrowAndShrink(TestHeap* heap, Survivors survivors) {
  heap->kept.reserve(kObjects);
  while (heap->kept.size() < kObjects) {
    void* const object = loam_alloc_bytes(heap->m(), kObjectBytes);
    ASSERT_NE(object, nullptr);
    memset(object, 1, kObjectBytes);
    heap->kept.push_back(object);
  }
  if (survivors == Survivors::kAny) {
    std::shuffle(heap->kept.begin(), heap->kept.end(), std::mt19937(7));
  }
  heap->kept.resize(kSurvivors);
  heap->Collect();
}

struct Fall {
  double seconds;
  size_t resident;
  double processor_share;
};

// Waits until no more is resident than is wanted, or half a minute.
Fall WaitFor(const TestHeap& heap, size_t before, size_t wanted) {
  const auto start = steady_clock::now();
  Fall fall;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    fall.resident = ResidentBytes() - before;
    fall.seconds =
        std::chrono::duration<double>(steady_clock::now() - start).count();
  } while (fall.resident > wanted && fall.seconds < 30);
  fall.processor_share =
      static_cast<double>(heap.Stats().scavenger_ns) / 1e9 / fall.seconds;
  return fall;
}

class ScavengeScaleTest : public testing::TestWithParam<Survivors> {};

TEST_P(ScavengeScaleTest, AGibibyteFallsToWhatIsLive) {
  std::vector<void*> room(kObjects);  // The table itself is not counted.
  const size_t before = ResidentBytes();
  loam_options options = TestOptions();
  options.no_background = 0;
  TestHeap heap(options);
  room.clear();
  heap.kept.swap(room);
  GrowAndShrink(&heap, GetParam());
  const size_t live = kSurvivors * kObjectBytes;
  const size_t wanted = live + live * 15 / 100 + 16 * kMiB;
  const size_t grown = ResidentBytes() - before;
  const Fall fall = WaitFor(heap, before, wanted);
  std::printf(
      "%s survivors, %zu MiB live: from %zu to %zu MiB in %.1f s, "
      "%.2f %% of a processor\n",
      GetParam() == Survivors::kAny ? "random" : "contiguous", live / kMiB,
      grown / kMiB, fall.resident / kMiB, fall.seconds,
      100 * fall.processor_share);
  EXPECT_GT(grown, 900 * kMiB);
  EXPECT_LE(fall.processor_share, 0.015);
  if (GetParam() == Survivors::kTheFirst) {
    EXPECT_LE(fall.resident, wanted);
  }
}

TEST_P(ScavengeScaleTest, AtOnceOnRequest) {
  std::vector<void*> room(kObjects);
  const size_t before = ResidentBytes();
  TestHeap heap;
  room.clear();
  heap.kept.swap(room);
  GrowAndShrink(&heap, GetParam());
  const auto start = steady_clock::now();
  loam_heap_release_memory(heap.heap());
  const double seconds =
      std::chrono::duration<double>(steady_clock::now() - start).count();
  const size_t live = kSurvivors * kObjectBytes;
  const size_t resident = ResidentBytes() - before;
  std::printf("%s survivors: %zu MiB after %.0f ms\n",
              GetParam() == Survivors::kAny ? "random" : "contiguous",
              resident / kMiB, 1000 * seconds);
  if (GetParam() == Survivors::kTheFirst) {
    EXPECT_LE(resident, live + live * 15 / 100 + 16 * kMiB);
  }
}

INSTANTIATE_TEST_SUITE_P(Survivors, ScavengeScaleTest,
                         testing::Values(Survivors::kTheFirst,
                                         Survivors::kAny));

}  // namespace
}  // namespace loam_test
