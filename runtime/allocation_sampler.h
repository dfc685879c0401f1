// Sampling of allocations for the heap profile.
//
// Of the bytes of cells that a mutator takes from a span class, in the order in
// which it takes them, some are sample points, so that the distance from one to
// the next is distributed exponentially, with the rate as its mean. A cell with
// a sample point is sampled, and with it the object: a cell of c bytes with the
// probability P = 1 - exp(-c / rate), so one that is sampled stands for 1 / P.
//
// Each cursor counts down to its next sample point (CachedSpan::sampling). It
// does so when it zeroes another piece of its run, not with each object: a
// piece ends where a cell with a sample point begins, so that the fast path
// does not have that cell and the slow path gets to see it. What a flush leaves
// unused of a piece goes back to the countdown, which therefore counts bytes
// that have been allocated, whatever interrupts it; the distribution has no
// memory, so a new countdown may begin at any moment that does not depend on
// the points: behind a sampled cell, and when the rate changes. Large objects
// have a countdown of their mutator's.
//
// While sampling is off, all of that is one test of a word for each piece.

#ifndef LOAM_RUNTIME_ALLOCATION_SAMPLER_H_
#define LOAM_RUNTIME_ALLOCATION_SAMPLER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"

namespace loam {

struct Mutator;

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

// A countdown: the generation of the rate it was drawn with, 0 if none has
// been, and the bytes up to and with the next sample point.
using SamplingCountdown = uint64_t;

// Whether `countdown` belongs to `rate`, a SamplingRate's word, and has no
// sample point in the next `bytes`.
inline bool PassesBy(SamplingCountdown countdown, uint64_t rate,
                     uint64_t bytes) {
  return (countdown ^ rate) >> SamplingRate::kGenerationShift == 0 &&
         SamplingRate::RateOf(countdown) > bytes;
}

// A new one for the rate.
SamplingCountdown DrawCountdown(Mutator* m, uint64_t rate);

// Where a piece [limit, new_limit) of a run should end instead for the sake of
// a sample point, the first cell to be taken being [next - cell_bytes, next).
// If this one is to be sampled, `take` says whether it is taken now; it is 0 if
// not, and otherwise the caller returns the cell, and whoever gets it calls
// RecordSample. `rate` is not 0.
uintptr_t EndBeforeSample(Mutator* m, uint64_t rate,
                          SamplingCountdown* countdown, uintptr_t limit,
                          uintptr_t cell, uintptr_t next, uintptr_t new_limit,
                          bool take);

// A large object has been allocated, in so many bytes of pages; the same.
void SampleLarge(Mutator* m, uintptr_t object, size_t bytes);

// Puts the object that the mutator has just allocated, and is to sample, into
// the profile. It is complete but for its content. Not a safepoint.
void RecordSample(Mutator* m);

}  // namespace loam

#endif  // LOAM_RUNTIME_ALLOCATION_SAMPLER_H_
