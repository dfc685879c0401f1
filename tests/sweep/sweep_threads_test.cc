// Several threads sweep and allocate in one heap; a cycle's step happens while
// they stand still, as it does in the world.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

constexpr size_t kThreads = 4;

template <typename Body>
void OnThreads(Body body) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t t = 0; t < kThreads; t++) threads.emplace_back(body, t);
  for (std::thread& thread : threads) thread.join();
}

TEST(SweepThreadsTest, EachSpanIsSweptOnce) {
  constexpr size_t kSpans = 1500;
  HeapFixture heap;
  CentralSpanList central[3];
  std::vector<Span*> spans;
  for (size_t i = 0; i < kSpans; i++) {
    Span* span = heap.Acquire(HeapFixture::Shape(64, &central[i % 3]));
    ASSERT_NE(span, nullptr);
    // Some full, some partial: both kinds of lists.
    for (size_t n = i % 2 == 0 ? 128 : 64; n > 0; n--) {
      HeapFixture::TakeCell(span);
    }
    spans.push_back(span);
  }
  for (Span* span : spans) heap.source()->Release(span);
  heap.Cycle([&] {
    for (size_t i = 0; i < kSpans; i++) {
      if (i % 5 != 0) HeapFixture::Mark(spans[i], 1);
    }
    return (kSpans - kSpans / 5) * 64;
  });
  std::atomic<size_t> swept{0};
  std::atomic<size_t> freed{0};
  OnThreads([&](size_t) {
    size_t pages = 0;
    while (heap.sweeper()->SweepSome(1, &pages)) {
      swept++;
      freed += pages;
    }
  });
  EXPECT_EQ(swept.load(), kSpans);
  EXPECT_EQ(heap.sweeper()->swept_pages(), kSpans);
  EXPECT_EQ(freed.load(), kSpans / 5);
  EXPECT_EQ(heap.pages()->stats().spans, kSpans - kSpans / 5);
  heap.sweeper()->SweepAllAndWait();
  ASSERT_NO_FATAL_FAILURE(heap.Check());
}

TEST(SweepThreadsTest, SweepAllWaitsForTheOthers) {
  constexpr size_t kSpans = 300;
  for (int round = 0; round < 20; round++) {
    HeapFixture heap;
    CentralSpanList central;
    std::vector<Span*> spans;
    for (size_t i = 0; i < kSpans; i++) {
      spans.push_back(heap.Acquire(HeapFixture::Shape(64, &central)));
      HeapFixture::TakeAllCells(spans.back());
    }
    for (Span* span : spans) heap.source()->Release(span);
    heap.Cycle([&] {
      for (Span* span : spans) HeapFixture::Mark(span, 1);
      return kSpans * 64;
    });
    std::atomic<size_t> unswept{0};
    OnThreads([&](size_t) {
      heap.sweeper()->SweepAllAndWait();
      for (const Span* span : spans) {
        if (heap.StateOf(span) != SweepState::kSwept) unswept++;
      }
    });
    ASSERT_EQ(unswept.load(), 0);
  }
}

// What a thread has allocated of its own.
struct Object {
  Span* span;
  size_t index;
};

TEST(SweepThreadsTest, AllocationAndSweepingAtOnce) {
  constexpr size_t kCells[] = {32, 64, 256};
  constexpr size_t kClasses = std::size(kCells);
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  TestRandom random(seed, 100);
  HeapFixture heap;
  CentralSpanList central[kClasses];
  std::vector<Object> objects[kThreads];
  std::atomic<uint64_t> wrong{0};
  for (int cycle = 0; cycle < 30; cycle++) {
    SCOPED_TRACE(cycle);
    OnThreads([&](size_t t) {
      TestRandom mine(seed, cycle * kThreads + t);
      Span* cached[kClasses] = {};
      for (int i = 0; i < 400; i++) {
        const size_t c = mine.Below(kClasses);
        if (cached[c] == nullptr) {
          cached[c] = heap.Acquire(HeapFixture::Shape(kCells[c], &central[c]));
          if (cached[c] == nullptr) {
            wrong++;
            return;
          }
        }
        const size_t index = HeapFixture::TakeCell(cached[c]);
        if (index == cached[c]->cell_count) {
          heap.source()->Release(cached[c]);
          cached[c] = nullptr;
          continue;
        }
        // The thread sanitizer would see two owners of one cell.
        auto* words =
            reinterpret_cast<uint64_t*>(cached[c]->CellAddress(index));
        for (size_t w = 0; w < kCells[c] / 8; w++) words[w] = t + 1;
        objects[t].push_back({cached[c], index});
        if (mine.OneIn(10)) {
          size_t freed;
          heap.sweeper()->SweepSome(1, &freed);
        }
        if (mine.OneIn(10)) {
          const Object& some = objects[t][mine.Below(objects[t].size())];
          heap.sweeper()->EnsureSwept(some.span);
          if (!some.span->IsAllocated(some.index)) wrong++;
        }
      }
      for (Span* span : cached) {
        if (span != nullptr) heap.source()->Release(span);
      }
    });
    // The world is stopped.
    heap.Cycle([&] {
      uint64_t live = 0;
      for (std::vector<Object>& list : objects) {
        std::vector<Object> kept;
        for (const Object& object : list) {
          if (random.OneIn(3)) continue;
          HeapFixture::Mark(object.span, object.index);
          live += object.span->cell_bytes;
          kept.push_back(object);
        }
        list.swap(kept);
      }
      return live;
    });
    ASSERT_EQ(wrong.load(), 0);
    for (size_t t = 0; t < kThreads; t++) {
      for (const Object& object : objects[t]) {
        const auto* words = reinterpret_cast<const uint64_t*>(
            object.span->CellAddress(object.index));
        ASSERT_EQ(words[0], t + 1);
        ASSERT_EQ(words[object.span->cell_bytes / 8 - 1], t + 1);
      }
    }
    ASSERT_NO_FATAL_FAILURE(heap.Check());
  }
  heap.CycleThatMarksNothing();
  heap.sweeper()->SweepAllAndWait();
  EXPECT_EQ(heap.pages()->stats().spans, 0);
  EXPECT_EQ(heap.counters()->live_estimate.Get(), 0);
}

}  // namespace
}  // namespace loam
