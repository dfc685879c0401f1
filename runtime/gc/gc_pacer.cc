#include "runtime/gc/gc_pacer.h"

#include <algorithm>

namespace loam {
namespace {

// The bucket of the limiter, in nanoseconds. Full, the memory limit gives way;
// it holds again when half of it has drained.
constexpr uint64_t kBucket = 1'000'000'000;

// A trigger lies at least this far above what is live, or every allocation
// would collect.
constexpr uint64_t kMinRunway = 256 << 10;

}  // namespace

GcPacer::GcPacer(const PacerOptions& options) : options_(options) {
  const SpinLockHolder lock(&lock_);
  UpdateTrigger();
}

uint64_t GcPacer::PolicyTrigger(uint64_t live) const {
  if (options_.fixed) return options_.fixed_bytes;
  const double trigger =
      static_cast<double>(live) * (1 + options_.gc_percent / 100.0);
  if (trigger >= 9.0e18) return UINT64_MAX / 2;
  return std::max(static_cast<uint64_t>(trigger), options_.minimum_bytes);
}

uint64_t GcPacer::LimitedTrigger() const {
  if (options_.memory_limit == UINT64_MAX) return UINT64_MAX;
  // What is not heap pages stays; a tenth of the rest is left to fragmentation.
  // Before the first cycle nothing is known: half is for the heap.
  if (last_.committed_bytes == 0) return options_.memory_limit / 2;
  const uint64_t other = last_.committed_bytes > last_.heap_page_bytes
                             ? last_.committed_bytes - last_.heap_page_bytes
                             : 0;
  const uint64_t room =
      options_.memory_limit > other ? options_.memory_limit - other : 0;
  return room - room / 10;
}

void GcPacer::UpdateTrigger() {
  const uint64_t live = last_.live();
  uint64_t trigger = PolicyTrigger(live);
  if (!is_exceeding_limit()) trigger = std::min(trigger, LimitedTrigger());
  // A fixed heap that is full collects at every refill; its embedder hears of
  // it when memory runs out. So does one under heap_limit.
  trigger_.store(std::max(trigger, live + kMinRunway),
                 std::memory_order_relaxed);
}

bool GcPacer::EndCycle(const CycleMeasurement& cycle) {
  const SpinLockHolder lock(&lock_);
  if (last_.now_ns != 0 && cycle.now_ns > last_.now_ns) {
    const uint64_t elapsed = cycle.now_ns - last_.now_ns;
    const uint64_t busy =
        std::min(cycle.pause_ns + cycle.assist_ns - last_.assist_ns, elapsed);
    const uint64_t level = bucket_ns_ + busy;
    const uint64_t drained = elapsed - busy;
    bucket_ns_ = std::min(level > drained ? level - drained : 0, kBucket);
  }
  last_ = cycle;
  const bool was_exceeding = is_exceeding_limit();
  const bool limit_binds = LimitedTrigger() < PolicyTrigger(cycle.live());
  const bool is_exceeding =
      limit_binds &&
      (was_exceeding ? bucket_ns_ > kBucket / 2 : bucket_ns_ == kBucket);
  exceeding_limit_.store(is_exceeding, std::memory_order_relaxed);
  UpdateTrigger();
  return is_exceeding && !was_exceeding;
}

void GcPacer::set_gc_percent(uint32_t percent) {
  const SpinLockHolder lock(&lock_);
  options_.gc_percent = percent;
  UpdateTrigger();
}

void GcPacer::set_fixed_bytes(uint64_t bytes) {
  const SpinLockHolder lock(&lock_);
  options_.fixed_bytes = bytes;
  UpdateTrigger();
}

void GcPacer::set_memory_limit(uint64_t bytes) {
  const SpinLockHolder lock(&lock_);
  options_.memory_limit = bytes;
  UpdateTrigger();
}

PacerOptions GcPacer::options() {
  const SpinLockHolder lock(&lock_);
  return options_;
}

}  // namespace loam
