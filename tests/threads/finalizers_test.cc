// Finalizers set and run by several threads: each runs once.

#include <gtest/gtest.h>

#include <memory>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr int kThreads = 6;
constexpr size_t kPerThread = kSanitized ? 3000 : 20000;

// How often each ran.
std::unique_ptr<std::atomic<int>[]> runs;

void Finalize(loam_mutator* m, void* object, void* data) {
  const auto number = reinterpret_cast<uintptr_t>(data);
  auto* node = static_cast<Node*>(object);
  EXPECT_EQ(node->number, Mix(number));
  EXPECT_TRUE(IsList(node->left, 3, number));
  runs[number].fetch_add(1);
  // It is an ordinary object again, and this thread may allocate.
  (void)loam_alloc_bytes(m, 50);
  EXPECT_EQ(node->number, Mix(number));
}

TEST(FinalizersTest, NoneIsLostAndNoneRunsTwice) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const size_t total = kThreads * kPerThread;
  runs = std::make_unique<std::atomic<int>[]>(total);
  static std::atomic<int> woken;
  woken.store(0);
  loam_finalizers_on_ready(
      heap.heap(),
      [](void* counter) {
        static_cast<std::atomic<int>*>(counter)->fetch_add(1);
      },
      &woken);
  std::atomic<size_t> reported = 0;
  std::atomic<size_t> cleared = 0;
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    Random random(seed + static_cast<uint64_t>(t));
    LOAM_FRAME(m, f, 2, LOAM_POINTER);
    for (size_t i = 0; i < kPerThread; i++) {
      const size_t number = static_cast<size_t>(t) * kPerThread + i;
      f.slots[0] = reinterpret_cast<loam_word>(MakeList(m, type, 3, number));
      Node* node = NewNode(m, type, Mix(number));
      loam_store_pointer_init(m, node, &node->left,
                              reinterpret_cast<Node*>(f.slots[0]));
      ASSERT_EQ(
          loam_finalizer_set(m, node, Finalize, reinterpret_cast<void*>(number),
                             LOAM_FINALIZER_ORDERED),
          LOAM_OK);
      if (random.OneIn(10)) {
        // No safepoint since: it is still there.
        ASSERT_EQ(loam_finalizer_clear(m, node), LOAM_OK);
        runs[number].fetch_add(1);
        cleared.fetch_add(1);
      }
      f.slots[1] = random.OneIn(3) ? reinterpret_cast<loam_word>(node) : 0;
      if (random.OneIn(500)) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
      if (random.OneIn(50)) {
        size_t ran = 0;
        ASSERT_EQ(loam_finalizers_run(m, random.Below(20), &ran, nullptr),
                  LOAM_OK);
        reported.fetch_add(ran);
      }
    }
    LOAM_FRAME_END(f);
  });
  heap.Collect();
  size_t ran = 0;
  size_t waiting = 1;
  ASSERT_EQ(loam_finalizers_run(heap.m(), 0, &ran, &waiting), LOAM_OK);
  EXPECT_EQ(waiting, 0u);
  EXPECT_EQ(reported.load() + ran + cleared.load(), total);
  for (size_t i = 0; i < total; i++) ASSERT_EQ(runs[i].load(), 1) << i;
  EXPECT_EQ(heap.Stats().finalizers_set, 0u);
  EXPECT_GT(woken.load(), 0);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
  runs.reset();
}

}  // namespace
}  // namespace loam_test
