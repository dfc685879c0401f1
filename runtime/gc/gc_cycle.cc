#include "runtime/gc/gc_cycle.h"

#include <algorithm>

#include "runtime/base/clock.h"
#include "runtime/base/embedder_call.h"
#include "runtime/base/fatal.h"
#include "runtime/gc/weak_words.h"
#include "runtime/heap/type_set.h"

namespace loam {
namespace {

struct ExpectedCycle {
  const GcCycle* cycle;
  uint64_t number;
};

}  // namespace

GcCycle::GcCycle(const CycleParts& parts)
    : parts_(parts),
      mark_work_(parts.ledger, parts.max_mark_stack_bytes),
      ephemerons_(parts.page_heap, parts.ledger),
      trace_roots_(parts),
      verifier_(parts.page_heap, parts.encoding, parts.verifier),
      marker_(Marker::Create(marker_storage_, parts.page_heap, &mark_work_,
                             parts.encoding)) {
  marker_->set_index(&ephemerons_);
  // Checked heaps are small, and want everything checked.
  if (parts.verify_marking) marker_->set_marked_by_region(0);
}

GcCycle::~GcCycle() { MarkTeam::Destroy(mark_team_); }

bool GcCycle::StartWorkers(uint32_t count) {
  if (count == 0) return true;
  mark_team_ = MarkTeam::Create(parts_.page_heap, parts_.ledger,
                                parts_.encoding, parts_.max_mark_stack_bytes,
                                parts_.platform, parts_.fatal_context);
  if (mark_team_ == nullptr) return false;
  marker_->set_team(mark_team_,
                    parts_.verify_marking ? 0 : Marker::kMarkedAlone);
  return mark_team_->Start(count);
}

CycleTotals GcCycle::totals() {
  const HeapCounters& counters = *parts_.counters;
  SpinLockHolder lock(&totals_lock_);
  CycleTotals totals = totals_;
  totals.live_estimate = counters.live_estimate.Get();
  totals.allocated_bytes = counters.allocated_bytes.Get() +
                           totals.live_estimate - counters.marked_bytes.Get();
  return totals;
}

CycleOutcome GcCycle::Collect(SafepointState* self, CycleReason reason,
                              bool sweep_all, uint64_t only_after) {
  if (is_disabled()) return CycleOutcome::kDisabled;
  ExpectedCycle expected = {this, only_after};
  bool (*still_wanted)(void*) = nullptr;
  if (only_after != kAnyCycle) {
    still_wanted = [](void* data) {
      const auto* e = static_cast<ExpectedCycle*>(data);
      return e->cycle->cycles() == e->number;
    };
  }
  // Most of what is left to sweep is swept before the world stops.
  const uint64_t unswept_spans = parts_.sweeper->SweepAll();
  const uint64_t stop_began_ns = NowNanoseconds();
  CycleOutcome outcome = CycleOutcome::kSuperseded;
  if (parts_.safepoints->StopTheWorld(self, still_wanted, &expected)) {
    // A mutator may have disabled collections on its way to the safepoint.
    outcome = is_disabled() ? CycleOutcome::kDisabled : CycleOutcome::kRan;
    if (outcome == CycleOutcome::kRan) {
      Run(reason, stop_began_ns, unswept_spans);
    }
    parts_.safepoints->StartTheWorld();
  }
  Safepoints::ResumeSelf(self);
  if (outcome == CycleOutcome::kRan && sweep_all) {
    parts_.sweeper->SweepAllAndWait();
  }
  return outcome;
}

void GcCycle::Run(CycleReason reason, uint64_t stop_began_ns,
                  uint64_t unswept_spans) {
  CycleInfo info = {};
  info.unswept_spans = unswept_spans;
  info.number = cycles() + 1;
  info.reason = reason;
  info.live_bytes_before = parts_.counters->live_estimate.Get();
  parts_.host->CycleBegins(info);

  parts_.host->FlushCursors();
  parts_.sweeper->SweepAllAndWait();
  parts_.specials->BeginMarking();
  parts_.page_heap->gc_bits()->NextEpoch();

  phase_.store(GcPhase::kMark, std::memory_order_relaxed);
  const uint64_t mark_began_ns = NowNanoseconds();
  EmbedderCall("a trace or decode callback", [this] { Mark(); });
  info.mark_ns = NowNanoseconds() - mark_began_ns;

  phase_.store(GcPhase::kMarkTermination, std::memory_order_relaxed);
  parts_.roots->RemoveUnvisitedFibers();
  // Before sweepers may begin to count what this marking has found dead.
  parts_.specials->heap_profile()->EndMarking();
  parts_.host->ResolveSamples();
  parts_.sweeper->NextGeneration();
  info.live_bytes = marker_->marked_bytes();
  info.live_objects = marker_->marked_objects();
  CountLive(info);
  parts_.host->ReleaseCaches();
  cycles_.store(info.number, std::memory_order_relaxed);

  const PageHeapStats pages = parts_.page_heap->stats();
  const uint64_t now_ns = NowNanoseconds();
  info.pause_ns = now_ns - stop_began_ns;
  CycleMeasurement measurement = {};
  measurement.live_bytes = info.live_bytes;
  measurement.external_bytes = parts_.counters->external_bytes.Get();
  measurement.record_bytes = parts_.specials->PredictRecordBytes();
  measurement.committed_bytes = parts_.ledger->committed();
  // No collection makes manual pages fewer.
  measurement.heap_page_bytes =
      pages.span_bytes + pages.free_page_bytes - pages.all_manual_bytes();
  measurement.pause_ns = info.pause_ns;
  measurement.assist_ns = parts_.page_heap->assist_ns();
  measurement.now_ns = now_ns;
  if (parts_.pacer->EndCycle(measurement)) {
    parts_.host->Log(
        "the memory limit is exceeded: keeping below it would spend more than "
        "half of the time on collecting");
  }
  info.next_trigger = parts_.pacer->trigger();
  parts_.sweeper->StartPacing(info.next_trigger,
                              parts_.safepoints->mutator_count());
  {
    SpinLockHolder lock(&totals_lock_);
    totals_.last_pause_ns = info.pause_ns;
    totals_.total_pause_ns += info.pause_ns;
    totals_.longest_pause_ns =
        std::max(totals_.longest_pause_ns, info.pause_ns);
    totals_.total_mark_ns += info.mark_ns;
    totals_.pauses.Add(info.pause_ns);
  }
  phase_.store(GcPhase::kOff, std::memory_order_relaxed);
  parts_.host->CycleEnds(info);
}

// What was handed out since the last cycle is allocated; what was marked is the
// new estimate. For totals(), all at once.
void GcCycle::CountLive(const CycleInfo& info) {
  HeapCounters& counters = *parts_.counters;
  SpinLockHolder lock(&totals_lock_);
  counters.allocated_bytes.Add(counters.live_estimate.Get() -
                               counters.marked_bytes.Get());
  counters.live_estimate.Set(info.live_bytes);
  counters.marked_bytes.Set(info.live_bytes);
  counters.finalizable_bytes.Set(0);
  totals_.cycles = info.number;
  totals_.live_bytes = info.live_bytes;
  totals_.live_objects = info.live_objects;
}

void GcCycle::Mark() {
  const TypeSet& types = parts_.host->object_types();
  if (parts_.verify_marking) verifier_.CheckTypeWords(types);
  if (types.has_weak_words()) ForgetWeakObjects(parts_.page_heap);
  marker_->set_has_never_cleared(types.has_never_cleared());
  marker_->Begin();
  trace_roots_.Trace(marker_);
  VisitWeakProviders();
  ClearWeak();
  if (parts_.specials->QueueUnordered()) {
    trace_roots_.TraceQueue(marker_);
    // Of what these keep alive for one more cycle.
    ClearWeak();
  }
  mark_work_.Trim();
  if (parts_.verify_marking) Verify();
}

void GcCycle::Verify() {
  verifier_.Begin();
  trace_roots_.Trace(&verifier_);
  if (parts_.host->object_types().has_never_cleared()) TraceNeverCleared();
  LOAM_CHECK(verifier_.reached_objects() == marker_->marked_objects(),
             "marking reached %llu objects, the verifier %llu",
             static_cast<unsigned long long>(marker_->marked_objects()),
             static_cast<unsigned long long>(verifier_.reached_objects()));
  LOAM_CHECK(!verifier_.ephemerons_wait(),
             "an ephemeron has a dead key, and was not cleared");
}

// Marked objects to which weak references are strong may live because a weak
// provider asked about them, or because of an ephemeron's key in a record that
// has been cleared since, another key being dead.
void GcCycle::TraceNeverCleared() {
  verifier_.EnterRoot("object of a type that is never cleared", nullptr);
  parts_.page_heap->ForEachSpan([this](const Span* span) {
    for (size_t i = FindFirstSet(span->mark_bits, 0, span->cell_count);
         i < span->cell_count;
         i = FindFirstSet(span->mark_bits, i + 1, span->cell_count)) {
      const uintptr_t cell = span->CellAddress(i);
      if (IsNeverCleared(span->TypeOf(cell))) verifier_.VisitPointer(cell);
    }
  });
  trace_roots_.TraceOn(&verifier_);
}

namespace {

// What a weak provider gets.
class LivenessVisitor final : public loam_visitor {
 public:
  LivenessVisitor(PageHeap* page_heap, const ValueEncoding& encoding,
                  Tracer* tracer)
      : page_heap_(page_heap), encoding_(encoding), tracer_(tracer) {}

  void VisitValue(uintptr_t) override { Refuse(); }
  void VisitPointer(uintptr_t) override { Refuse(); }
  void VisitAmbiguous(uintptr_t) override { Refuse(); }
  bool IsLive(WordKind kind, uintptr_t word) override {
    const uintptr_t address =
        kind == WordKind::kPointer ? word : DecodeValue(encoding_, word);
    const uintptr_t dead = FindUnmarked(*page_heap_, address);
    if (dead == 0) return true;
    if (!IsNeverCleared(page_heap_->FindSpan(dead)->TypeOf(dead))) return false;
    tracer_->VisitPointer(address);
    has_kept_ = true;
    return true;
  }
  // Whether it was asked about an object to which weak references are strong.
  bool has_kept() const { return has_kept_; }

 private:
  [[noreturn]] static void Refuse() {
    FatalMisuse(
        "loam_visit_*: visitor: a weak provider visits nothing; it asks "
        "loam_weak_is_live");
  }

  PageHeap* const page_heap_;
  const ValueEncoding& encoding_;
  Tracer* const tracer_;
  bool has_kept_ = false;
};

}  // namespace

void GcCycle::VisitWeakProviders() {
  LivenessVisitor visitor(parts_.page_heap, parts_.encoding, marker_);
  parts_.roots->VisitWeakProviders(&visitor);
  if (visitor.has_kept()) trace_roots_.TraceOn(marker_);
}

void GcCycle::ClearWeak() {
  if (parts_.host->object_types().has_weak_words()) {
    const StoreShadow shadow(&parts_.page_heap->arena_map());
    ClearWeakWords(parts_.page_heap, parts_.encoding,
                   {parts_.weak_cleared_word, marker_->some_key_may_be_dead(),
                    parts_.verifier.check_stores ? &shadow : nullptr});
  }
  parts_.roots->ClearWeakRoots(
      parts_.weak_cleared_word, [&](WordKind kind, uintptr_t word) {
        const uintptr_t address = kind == WordKind::kWeakPointer
                                      ? word
                                      : DecodeValue(parts_.encoding, word);
        return FindUnmarked(*parts_.page_heap, address) != 0;
      });
}

}  // namespace loam
