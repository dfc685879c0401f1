// How much must have been swept by now: in proportion to what is allocated, so
// that everything is swept when the next cycle is due.
//
//   pages swept
//     ^                       . all
//     |                  .    :
//     |             .         :
//     |        .              :
//     |   x <- basis          :
//     +---+-------------------+---+-> bytes charged to the heap
//                             due trigger
//
// The line starts at the basis. If the trigger changes while sweeping goes on
// the basis moves to where the heap is, and the line goes on from there.
//
// Any thread may ask. Numbers are relaxed atomics: a mutator that
// sees a part of a line that has just been replaced sweeps too much or too
// little, once, and the next one makes up for it.

#ifndef LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_
#define LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "runtime/base/mutex.h"

namespace loam {

class SweepPacer {
 public:
  // A new cycle: `pages` are to be swept, from now on, while so many mutators
  // allocate. `swept` are the pages swept since the heap was created, here and
  // below.
  void Start(uint64_t pages, uint64_t swept, uint64_t charged_bytes,
             uint64_t trigger, uint32_t mutators) LOAM_EXCLUDES(lock_);
  // There is another trigger.
  void MoveBasis(uint64_t swept, uint64_t charged_bytes, uint64_t trigger)
      LOAM_EXCLUDES(lock_);
  // Everything is swept.
  void Stop() { pages_per_byte_.store(0, std::memory_order_relaxed); }

  // Pages that should have been swept, and have not.
  uint64_t Debt(uint64_t swept, uint64_t charged_bytes) const {
    const double slope = pages_per_byte_.load(std::memory_order_relaxed);
    if (slope == 0) return 0;
    // Signed, which processors convert in one instruction. Below the basis if
    // cells have come back unused since.
    const auto bytes = static_cast<int64_t>(
        charged_bytes - basis_bytes_.load(std::memory_order_relaxed));
    const auto done = static_cast<int64_t>(
        swept - basis_pages_.load(std::memory_order_relaxed));
    // The slope may be anything, next to the trigger.
    const double debt =
        std::min(slope * static_cast<double>(bytes), kMostPages) -
        static_cast<double>(done);
    return debt >= 1 ? static_cast<uint64_t>(static_cast<int64_t>(debt)) : 0;
  }

 private:
  static constexpr double kMostPages = 0x1p62;

  void SetLine(uint64_t swept, uint64_t charged_bytes, uint64_t trigger)
      LOAM_REQUIRES(lock_);

  SpinLock lock_;
  // Of this cycle.
  uint64_t end_pages_ LOAM_GUARDED_BY(lock_) = 0;  // swept when all is
  uint32_t mutators_ LOAM_GUARDED_BY(lock_) = 1;
  // Written under lock_. A slope of 0: nothing is due.
  std::atomic<double> pages_per_byte_{0};
  std::atomic<uint64_t> basis_bytes_{0};
  std::atomic<uint64_t> basis_pages_{0};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_
