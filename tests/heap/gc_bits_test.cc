#include "runtime/heap/gc_bits.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/bits.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kBitsArenaBytes = 16 << 10;

// A pattern that only one owner in one epoch writes.
uint64_t Pattern(uint64_t owner, uint64_t epoch) {
  return (owner * 1'000'003 + epoch) * 0x9e3779b97f4a7c15 | 1;
}
void Write(uint64_t* bits, size_t cells, uint64_t pattern) {
  for (size_t i = 0; i < BitmapWords(cells); i++) bits[i] = pattern + i;
}
bool Holds(const uint64_t* bits, size_t cells, uint64_t pattern) {
  for (size_t i = 0; i < BitmapWords(cells); i++) {
    if (bits[i] != pattern + i) return false;
  }
  return true;
}
bool IsZero(const uint64_t* bits, size_t cells) {
  for (size_t i = 0; i < BitmapWords(cells); i++) {
    if (bits[i] != 0) return false;
  }
  return true;
}

TEST(GcBitsTest, NoBitsAreClearForAnySpan) {
  EXPECT_TRUE(IsZero(NoBits(), 1024));  // cells of 8 bytes in one page
}

TEST(GcBitsTest, NothingIsCommittedBeforeTheFirstSpan) {
  MemoryLedger ledger;
  const GcBits bits(&ledger);
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(GcBitsTest, BitsAreZeroAndDisjoint) {
  MemoryLedger ledger;
  GcBits bits(&ledger);
  std::vector<uint64_t*> all;
  for (uint64_t i = 0; i < 3000; i++) {
    ASSERT_TRUE(bits.ReserveFor(100));
    uint64_t* mine = bits.New(100);
    ASSERT_TRUE(IsZero(mine, 100));
    Write(mine, 100, Pattern(i, 0));
    all.push_back(mine);
  }
  for (uint64_t i = 0; i < all.size(); i++) {
    EXPECT_TRUE(Holds(all[i], 100, Pattern(i, 0)));
  }
}

TEST(GcBitsTest, BitsSurviveTwoRotationsAndAreReusedZeroed) {
  MemoryLedger ledger;
  GcBits bits(&ledger);
  constexpr size_t kCells = 1024;
  ASSERT_TRUE(bits.ReserveFor(kCells));
  struct Old {
    uint64_t* bits;
    uint64_t epoch;
  };
  std::vector<Old> old;
  std::set<uint64_t*> seen;
  bool reused = false;
  for (uint64_t epoch = 0; epoch < 50; epoch++) {
    uint64_t* fresh = bits.New(kCells);
    ASSERT_TRUE(IsZero(fresh, kCells)) << epoch;
    reused |= !seen.insert(fresh).second;
    Write(fresh, kCells, Pattern(1, epoch));
    old.push_back({fresh, epoch});
    for (const Old& o : old) {
      if (o.epoch + 2 >= epoch) {
        ASSERT_TRUE(Holds(o.bits, kCells, Pattern(1, o.epoch)))
            << "of epoch " << o.epoch << " in " << epoch;
      }
    }
    bits.NextEpoch();
  }
  EXPECT_TRUE(reused);
  EXPECT_LE(ledger.committed(), 8 * kBitsArenaBytes);
}

TEST(GcBitsTest, ReservationIsRefusedAtTheLimit) {
  MemoryLedger ledger;
  GcBits bits(&ledger);
  ledger.set_limit(20 * kBitsArenaBytes);
  size_t reserved = 0;
  while (bits.ReserveFor(512)) reserved++;
  EXPECT_GT(reserved, 500);
  EXPECT_LE(ledger.committed(), ledger.limit());
  // What was reserved is there, in every epoch.
  for (int epoch = 0; epoch < 5; epoch++) {
    for (size_t i = 0; i < reserved; i++) {
      ASSERT_TRUE(IsZero(bits.New(512), 512));
    }
    bits.NextEpoch();
  }
}

TEST(GcBitsDeathTest, MoreThanReservedIsFatal) {
  EXPECT_DEATH(
      {
        MemoryLedger ledger;
        GcBits bits(&ledger);
        for (int i = 0; i < 10; i++) (void)bits.ReserveFor(1024);
        for (int i = 0; i < 100'000; i++) bits.New(1024);
      },
      "no room for mark bits: 1280 bytes reserved");
}

// A span as far as its bits go.
struct FakeSpan {
  uint64_t id;
  size_t cells;
  uint64_t* mark_bits;
  uint64_t mark_epoch;  // in which mark_bits were taken
  const uint64_t* alloc_bits;
  uint64_t alloc_epoch;
  bool swept;
};

class Spans {
 public:
  Spans(GcBits* bits, TestRandom* random) : bits_(*bits), random_(*random) {}

  void Birth() {
    constexpr size_t kCellCounts[] = {1, 1, 2, 10, 64, 65, 170, 512, 1024};
    FakeSpan span = {};
    span.id = next_id_++;
    span.cells = kCellCounts[random_.Below(std::size(kCellCounts))];
    ASSERT_TRUE(bits_.ReserveFor(span.cells));
    TakeMarkBits(&span);
    span.swept = true;
    spans_.push_back(span);
  }

  // As the sweeper does, whether the span lives on or not.
  void Sweep(size_t index, bool dies) {
    FakeSpan& span = spans_[index];
    ASSERT_FALSE(span.swept);
    Check(span);
    span.alloc_bits = span.mark_bits;
    span.alloc_epoch = span.mark_epoch;
    TakeMarkBits(&span);
    span.swept = true;
    if (dies) Death(index);
  }
  void Death(size_t index) {
    bits_.Unreserve(GcBits::BytesFor(spans_[index].cells));
    spans_[index] = spans_.back();
    spans_.pop_back();
  }

  // One cycle: marking, and sweeping mixed with births until the next.
  void Cycle(size_t births, size_t death_percent) {
    for (const FakeSpan& span : spans_) Check(span);
    bits_.NextEpoch();
    epoch_++;
    for (FakeSpan& span : spans_) span.swept = false;
    std::vector<uint64_t> unswept;
    unswept.reserve(spans_.size());
    for (const FakeSpan& span : spans_) unswept.push_back(span.id);
    while (births > 0 || !unswept.empty()) {
      if (births > 0 && (unswept.empty() || random_.OneIn(2))) {
        births--;
        Birth();
        // An explicitly freed span, or a failure behind its birth.
        if (random_.OneIn(50)) Death(spans_.size() - 1);
        continue;
      }
      const uint64_t id = unswept.back();
      unswept.pop_back();
      for (size_t i = 0; i < spans_.size(); i++) {
        if (spans_[i].id != id) continue;
        Sweep(i, random_.Below(100) < death_percent);
        break;
      }
    }
    for (const FakeSpan& span : spans_) Check(span);
  }

  size_t size() const { return spans_.size(); }

 private:
  void TakeMarkBits(FakeSpan* span) {
    span->mark_bits = bits_.New(span->cells);
    span->mark_epoch = epoch_;
    EXPECT_TRUE(IsZero(span->mark_bits, span->cells));
    Write(span->mark_bits, span->cells, Pattern(span->id, epoch_));
  }
  static void Check(const FakeSpan& span) {
    EXPECT_TRUE(
        Holds(span.mark_bits, span.cells, Pattern(span.id, span.mark_epoch)));
    if (span.alloc_bits != nullptr) {
      EXPECT_TRUE(Holds(span.alloc_bits, span.cells,
                        Pattern(span.id, span.alloc_epoch)));
    }
  }

  GcBits& bits_;
  TestRandom& random_;
  std::vector<FakeSpan> spans_;
  uint64_t next_id_ = 0;
  uint64_t epoch_ = 0;
};

TEST(GcBitsRandomTest, SpansComeAndGoOver200Epochs) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  MemoryLedger ledger;
  {
    GcBits bits(&ledger);
    Spans spans(&bits, &random);
    uint64_t most = 0;
    for (int epoch = 0; epoch < 200 && !testing::Test::HasFailure(); epoch++) {
      SCOPED_TRACE(epoch);
      // Grows for a while, shrinks for a while.
      const bool grows = epoch / 20 % 2 == 0;
      spans.Cycle(grows ? random.Below(400) : random.Below(10),
                  grows ? random.Below(10) : random.Below(60));
      most = std::max(most, ledger.committed());
    }
    EXPECT_GT(most, 12 * kBitsArenaBytes) << "too small a test";
    for (int epoch = 0; epoch < 5; epoch++) spans.Cycle(0, 100);
    EXPECT_EQ(spans.size(), 0);
    EXPECT_LE(ledger.committed(), 8 * kBitsArenaBytes);
  }
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(GcBitsRandomTest, ThreadsTakeBitsAtOnce) {
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 1000;
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  MemoryLedger ledger;
  GcBits bits(&ledger);
  std::atomic<uint64_t> wrong{0};
  for (uint64_t epoch = 0; epoch < 3; epoch++) {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (size_t t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        TestRandom random(seed, t);  // The same sizes in every epoch.
        std::vector<uint64_t*> mine;
        std::vector<size_t> cells;
        for (size_t i = 0; i < kEach; i++) {
          cells.push_back(random.Between(1, 1024));
          if (epoch == 0 && !bits.ReserveFor(cells[i])) wrong++;
          mine.push_back(bits.New(cells[i]));
          if (!IsZero(mine[i], cells[i])) wrong++;
          Write(mine[i], cells[i], Pattern(t * kEach + i, epoch));
        }
        for (size_t i = 0; i < kEach; i++) {
          if (!Holds(mine[i], cells[i], Pattern(t * kEach + i, epoch))) {
            wrong++;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    bits.NextEpoch();
  }
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace loam
