#include "runtime/background_sweeper.h"

#include <sched.h>

#include "runtime/base/clock.h"

namespace loam {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

// Swept between two looks at the clock, and before others get the processor:
// mutators sweep on their own if they must, so this thread is never urgent.
constexpr size_t kBatchSpans = 32;
constexpr uint64_t kSpellNs = kMillisecond;

// Heaps with fewer pages in spans do without.
constexpr uint64_t kLeastPages = 1024;  // 8 MiB
// From so many on it begins at once.
constexpr uint64_t kManyPages = 8192;  // 64 MiB
constexpr uint64_t kDelayNs = 100 * kMillisecond;

}  // namespace

uint64_t BackgroundSweeper::TimeToBegin() {
  if (sweeper_->is_drained()) return kParked;
  const uint64_t pages = page_heap_->span_pages();
  if (pages < kLeastPages) return kParked;
  return NowNanoseconds() + (pages < kManyPages ? kDelayNs : 0);
}

uint64_t BackgroundSweeper::Work() {
  const uint64_t began_ns = NowNanoseconds();
  uint64_t now_ns = began_ns;
  bool more = true;
  while (more && now_ns - began_ns < kSpellNs) {
    size_t pages_freed;
    more = sweeper_->SweepSome(kBatchSpans, &pages_freed);
    sched_yield();
    now_ns = NowNanoseconds();
  }
  worked_ns_.Add(now_ns - began_ns);
  return more ? now_ns : kParked;
}

}  // namespace loam
