// Walking arenas while others are added.

#include "runtime/heap/arena_list.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/page_heap.h"

namespace loam {
namespace {

constexpr uint32_t kGeneration = 4;
constexpr size_t kArenas = 40;

class ArenaListTest : public testing::Test {
 protected:
  ArenaListTest() { EXPECT_TRUE(heap_.Initialize()); }

  // Takes every page of another arena.
  Span* FillArena() {
    SpanShape shape = {};
    shape.kind = SpanKind::kLarge;
    shape.scan = ScanKind::kNoscan;
    shape.pages = kPagesPerArena;
    shape.cell_bytes = kArenaBytes;
    return heap_.AllocateSpan(shape, kGeneration, true);
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  PageHeap heap_{&ledger_, &persistent_, {}};
};

TEST_F(ArenaListTest, SnapshotKeepsTheArenasOfItsMoment) {
  EXPECT_EQ(heap_.arena_snapshot().size(), 0);
  ASSERT_NE(FillArena(), nullptr);
  const ArenaSnapshot one = heap_.arena_snapshot();
  ASSERT_NE(FillArena(), nullptr);
  const ArenaSnapshot two = heap_.arena_snapshot();
  EXPECT_EQ(one.size(), 1);
  EXPECT_EQ(two.size(), 2);
  EXPECT_EQ(one[0], two[0]);
  EXPECT_NE(two[0], two[1]);
  size_t visited = 0;
  for (const Arena* arena : two) {
    EXPECT_EQ(heap_.arena_map().Find(arena->base), arena);
    visited++;
  }
  EXPECT_EQ(visited, 2);
}

TEST_F(ArenaListTest, ArenaThatCannotBeMadeIsInNoSnapshot) {
  ASSERT_NE(FillArena(), nullptr);
  ledger_.set_limit(ledger_.committed() + kOsPageBytes);
  EXPECT_EQ(FillArena(), nullptr);
  EXPECT_EQ(heap_.arena_snapshot().size(), 1);
}

// As the page reclaimer does: without a lock.
TEST_F(ArenaListTest, ArenasAreWalkedWhileOthersAreAdded) {
  std::atomic<bool> done{false};
  size_t rounds = 0;
  size_t seen = 0;  // spans
  std::thread walker([&] {
    std::vector<Arena*> known;
    bool last_round = false;
    while (!last_round) {
      last_round = done.load(std::memory_order_acquire);
      const ArenaSnapshot snapshot = heap_.arena_snapshot();
      ASSERT_GE(snapshot.size(), known.size());
      seen = 0;
      for (size_t i = 0; i < snapshot.size(); i++) {
        Arena* arena = snapshot[i];
        if (i < known.size()) {
          ASSERT_EQ(arena, known[i]);
        } else {
          known.push_back(arena);
        }
        ASSERT_EQ(heap_.arena_map().Find(arena->base), arena);
        ASSERT_EQ(arena->page_specials[0].load(std::memory_order_relaxed), 0u);
        const Span* span = arena->spans[0].load(std::memory_order_acquire);
        if (span == nullptr) continue;
        ASSERT_EQ(span->base, arena->base);
        seen++;
      }
      rounds++;
    }
  });
  std::thread adder([&] {
    for (size_t i = 0; i < kArenas; i++) {
      EXPECT_NE(FillArena(), nullptr);
      std::this_thread::yield();
    }
    done.store(true, std::memory_order_release);
  });
  adder.join();
  walker.join();
  EXPECT_EQ(seen, kArenas);
  EXPECT_GT(rounds, 0);
  EXPECT_EQ(heap_.arena_snapshot().size(), kArenas);
}

}  // namespace
}  // namespace loam
