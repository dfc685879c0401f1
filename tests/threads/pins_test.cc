// Several threads pin and unpin while spans are swept.

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <vector>

#include "api/loam.h"
#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

// Objects that nothing but their pins keeps alive, of several sizes.
TEST(PinsThreadsTest, NothingPinnedIsLostWhileSpansAreSwept) {
  constexpr int kThreads = 4;
  constexpr size_t kPinned = 200;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(2));
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 1 << 20;
  options.no_background = 0;
  TestHeap heap(options);
  std::atomic<uint64_t> lost{0};
  std::atomic<uint64_t> rounds{0};
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    struct Pinned {
      uint64_t* words;
      uint64_t number;
      int pins;
    };
    std::vector<Pinned> pinned(kPinned, {nullptr, 0, 0});
    while (deadline.Running()) {
      for (int i = 0; i < 200; i++) {
        Pinned& p = pinned[random() % kPinned];
        if (p.words == nullptr) {
          const size_t bytes = random() % 50 == 0 ? 40000 : 16 << random() % 6;
          p.words = static_cast<uint64_t*>(loam_alloc_bytes(m, bytes));
          ASSERT_NE(p.words, nullptr);
          ASSERT_EQ(loam_pin(m, p.words), LOAM_OK) << loam_last_error();
          p.number = random();
          p.words[0] = p.number;
          p.words[1] = ~p.number;
          p.pins = 1;
        } else if (p.words[0] != p.number || p.words[1] != ~p.number) {
          lost++;
        } else if (p.pins < 5 && random() % 2 == 0) {
          ASSERT_EQ(loam_pin(m, p.words), LOAM_OK) << loam_last_error();
          p.pins++;
        } else {
          ASSERT_EQ(loam_unpin(m, p.words), LOAM_OK) << loam_last_error();
          if (--p.pins == 0) p.words = nullptr;
        }
        loam_alloc_bytes(m, random() % 500);  // garbage
      }
      rounds++;
    }
    for (Pinned& p : pinned) {
      for (; p.pins > 0; p.pins--) {
        ASSERT_EQ(loam_unpin(m, p.words), LOAM_OK) << loam_last_error();
      }
    }
  });
  printf("%llu rounds, %llu collections\n",
         static_cast<unsigned long long>(rounds.load()),
         static_cast<unsigned long long>(heap.Stats().cycles));
  EXPECT_EQ(lost.load(), 0u);
  EXPECT_GT(heap.Stats().cycles, 3u);
  EXPECT_EQ(heap.Stats().pinned_objects, 0u);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
  heap.ExpectSound();
}

// The same few objects, which are alive anyway: pins of all threads add up.
TEST(PinsThreadsTest, PinsOfOneObjectAddUp) {
  constexpr int kThreads = 4;
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  for (uint64_t i = 0; i < 8; i++) {
    heap.kept.push_back(NewNode(heap.m(), type, i));
  }
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    for (int i = 0; i < 20000; i++) {
      void* object = heap.kept[static_cast<size_t>(i) % 8];
      ASSERT_EQ(loam_pin(m, object), LOAM_OK);
      if (i % 1000 == 999 && t == 0) loam_collect(m, LOAM_COLLECT_FULL);
      // Half of the threads leave a pin on each object at the end.
      if (t % 2 == 0 || i >= 8) {
        ASSERT_EQ(loam_unpin(m, object), LOAM_OK);
      }
      loam_safepoint(m);
    }
  });
  EXPECT_EQ(heap.Stats().pinned_objects, 8u);
  for (void* object : heap.kept) {
    for (int i = 0; i < kThreads / 2; i++) {
      EXPECT_EQ(loam_unpin(heap.m(), object), LOAM_OK);
    }
    EXPECT_EQ(loam_unpin(heap.m(), object), LOAM_NOT_FOUND);
  }
}

}  // namespace
}  // namespace loam_test
