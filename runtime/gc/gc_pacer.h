// When to collect: computes the trigger after each cycle.
//
//   growth  live bytes plus gc_percent of them, at least minimum_bytes
//   fixed   fixed_bytes
//
// Live bytes include the external ones. A soft memory limit lowers the trigger
// so that the heap's committed memory stays below it; when that would spend
// more than half the time on collecting, the limit is exceeded instead, and
// said so.
//
// Guarded by the stop: called by the collector, except trigger(), which any
// mutator reads.

#ifndef LOAM_RUNTIME_GC_GC_PACER_H_
#define LOAM_RUNTIME_GC_GC_PACER_H_

#include <atomic>
#include <cstdint>

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
  uint64_t committed_bytes;  // everything, after the cycle
  uint64_t heap_page_bytes;  // of which pages of spans and free pages
  uint64_t pause_ns;
  uint64_t now_ns;
};

class GcPacer {
 public:
  explicit GcPacer(const PacerOptions& options);

  // The live estimate (objects and external bytes) at which a cycle starts.
  uint64_t trigger() const { return trigger_.load(std::memory_order_relaxed); }

  // Sets the next trigger. True if the memory limit is exceeded from now on,
  // and was not before.
  bool EndCycle(const CycleMeasurement& cycle);

  // Options may change at any time, on any thread. A new percentage or fixed
  // size sets the trigger at once; the memory limit joins in at the next
  // cycle's end.
  void set_gc_percent(uint32_t percent);
  void set_fixed_bytes(uint64_t bytes);
  void set_memory_limit(uint64_t bytes) {
    memory_limit_.store(bytes, std::memory_order_relaxed);
  }
  PacerOptions options() const;

 private:
  uint64_t PolicyTrigger(uint64_t live) const;

  const bool fixed_;
  // Relaxed: independent settings.
  std::atomic<uint32_t> gc_percent_;
  std::atomic<uint64_t> minimum_bytes_;
  std::atomic<uint64_t> fixed_bytes_;
  std::atomic<uint64_t> memory_limit_;
  // Relaxed: mutators may see an old trigger for a moment.
  std::atomic<uint64_t> trigger_;
  std::atomic<uint64_t> last_live_{0};  // live and external, of the last cycle
  uint64_t last_cycle_end_ns_ = 0;
  double pause_share_ = 0;  // of time, a moving average over cycles
  bool exceeding_limit_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_GC_PACER_H_
