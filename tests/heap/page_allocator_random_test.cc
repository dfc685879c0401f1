// Random operations on a page allocator and on a plain reference model, which
// must agree at every step.

#include <algorithm>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = PageAllocatorFixture::kNone;
constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
// Arenas 0 to 7; 3 never exists.
constexpr size_t kArenas = 8;
constexpr size_t kMissingArena = 3;

enum class PageState : char { kOutside, kUsed, kFree, kScavenged };

class Model {
 public:
  size_t Find(size_t count) const {
    size_t run = 0;
    for (size_t p = 0; p < pages_.size(); p++) {
      run = IsFree(p) ? run + 1 : 0;
      if (run == count) return p + 1 - count;
    }
    return kNone;
  }
  void Set(size_t page, size_t count, PageState state) {
    std::fill_n(pages_.begin() + static_cast<ptrdiff_t>(page), count, state);
  }
  size_t Count(PageState state) const {
    return static_cast<size_t>(std::count(pages_.begin(), pages_.end(), state));
  }
  size_t CountIn(size_t page, size_t count, PageState state) const {
    const auto first = pages_.begin() + static_cast<ptrdiff_t>(page);
    return static_cast<size_t>(
        std::count(first, first + static_cast<ptrdiff_t>(count), state));
  }
  // The highest pages that are free and committed.
  std::vector<size_t> Reclaimable(size_t most) const {
    std::vector<size_t> pages;
    // A run is handed out from its start, within the chunk.
    for (size_t c = pages_.size() / kPagesPerChunk; c-- > 0;) {
      for (size_t i = 0; i < kPagesPerChunk && pages.size() < most; i++) {
        const size_t p = c * kPagesPerChunk + i;
        if (pages_[p] == PageState::kFree) pages.push_back(p);
      }
    }
    return pages;
  }

 private:
  bool IsFree(size_t p) const {
    return pages_[p] == PageState::kFree || pages_[p] == PageState::kScavenged;
  }

  std::vector<PageState> pages_ =
      std::vector<PageState>(kArenas * kArena, PageState::kOutside);
};

struct Run {
  size_t page;
  size_t count;
};

class RandomPages {
 public:
  explicit RandomPages(TestRandom* random) : random_(*random) {
    for (size_t a = 0; a < kArenas; a++) {
      if (a != kMissingArena) unused_.push_back(a);
    }
    std::shuffle(unused_.begin(), unused_.end(),
                 std::mt19937_64(random_.Next()));
  }

  void Step() {
    const size_t choice = random_.Below(100);
    if (choice < 2) {
      Grow();
    } else if (choice < 55) {
      Allocate();
    } else if (choice < 97) {
      Free();
    } else {
      Scavenge();
    }
    ASSERT_NO_FATAL_FAILURE(fixture_.Check());
    ASSERT_EQ(fixture_.pages()->free_committed_pages(),
              model_.Count(PageState::kFree));
    ASSERT_EQ(
        fixture_.pages()->free_pages(),
        model_.Count(PageState::kFree) + model_.Count(PageState::kScavenged));
  }

 private:
  void Grow() {
    if (growing_ == kNone || grown_ == kArena) {
      if (unused_.empty()) return;
      growing_ = unused_.back();
      grown_ = 0;
      unused_.pop_back();
      ASSERT_NO_FATAL_FAILURE(fixture_.AddArena(growing_));
    }
    const size_t count = std::min(kArena - grown_, random_.Between(1, 30) * 64);
    fixture_.Grow(growing_ * kArena + grown_, count);
    model_.Set(growing_ * kArena + grown_, count, PageState::kScavenged);
    grown_ += count;
  }

  void Allocate() {
    size_t count = random_.Between(1, 8);
    if (random_.OneIn(4)) count = random_.Between(1, 100);
    if (random_.OneIn(20)) count = random_.Between(400, 2500);
    if (random_.OneIn(200)) count = random_.Between(8000, 20000);
    const size_t expected = model_.Find(count);
    if (expected != kNone) {
      ASSERT_EQ(fixture_.CountScavenged(expected, count),
                model_.CountIn(expected, count, PageState::kScavenged));
    }
    ASSERT_EQ(fixture_.Allocate(count), expected) << count << " pages";
    if (expected == kNone) return;
    model_.Set(expected, count, PageState::kUsed);
    runs_.push_back({expected, count});
  }

  void Free() {
    if (runs_.empty()) return;
    std::swap(runs_[random_.Below(runs_.size())], runs_.back());
    const Run run = runs_.back();
    runs_.pop_back();
    fixture_.Free(run.page, run.count);
    model_.Set(run.page, run.count, PageState::kFree);
  }

  void Scavenge() {
    const size_t most = random_.OneIn(5) ? SIZE_MAX : random_.Between(1, 300);
    const std::vector<size_t> expected = model_.Reclaimable(most);
    std::vector<size_t> pages;
    const size_t count =
        fixture_.pages()->Scavenge(most, [&](uintptr_t address, size_t n) {
          const size_t first = PageAllocatorFixture::PageNumber(address);
          for (size_t i = 0; i < n; i++) pages.push_back(first + i);
          return true;
        });
    ASSERT_EQ(count, expected.size());
    ASSERT_EQ(pages, expected);
    for (const size_t page : pages) {
      model_.Set(page, 1, PageState::kScavenged);
    }
  }

  TestRandom& random_;
  PageAllocatorFixture fixture_;
  Model model_;
  std::vector<Run> runs_;
  std::vector<size_t> unused_;
  size_t growing_ = kNone;
  size_t grown_ = 0;
};

TEST(PageAllocatorRandomTest, AgreesWithTheModel) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 3; round++) {
    RandomPages pages(&random);
    for (int i = 0; i < 1000; i++) {
      SCOPED_TRACE(testing::Message() << "round " << round << " step " << i);
      ASSERT_NO_FATAL_FAILURE(pages.Step());
    }
  }
}

}  // namespace
}  // namespace loam
