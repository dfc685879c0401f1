#include "runtime/gc/gc_pacer.h"

#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kRunway = 256 << 10;
constexpr uint64_t kNoLimit = UINT64_MAX;

// A cycle without pause, all of whose memory is the heap's pages.
CycleMeasurement Live(uint64_t live, uint64_t external = 0) {
  CycleMeasurement cycle = {};
  cycle.live_bytes = live;
  cycle.external_bytes = external;
  cycle.committed_bytes = 2 * live;
  cycle.heap_page_bytes = 2 * live;
  return cycle;
}

PacerOptions Growth(uint32_t percent, uint64_t minimum,
                    uint64_t limit = kNoLimit) {
  PacerOptions options;
  options.gc_percent = percent;
  options.minimum_bytes = minimum;
  options.memory_limit = limit;
  return options;
}
PacerOptions Fixed(uint64_t bytes) {
  PacerOptions options;
  options.fixed = true;
  options.fixed_bytes = bytes;
  return options;
}

TEST(GcPacerTest, Table) {
  struct Case {
    const char* name;
    PacerOptions options;
    uint64_t live;
    uint64_t external;
    uint64_t trigger;
  };
  const std::vector<Case> cases = {
      {"doubles", Growth(100, kMiB), 10 * kMiB, 0, 20 * kMiB},
      {"half as much again", Growth(50, kMiB), 10 * kMiB, 0, 15 * kMiB},
      {"three times", Growth(200, kMiB), 10 * kMiB, 0, 30 * kMiB},
      {"floor", Growth(100, 4 * kMiB), kMiB, 0, 4 * kMiB},
      {"nothing live", Growth(100, 4 * kMiB), 0, 0, 4 * kMiB},
      {"just above the floor", Growth(100, 4 * kMiB), 2 * kMiB + 8, 0,
       4 * kMiB + 16},
      {"external counts as live", Growth(100, kMiB), 3 * kMiB, 7 * kMiB,
       20 * kMiB},
      {"some runway always", Growth(0, kMiB), 10 * kMiB, 0,
       10 * kMiB + kRunway},
      {"some runway with one percent", Growth(1, 0), kMiB, 0, kMiB + kRunway},
      {"no overflow", Growth(1'000'000, 0), uint64_t{1} << 60, 0,
       UINT64_MAX / 2},
      {"fixed", Fixed(50 * kMiB), 10 * kMiB, 0, 50 * kMiB},
      {"fixed, full", Fixed(50 * kMiB), 49 * kMiB + 900'000, 0,
       49 * kMiB + 900'000 + kRunway},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    GcPacer pacer(c.options);
    EXPECT_FALSE(pacer.EndCycle(Live(c.live, c.external)));
    EXPECT_EQ(pacer.trigger(), c.trigger);
  }
}

TEST(GcPacerTest, FirstTriggerBeforeAnyCycle) {
  EXPECT_EQ(GcPacer(Growth(100, 4 * kMiB)).trigger(), 4 * kMiB);
  EXPECT_EQ(GcPacer(Fixed(50 * kMiB)).trigger(), 50 * kMiB);
  EXPECT_EQ(GcPacer(Growth(100, 64 * kMiB, 10 * kMiB)).trigger(), 5 * kMiB)
      << "half of a small limit";
  EXPECT_EQ(GcPacer(Growth(100, 4 * kMiB, 1000)).trigger(), kRunway);
}

TEST(GcPacerTest, FollowsTheLiveHeapUpAndDown) {
  GcPacer pacer(Growth(100, 4 * kMiB));
  for (const uint64_t live : {5, 50, 500, 50, 5}) {
    pacer.EndCycle(Live(live * kMiB));
    EXPECT_EQ(pacer.trigger(), 2 * live * kMiB);
  }
}

TEST(GcPacerTest, PercentCountsAtOnce) {
  GcPacer pacer(Growth(100, kMiB));
  pacer.EndCycle(Live(10 * kMiB));
  pacer.set_gc_percent(50);
  EXPECT_EQ(pacer.trigger(), 15 * kMiB);
  EXPECT_EQ(pacer.options().gc_percent, 50);
  pacer.EndCycle(Live(20 * kMiB));
  EXPECT_EQ(pacer.trigger(), 30 * kMiB);
}

TEST(GcPacerTest, FixedSizeCountsAtOnce) {
  GcPacer pacer(Fixed(50 * kMiB));
  pacer.EndCycle(Live(10 * kMiB));
  pacer.set_fixed_bytes(20 * kMiB);
  EXPECT_EQ(pacer.trigger(), 20 * kMiB);
  // Not of a heap that grows.
  GcPacer growth(Growth(100, kMiB));
  growth.EndCycle(Live(10 * kMiB));
  growth.set_fixed_bytes(kMiB);
  EXPECT_EQ(growth.trigger(), 20 * kMiB);
}

// A cycle under a memory limit: 10 MiB of metadata beside the pages.
CycleMeasurement Limited(uint64_t live, uint64_t pause_ns = 0,
                         uint64_t now_ns = 0) {
  CycleMeasurement cycle = {};
  cycle.live_bytes = live;
  cycle.heap_page_bytes = live + 5 * kMiB;
  cycle.committed_bytes = cycle.heap_page_bytes + 10 * kMiB;
  cycle.pause_ns = pause_ns;
  cycle.now_ns = now_ns;
  return cycle;
}

TEST(GcPacerTest, MemoryLimitLowersTheTrigger) {
  // 110 MiB less 10 of metadata, less a tenth: 90.
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  EXPECT_FALSE(pacer.EndCycle(Limited(40 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 80 * kMiB) << "the limit is not near";
  EXPECT_FALSE(pacer.EndCycle(Limited(60 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 90 * kMiB);
  EXPECT_FALSE(pacer.EndCycle(Limited(95 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 95 * kMiB + kRunway) << "never below what is live";
  EXPECT_FALSE(pacer.EndCycle(Limited(200 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 200 * kMiB + kRunway);
  pacer.set_memory_limit(kNoLimit);
  EXPECT_FALSE(pacer.EndCycle(Limited(60 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 120 * kMiB);
}

TEST(GcPacerTest, LimitSmallerThanTheMetadata) {
  GcPacer pacer(Growth(100, kMiB, 5 * kMiB));
  EXPECT_FALSE(pacer.EndCycle(Limited(40 * kMiB)));
  EXPECT_EQ(pacer.trigger(), 40 * kMiB + kRunway);
}

// Cycles one second apart, of which the pause takes `share`.
class Timeline {
 public:
  explicit Timeline(GcPacer* pacer) : pacer_(*pacer) { Cycle(0); }
  bool Cycle(double share) {
    constexpr uint64_t kSecond = 1'000'000'000;
    now_ns_ += kSecond;
    return pacer_.EndCycle(
        Limited(95 * kMiB, static_cast<uint64_t>(share * kSecond), now_ns_));
  }

 private:
  GcPacer& pacer_;
  uint64_t now_ns_ = 5;
};

TEST(GcPacerTest, LimitGivesWayAboveHalfTheTime) {
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  Timeline timeline(&pacer);
  const uint64_t held = 95 * kMiB + kRunway;
  const uint64_t given_way = 190 * kMiB;
  // One bad cycle does not fill the bucket: 0.8 of a second.
  EXPECT_FALSE(timeline.Cycle(0.9));
  EXPECT_EQ(pacer.trigger(), held);
  EXPECT_TRUE(timeline.Cycle(0.9)) << "said when it begins";
  EXPECT_EQ(pacer.trigger(), given_way);
  EXPECT_FALSE(timeline.Cycle(0.9)) << "and not again";
  EXPECT_EQ(pacer.trigger(), given_way);
}

TEST(GcPacerTest, LimitHoldsJustBelowHalfTheTime) {
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  Timeline timeline(&pacer);
  for (int i = 0; i < 50; i++) {
    EXPECT_FALSE(timeline.Cycle(0.49));
    EXPECT_EQ(pacer.trigger(), 95 * kMiB + kRunway);
  }
}

TEST(GcPacerTest, LimitHoldsAgainWellBelowHalfTheTime) {
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  Timeline timeline(&pacer);
  while (!timeline.Cycle(0.9)) {
  }
  // Until half of the bucket has drained it stays as it is.
  for (int i = 0; i < 2; i++) {
    EXPECT_FALSE(timeline.Cycle(0.4));
    EXPECT_EQ(pacer.trigger(), 190 * kMiB);
  }
  for (int i = 0; i < 10; i++) EXPECT_FALSE(timeline.Cycle(0.1));
  EXPECT_EQ(pacer.trigger(), 95 * kMiB + kRunway);
  bool said = false;
  for (int i = 0; i < 10; i++) said |= timeline.Cycle(0.9);
  EXPECT_TRUE(said) << "the next time it is said again";
}

// A burst of less than a second is no reason to exceed the limit.
TEST(GcPacerTest, LimitHoldsThroughShortBursts) {
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  Timeline timeline(&pacer);
  for (int i = 0; i < 20; i++) {
    EXPECT_FALSE(timeline.Cycle(0.95));
    EXPECT_FALSE(timeline.Cycle(0.05));
  }
}

TEST(GcPacerTest, PauseLongerThanTheTimeBetweenCycles) {
  GcPacer pacer(Growth(100, kMiB, 110 * kMiB));
  Timeline timeline(&pacer);
  bool said = false;
  for (int i = 0; i < 5; i++) said |= timeline.Cycle(3.0);
  EXPECT_TRUE(said);
  // Counted as all of the time, not more: it is forgotten in a few cycles.
  for (int i = 0; i < 3; i++) timeline.Cycle(0);
  EXPECT_EQ(pacer.trigger(), 95 * kMiB + kRunway);
}

TEST(GcPacerTest, OptionsReadBack) {
  PacerOptions options = Growth(70, 3 * kMiB, 500 * kMiB);
  GcPacer pacer(options);
  EXPECT_FALSE(pacer.options().fixed);
  EXPECT_EQ(pacer.options().gc_percent, 70);
  EXPECT_EQ(pacer.options().minimum_bytes, 3 * kMiB);
  EXPECT_EQ(pacer.options().memory_limit, 500 * kMiB);
  EXPECT_EQ(GcPacer(Fixed(9 * kMiB)).options().fixed_bytes, 9 * kMiB);
  EXPECT_TRUE(GcPacer(Fixed(9 * kMiB)).options().fixed);
}

}  // namespace
}  // namespace loam
