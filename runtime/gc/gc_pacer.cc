#include "runtime/gc/gc_pacer.h"

#include <algorithm>

namespace loam {
namespace {

// Weight of the newest cycle in the moving average of the pause share.
constexpr double kNewestWeight = 0.5;
// Above this the memory limit gives way; it holds again below half of it.
constexpr double kMaxPauseShare = 0.5;
// A trigger lies at least this far above what is live, or every allocation
// would collect.
constexpr uint64_t kMinRunway = 256 << 10;

}  // namespace

GcPacer::GcPacer(const PacerOptions& options)
    : fixed_(options.fixed),
      gc_percent_(options.gc_percent),
      minimum_bytes_(options.minimum_bytes),
      fixed_bytes_(options.fixed_bytes),
      memory_limit_(options.memory_limit),
      trigger_(0) {
  const uint64_t first = PolicyTrigger(0);
  const uint64_t limited =
      std::max<uint64_t>(options.memory_limit / 2, kMinRunway);
  trigger_.store(std::min(first, limited), std::memory_order_relaxed);
}

uint64_t GcPacer::PolicyTrigger(uint64_t live) const {
  if (fixed_) return fixed_bytes_.load(std::memory_order_relaxed);
  const double growth = static_cast<double>(live) *
                        gc_percent_.load(std::memory_order_relaxed) / 100.0;
  const double trigger = static_cast<double>(live) + growth;
  const uint64_t minimum = minimum_bytes_.load(std::memory_order_relaxed);
  if (trigger >= 9.0e18) return UINT64_MAX / 2;
  return std::max(static_cast<uint64_t>(trigger), minimum);
}

bool GcPacer::EndCycle(const CycleMeasurement& cycle) {
  if (last_cycle_end_ns_ != 0 && cycle.now_ns > last_cycle_end_ns_) {
    const double share = std::min(
        1.0, static_cast<double>(cycle.pause_ns) /
                 static_cast<double>(cycle.now_ns - last_cycle_end_ns_));
    pause_share_ += kNewestWeight * (share - pause_share_);
  }
  last_cycle_end_ns_ = cycle.now_ns;

  const uint64_t live = cycle.live_bytes + cycle.external_bytes;
  last_live_.store(live, std::memory_order_relaxed);
  uint64_t trigger = PolicyTrigger(live);
  bool newly_exceeding = false;
  const uint64_t limit = memory_limit_.load(std::memory_order_relaxed);
  if (limit != UINT64_MAX) {
    // What is not heap pages stays; a tenth of the rest is left to
    // fragmentation.
    const uint64_t other = cycle.committed_bytes > cycle.heap_page_bytes
                               ? cycle.committed_bytes - cycle.heap_page_bytes
                               : 0;
    const uint64_t room = limit > other ? limit - other : 0;
    const uint64_t limited = room - room / 10;
    if (limited < trigger) {
      const bool give_way =
          pause_share_ >
          (exceeding_limit_ ? kMaxPauseShare / 2 : kMaxPauseShare);
      newly_exceeding = give_way && !exceeding_limit_;
      exceeding_limit_ = give_way;
      if (!give_way) trigger = limited;
    }
  }
  // A fixed heap that is full collects at every refill; its embedder hears of
  // it when memory runs out. So does one under heap_limit.
  trigger_.store(std::max(trigger, live + kMinRunway),
                 std::memory_order_relaxed);
  return newly_exceeding;
}

void GcPacer::set_gc_percent(uint32_t percent) {
  gc_percent_.store(percent, std::memory_order_relaxed);
  trigger_.store(PolicyTrigger(last_live_.load(std::memory_order_relaxed)),
                 std::memory_order_relaxed);
}

void GcPacer::set_fixed_bytes(uint64_t bytes) {
  fixed_bytes_.store(bytes, std::memory_order_relaxed);
  if (fixed_) trigger_.store(bytes, std::memory_order_relaxed);
}

PacerOptions GcPacer::options() const {
  PacerOptions options;
  options.fixed = fixed_;
  options.gc_percent = gc_percent_.load(std::memory_order_relaxed);
  options.minimum_bytes = minimum_bytes_.load(std::memory_order_relaxed);
  options.fixed_bytes = fixed_bytes_.load(std::memory_order_relaxed);
  options.memory_limit = memory_limit_.load(std::memory_order_relaxed);
  return options;
}

}  // namespace loam
