// Sweeping in proportion to allocation: when the heap reaches its trigger,
// everything has been swept, whatever the program allocates.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <vector>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

using std::chrono::steady_clock;

constexpr uint64_t kCycles = kSanitized ? 100 : 1000;
constexpr size_t kKiB = 1 << 10;

// What is alive at random; references out of here are roots.
constexpr size_t kSmallSurvivors = 6000;
constexpr size_t kLargeSurvivors = 4;

// What cycles say when they begin; the world is stopped.
struct Cycles {
  std::atomic<uint64_t> count = 0;  // relaxed: when to end
  uint64_t by_trigger = 0;
  uint64_t with_unswept = 0;
  uint64_t most_unswept = 0;

  static void Begin(loam_heap*, const loam_cycle_info* info, void* data) {
    auto* self = static_cast<Cycles*>(data);
    self->count.fetch_add(1, std::memory_order_relaxed);
    if (info->reason != LOAM_CYCLE_TRIGGER) return;
    self->by_trigger++;
    if (info->unswept_spans > 0) self->with_unswept++;
    self->most_unswept = std::max(self->most_unswept, info->unswept_spans);
  }
  uint64_t so_far() const { return count.load(std::memory_order_relaxed); }
};

struct Types {
  explicit Types(loam_type_set* set)
      : node(RegisterNode(set)),
        hot(RegisterNode(set, LOAM_TYPE_HOT)),
        record(RegisterType(set, "record", 200,
                            {{"references", 8, 20, LOAM_POINTER}})),
        array(RegisterType(set, "array", 8, {}, 0, 8,
                           {{"element", 0, 1, LOAM_POINTER}})) {}
  const loam_type* const node;
  const loam_type* const hot;
  const loam_type* const record;
  const loam_type* const array;
};

// Allocates objects of all kinds and sizes, of which some survive for a while.
class Program {
 public:
  // Every object of 32 KiB and more has up to `largest` bytes.
  Program(loam_mutator* m, loam_heap* heap, const Types& types, uint64_t seed,
          size_t largest)
      : m_(m),
        types_(types),
        random_(seed),
        largest_(largest),
        live_(kSmallSurvivors + kLargeSurvivors) {
    EXPECT_EQ(loam_root_add_range(heap, live_.data(), live_.size(),
                                  LOAM_POINTER, "survivors", &root_),
              LOAM_OK);
  }
  ~Program() { EXPECT_EQ(loam_root_remove(root_), LOAM_OK); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // One allocation; false when it failed.
  bool Step() {
    // How many survive changes from time to time.
    if (steps_++ % 20'000 == 0) {
      survivors_percent_ = static_cast<unsigned>(random_.Below(60));
      table_ = 1 + random_.Below(kSmallSurvivors);
    }
    last_was_large_ = random_.OneIn(3000);
    void* const object = last_was_large_ ? Large() : Small();
    if (object == nullptr) return false;
    if (last_was_large_) {
      if (random_.OneIn(2)) {
        Keep(kSmallSurvivors + random_.Below(kLargeSurvivors), object);
      }
    } else if (random_.Percent(survivors_percent_)) {
      Keep(random_.Below(table_), object);
    }
    return true;
  }
  bool last_was_large() const { return last_was_large_; }

 private:
  void Keep(size_t index, void* object) {
    loam_root_store_pointer(m_, &live_[index], object);
  }
  // From `least` to twice that, twice that to four times, ...: as often each.
  size_t Spread(size_t least, size_t doublings) {
    const size_t bytes = least << random_.Below(doublings);
    return bytes + random_.Below(bytes);
  }
  void* Large() {
    const size_t bytes = random_.Between(33 * kKiB, largest_);
    return random_.OneIn(4) ? loam_alloc_slots(m_, bytes / 8)
                            : loam_alloc_bytes(m_, bytes);
  }
  void* Small() {
    switch (random_.Below(8)) {
      case 0:
        return loam_alloc(m_, types_.node);
      case 1:
        return loam_alloc(m_, types_.hot);
      case 2:
        return loam_alloc(m_, types_.record);
      case 3:
        return loam_alloc_array(m_, types_.array, random_.Below(40));
      case 4:
        return loam_alloc_slots(m_, Spread(1, 6));
      case 5:
        return loam_alloc_bytes(m_, Spread(1, 15));
      default:
        return loam_alloc_bytes(m_, Spread(8, 6));
    }
  }

  loam_mutator* const m_;
  const Types& types_;
  Random random_;
  const size_t largest_;
  uint64_t steps_ = 0;
  unsigned survivors_percent_ = 0;
  size_t table_ = 1;
  bool last_was_large_ = false;
  std::vector<void*> live_;
  loam_root* root_ = nullptr;
};

void Print(const char* what, const Cycles& cycles, const loam_stats& stats) {
  printf(
      "%s: %llu cycles, %llu by the trigger, %llu of which found spans "
      "unswept (at most %llu); %.1f MiB swept per cycle, %.1f ms in the "
      "background\n",
      what, static_cast<unsigned long long>(cycles.so_far()),
      static_cast<unsigned long long>(cycles.by_trigger),
      static_cast<unsigned long long>(cycles.with_unswept),
      static_cast<unsigned long long>(cycles.most_unswept),
      static_cast<double>(stats.swept_bytes) / 1048576 /
          static_cast<double>(cycles.so_far()),
      static_cast<double>(stats.background_sweep_ns) / 1e6);
}

void PrintQuantiles(const char* what, std::vector<double>* microseconds) {
  if (microseconds->empty()) return;
  std::sort(microseconds->begin(), microseconds->end());
  const auto at = [&](double share) {
    return (*microseconds)[static_cast<size_t>(
        share * static_cast<double>(microseconds->size() - 1))];
  };
  printf("%s: %zu, p50 %.1f us, p99 %.1f us, p99.9 %.1f us, longest %.1f us\n",
         what, microseconds->size(), at(0.5), at(0.99), at(0.999), at(1));
}

// How often this thread has had to give the processor to others.
long Preemptions() {
  rusage usage = {};
  EXPECT_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
  return usage.ru_nivcsw;
}

// With one mutator there is none that could come between a charge and what is
// due for it.
TEST(SweepPacingTest, EverythingIsSweptWhenTheTriggerIsReached) {
  const uint64_t seed = TestSeed();
  Cycles cycles;
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 2 << 20;
  options.callbacks.cycle_begin = Cycles::Begin;
  options.callbacks.data = &cycles;
  TestHeap heap(options);
  const Types types(heap.types());
  // Of allocations in which spans were swept, no cycle ran, and the thread kept
  // the processor: those of more than half a microsecond, since to ask after
  // every one takes long.
  std::vector<double> small_times;
  std::vector<double> large_times;
  {
    Program program(heap.m(), heap.heap(), types, seed, 4096 * kKiB);
    uint64_t swept = 0;
    long preemptions = 0;
    while (cycles.so_far() < kCycles) {
      const uint64_t before = cycles.so_far();
      const auto start = steady_clock::now();
      ASSERT_TRUE(program.Step());
      const double time =
          std::chrono::duration<double, std::micro>(steady_clock::now() - start)
              .count();
      if (time < 0.5) continue;
      const loam_stats stats = heap.Stats();
      const long preemptions_now = Preemptions();
      if (cycles.so_far() == before && stats.swept_bytes != swept &&
          preemptions_now == preemptions) {
        // A large object may take a millisecond to be zeroed.
        (program.last_was_large() ? large_times : small_times).push_back(time);
      }
      swept = stats.swept_bytes;
      preemptions = preemptions_now;
    }
  }
  Print("one mutator", cycles, heap.Stats());
  PrintQuantiles("allocations that swept", &small_times);
  PrintQuantiles("those of large objects, zeroing included", &large_times);
  EXPECT_GT(cycles.by_trigger, kCycles * 9 / 10);
  EXPECT_EQ(cycles.with_unswept, 0u);
  heap.ExpectSound();
}

// Several may have charged the heap and not swept yet when another one reaches
// the trigger. Sweeping is over an eighth of the way, or a mebibyte, before it
// (runtime/sweep/sweep_pacer.cc), which is more than three objects of these
// sizes.
TEST(SweepPacingTest, SoItIsWithMutatorsAndTheBackgroundAtOnce) {
  constexpr int kThreads = 4;
  const uint64_t seed = TestSeed();
  Cycles cycles;
  loam_options options = TestOptions();
  options.no_background = 0;
  options.minimum_heap_bytes = 16 << 20;
  options.callbacks.cycle_begin = Cycles::Begin;
  options.callbacks.data = &cycles;
  TestHeap heap(options);
  const Types types(heap.types());
  RunThreads(heap, kThreads, [&](loam_mutator* m, int i) {
    Program program(m, heap.heap(), types, seed + static_cast<uint64_t>(i),
                    256 * kKiB);
    while (cycles.so_far() < kCycles) ASSERT_TRUE(program.Step());
  });
  Print("four mutators", cycles, heap.Stats());
  EXPECT_GT(cycles.by_trigger, kCycles * 9 / 10);
  EXPECT_EQ(cycles.with_unswept, 0u);
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
