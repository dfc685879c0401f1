// The right to sweep one span: move-only, obtained by compare-and-swap, given
// up when the span is swept.

#ifndef LOAM_RUNTIME_SWEEP_SWEEP_TOKEN_H_
#define LOAM_RUNTIME_SWEEP_SWEEP_TOKEN_H_

#include <cstdint>
#include <utility>

#include "runtime/base/fatal.h"
#include "runtime/base/race_hooks.h"
#include "runtime/heap/span.h"
#include "runtime/sweep/sweep_generation.h"

namespace loam {

class SweepToken {
 public:
  // Empty if somebody else has swept or is sweeping the span.
  static SweepToken TryAcquire(Span* span, uint32_t generation) {
    uint32_t expected = NeedsSweeping(generation);
    // Acquire pairs with the release of whoever last published the span. A
    // plain load first spares the line when the answer is no.
    if (span->sweepgen.load(std::memory_order_relaxed) != expected ||
        !span->sweepgen.compare_exchange_strong(
            expected, BeingSwept(generation), std::memory_order_acquire,
            std::memory_order_relaxed)) {
      return None(generation);
    }
    AtRacePoint(RacePoint::kSweepTokenTaken);
    return SweepToken(span, generation);
  }

  // For the owner of a cached span that has gone stale: nobody competes.
  static SweepToken TakeStale(Span* span, uint32_t generation) {
    LOAM_DCHECK(span->sweepgen.load(std::memory_order_relaxed) ==
                CachedStale(generation));
    span->sweepgen.store(BeingSwept(generation), std::memory_order_relaxed);
    return SweepToken(span, generation);
  }

  static SweepToken None(uint32_t generation) {
    return SweepToken(nullptr, generation);
  }

  SweepToken(SweepToken&& other) noexcept
      : span_(std::exchange(other.span_, nullptr)),
        generation_(other.generation_) {}
  SweepToken& operator=(SweepToken&&) = delete;
  ~SweepToken() { LOAM_DCHECK(span_ == nullptr); }

  explicit operator bool() const { return span_ != nullptr; }
  Span* span() const { return span_; }
  uint32_t generation() const { return generation_; }

  // Publishes the swept span: release, after everything the sweeper changed.
  Span* Publish() {
    span_->sweepgen.store(Swept(generation_), std::memory_order_release);
    return std::exchange(span_, nullptr);
  }

 private:
  SweepToken(Span* span, uint32_t generation)
      : span_(span), generation_(generation) {}

  Span* span_;
  uint32_t generation_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEP_TOKEN_H_
