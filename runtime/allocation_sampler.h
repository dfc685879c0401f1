// Sampling of allocations for the heap profile.
//
// Of the bytes of cells that a mutator takes from a span class, in the order in
// which it takes them, some are sample points, so that the distance from one to
// the next is distributed exponentially, with the rate as its mean. A cell with
// a sample point is sampled, and with it the object: a cell of c bytes with the
// probability P = 1 - exp(-c / rate), so one that is sampled stands for 1 / P.
//
// Each cursor counts down to its next sample point (CachedSpan::sampling), when
// it begins a run and not with each object: a run ends where a cell with a
// sample point begins, so that the fast path does not have that cell, and the
// next run begins with it, in the slow path. What a flush leaves unused of a
// run goes back to the countdown, which therefore counts bytes that have been
// allocated, whatever interrupts it; the distribution has no memory, so a new
// countdown may begin at any moment that does not depend on the points: behind
// a sampled cell, and when the rate changes. Large objects have a countdown of
// their mutator's.
//
// While sampling is off, all of that is one test of a word for each run.

#ifndef LOAM_RUNTIME_ALLOCATION_SAMPLER_H_
#define LOAM_RUNTIME_ALLOCATION_SAMPLER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"

namespace loam {

struct Mutator;
struct Span;

constexpr uint64_t kMaxProfileRate = uint64_t{1} << 40;

// The rate at which a heap samples, and which setting of it that is: 0, or a
// generation above kGenerationShift and the rate below.
class SamplingRate {
 public:
  static constexpr int kGenerationShift = 48;

  explicit SamplingRate(uint64_t rate) { Set(rate); }

  uint64_t word() const { return word_.load(std::memory_order_relaxed); }
  uint64_t rate() const { return RateOf(word()); }
  // At most kMaxProfileRate; 0: off. Cursors begin new countdowns. Any thread.
  void Set(uint64_t rate) {
    const uint64_t generation =
        generation_.fetch_add(1, std::memory_order_relaxed) % kGenerations + 1;
    // Relaxed: nothing goes with it, and each cursor sees it when it does.
    word_.store(rate == 0 ? 0 : generation << kGenerationShift | rate,
                std::memory_order_relaxed);
  }

  static uint64_t RateOf(uint64_t word) {
    return word & LowBits(kGenerationShift);
  }

 private:
  static constexpr uint64_t kGenerations =
      (uint64_t{1} << (64 - kGenerationShift)) - 1;

  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> word_{0};
};

// Random numbers that are distributed exponentially, with a mean of 1. They are
// made a few at a time, while the code and the tables of the logarithm are in
// the cache.
class Exponentials {
 public:
  double Next() {
    if (left_ == 0) Refill();
    return numbers_[--left_];
  }

 private:
  static constexpr uint32_t kBatch = 32;
  void Refill();

  uint64_t state_ = 0;  // 0 before the first
  uint32_t left_ = 0;
  double numbers_[kBatch];
};

// A countdown: the generation of the rate it was drawn with, 0 if none has
// been, and the bytes up to and with the next sample point.
using SamplingCountdown = uint64_t;

// A run of free cells.
struct CellRun {
  Span* span;
  uintptr_t first;
  size_t cell_bytes;
  size_t count;  // not 0
};
// How many cells of it a cursor with this countdown, which is moved on by them,
// takes as its run: all, or those before one with a sample point. If that is
// the first, `take` says whether the run begins with it all the same, and
// RecordSample is called when its object is complete; otherwise there are none.
// `rate` is the heap's, and not 0.
inline size_t CellsBeforeSample(Mutator* m, uint64_t rate,
                                SamplingCountdown* countdown,
                                const CellRun& cells, bool take);

// The same for a large object, which has just been allocated in its span.
void SampleLarge(Mutator* m, Span* span);

// Puts the object that the mutator has just allocated, and is to sample, into
// the profile. It is complete but for its content. Not a safepoint.
void RecordSample(Mutator* m);

// The rest of CellsBeforeSample, when a new countdown is due, or a sample.
size_t CellsBeforeSampleSlow(Mutator* m, uint64_t rate,
                             SamplingCountdown* countdown, const CellRun& cells,
                             bool take);

inline size_t CellsBeforeSample(Mutator* m, uint64_t rate,
                                SamplingCountdown* countdown,
                                const CellRun& cells, bool take) {
  const size_t bytes = cells.count * cells.cell_bytes;
  const bool is_current =
      (*countdown ^ rate) >> SamplingRate::kGenerationShift == 0;
  if (is_current && SamplingRate::RateOf(*countdown) > bytes) {
    *countdown -= bytes;
    return cells.count;
  }
  return CellsBeforeSampleSlow(m, rate, countdown, cells, take);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_ALLOCATION_SAMPLER_H_
