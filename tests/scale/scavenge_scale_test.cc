// A heap of a gibibyte of which a sixteenth stays alive: how soon the rest is
// the OS's again, and what that costs.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/resident_memory.h"

namespace loam_test {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMiB = size_t{1} << 20;
// Lists of objects of 32 bytes, 256 KiB each.
constexpr size_t kListNodes = 8192;
constexpr size_t kListBytes = kListNodes * 32;
constexpr size_t kLists = 1024 * kMiB / kListBytes;
constexpr size_t kSurvivors = kLists / 16;

enum class Survivors { kTheFirst, kAny };

// Fills the heap, drops all but the survivors, and collects.
void GrowAndShrink(TestHeap* heap, Survivors survivors) {
  const loam_type* const type = RegisterNode(heap->types());
  while (heap->kept.size() < kLists) {
    heap->kept.push_back(NewNode(heap->m(), type, 0));
    for (uint64_t i = 1; i < kListNodes; i++) {
      Node* const node = NewNode(heap->m(), type, i);
      ASSERT_NE(node, nullptr);
      loam_store_pointer(heap->m(), node, &node->left, heap->kept.back());
      heap->kept.back() = node;
    }
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
  const size_t before = ResidentBytes();
  loam_options options = TestOptions();
  options.no_background = 0;
  TestHeap heap(options);
  GrowAndShrink(&heap, GetParam());
  const size_t live = kSurvivors * kListBytes;
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
  const size_t before = ResidentBytes();
  TestHeap heap;
  GrowAndShrink(&heap, GetParam());
  const auto start = steady_clock::now();
  loam_heap_release_memory(heap.heap());
  const double seconds =
      std::chrono::duration<double>(steady_clock::now() - start).count();
  const size_t live = kSurvivors * kListBytes;
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
