// Where a heap's arenas lie: hints, what follows when they are taken, the
// linear range, a random base.

#include "runtime/heap/address_space.h"

#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"
#include "tests/heap/free_place.h"
#include "tests/heap/span_of_pages.h"
#include "tests/support/mappings.h"

namespace loam {
namespace {

using loam_test::MappedBytes;
using loam_test::RuntimeBytes;
using loam_test::RuntimeHasGrownBy;

constexpr uintptr_t kHintStep = AddressSpace::kHintStep;

// Mappings of the test's own, without access.
class Obstacles {
 public:
  ~Obstacles() {
    for (const auto& [address, bytes] : mappings_) os::Release(address, bytes);
  }
  // Takes what is free of it already, or is not; either way it is taken.
  void Put(uintptr_t address, size_t bytes) {
    if (os::ReserveExactly(address, bytes) != 0) {
      mappings_.push_back({address, bytes});
    }
  }
  // Takes so much anywhere, aligned like arenas, but for a hole of `arenas` in
  // the middle, in which the OS puts what needs two: it takes the highest place
  // that there is, and those above are taken too.
  uintptr_t LeaveHole(size_t arenas) {
    constexpr size_t kHalf = 1024 * kArenaBytes;
    const size_t bytes = 2 * kHalf;
    const uintptr_t base = os::Reserve(0, bytes, kArenaBytes);
    EXPECT_NE(base, 0);
    for (;;) {
      const uintptr_t other = os::Reserve(0, 2 * kArenaBytes, kOsPageBytes);
      if (other == 0) break;
      if (other < base) {
        os::Release(other, 2 * kArenaBytes);
        break;
      }
      mappings_.push_back({other, 2 * kArenaBytes});
    }
    const uintptr_t hole = base + kHalf;
    os::Release(hole, arenas * kArenaBytes);
    mappings_.push_back({base, kHalf});
    mappings_.push_back(
        {hole + arenas * kArenaBytes, kHalf - arenas * kArenaBytes});
    return hole;
  }

 private:
  std::vector<std::pair<uintptr_t, size_t>> mappings_;
};

// Arenas of one heap under test.
class Heap {
 public:
  explicit Heap(const PageHeapOptions& options)
      : heap_(std::make_unique<PageHeap>(&ledger_, &persistent_, options)) {
    EXPECT_TRUE(heap_->Initialize());
  }
  // One arena's worth of pages, written to; its address.
  uintptr_t FillArena() { return Fill(kPagesPerArena); }
  uintptr_t Fill(size_t pages) {
    Span* span = heap_->AllocateSpan(Pages(pages), kGeneration, true);
    if (span == nullptr) return 0;
    if (!span->need_zero) {
      EXPECT_EQ(*reinterpret_cast<uint64_t*>(span->base), 0u);
    }
    fresh_ += !span->need_zero;
    memset(reinterpret_cast<void*>(span->base), 1, kPageBytes);
    memset(reinterpret_cast<void*>(span->base + span->bytes() - kPageBytes), 1,
           kPageBytes);
    spans_.push_back(span);
    return span->base;
  }
  void FreeAll() {
    for (Span* span : spans_) heap_->FreeSpan(span);
    spans_.clear();
  }
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(heap_->CheckInvariants(problem, sizeof(problem))) << problem;
  }
  PageHeap* operator->() { return heap_.get(); }
  size_t fresh() const { return fresh_; }  // spans that need no zeroing

 private:
  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  std::unique_ptr<PageHeap> heap_;
  std::vector<Span*> spans_;
  size_t fresh_ = 0;
};

PageHeapOptions NoLinearRange() {
  PageHeapOptions options;
  options.linear_reservation_bytes = 0;
  return options;
}

TEST(AddressSpaceTest, TakesTheFirstHintThatIsFree) {
  const uintptr_t first = FreePlace(64 * kArenaBytes);
  Obstacles obstacles;
  obstacles.Put(first + 2 * kArenaBytes, kArenaBytes);
  AddressSpace space;
  space.Initialize({.first_hint = first, .linear_bytes = 0});
  EXPECT_EQ(space.Reserve(kArenaBytes), first);
  EXPECT_EQ(space.Reserve(kArenaBytes), first + kArenaBytes);
  EXPECT_FALSE(space.ReserveAt(first + 2 * kArenaBytes, kArenaBytes));
  os::Release(first, 2 * kArenaBytes);
}

TEST(AddressSpaceTest, WhatIsReturnedIsTakenAgain) {
  const uintptr_t first = FreePlace(64 * kArenaBytes);
  AddressSpace space;
  space.Initialize({.first_hint = first, .linear_bytes = 0});
  ASSERT_EQ(space.Reserve(4 * kArenaBytes), first);
  space.Return(first + kArenaBytes, 3 * kArenaBytes);
  EXPECT_EQ(MappedBytes(first, first + 4 * kArenaBytes), kArenaBytes);
  EXPECT_EQ(space.Reserve(kArenaBytes), first + kArenaBytes);
  os::Release(first, 2 * kArenaBytes);
}

// A request too large for any place does not cost the hints.
TEST(AddressSpaceTest, AnImpossibleRequestLeavesTheHints) {
  const uintptr_t first = FreePlace(64 * kArenaBytes);
  AddressSpace space;
  space.Initialize({.first_hint = first, .linear_bytes = 0});
  const size_t hints = space.hint_count();
  EXPECT_EQ(space.Reserve(size_t{1} << 60), 0);
  EXPECT_EQ(space.Reserve(SIZE_MAX - kArenaBytes + 1), 0);
  EXPECT_EQ(space.hint_count(), hints);
  EXPECT_EQ(space.Reserve(kArenaBytes), first);
  os::Release(first, kArenaBytes);
}

#if LOAM_ADDRESS_BITS >= 47  // Elsewhere the OS has no place that fits.

// All hints are taken; the OS's own place has room for an arena above it and
// for one below.
//
//   X obstacle, . free         X X X . 1 . X X X
//   grows                            3 1 2          then elsewhere
void GrowUpThenDownThenElsewhere(uintptr_t* place) {
  constexpr size_t kA = kArenaBytes;
  const uintptr_t first = FreePlace(4 * kA);
  Obstacles obstacles;
  for (size_t i = 0; i < AddressSpace::kHints; i++) {
    obstacles.Put(first + i * kHintStep, kA);
  }
  PageHeapOptions options = NoLinearRange();
  options.arena_hint = first;
  Heap heap(options);
  // The OS takes the highest place for two arenas, of which one is aligned: the
  // upper two of these three.
  const uintptr_t hole = obstacles.LeaveHole(3);
  *place = hole;
  ASSERT_EQ(heap.FillArena(), hole + kA);
  EXPECT_EQ(heap.FillArena(), hole + 2 * kA) << "up";
  ASSERT_NO_FATAL_FAILURE(heap.Check());
  EXPECT_EQ(heap->lowest_address(), hole + kA);
  EXPECT_EQ(heap.Fill(kPagesPerArena - 3), hole) << "down";
  ASSERT_NO_FATAL_FAILURE(heap.Check());
  EXPECT_EQ(heap->lowest_address(), hole);
  EXPECT_EQ(heap->highest_address(), hole + 3 * kA);
  EXPECT_EQ(heap->FindSpan(hole)->base, hole);
  const uintptr_t elsewhere = heap.FillArena();
  ASSERT_NE(elsewhere, 0);
  EXPECT_TRUE(elsewhere < hole || elsewhere >= hole + 3 * kA);
  EXPECT_EQ(elsewhere % kA, 0);
  ASSERT_NO_FATAL_FAILURE(heap.Check());
  EXPECT_EQ(heap.Fill(3), hole + kA - 3 * kPageBytes)
      << "the rest of the arena below";
  EXPECT_EQ(heap.fresh(), 5);

  // The three arenas in the hole are one run now.
  heap.FreeAll();
  ASSERT_NO_FATAL_FAILURE(heap.Check());
  Span* span = heap->AllocateSpan(Pages(3 * kPagesPerArena), kGeneration,
                                  /*may_grow=*/false);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->base, elsewhere < hole ? hole : hole);
  EXPECT_TRUE(span->need_zero);
  for (size_t page = 0; page < span->page_count; page += 100) {
    ASSERT_EQ(heap->FindSpan(span->base + page * kPageBytes), span);
  }
  heap->FreeSpan(span);
  ASSERT_NO_FATAL_FAILURE(heap.Check());
}

TEST(AddressSpaceTest, GrowsUpThenDownThenElsewhereWhenHintsAreTaken) {
  const size_t before = RuntimeBytes();
  uintptr_t place = 0;
  ASSERT_NO_FATAL_FAILURE(GrowUpThenDownThenElsewhere(&place));
  EXPECT_TRUE(RuntimeHasGrownBy(0, before));
  EXPECT_EQ(MappedBytes(place, place + 3 * kArenaBytes), 0);
}

TEST(AddressSpaceTest, GrowsDownAsLongAsThereIsRoom) {
  constexpr size_t kA = kArenaBytes;
  Obstacles obstacles;
  const uintptr_t first = FreePlace(4 * kA);
  for (size_t i = 0; i < AddressSpace::kHints; i++) {
    obstacles.Put(first + i * kHintStep, kA);
  }
  AddressSpace space;
  space.Initialize({.first_hint = first, .linear_bytes = 0});
  const uintptr_t hole = obstacles.LeaveHole(8);
  const uintptr_t base = space.Reserve(kA);
  ASSERT_GT(base, hole);
  ASSERT_EQ(space.hint_count(), 2);
  uintptr_t highest = base + kA;
  while (space.ReserveAt(highest, kA)) highest += kA;
  EXPECT_EQ(highest, hole + 8 * kA);
  uintptr_t lowest = base;
  for (size_t i = 1; lowest - hole >= 2 * kA; i = 2) {
    const uintptr_t next = space.Reserve(i * kA);
    ASSERT_EQ(next, lowest - i * kA);
    EXPECT_EQ(space.hint_count(), 1) << "the one upwards is at its end";
    lowest = next;
  }
  os::Release(lowest, highest - lowest);
}

#else

TEST(AddressSpaceTest, WhatTheOsGivesElsewhereIsNotTaken) {
  const size_t before = RuntimeBytes();
  {
    Obstacles obstacles;
    AddressSpace space;
    // Everything that fits is an obstacle.
    obstacles.Put(AddressSpace::kFirstHint,
                  (uintptr_t{1} << kAddressBits) - AddressSpace::kFirstHint);
    space.Initialize({.first_hint = 0, .linear_bytes = 0});
    EXPECT_EQ(space.Reserve(kArenaBytes), 0);
  }
  EXPECT_TRUE(RuntimeHasGrownBy(0, before));
}

#endif

TEST(AddressSpaceTest, LinearRangeIsUsedUpBeforeAnythingElse) {
  constexpr size_t kA = kArenaBytes;
  const uintptr_t first = FreePlace(64 * kA);
  PageHeapOptions options;
  options.arena_hint = first;
  options.linear_reservation_bytes = 4 * kA;
  for (int round = 0; round < 2; round++) {
    const size_t before = MappedBytes(first, first + 64 * kA);
    EXPECT_EQ(before, 0);
    Heap heap(options);
    EXPECT_EQ(heap->stats().reserved_bytes, 4 * kA);
    EXPECT_EQ(heap->stats().mapped_bytes, 0);
    EXPECT_EQ(MappedBytes(first, first + 64 * kA), 4 * kA);
    Obstacles obstacles;  // What follows belongs to others.
    obstacles.Put(first + 4 * kA, 60 * kA);
    for (size_t i = 0; i < 4; i++) {
      EXPECT_EQ(heap.FillArena(), first + i * kA) << "linear";
      ASSERT_NO_FATAL_FAILURE(heap.Check());
    }
    EXPECT_EQ(heap->stats().reserved_bytes, 4 * kA);
    EXPECT_EQ(heap->stats().mapped_bytes, 4 * kA);
    const uintptr_t next = heap.FillArena();
    ASSERT_NE(next, 0);
    EXPECT_TRUE(next < first || next >= first + 64 * kA) << "the OS's";
    EXPECT_EQ(heap->stats().reserved_bytes, 5 * kA);
    ASSERT_NO_FATAL_FAILURE(heap.Check());
  }
  EXPECT_EQ(MappedBytes(first, first + 64 * kA), 0) << "all went back";
}

TEST(AddressSpaceTest, RequestTooLargeForTheLinearRangeLeavesIt) {
  constexpr size_t kA = kArenaBytes;
  const uintptr_t first = FreePlace(64 * kA);
  AddressSpace space;
  space.Initialize({.first_hint = first, .linear_bytes = 4 * kA});
  EXPECT_EQ(space.linear_left(), 4 * kA);
  EXPECT_EQ(space.Reserve(kA), first);
  EXPECT_EQ(space.Reserve(5 * kA), first + 4 * kA);
  EXPECT_FALSE(space.ReserveAt(first + kA, 4 * kA));
  EXPECT_TRUE(space.ReserveAt(first + kA, 2 * kA));
  space.Return(first + 2 * kA, kA);
  EXPECT_EQ(space.linear_left(), 2 * kA);
  space.Release();
  EXPECT_EQ(MappedBytes(first, first + 64 * kA), 2 * kA + 5 * kA);
  os::Release(first, 2 * kA);
  os::Release(first + 4 * kA, 5 * kA);
}

TEST(AddressSpaceTest, LinearRangeIsSmallerWhereThereIsNoMore) {
  constexpr size_t kA = kArenaBytes;
  const uintptr_t first = FreePlace(8 * kA);
  AddressSpace space;
  // More than the address space of a process has.
  const size_t wanted = (size_t{1} << 47) + (size_t{1} << 46);
  const uintptr_t quarter = os::Reserve(0, wanted / 4, kA);
  if (quarter != 0) os::Release(quarter, wanted / 4);
  space.Initialize({.first_hint = first, .linear_bytes = wanted});
  if (quarter != 0 && kHasUserAddressBits) {
    EXPECT_LE(space.linear_left(), wanted / 2);
    EXPECT_GE(space.linear_left(), wanted / 4);
  } else {
    EXPECT_EQ(space.linear_left(), 0) << "it does without";
  }
  space.Release();
  EXPECT_EQ(space.linear_left(), 0);
}

TEST(AddressSpaceTest, WithoutRandomBaseAllIsAsBefore) {
  AddressSpace a;
  AddressSpace b;
  a.Initialize({.first_hint = 0, .linear_bytes = 0});
  const uintptr_t first = a.Reserve(kArenaBytes);
  os::Release(first, kArenaBytes);
  b.Initialize({.first_hint = 0, .linear_bytes = 0});
  EXPECT_EQ(b.Reserve(kArenaBytes), first);
  os::Release(first, kArenaBytes);
  EXPECT_EQ(a.first_padding_pages(), 0);
}

// Two of 16 heaps may be alike by chance; that all are is no chance.
TEST(AddressSpaceTest, RandomBaseMovesArenasAndPages) {
  PageHeapOptions options = NoLinearRange();
  options.randomize_base = true;
  std::set<uintptr_t> arenas;
  std::set<size_t> pages;
  for (int i = 0; i < 16; i++) {
    Heap heap(options);
    const uintptr_t base = heap.Fill(1);
    ASSERT_NE(base, 0);
    arenas.insert(base - base % kArenaBytes);
    pages.insert(Arena::PageIndex(base));
    EXPECT_EQ(heap->lowest_address(), base);
    // More than an arena, over its edge; and nothing below the first page.
    const uintptr_t large = heap.Fill(kPagesPerArena + 5);
    ASSERT_NE(large, 0);
    EXPECT_GT(large, base);
    for (int j = 0; j < 100; j++) EXPECT_GE(heap.Fill(3), base);
    ASSERT_NO_FATAL_FAILURE(heap.Check());
    heap.FreeAll();
    ASSERT_NO_FATAL_FAILURE(heap.Check());
    EXPECT_EQ(heap.Fill(1), base) << "first fit";
  }
  EXPECT_GE(arenas.size(), 2);
  EXPECT_GE(pages.size(), 2);
}

TEST(AddressSpaceTest, RandomBaseStaysNearItsHint) {
  for (int i = 0; i < 100; i++) {
    AddressSpace space;
    const uintptr_t first = FreePlace(4 * kArenaBytes);
    space.Initialize(
        {.first_hint = first, .linear_bytes = 0, .randomize = true});
    EXPECT_LT(space.first_padding_pages(), kPagesPerArena);
    EXPECT_GT(space.hint_count(), 0);
  }
}

}  // namespace
}  // namespace loam
