// Spans of several classes, filled, marked and swept at random, against a model
// that knows which cells are alive.

#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

constexpr size_t kCellSizes[] = {16, 48, 128, 1024, 8192, 32768};
constexpr size_t kClasses = std::size(kCellSizes);

class Program {
 public:
  explicit Program(TestRandom* random) : random_(*random) {}

  void Allocate() {
    const size_t c = random_.Below(kClasses);
    const size_t cell_bytes = kCellSizes[c];
    for (size_t n = random_.Between(1, 60); n > 0; n--) {
      if (cached_[c] == nullptr) {
        cached_[c] =
            heap_.Acquire(HeapFixture::Shape(cell_bytes, &central_[c]));
        ASSERT_NE(cached_[c], nullptr);
        ASSERT_GT(FreeCells(cached_[c]), 0) << "a full span is of no use";
      }
      Span* span = cached_[c];
      const size_t index = HeapFixture::TakeCell(span);
      if (index == span->cell_count) {
        heap_.source()->Release(span);
        cached_[c] = nullptr;
        continue;
      }
      const uintptr_t cell = span->CellAddress(index);
      ASSERT_EQ(objects_.count(cell), 0) << "handed out although it is alive";
      auto* words = reinterpret_cast<uint64_t*>(cell);
      if (!span->need_zero) {
        for (size_t i = 0; i < cell_bytes / 8; i++) ASSERT_EQ(words[i], 0);
      }
      const uint64_t content = next_content_++;
      for (size_t i = 0; i < cell_bytes / 8; i++) words[i] = content;
      objects_[cell] = {span, index, content};
      allocated_ += cell_bytes;
    }
  }

  void AllocateLarge() {
    Span* span = heap_.source()->AcquireLarge(
        HeapFixture::LargeShape(random_.Between(5, 200), &large_),
        MayGrow::kYes);
    ASSERT_NE(span, nullptr);
    auto* words = reinterpret_cast<uint64_t*>(span->base);
    if (!span->need_zero) {
      ASSERT_EQ(words[0], 0);
      ASSERT_EQ(words[span->cell_bytes / 8 - 1], 0);
    }
    const uint64_t content = next_content_++;
    words[0] = words[1] = words[span->cell_bytes / 8 - 1] = content;
    objects_[span->base] = {span, 0, content};
    allocated_ += span->cell_bytes;
  }

  void SweepSome() {
    size_t freed = 0;
    for (size_t n = random_.Below(20); n > 0; n--) {
      heap_.sweeper()->SweepSome(1, &freed);
    }
    if (!objects_.empty() && random_.OneIn(2)) {
      auto it =
          objects_.lower_bound(heap_.pages()->lowest_address() +
                               random_.Below(heap_.pages()->highest_address() -
                                             heap_.pages()->lowest_address()));
      if (it == objects_.end()) it = objects_.begin();
      heap_.sweeper()->EnsureSwept(it->second.span);
      ASSERT_TRUE(heap_.StateOf(it->second.span) == SweepState::kSwept ||
                  heap_.StateOf(it->second.span) == SweepState::kCached);
    }
    if (random_.OneIn(10)) heap_.pages()->ReleaseFreePages(SIZE_MAX);
  }

  // Some objects die.
  void Cycle() {
    const size_t death_percent = random_.OneIn(8) ? 100 : random_.Below(100);
    heap_.Cycle([&] {
      uint64_t live = 0;
      for (auto it = objects_.begin(); it != objects_.end();) {
        const Object& object = it->second;
        if (random_.Below(100) < death_percent) {
          it = objects_.erase(it);
          continue;
        }
        HeapFixture::Mark(object.span, object.index);
        live += object.span->cell_bytes;
        ++it;
      }
      return live;
    });
    for (Span*& span : cached_) {
      if (span != nullptr) heap_.source()->Release(span);
      span = nullptr;
    }
    Check();
  }

  void Check() {
    ASSERT_NO_FATAL_FAILURE(heap_.Check());
    uint64_t live = 0;
    for (const auto& [cell, object] : objects_) {
      ASSERT_EQ(heap_.pages()->FindSpan(cell), object.span);
      ASSERT_TRUE(object.span->IsAllocated(object.index));
      const auto* words = reinterpret_cast<const uint64_t*>(cell);
      ASSERT_EQ(words[0], object.content);
      ASSERT_EQ(words[object.span->cell_bytes / 8 - 1], object.content);
      live += object.span->cell_bytes;
    }
    uint64_t cached = 0;
    for (const Span* span : cached_) {
      if (span != nullptr) cached += FreeCells(span) * span->cell_bytes;
    }
    ASSERT_EQ(heap_.AllocatedBytes(), allocated_ + cached);
    ASSERT_EQ(heap_.counters()->live_estimate.Get(), live + cached);
  }

  void Finish() {
    heap_.CycleThatMarksNothing();
    objects_.clear();
    for (Span*& span : cached_) {
      if (span != nullptr) heap_.source()->Release(span);
      span = nullptr;
    }
    heap_.sweeper()->SweepAll();
    EXPECT_EQ(heap_.pages()->stats().spans, 0);
    EXPECT_EQ(heap_.counters()->live_estimate.Get(), 0);
    EXPECT_EQ(heap_.AllocatedBytes(), allocated_);
  }

 private:
  struct Object {
    Span* span;
    size_t index;
    uint64_t content;
  };

  TestRandom& random_;
  CentralSpanList central_[kClasses];
  CentralSpanList large_;
  HeapFixture heap_;
  Span* cached_[kClasses] = {};
  std::map<uintptr_t, Object> objects_;
  uint64_t next_content_ = 1;
  uint64_t allocated_ = 0;
};

TEST(SweepRandomTest, LiveCellsAreKeptAndOnlyThey) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 3; round++) {
    Program program(&random);
    for (int i = 0; i < 800; i++) {
      SCOPED_TRACE(testing::Message() << "round " << round << " step " << i);
      const size_t choice = random.Below(100);
      if (choice < 70) {
        ASSERT_NO_FATAL_FAILURE(program.Allocate());
      } else if (choice < 75) {
        ASSERT_NO_FATAL_FAILURE(program.AllocateLarge());
      } else if (choice < 90) {
        ASSERT_NO_FATAL_FAILURE(program.SweepSome());
      } else if (choice < 93) {
        ASSERT_NO_FATAL_FAILURE(program.Check());
      } else {
        ASSERT_NO_FATAL_FAILURE(program.Cycle());
      }
    }
    ASSERT_NO_FATAL_FAILURE(program.Finish());
  }
}

}  // namespace
}  // namespace loam
