// Threads that run in several heaps at once, each collecting one of them: a
// safepoint in one is a safepoint in all, so they cannot wait for each other
// for ever.

#include <gtest/gtest.h>

#include <memory>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

double Seconds() { return TestSeconds(kSanitized ? 1 : 0.5); }

// With `stops`, they also stop their worlds for longer than a collection.
void CollectAgainstEachOther(int threads, int heaps, bool stops) {
  const uint64_t seed = TestSeed();
  std::vector<std::unique_ptr<TestHeap>> all;
  std::vector<const loam_type*> types;
  for (int h = 0; h < heaps; h++) {
    all.push_back(std::make_unique<TestHeap>());
    types.push_back(RegisterNode(all.back()->types()));
    loam_enter_native(all.back()->m());
  }
  const Deadline deadline(Seconds());
  std::atomic<uint64_t> rounds = 0;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; t++) {
    workers.emplace_back([&, t] {
      Random random(seed + static_cast<uint64_t>(t));
      std::vector<loam_mutator*> mutators(static_cast<size_t>(heaps));
      struct List {
        loam_handle handle;
        size_t length;
        uint64_t seed;
      };
      std::vector<List> lists(mutators.size());
      for (size_t h = 0; h < mutators.size(); h++) {
        ASSERT_EQ(loam_mutator_attach(all[h]->heap(), "worker", &mutators[h]),
                  LOAM_OK);
        lists[h] = {loam_handle_pointer(mutators[h], nullptr), 0, 0};
      }
      while (deadline.Running()) {
        for (size_t h = 0; h < mutators.size(); h++) {
          loam_mutator* m = mutators[h];
          List& list = lists[h];
          ASSERT_TRUE(IsList(reinterpret_cast<Node*>(list.handle->word),
                             list.length, list.seed));
          list.length = random.Below(100);
          list.seed = random.Next();
          list.handle->word = reinterpret_cast<loam_word>(
              MakeList(m, types[h], list.length, list.seed));
          if (random.OneIn(10)) {
            loam_enter_native(m);
            std::this_thread::yield();
            ASSERT_EQ(loam_leave_native(m), LOAM_OK);
          }
        }
        // Each thread prefers a heap of its own.
        const size_t mine = static_cast<size_t>(t) % mutators.size();
        const size_t victim =
            random.OneIn(3) ? random.Below(mutators.size()) : mine;
        ASSERT_EQ(loam_collect(mutators[victim], LOAM_COLLECT_FULL), LOAM_OK);
        if (stops && random.OneIn(4)) {
          ASSERT_EQ(loam_stop_the_world(mutators[victim]), LOAM_OK);
          for (loam_mutator* m : mutators) loam_safepoint(m);
          ASSERT_EQ(loam_start_the_world(mutators[victim]), LOAM_OK);
        }
        rounds.fetch_add(1);
      }
      for (loam_mutator* m : mutators) {
        ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_GT(rounds.load(), 10u);
  for (auto& heap : all) {
    ASSERT_EQ(loam_leave_native(heap->m()), LOAM_OK);
    heap->Collect();
    heap->ExpectSound();
  }
}

TEST(TwoHeapsTest, TwoThreadsCollectAgainstEachOther) {
  CollectAgainstEachOther(2, 2, false);
}
TEST(TwoHeapsTest, FourThreadsInThreeHeaps) {
  CollectAgainstEachOther(4, 3, false);
}
TEST(TwoHeapsTest, StopsDoNotWaitForEachOther) {
  CollectAgainstEachOther(2, 2, true);
}

}  // namespace
}  // namespace loam_test
