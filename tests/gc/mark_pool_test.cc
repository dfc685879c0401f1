// Work given from marker to marker: none is lost or done twice, and everybody
// learns when there is none left.

#include "runtime/gc/mark_pool.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

MarkBatch BatchOf(uintptr_t first, size_t count) {
  MarkBatch batch;
  batch.count = count;
  for (size_t i = 0; i < count; i++) batch.words[i] = first + i;
  return batch;
}

TEST(MarkPoolTest, OneMarkerIsCompleteAtOnce) {
  MarkPool pool;
  for (int phase = 0; phase < 3; phase++) {
    pool.Begin(1);
    EXPECT_FALSE(pool.is_wanted());
    EXPECT_FALSE(pool.Give(BatchOf(1, 1))) << "nobody waits";
    MarkBatch batch;
    EXPECT_FALSE(pool.Take(&batch));
  }
}

TEST(MarkPoolTest, WhoWaitsGetsWhatIsGiven) {
  MarkPool pool;
  pool.Begin(2);
  std::atomic<uintptr_t> sum = 0;
  const auto take_all = [&] {
    MarkBatch batch;
    while (pool.Take(&batch)) {
      for (size_t i = 0; i < batch.count; i++) sum += batch.words[i];
    }
  };
  std::thread other(take_all);
  while (!pool.is_wanted()) std::this_thread::yield();
  EXPECT_TRUE(pool.Give(BatchOf(100, MarkBatch::kWords)));
  take_all();  // Perhaps the very same.
  other.join();
  uintptr_t expected = 0;
  for (size_t i = 0; i < MarkBatch::kWords; i++) expected += 100 + i;
  EXPECT_EQ(sum.load(), expected);
}

// Each word is a tree of work: done, it leaves two smaller ones.
TEST(MarkPoolTest, EverythingIsDoneOnce) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const uint32_t markers : {2u, 3u, 8u, MarkPool::kMaxMarkers}) {
    MarkPool pool;
    for (int phase = 0; phase < 20; phase++) {
      const uintptr_t depth = random.Between(1, 14);
      pool.Begin(markers);
      std::atomic<uint64_t> done = 0;
      const auto work = [&](std::vector<uintptr_t> stack) {
        for (;;) {
          while (!stack.empty()) {
            const uintptr_t word = stack.back();
            stack.pop_back();
            done.fetch_add(1, std::memory_order_relaxed);
            if (word > 1) stack.insert(stack.end(), {word - 1, word - 1});
            if (!pool.is_wanted() || stack.size() < 2) continue;
            const size_t half = std::min(stack.size() / 2, MarkBatch::kWords);
            MarkBatch batch;
            batch.count = half;
            std::copy_n(stack.begin(), half, batch.words);
            if (pool.Give(batch)) {
              stack.erase(stack.begin(),
                          stack.begin() + static_cast<long>(half));
            }
          }
          MarkBatch batch;
          if (!pool.Take(&batch)) return;
          stack.assign(batch.words, batch.words + batch.count);
        }
      };
      std::vector<std::thread> threads;
      for (uint32_t i = 1; i < markers; i++) {
        threads.emplace_back(work, std::vector<uintptr_t>());
      }
      work({depth});
      for (std::thread& thread : threads) thread.join();
      ASSERT_EQ(done.load(), (uint64_t{1} << depth) - 1);
      EXPECT_FALSE(pool.is_wanted());
    }
  }
}

}  // namespace
}  // namespace loam
