// Statistics that add up: of span classes, and of pauses.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using ClassKey = std::tuple<loam_span_kind, const loam_type*, uint64_t>;
using Classes = std::map<ClassKey, loam_span_class_stats>;

Classes SpanClasses(const TestHeap& heap) {
  Classes classes;
  EXPECT_EQ(
      loam_heap_span_classes(
          heap.heap(),
          [](const loam_span_class_stats* stats, void* data) {
            const bool is_new =
                static_cast<Classes*>(data)
                    ->insert(
                        {{stats->kind, stats->type, stats->cell_bytes}, *stats})
                    .second;
            EXPECT_TRUE(is_new) << "one class twice";
          },
          &classes),
      LOAM_OK);
  return classes;
}

uint64_t ObjectsThere(const loam_span_class_stats& stats) {
  return stats.allocated_objects - stats.freed_objects;
}

// Some of everything, of which every third is kept.
void AllocateAll(TestHeap* heap, const loam_type* node, const loam_type* rare,
                 int rounds) {
  loam_mutator* m = heap->m();
  const uint64_t bits = 1;
  for (int i = 0; i < rounds; i++) {
    const auto keep_third = [&](void* object) {
      ASSERT_NE(object, nullptr);
      if (i % 3 == 0) heap->kept.push_back(object);
    };
    keep_third(loam_alloc(m, node));
    keep_third(loam_alloc_bytes(m, 100));
    keep_third(loam_alloc_bytes(m, 3));
    keep_third(loam_alloc_slots(m, 6));
    keep_third(loam_alloc_array(m, rare, 5));
    keep_third(loam_alloc_bitmap(m, 64, &bits, nullptr));
    if (i % 100 == 0) keep_third(loam_alloc_bytes(m, 50'000));
  }
}

TEST(StatisticsTest, SpanClassesAddUp) {
  TestHeap heap;
  const loam_type* node = RegisterNode(heap.types());
  const loam_type* rare = RegisterType(heap.types(), "array", 8, {}, 0, 8,
                                       {{"element", 0, 1, LOAM_POINTER}});
  for (int cycle = 0; cycle < 5; cycle++) {
    heap.kept.resize(heap.kept.size() / 2);
    AllocateAll(&heap, node, rare, 3000);
    heap.Collect();
    const loam_stats stats = heap.Stats();
    uint64_t allocated = 0;
    uint64_t bytes_there = 0;
    uint64_t objects_there = 0;
    bool has_large = false;
    bool has_typed = false;
    for (const auto& [key, c] : SpanClasses(heap)) {
      allocated += c.allocated_bytes;
      bytes_there += c.allocated_bytes - c.freed_bytes;
      objects_there += ObjectsThere(c);
      if (c.cell_bytes != 0) {
        EXPECT_EQ(c.allocated_bytes, c.allocated_objects * c.cell_bytes);
        EXPECT_EQ(c.freed_bytes, c.freed_objects * c.cell_bytes);
      }
      has_large |= c.kind == LOAM_SPAN_LARGE && ObjectsThere(c) > 0;
      if (c.kind == LOAM_SPAN_ONE_TYPE) {
        has_typed = true;
        EXPECT_TRUE(c.type == node || c.type == rare);
        EXPECT_GE(c.cell_bytes, sizeof(Node));
      } else {
        EXPECT_EQ(c.type, nullptr);
      }
    }
    EXPECT_TRUE(has_large);
    EXPECT_TRUE(has_typed);
    // Everything has been swept, and no cache holds a span.
    EXPECT_EQ(allocated, stats.allocated_bytes);
    EXPECT_EQ(bytes_there, stats.live_bytes);
    EXPECT_EQ(objects_there, stats.live_objects);
  }
  // All of it goes.
  heap.kept.clear();
  heap.Collect();
  for (const auto& [key, c] : SpanClasses(heap)) {
    EXPECT_EQ(ObjectsThere(c), 0u);
    EXPECT_EQ(c.allocated_bytes, c.freed_bytes);
    EXPECT_GT(c.allocated_objects, 0u);
  }
}

TEST(StatisticsTest, SpanClassesAddUpWhileOthersAllocate) {
  TestHeap heap;
  constexpr int kThreads = 4;
  std::atomic<int> running = kThreads;
  loam_enter_native(heap.m());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "other", &m), LOAM_OK);
      for (int i = 0; i < 200'000; i++) {
        ASSERT_NE(loam_alloc_bytes(m, 20 + i % 300), nullptr);
      }
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
      running--;
    });
  }
  Classes last;
  int looks = 0;
  for (; running > 0; looks++) {
    Classes now = SpanClasses(heap);
    for (const auto& [key, c] : now) {
      EXPECT_LE(c.freed_objects, c.allocated_objects);
      EXPECT_LE(c.freed_bytes, c.allocated_bytes);
      EXPECT_GE(c.freed_objects, last[key].freed_objects);
    }
    last = std::move(now);
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_GT(looks, 10);
  heap.Collect();
  for (const auto& [key, c] : SpanClasses(heap)) {
    EXPECT_EQ(c.allocated_objects, c.freed_objects);
  }
}

TEST(StatisticsTest, EveryPauseIsInTheHistogram) {
  TestHeap heap;
  loam_stats stats = heap.Stats();
  EXPECT_EQ(loam_pause_quantile_ns(&stats, 0.5), 0u) << "none yet";
  const loam_type* node = RegisterNode(heap.types());
  for (int i = 0; i < 50; i++) {
    for (int k = 0; k < 200 * i; k++) {
      heap.kept.push_back(loam_alloc(heap.m(), node));
    }
    heap.Collect();
  }
  stats = heap.Stats();
  uint64_t pauses = 0;
  uint64_t at_least_ns = 0;
  uint64_t longest_bucket = 0;
  for (size_t i = 0; i < LOAM_PAUSE_BUCKETS; i++) {
    pauses += stats.pause_histogram[i];
    at_least_ns += stats.pause_histogram[i] * loam_pause_bucket_ns(i);
    if (stats.pause_histogram[i] > 0) longest_bucket = i;
    if (i > 0) {
      EXPECT_GT(loam_pause_bucket_ns(i), loam_pause_bucket_ns(i - 1));
    }
  }
  EXPECT_EQ(pauses, stats.cycles);
  EXPECT_LE(at_least_ns, stats.total_pause_ns);
  // A bucket is at most a quarter wide, but for those below a microsecond.
  EXPECT_GE(at_least_ns * 5 / 4 + pauses * 250, stats.total_pause_ns);
  EXPECT_LE(loam_pause_bucket_ns(longest_bucket), stats.longest_pause_ns);
  EXPECT_EQ(loam_pause_quantile_ns(&stats, 1), stats.longest_pause_ns);
  EXPECT_LE(loam_pause_quantile_ns(&stats, 0.5),
            loam_pause_quantile_ns(&stats, 0.99));
  EXPECT_GE(loam_pause_quantile_ns(&stats, 0.5) * stats.cycles,
            stats.total_pause_ns / 50);
}

}  // namespace
}  // namespace loam_test
