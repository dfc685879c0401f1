// When to collect: computes the trigger after each cycle.
//
//   growth  live bytes plus gc_percent of them, at least minimum_bytes
//   fixed   fixed_bytes
//
// Live bytes include external ones and records of specials. A soft memory
// limit lowers the trigger so that the heap's committed memory stays below it;
// when that would spend more than half the time on collecting, the limit is
// exceeded instead, and said so.
//
// EndCycle is the collector's; any thread may read the trigger and change
// options.

#ifndef LOAM_RUNTIME_GC_GC_PACER_H_
#define LOAM_RUNTIME_GC_GC_PACER_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/mutex.h"

namespace loam {

struct PacerOptions {
  bool fixed = false;
  uint32_t gc_percent = 100;
  uint64_t minimum_bytes = 4 << 20;
  uint64_t fixed_bytes = 0;
  uint64_t memory_limit = UINT64_MAX;
};

// What a cycle found.
struct CycleMeasurement {
  uint64_t live_bytes;  // marked
  uint64_t external_bytes;
  uint64_t record_bytes;     // of specials, after sweeping
  uint64_t committed_bytes;  // everything, after the cycle
  uint64_t heap_page_bytes;  // of which pages of spans and free pages
  uint64_t pause_ns;
  uint64_t assist_ns;  // PageHeap::assist_ns, since the heap was created
  uint64_t now_ns;

  uint64_t live() const { return live_bytes + external_bytes + record_bytes; }
};

class GcPacer {
 public:
  explicit GcPacer(const PacerOptions& options);

  // The live estimate (objects, external bytes and records) at which a cycle
  // starts.
  uint64_t trigger() const { return trigger_.load(std::memory_order_relaxed); }

  // Whether keeping below the memory limit would spend too much time.
  bool is_exceeding_limit() const {
    return exceeding_limit_.load(std::memory_order_relaxed);
  }

  // Sets the next trigger. True if the memory limit is exceeded from now on,
  // and was not before.
  bool EndCycle(const CycleMeasurement& cycle) LOAM_EXCLUDES(lock_);

  // Options may change at any time, on any thread: the trigger follows at once,
  // from what the last cycle found.
  void set_gc_percent(uint32_t percent) LOAM_EXCLUDES(lock_);
  void set_fixed_bytes(uint64_t bytes) LOAM_EXCLUDES(lock_);
  void set_memory_limit(uint64_t bytes) LOAM_EXCLUDES(lock_);
  PacerOptions options() LOAM_EXCLUDES(lock_);

  void LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Lock(); }
  void UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Unlock(); }

 private:
  uint64_t PolicyTrigger(uint64_t live) const LOAM_REQUIRES(lock_);
  // The trigger that the memory limit asks for, UINT64_MAX without one.
  uint64_t LimitedTrigger() const LOAM_REQUIRES(lock_);
  void UpdateTrigger() LOAM_REQUIRES(lock_);

  SpinLock lock_;
  PacerOptions options_ LOAM_GUARDED_BY(lock_);
  // The last cycle; zeroes before the first.
  CycleMeasurement last_ LOAM_GUARDED_BY(lock_) = {};
  // The limiter: filled by the time that pauses and assists take, drained by
  // the time that is left to the program. So it rises when more than half goes
  // to collecting, and short bursts do not fill it.
  uint64_t bucket_ns_ LOAM_GUARDED_BY(lock_) = 0;
  // Both written under lock_. Relaxed: mutators may see old values for a
  // moment.
  std::atomic<bool> exceeding_limit_{false};
  std::atomic<uint64_t> trigger_{0};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_GC_PACER_H_
