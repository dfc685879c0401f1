#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/address_space.h"
#include "runtime/heap/arena.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/metadata_allocator.h"

namespace loam {
namespace {

constexpr uintptr_t kSomewhere = AddressSpace::kFirstHint;

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
       {uintptr_t{0}, uintptr_t{1}, kSomewhere, UINTPTR_MAX}) {
    EXPECT_EQ(map_.Find(address), nullptr);
    EXPECT_EQ(map_.FindSpan(address), nullptr);
  }
}

TEST_F(ArenaMapTest, FindsExactlyTheAddressesOfItsArenas) {
  // The lowest and highest places, neighbours, and one in a table of its own.
  const std::vector<uintptr_t> bases = {
      kArenaBytes,
      kSomewhere,
      kSomewhere + kArenaBytes,
      kSomewhere + 60 * AddressSpace::kHintStep,
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

TEST_F(ArenaMapTest, AddressesWithMoreBitsAreInNoArena) {
  ASSERT_NE(Add(kSomewhere), nullptr);
  EXPECT_EQ(map_.Find(kSomewhere | uintptr_t{1} << kAddressBits), nullptr);
  EXPECT_EQ(map_.Find(kSomewhere | uintptr_t{1} << 63), nullptr);
  EXPECT_FALSE(map_.Prepare(uintptr_t{1} << kAddressBits, kArenaBytes));
}

TEST_F(ArenaMapTest, PreparedButAbsentArenasAreNotFound) {
  ASSERT_TRUE(map_.Prepare(kSomewhere, 4 * kArenaBytes));
  EXPECT_EQ(map_.Find(kSomewhere), nullptr);
}

TEST_F(ArenaMapTest, PrepareFailsWithoutMemory) {
  ledger_.set_limit(0);
  EXPECT_FALSE(map_.Prepare(kSomewhere, kArenaBytes));
  EXPECT_EQ(map_.Find(kSomewhere), nullptr);
  ledger_.set_limit(UINT64_MAX);
  EXPECT_TRUE(map_.Prepare(kSomewhere, kArenaBytes));
}

TEST_F(ArenaMapTest, SpansAreFoundByPage) {
  Arena* arena = Add(kSomewhere);
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
