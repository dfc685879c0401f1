#include "runtime/scavenger.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "runtime/base/clock.h"

namespace loam {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;

// Works this long, and then sleeps a hundred times as long as it has worked.
constexpr uint64_t kSpell = kMillisecond;
constexpr uint64_t kSleepPerWork = 99;

// A heap that has not allocated for so long has stopped.
constexpr uint64_t kIdleAfter = 5 * kSecond;
constexpr uint64_t kLookAgainAfter = kSecond;

// Less than this is not worth the work.
constexpr uint64_t kLeastExcess = uint64_t{1} << 20;
constexpr uint64_t kLeastRetained = uint64_t{4} << 20;

}  // namespace

uint64_t Scavenger::Retained(uint64_t bytes) const {
  return std::max(bytes + bytes / 100 * retain_percent_, kLeastRetained);
}

uint64_t Scavenger::RetainedForTrigger() const {
  const uint64_t live = counters_->live_estimate.Get();
  // Of which the heap's pages are a part.
  const uint64_t trigger = pacer_->trigger();
  const uint64_t outside =
      counters_->external_bytes.Get() + page_heap_->record_bytes()->Get();
  return Retained(trigger > outside ? std::max(live, trigger - outside) : live);
}

uint64_t Scavenger::Excess() const {
  const uint64_t retained = is_idle_ ? Retained(counters_->live_estimate.Get())
                                     : RetainedForTrigger();
  const uint64_t has = page_heap_->heap_page_bytes();
  return std::max(has > retained ? has - retained : 0,
                  page_heap_->soft_excess());
}

bool Scavenger::CollectionEnded() {
  collections_.Add(1);
  const uint64_t live = counters_->live_estimate.Get();
  return page_heap_->heap_page_bytes() > Retained(live) + kLeastExcess ||
         page_heap_->soft_excess() > kLeastExcess;
}

bool Scavenger::IsIdle(uint64_t now_ns) {
  const uint64_t activity =
      counters_->live_estimate.Get() + counters_->allocated_bytes.Get();
  if (activity != activity_) {
    activity_ = activity;
    active_ns_ = now_ns;
  }
  return now_ns - active_ns_ >= kIdleAfter;
}

uint64_t Scavenger::Work() {
  const uint64_t now_ns = NowNanoseconds();
  const bool was_idle = is_idle_;
  is_idle_ = IsIdle(now_ns);
  // What was dense, or in use, may be free now.
  const uint64_t collections = collections_.Get();
  if (collections != seen_ || is_idle_ != was_idle) below_ = UINTPTR_MAX;
  seen_ = collections;
  if (below_ != 0 && Excess() >= kLeastExcess) {
    const uint64_t end_ns = ReleasePages(now_ns);
    // A process that was stopped meanwhile has not worked all that time.
    return end_ns + std::min(end_ns - now_ns, 10 * kSpell) * kSleepPerWork;
  }
  // Whether there will be something to do when the heap has stopped, or more is
  // swept.
  if (!is_idle_ && page_heap_->heap_page_bytes() >
                       Retained(counters_->live_estimate.Get())) {
    below_ = UINTPTR_MAX;
    return now_ns + kLookAgainAfter;
  }
  spell_is_over_ = true;
  return kParked;
}

uint64_t Scavenger::ReleasePages(uint64_t began_ns) {
  uint64_t now_ns = began_ns;
  uint64_t bytes = 0;
  while (below_ != 0 && now_ns - began_ns < kSpell &&
         Excess() >= kLeastExcess) {
    bytes += page_heap_->ScavengeBelow(&below_);
    now_ns = NowNanoseconds();
  }
  scavenged_bytes_.Add(bytes);
  worked_ns_.Add(now_ns - began_ns);
  spell_bytes_ += bytes;
  spell_ns_ += now_ns - began_ns;
  return now_ns;
}

void Scavenger::Report() {
  if (!spell_is_over_) return;
  spell_is_over_ = false;
  if (spell_bytes_ > 0 && report_ != nullptr) {
    char line[128];
    snprintf(line, sizeof(line),
             "scavenged %.1f MiB in %.1f ms of work; %.1f MiB retained",
             static_cast<double>(spell_bytes_) / (1 << 20),
             static_cast<double>(spell_ns_) / 1e6,
             static_cast<double>(page_heap_->heap_page_bytes()) / (1 << 20));
    report_(report_data_, line);
  }
  spell_bytes_ = 0;
  spell_ns_ = 0;
}

}  // namespace loam
