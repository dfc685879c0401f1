// One collection, in order: stop the world, flush cursors, finish sweeping,
// rotate mark bits, mark from the roots, clear weak words, queue unordered
// finalizers, (verify,) let the sweep generation rise, release caches, set the
// next trigger, start the world. Sweeping is lazy: it follows with the
// allocations, or at once if a full collection was asked for.
//
// Phases (GcPhase): off -> mark -> mark termination -> off. Only the stopper
// changes the phase.

#ifndef LOAM_RUNTIME_GC_GC_CYCLE_H_
#define LOAM_RUNTIME_GC_GC_CYCLE_H_

#include <atomic>
#include <cstdint>

#include "runtime/gc/ephemeron_index.h"
#include "runtime/gc/gc_pacer.h"
#include "runtime/gc/mark_team.h"
#include "runtime/gc/mark_verifier.h"
#include "runtime/gc/mark_work.h"
#include "runtime/gc/marker.h"
#include "runtime/gc/pause_histogram.h"
#include "runtime/gc/root_set.h"
#include "runtime/gc/safepoint.h"
#include "runtime/gc/trace_roots.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/specials/special_table.h"
#include "runtime/sweep/sweeper.h"

namespace loam {

enum class GcPhase : uint8_t { kOff, kMark, kMarkTermination };

inline const char* GcPhaseName(GcPhase phase) {
  switch (phase) {
    case GcPhase::kOff:
      return "not collecting";
    case GcPhase::kMark:
      return "marking";
    case GcPhase::kMarkTermination:
      return "ending marking";
  }
  return "in no known phase";
}

enum class CycleOutcome : uint8_t {
  kRan,
  kSuperseded,  // another thread has run one instead
  kDisabled,    // collections are disabled
};

// The values are those of loam_cycle_reason.
enum class CycleReason : uint8_t { kTrigger, kRequested, kMemory, kStress };

struct CycleInfo {
  uint64_t number;
  CycleReason reason;
  uint64_t pause_ns;
  uint64_t mark_ns;
  uint64_t live_bytes_before;
  uint64_t live_bytes;
  uint64_t live_objects;
  uint64_t next_trigger;
  // Spans that the collecting thread had to sweep first: none, mostly, when the
  // trigger is reached by allocating.
  uint64_t unswept_spans;
};

// What a cycle needs of the layer above.
class CycleHost {
 public:
  // The world is stopped in all of these.

  // Every mutator's spans get their exact free_index, and its cursors become
  // empty.
  virtual void FlushCursors() = 0;
  // A marking is over, and nobody sweeps yet: what it says of samples that are
  // new is counted.
  virtual void ResolveSamples() = 0;
  // Every cached span, stale now, goes back.
  virtual void ReleaseCaches() = 0;
  virtual void VisitMutators(Tracer* tracer) = 0;
  // The types of the heap's objects.
  virtual const TypeSet& object_types() const = 0;
  virtual void CycleBegins(const CycleInfo& info) = 0;
  virtual void CycleEnds(const CycleInfo& info) = 0;
  virtual void Log(const char* line) = 0;

 protected:
  ~CycleHost() = default;
};

// At one moment: `cycles` is the cycle after which live_bytes were alive, and
// live_bytes <= live_estimate <= allocated_bytes.
struct CycleTotals {
  uint64_t cycles = 0;
  uint64_t live_estimate = 0;
  uint64_t allocated_bytes = 0;
  uint64_t total_pause_ns = 0;
  uint64_t longest_pause_ns = 0;
  uint64_t last_pause_ns = 0;
  uint64_t total_mark_ns = 0;
  uint64_t live_bytes = 0;
  uint64_t live_objects = 0;
  PauseHistogram pauses;
};

// The parts of a heap that a cycle works on.
struct CycleParts {
  CycleHost* host;
  PageHeap* page_heap;
  MemoryLedger* ledger;
  HeapCounters* counters;
  SpecialTable* specials;
  Sweeper* sweeper;
  RootSet* roots;
  Safepoints* safepoints;
  GcPacer* pacer;
  ValueEncoding encoding;
  uintptr_t weak_cleared_word;
  size_t max_mark_stack_bytes;
  Platform platform;  // where workers run
  const FatalContext* fatal_context;
  bool verify_marking;
  VerifierOptions verifier;
};

class GcCycle {
 public:
  explicit GcCycle(const CycleParts& parts);
  ~GcCycle();
  GcCycle(const GcCycle&) = delete;
  GcCycle& operator=(const GcCycle&) = delete;

  // Runs a cycle. `self` is running, on the calling thread; a safepoint. Of
  // several threads with the same reason one collects: `only_after`, unless it
  // is kAnyCycle, is what cycles() said when the reason arose, and if another
  // thread has run one since, this one does not. With `sweep_all` everything
  // dead is freed or queued when a cycle has run.
  static constexpr uint64_t kAnyCycle = UINT64_MAX;
  CycleOutcome Collect(SafepointState* self, CycleReason reason, bool sweep_all,
                       uint64_t only_after = kAnyCycle);

  // Nest; while any is in effect no cycle starts.
  void Disable() { disabled_.fetch_add(1, std::memory_order_relaxed); }
  void Enable() { disabled_.fetch_sub(1, std::memory_order_relaxed); }
  bool is_disabled() const {
    return disabled_.load(std::memory_order_relaxed) != 0;
  }

  uint64_t cycles() const { return cycles_.load(std::memory_order_relaxed); }
  GcPhase phase() const { return phase_.load(std::memory_order_relaxed); }
  CycleTotals totals() LOAM_EXCLUDES(totals_lock_);
  // Has `tracer` visit every root and follow what it reaches: marking does so,
  // and everybody who wants to know what marking would reach. The world is
  // stopped, and everything swept.
  void TraceFromRoots(Tracer* tracer) { trace_roots_.Trace(tracer); }
  // Makes threads that help to mark; false if it cannot have them all. Once,
  // before the first cycle.
  bool StartWorkers(uint32_t count);
  void LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
    totals_lock_.Lock();
    if (mark_team_ != nullptr) mark_team_->LockForFork();
  }
  void UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
    if (mark_team_ != nullptr) mark_team_->UnlockAfterFork();
    totals_lock_.Unlock();
  }
  void ResetAfterFork() {
    if (mark_team_ != nullptr) mark_team_->ResetAfterFork();
  }

 private:
  void Run(CycleReason reason, uint64_t stop_began_ns, uint64_t unswept_spans);
  void CountLive(const CycleInfo& info) LOAM_EXCLUDES(totals_lock_);
  void Mark();
  // Once all that is strongly reachable is marked.
  void VisitWeakProviders();
  void ClearWeak();
  void Verify();
  void TraceNeverCleared();

  const CycleParts parts_;
  MarkWork mark_work_;
  MarkTeam* mark_team_ = nullptr;  // constant after StartWorkers
  EphemeronIndex ephemerons_;
  TraceRoots trace_roots_;
  MarkVerifier verifier_;
  alignas(64) char marker_storage_[Marker::kStorageBytes];
  Marker* const marker_;

  // Statistics and hints: relaxed. A mutator that decides to collect on an old
  // count finds out under the safepoints' lock.
  std::atomic<uint64_t> cycles_{0};
  std::atomic<uint32_t> disabled_{0};
  std::atomic<GcPhase> phase_{GcPhase::kOff};
  SpinLock totals_lock_;
  CycleTotals totals_ LOAM_GUARDED_BY(totals_lock_);
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_GC_CYCLE_H_
