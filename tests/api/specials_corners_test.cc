// Specials where time is short: objects that are dead and not swept yet, and
// heaps on their way out.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

void IgnoreCleanup(loam_mutator*, loam_word, void*) {}
void IgnoreFinalizer(loam_mutator*, void*, void*) {}

// A collection has found them dead; their spans have not been swept.
TEST(SpecialsCornersTest, NothingIsHungOnTheDead) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  std::vector<void*> dead;
  for (int i = 0; i < 10'000; i++) dead.push_back(NewNode(m, type, 1));
  const uint64_t cycles = heap.Stats().cycles;
  while (heap.Stats().cycles == cycles) {
    ASSERT_NE(loam_alloc_bytes(m, 4000), nullptr);
  }
  loam_special_kind* kind = nullptr;
  ASSERT_EQ(loam_special_kind_create(heap.heap(), nullptr, nullptr, &kind),
            LOAM_OK);
  for (size_t i = 0; i < dead.size(); i++) {
    loam_weak_handle* handle = nullptr;
    loam_watch* watch = nullptr;
    loam_status status = LOAM_OK;
    switch (i % 6) {
      case 0:
        status = loam_pin(m, dead[i]);
        break;
      case 1:
        status = loam_finalizer_set(m, dead[i], IgnoreFinalizer, nullptr,
                                    LOAM_FINALIZER_ORDERED);
        break;
      case 2:
        status =
            loam_cleanup_add(m, dead[i], IgnoreCleanup, 0, nullptr, nullptr);
        break;
      case 3:
        status = loam_weak_handle_create(m, dead[i], LOAM_WEAK_SHORT, &handle);
        break;
      case 4:
        status = loam_watch_create(m, dead[i], &watch);
        break;
      default:
        status = loam_special_set(m, dead[i], kind, 1);
    }
    ASSERT_EQ(status, LOAM_INVALID_ARGUMENT) << i;
  }
  heap.Collect();
  heap.ExpectSound();
}

// Each finalizer sets itself again, and brings about the next collection: the
// heap's end does not wait for the last.
TEST(SpecialsCornersTest, FinalizersThatNeverEndDoNotKeepTheHeap) {
  static int runs;
  static const auto kAgain = [](loam_mutator* m, void* object, void*) {
    struct Again {
      static void Run(loam_mutator* mutator, void* self, void*) {
        runs++;
        EXPECT_EQ(loam_finalizer_set(mutator, self, Run, nullptr,
                                     LOAM_FINALIZER_ORDERED),
                  LOAM_OK);
        EXPECT_EQ(loam_collect(mutator, LOAM_COLLECT_FULL), LOAM_OK);
      }
    };
    Again::Run(m, object, nullptr);
  };
  runs = 0;
  loam_options options = TestOptions();
  options.finalize_at_destroy = 1;
  {
    TestHeap heap(options);
    const loam_type* type = RegisterNode(heap.types());
    for (int i = 0; i < 2; i++) {
      ASSERT_EQ(loam_finalizer_set(heap.m(), NewNode(heap.m(), type, 1), kAgain,
                                   nullptr, LOAM_FINALIZER_ORDERED),
                LOAM_OK);
    }
  }
  EXPECT_GE(runs, 2 * 2);
  EXPECT_LE(runs, 2 * 2 * 8);
}

TEST(SpecialsCornersTest, ARefusedEndLeavesTheRunnerRunning) {
  static std::atomic<int> runs;
  runs = 0;
  loam_heap* owner = nullptr;
  loam_options options = TestOptions();
  ASSERT_EQ(loam_heap_create(&options, &owner), LOAM_OK);
  ASSERT_EQ(loam_finalizers_start_runner(owner), LOAM_OK);
  {
    loam_options other_options = TestOptions();
    other_options.types = loam_heap_types(owner);
    const TestHeap other(other_options);
    ASSERT_EQ(loam_heap_destroy(owner), LOAM_WRONG_STATE) << "types in use";
    loam_mutator* m = nullptr;
    std::thread([&] {
      ASSERT_EQ(loam_mutator_attach(owner, "other", &m), LOAM_OK);
      ASSERT_EQ(loam_cleanup_add(
                    m, loam_alloc_bytes(m, 100),
                    [](loam_mutator*, loam_word, void*) { runs++; }, 0, nullptr,
                    nullptr),
                LOAM_OK);
      ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
    }).join();
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (runs == 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(runs, 1);
  }
  EXPECT_EQ(loam_heap_destroy(owner), LOAM_OK);
}

}  // namespace
}  // namespace loam_test
