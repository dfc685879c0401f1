#include "runtime/scavenger.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "runtime/base/clock.h"
#include "runtime/base/thread.h"

namespace loam {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;

// The thread works this long, and then sleeps a hundred times as long as it
// has worked.
constexpr uint64_t kSpell = kMillisecond;
constexpr uint64_t kSleepPerWork = 99;

// A heap that has not allocated for so long has stopped.
constexpr uint64_t kIdleAfter = 5 * kSecond;
constexpr uint64_t kLookAgainAfter = kSecond;

// Less than this is not worth a thread.
constexpr uint64_t kLeastExcess = uint64_t{1} << 20;
constexpr uint64_t kLeastRetained = uint64_t{4} << 20;

}  // namespace

uint64_t Scavenger::Retained(uint64_t bytes) const {
  return std::max(bytes + bytes / 100 * options_.retain_percent,
                  kLeastRetained);
}

uint64_t Scavenger::Excess() const {
  const uint64_t live = counters_->live_estimate.Get();
  uint64_t wanted = live;
  if (!is_idle_) {
    // Of which the heap's pages are a part.
    const uint64_t trigger = pacer_->trigger();
    const uint64_t outside =
        counters_->external_bytes.Get() + page_heap_->record_bytes()->Get();
    if (trigger > outside) wanted = std::max(live, trigger - outside);
  }
  const uint64_t has = page_heap_->heap_page_bytes();
  const uint64_t retained = Retained(wanted);
  return has > retained ? has - retained : 0;
}

void Scavenger::CollectionEnded() {
  if (!options_.enabled) return;
  const uint64_t live = counters_->live_estimate.Get();
  const bool is_wanted =
      page_heap_->heap_page_bytes() > Retained(live) + kLeastExcess;
  MutexLock lock(&mutex_);
  collections_++;
  if (has_thread_) {
    if (is_parked_) changed_.NotifyAll();
  } else if (is_wanted && !ending_) {
    // Without a thread, free pages go back on request.
    has_thread_ = StartThread(&thread_, "loam scavenger", &Main, this);
  }
}

Scavenger::~Scavenger() {
  pthread_t thread;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
    if (!has_thread_) return;
    thread = thread_;
  }
  pthread_join(thread, nullptr);
}

void* Scavenger::Main(void* scavenger) {
  static_cast<Scavenger*>(scavenger)->Run();
  return nullptr;
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

void Scavenger::Run() {
  const ScopedFatalContext context(fatal_context_);
  uint64_t seen = 0;  // of collections_
  mutex_.Lock();
  while (!ending_) {
    const uint64_t now_ns = NowNanoseconds();
    const bool was_idle = is_idle_;
    is_idle_ = IsIdle(now_ns);
    // What was dense, or in use, may be free now.
    if (collections_ != seen || is_idle_ != was_idle) below_ = UINTPTR_MAX;
    seen = collections_;
    mutex_.Unlock();
    const bool has_work = below_ != 0 && Excess() >= kLeastExcess;
    if (has_work) Work();
    // Whether there will be something to do when the heap has stopped.
    const bool may_have_work =
        !is_idle_ && page_heap_->heap_page_bytes() >
                         Retained(counters_->live_estimate.Get());
    const uint64_t end_ns = NowNanoseconds();
    // A process that was stopped meanwhile has not worked all that time.
    const uint64_t worked_ns = std::min(end_ns - now_ns, 10 * kSpell);
    if (!has_work && may_have_work) below_ = UINTPTR_MAX;  // More is swept.
    if (!has_work && !may_have_work) ReportSpell();
    mutex_.Lock();
    if (has_work) {
      SleepUntil(end_ns + worked_ns * kSleepPerWork);
    } else if (may_have_work) {
      SleepUntil(end_ns + kLookAgainAfter);
    } else {
      is_parked_ = true;
      while (collections_ == seen && !ending_) changed_.Wait(&mutex_);
      is_parked_ = false;
    }
  }
  mutex_.Unlock();
}

void Scavenger::SleepUntil(uint64_t time_ns) {
  while (!ending_ && NowNanoseconds() < time_ns) {
    changed_.WaitUntil(&mutex_, time_ns);
  }
}

void Scavenger::Work() {
  const uint64_t began_ns = NowNanoseconds();
  uint64_t now_ns = began_ns;
  uint64_t bytes = 0;
  {
    MutexLock lock(&work_mutex_);
    while (below_ != 0 && now_ns - began_ns < kSpell &&
           Excess() >= kLeastExcess) {
      bytes += page_heap_->ScavengeBelow(&below_);
      now_ns = NowNanoseconds();
    }
  }
  scavenged_bytes_.Add(bytes);
  worked_ns_.Add(now_ns - began_ns);
  spell_bytes_ += bytes;
  spell_ns_ += now_ns - began_ns;
}

void Scavenger::ReportSpell() {
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

void Scavenger::ResetAfterFork() {
  changed_.ResetAfterFork();
  has_thread_ = false;
  is_parked_ = false;
}

}  // namespace loam
