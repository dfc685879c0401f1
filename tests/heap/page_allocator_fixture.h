// A page allocator over made-up arenas: it never touches the pages.

#ifndef LOAM_TESTS_HEAP_PAGE_ALLOCATOR_FIXTURE_H_
#define LOAM_TESTS_HEAP_PAGE_ALLOCATOR_FIXTURE_H_

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "runtime/heap/address_space.h"
#include "runtime/heap/arena.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_allocator.h"

namespace loam {

class PageAllocatorFixture {
 public:
  static constexpr uintptr_t kBase = AddressSpace::kFirstHint;
  // What the tests call an arena: 64 MiB, several arenas where those are small.
  static constexpr size_t kArenaPages = 8192;
  static_assert(kArenaPages % kPagesPerArena == 0);

  PageAllocatorFixture() { EXPECT_TRUE(pages_.Initialize(&ledger_)); }
  ~PageAllocatorFixture() { pages_.Release(); }
  PageAllocatorFixture(const PageAllocatorFixture&) = delete;
  PageAllocatorFixture& operator=(const PageAllocatorFixture&) = delete;

  // Page p of arena 0 is page number p; arena 1 follows it, and so on.
  static uintptr_t Address(size_t page) { return kBase + page * kPageBytes; }
  static size_t PageNumber(uintptr_t address) {
    return (address - kBase) / kPageBytes;
  }

  void AddArena(size_t index) {
    for (size_t page = 0; page < kArenaPages; page += kPagesPerArena) {
      ASSERT_NO_FATAL_FAILURE(
          AddRealArena(Address(index * kArenaPages + page)));
    }
  }
  void Grow(size_t page, size_t count) { pages_.Grow(Address(page), count); }
  // A whole arena, ready.
  void AddFreeArena(size_t index) {
    AddArena(index);
    Grow(index * kArenaPages, kArenaPages);
  }

  static constexpr size_t kNone = SIZE_MAX;
  // The page number of a new run, or kNone.
  size_t Allocate(size_t count) {
    const uintptr_t address = pages_.Find(count);
    if (address == 0) return kNone;
    pages_.Allocate(address, count);
    return PageNumber(address);
  }
  void AllocateAt(size_t page, size_t count) {
    pages_.Allocate(Address(page), count);
  }
  void Free(size_t page, size_t count) { pages_.Free(Address(page), count); }
  size_t CountScavenged(size_t page, size_t count) const {
    return pages_.CountScavenged(Address(page), count);
  }

  // Fails the test at the first invariant that does not hold.
  void Check() const {
    char problem[256] = "";
    ASSERT_TRUE(pages_.CheckInvariants(problem, sizeof(problem))) << problem;
  }

  PageAllocator* pages() { return &pages_; }
  ArenaMap* map() { return &map_; }

 private:
  void AddRealArena(uintptr_t base) {
    auto* arena = static_cast<Arena*>(
        persistent_.Allocate(sizeof(Arena), alignof(Arena)));
    ASSERT_NE(arena, nullptr);
    arena->base = base;
    arena->zeroed_base = base;
    ASSERT_TRUE(map_.Prepare(base, kArenaBytes));
    ASSERT_TRUE(pages_.AddArena(arena));
    map_.Insert(arena);
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  ArenaMap map_{&persistent_};
  PageAllocator pages_{&map_};
};

}  // namespace loam

#endif  // LOAM_TESTS_HEAP_PAGE_ALLOCATOR_FIXTURE_H_
