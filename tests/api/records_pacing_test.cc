// Records of specials are part of the heap: they make it collect sooner, and
// neither let it grow without end nor make it collect again and again.

#include <gtest/gtest.h>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

void IgnoreCleanup(loam_mutator*, loam_word, void*) {}
void IgnoreFinalizer(loam_mutator*, void*, void*) {}

// More bytes of records than of objects, all of which die.
TEST(RecordsPacingTest, CleanupsOfTheDeadDoNotLetTheHeapGrow) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  for (int i = 0; i < 2'000'000; i++) {
    Node* node = NewNode(heap.m(), type, 0);
    ASSERT_EQ(
        loam_cleanup_add(heap.m(), node, IgnoreCleanup, 0, nullptr, nullptr),
        LOAM_OK);
    if (i % 1000 != 0) continue;
    ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  }
  // Twice the least trigger, and some.
  EXPECT_LE(heap.Stats().peak_committed_bytes, 12 * kMiB);
}

// As many bytes of records as there are, all of living objects: they count like
// these.
TEST(RecordsPacingTest, RecordsOfTheLivingCountLikeObjects) {
  TestHeap heap;
  constexpr size_t kObjects = 200'000;
  for (size_t i = 0; i < kObjects; i++) {
    heap.kept.push_back(loam_alloc_bytes(heap.m(), 16));
    ASSERT_EQ(loam_cleanup_add(heap.m(), heap.kept.back(), IgnoreCleanup, 0,
                               nullptr, nullptr),
              LOAM_OK);
  }
  heap.Collect();
  heap.Collect();
  const loam_stats before = heap.Stats();
  const uint64_t live = before.live_bytes + kObjects * 48;
  EXPECT_GE(before.trigger_bytes, 2 * live);
  EXPECT_LE(before.trigger_bytes, 2 * live + 8 * kMiB);
  // So a hundred times that is about a hundred cycles.
  for (uint64_t bytes = 0; bytes < 100 * live; bytes += 512) {
    loam_alloc_bytes(heap.m(), 512);
  }
  EXPECT_LE(heap.Stats().cycles - before.cycles, 110u);
}

// Of two kinds of records one lasts, and the other goes with each collection,
// before sweeping: that the one goes says nothing of the other.
TEST(RecordsPacingTest, RecordsThatLastCountBesideThoseThatDoNot) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  constexpr size_t kObjects = 200'000;
  loam_gc_disable(heap.m());
  for (size_t i = 0; i < kObjects; i++) {
    heap.kept.push_back(loam_alloc_bytes(heap.m(), 16));
    ASSERT_EQ(loam_cleanup_add(heap.m(), heap.kept.back(), IgnoreCleanup, 0,
                               nullptr, nullptr),
              LOAM_OK);
  }
  ASSERT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
  for (int round = 0; round < 5; round++) {
    loam_gc_disable(heap.m());
    for (size_t i = 0; i < kObjects; i++) {
      ASSERT_EQ(loam_finalizer_set(heap.m(), NewNode(heap.m(), type, 0),
                                   IgnoreFinalizer, nullptr,
                                   LOAM_FINALIZER_UNORDERED),
                LOAM_OK);
    }
    ASSERT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
    heap.Collect();
    ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
    if (round < 2) continue;
    // Half of the records last; of these no less is predicted.
    const loam_stats stats = heap.Stats();
    EXPECT_GE(stats.trigger_bytes, 2 * (stats.live_bytes + kObjects * 48 / 2));
  }
}

// Nobody runs what is queued: it is there all the same.
TEST(RecordsPacingTest, WhatWaitsToRunDoesNotMakeItCollectAgainAndAgain) {
  for (const bool has_cleanups : {false, true}) {
    SCOPED_TRACE(has_cleanups);
    TestHeap heap;
    const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    constexpr int kObjects = 500'000;
    loam_gc_disable(heap.m());
    for (int i = 0; i < kObjects; i++) {
      Node* node = NewNode(heap.m(), type, 0);
      ASSERT_EQ(has_cleanups
                    ? loam_cleanup_add(heap.m(), node, IgnoreCleanup, 0,
                                       nullptr, nullptr)
                    : loam_finalizer_set(heap.m(), node, IgnoreFinalizer,
                                         nullptr, LOAM_FINALIZER_ORDERED),
                LOAM_OK);
    }
    ASSERT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
    heap.Collect();
    EXPECT_EQ(heap.Stats().finalizers_waiting, kObjects + 0u);
    const uint64_t cycles = heap.Stats().cycles;
    for (uint64_t bytes = 0; bytes < 256 * kMiB; bytes += 512) {
      loam_alloc_bytes(heap.m(), 512);
    }
    EXPECT_LE(heap.Stats().cycles - cycles, 20u);
  }
}

}  // namespace
}  // namespace loam_test
