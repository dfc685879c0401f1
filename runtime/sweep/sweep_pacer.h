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
// Any thread may ask and count. Numbers are relaxed atomics: a mutator that
// sees a part of a line that has just been replaced sweeps too much or too
// little, once, and the next one makes up for it.

#ifndef LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_
#define LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/mutex.h"

namespace loam {

class SweepPacer {
 public:
  // The next generation: nothing of it is swept, and nothing due before Start.
  void NextGeneration() LOAM_EXCLUDES(lock_);
  // `pages` are to be swept, from now on, while so many mutators allocate.
  void Start(uint64_t pages, uint64_t charged_bytes, uint64_t trigger,
             uint32_t mutators) LOAM_EXCLUDES(lock_);
  // There is another trigger.
  void MoveBasis(uint64_t charged_bytes, uint64_t trigger) LOAM_EXCLUDES(lock_);
  // Everything is swept.
  void Stop() { pages_per_byte_.store(0, std::memory_order_relaxed); }

  void CountSwept(uint64_t spans, uint64_t pages) {
    swept_.fetch_add(spans << kPageBits | pages, std::memory_order_relaxed);
  }
  // Pages that should have been swept, and have not.
  uint64_t Debt(uint64_t charged_bytes) const;
  // In all generations.
  uint64_t swept_spans() LOAM_EXCLUDES(lock_);

 private:
  // All pages of 47 bits of addresses.
  static constexpr int kPageBits = 34;

  static uint64_t Pages(uint64_t swept) {
    return swept & ((uint64_t{1} << kPageBits) - 1);
  }
  void SetLine(uint64_t charged_bytes, uint64_t trigger) LOAM_REQUIRES(lock_);

  SpinLock lock_;
  // Swept before this generation.
  uint64_t spans_before_ LOAM_GUARDED_BY(lock_) = 0;
  // Of this generation.
  uint64_t pages_ LOAM_GUARDED_BY(lock_) = 0;  // swept when all is
  uint32_t mutators_ LOAM_GUARDED_BY(lock_) = 1;
  // What is swept of this generation, in one word because every refill of a
  // cursor counts; set back under lock_, while nobody sweeps:
  //
  //   bits 34..63   spans
  //   bits 0..33    pages
  std::atomic<uint64_t> swept_{0};
  // Written under lock_. A slope of 0: nothing is due.
  std::atomic<double> pages_per_byte_{0};
  std::atomic<uint64_t> basis_bytes_{0};
  std::atomic<uint64_t> basis_pages_{0};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEP_PACER_H_
