#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/arena.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/metadata_allocator.h"

namespace loam {
namespace {

class ArenaMapTest : public testing::Test {
 protected:
  Arena* Add(uintptr_t base) {
    auto* arena = static_cast<Arena*>(
        persistent_.Allocate(sizeof(Arena), alignof(Arena)));
    if (arena == nullptr || !map_.Prepare(base, kArenaBytes)) return nullptr;
    arena->base = base;
    map_.Insert(arena);
    return arena;
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  ArenaMap map_{&persistent_};
};

TEST_F(ArenaMapTest, EmptyMapFindsNothing) {
  for (const uintptr_t address :
       {uintptr_t{0}, uintptr_t{1}, uintptr_t{0xc000000000}, UINTPTR_MAX}) {
    EXPECT_EQ(map_.Find(address), nullptr);
    EXPECT_EQ(map_.FindSpan(address), nullptr);
  }
}

TEST_F(ArenaMapTest, FindsExactlyTheAddressesOfItsArenas) {
  // The lowest and highest places, neighbours, and one in a table of its own.
  const std::vector<uintptr_t> bases = {
      kArenaBytes,
      uintptr_t{0xc000000000},
      uintptr_t{0xc000000000} + kArenaBytes,
      uintptr_t{0x7f0000000000},
      (uintptr_t{1} << kAddressBits) - 2 * kArenaBytes,
  };
  std::vector<Arena*> arenas;
  for (const uintptr_t base : bases) {
    Arena* arena = Add(base);
    ASSERT_NE(arena, nullptr);
    arenas.push_back(arena);
  }
  for (size_t i = 0; i < bases.size(); i++) {
    EXPECT_EQ(map_.Find(bases[i]), arenas[i]);
    EXPECT_EQ(map_.Find(bases[i] + kArenaBytes / 2), arenas[i]);
    EXPECT_EQ(map_.Find(bases[i] + kArenaBytes - 1), arenas[i]);
    if (i != 2) {
      EXPECT_EQ(map_.Find(bases[i] - 1), nullptr);
    }
    if (i != 1) {
      EXPECT_EQ(map_.Find(bases[i] + kArenaBytes), nullptr);
    }
  }
  EXPECT_EQ(map_.Find(0), nullptr);
}

TEST_F(ArenaMapTest, AddressesAbove48BitsAreInNoArena) {
  ASSERT_NE(Add(uintptr_t{0xc000000000}), nullptr);
  EXPECT_EQ(map_.Find(uintptr_t{0xc000000000} | uintptr_t{1} << 48), nullptr);
  EXPECT_EQ(map_.Find(uintptr_t{0xc000000000} | uintptr_t{1} << 63), nullptr);
  EXPECT_FALSE(map_.Prepare(uintptr_t{1} << 48, kArenaBytes));
}

TEST_F(ArenaMapTest, PreparedButAbsentArenasAreNotFound) {
  ASSERT_TRUE(map_.Prepare(uintptr_t{0xc000000000}, 4 * kArenaBytes));
  EXPECT_EQ(map_.Find(uintptr_t{0xc000000000}), nullptr);
}

TEST_F(ArenaMapTest, PrepareFailsWithoutMemory) {
  ledger_.set_limit(0);
  EXPECT_FALSE(map_.Prepare(uintptr_t{0xc000000000}, kArenaBytes));
  EXPECT_EQ(map_.Find(uintptr_t{0xc000000000}), nullptr);
  ledger_.set_limit(UINT64_MAX);
  EXPECT_TRUE(map_.Prepare(uintptr_t{0xc000000000}, kArenaBytes));
}

TEST_F(ArenaMapTest, SpansAreFoundByPage) {
  Arena* arena = Add(uintptr_t{0xc000000000});
  ASSERT_NE(arena, nullptr);
  Span span = {};
  arena->spans[7].store(&span);
  const uintptr_t page = arena->base + 7 * kPageBytes;
  EXPECT_EQ(Arena::PageIndex(page), 7);
  EXPECT_EQ(Arena::PageIndex(page + kPageBytes - 1), 7);
  EXPECT_EQ(map_.FindSpan(page), &span);
  EXPECT_EQ(map_.FindSpan(page + kPageBytes - 1), &span);
  EXPECT_EQ(map_.FindSpan(page - 1), nullptr);
  EXPECT_EQ(map_.FindSpan(page + kPageBytes), nullptr);
}

}  // namespace
}  // namespace loam
