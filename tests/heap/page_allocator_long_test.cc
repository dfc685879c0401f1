// Many random operations on a page allocator over pieces of address space far
// apart, and on two plain bitmaps, which must agree: every run found, every
// count; and all along the allocator's own summaries and search address.

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = PageAllocatorFixture::kNone;
constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
constexpr size_t kOperations = LOAM_TEST_OPERATIONS;
constexpr size_t kChecks = 2000;
constexpr size_t kGiB = (size_t{1} << 30) / kPageBytes;  // pages

// 5 TiB, or what fits the build's addresses.
constexpr size_t kFar = (kHasUserAddressBits ? 5000 : 30) * kGiB;

// What the heap may grow into, by pages from the fixture's base. Two of them
// meet at an arena's boundary, one at a chunk's; others leave holes.
struct Piece {
  size_t page;
  size_t count;
  size_t model = 0;  // where it lies in the bitmaps
  size_t grown = 0;
};
const Piece kPieces[] = {
    {0, 1500},
    {kArena - 2048, 2048},
    {kArena, 3000},
    {kArena + 4096, 512},
    {kArena + 4608, 700},
    {20 * kGiB + 512, 1024},
    {kFar + 37, 2000},
    {3 * kFar, 64},
};

class Bitmaps {
 public:
  explicit Bitmaps(size_t pages)
      : free_((pages + 63) / 64), scavenged_(free_.size()) {}

  // Page by page, but for words that are all alike.
  size_t Find(size_t count) const {
    size_t run = 0;
    for (size_t w = 0; w < free_.size(); w++) {
      if (free_[w] == 0) {
        run = 0;
        continue;
      }
      for (size_t b = 0; b < 64; b++) {
        run = (free_[w] >> b & 1) != 0 ? run + 1 : 0;
        if (run == count) return w * 64 + b + 1 - count;
      }
    }
    return kNone;
  }
  void SetFree(size_t page, size_t count, bool scavenged) {
    for (size_t p = page; p < page + count; p++) {
      free_[p / 64] |= uint64_t{1} << p % 64;
      if (scavenged) scavenged_[p / 64] |= uint64_t{1} << p % 64;
    }
    free_pages += count;
    if (scavenged) scavenged_pages += count;
  }
  // How many of them were scavenged.
  size_t SetUsed(size_t page, size_t count) {
    size_t scavenged = 0;
    for (size_t p = page; p < page + count; p++) {
      const uint64_t bit = uint64_t{1} << p % 64;
      EXPECT_TRUE((free_[p / 64] & bit) != 0) << p;
      scavenged += (scavenged_[p / 64] & bit) != 0;
      free_[p / 64] &= ~bit;
      scavenged_[p / 64] &= ~bit;
    }
    free_pages -= count;
    scavenged_pages -= scavenged;
    return scavenged;
  }
  void SetScavenged(size_t page) {
    const uint64_t bit = uint64_t{1} << page % 64;
    EXPECT_TRUE((free_[page / 64] & bit) != 0) << page;
    EXPECT_TRUE((scavenged_[page / 64] & bit) == 0) << page;
    scavenged_[page / 64] |= bit;
    scavenged_pages++;
  }

  size_t free_pages = 0;
  size_t scavenged_pages = 0;  // of the free ones

 private:
  std::vector<uint64_t> free_;
  std::vector<uint64_t> scavenged_;
};

class PageAllocatorLongTest : public testing::TestWithParam<int> {
 protected:
  PageAllocatorLongTest() {
    size_t last_arena = kNone;
    for (Piece& piece : pieces_) {
      const size_t arena = piece.page / kArena;
      if (arena != last_arena) fixture_.AddArena(arena);
      last_arena = arena;
    }
  }

  // Pieces that touch are neighbours in the bitmaps; between others is a page
  // that is never free.
  static std::vector<Piece> Layout() {
    std::vector<Piece> pieces(std::begin(kPieces), std::end(kPieces));
    for (size_t i = 1; i < pieces.size(); i++) {
      const Piece& before = pieces[i - 1];
      const bool touches = before.page + before.count == pieces[i].page;
      pieces[i].model = before.model + before.count + (touches ? 0 : 1);
    }
    return pieces;
  }
  size_t ToPage(size_t model) const {
    const auto behind = std::upper_bound(
        pieces_.begin(), pieces_.end(), model,
        [](size_t m, const Piece& piece) { return m < piece.model; });
    return (behind - 1)->page + (model - (behind - 1)->model);
  }
  size_t ToModel(size_t page) const {
    const auto behind = std::upper_bound(
        pieces_.begin(), pieces_.end(), page,
        [](size_t p, const Piece& piece) { return p < piece.page; });
    return (behind - 1)->model + (page - (behind - 1)->page);
  }

  void Step() {
    const size_t choice = random_.Below(1000);
    if (choice < 2) {
      Grow();
    } else if (choice < 510) {
      Allocate();
    } else if (choice < 990) {
      Free();
    } else if (choice < 995) {
      Scavenge();
    } else {
      ScavengeOutside();
    }
    ASSERT_EQ(fixture_.pages()->free_pages(), model_.free_pages);
    ASSERT_EQ(fixture_.pages()->free_committed_pages(),
              model_.free_pages - model_.scavenged_pages);
  }

  void Grow() {
    Piece& piece = pieces_[random_.Below(pieces_.size())];
    const size_t count =
        std::min(piece.count - piece.grown, random_.Between(1, 600));
    if (count == 0) return;
    fixture_.Grow(piece.page + piece.grown, count);
    model_.SetFree(piece.model + piece.grown, count, /*scavenged=*/true);
    piece.grown += count;
  }

  void Allocate() {
    size_t count = random_.Between(1, 8);
    if (random_.OneIn(8)) count = random_.Between(1, 100);
    if (random_.OneIn(50)) count = random_.Between(400, 6000);
    const size_t expected = model_.Find(count);
    const uintptr_t found = fixture_.pages()->Find(count);
    if (expected == kNone) {
      ASSERT_EQ(found, 0) << count;
      return;
    }
    const size_t page = ToPage(expected);
    ASSERT_EQ(found, PageAllocatorFixture::Address(page)) << count;
    const size_t scavenged = fixture_.CountScavenged(page, count);
    ASSERT_EQ(model_.SetUsed(expected, count), scavenged);
    fixture_.AllocateAt(page, count);
    runs_.push_back({page, count});
  }

  // Part of a run at times, so that runs of any length come to be.
  void Free() {
    if (runs_.empty()) return;
    std::swap(runs_[random_.Below(runs_.size())], runs_.back());
    Run& run = runs_.back();
    const size_t count =
        random_.OneIn(3) ? random_.Between(1, run.count) : run.count;
    run.count -= count;
    const size_t page = run.page + run.count;
    if (run.count == 0) runs_.pop_back();
    fixture_.Free(page, count);
    model_.SetFree(ToModel(page), count, /*scavenged=*/false);
  }

  void Scavenge() {
    const size_t committed = fixture_.pages()->free_committed_pages();
    const size_t most = random_.OneIn(20) ? SIZE_MAX : random_.Between(1, 300);
    const size_t done =
        fixture_.pages()->Scavenge(most, [&](uintptr_t address, size_t count) {
          const size_t page = PageAllocatorFixture::PageNumber(address);
          for (size_t i = 0; i < count; i++) {
            model_.SetScavenged(ToModel(page + i));
          }
          return true;
        });
    ASSERT_EQ(done, std::min(most, committed));
  }

  // In steps, as without the lock: what was taken is nobody's meanwhile.
  void ScavengeOutside() {
    uintptr_t below = random_.OneIn(2) ? UINTPTR_MAX
                                       : PageAllocatorFixture::Address(ToPage(
                                             random_.Below(model_pages_)));
    for (size_t steps = random_.Between(1, 5); steps > 0; steps--) {
      const PageAllocator::PageRun run =
          fixture_.pages()->TakeScavengable(below, random_.Between(1, 100));
      if (run.pages == 0) return;
      ASSERT_LE(run.address + run.pages * kPageBytes, below);
      below = run.address;
      const size_t first =
          ToModel(PageAllocatorFixture::PageNumber(run.address));
      ASSERT_EQ(model_.SetUsed(first, run.pages), 0) << "none was scavenged";
      ASSERT_EQ(fixture_.pages()->free_pages(), model_.free_pages);
      if (random_.OneIn(8)) {
        fixture_.pages()->ReturnCommitted(run);
        model_.SetFree(first, run.pages, /*scavenged=*/false);
      } else {
        fixture_.pages()->ReturnScavenged(run);
        model_.SetFree(first, run.pages, /*scavenged=*/true);
      }
    }
  }

  struct Run {
    size_t page;
    size_t count;
  };

  TestRandom random_;
  PageAllocatorFixture fixture_;
  std::vector<Piece> pieces_ = Layout();
  const size_t model_pages_ = pieces_.back().model + pieces_.back().count;
  Bitmaps model_{model_pages_};
  std::vector<Run> runs_;
};

TEST_P(PageAllocatorLongTest, AgreesWithBitmaps) {
  SCOPED_TRACE(random_.Describe());
  for (size_t i = 0; i < kOperations / LOAM_TEST_ROUNDS; i++) {
    ASSERT_NO_FATAL_FAILURE(Step()) << i;
    ASSERT_FALSE(HasFailure()) << i;
    if (i % (kOperations / LOAM_TEST_ROUNDS / kChecks) == 0) {
      ASSERT_NO_FATAL_FAILURE(fixture_.Check()) << i;
    }
  }
  // It came to everything.
  for (const Piece& piece : pieces_) EXPECT_EQ(piece.grown, piece.count);
  EXPECT_FALSE(runs_.empty());
}

INSTANTIATE_TEST_SUITE_P(Rounds, PageAllocatorLongTest,
                         testing::Range(0, LOAM_TEST_ROUNDS));

}  // namespace
}  // namespace loam
