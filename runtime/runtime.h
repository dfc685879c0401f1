// One heap instance: ties the parts of the layers below together.
//
// Who does what:
//   runtime.cc           creation, collecting, what a cycle asks for, messages
//   mutators.cc          attaching, native sections, stops, fork
//   object_allocator.*   allocation's slow paths
//   checking.*           stress mode, store and thread checks
//   inspect.cc           statistics, walks, questions about addresses
//   heap_map_writer.cc   the page that shows the heap
//   profile_writer.cc    the heap profile
//   heap_snapshot_writer.cc
//                        a snapshot for memory debuggers
//   find_path.cc         why an object is alive
//   object_specials.cc   finalizers, cleanups, pins, words, weak handles
//   run_finalizers.cc    running what is queued when objects have died
//   finalizer_runner.*   a thread that does
//   typed_spans.cc       which types have spans of their own

#ifndef LOAM_RUNTIME_RUNTIME_H_
#define LOAM_RUNTIME_RUNTIME_H_

#include <cstddef>
#include <cstdint>

#include "runtime/background.h"
#include "runtime/background_sweeper.h"
#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/base/status.h"
#include "runtime/finalizer_runner.h"
#include "runtime/gc/gc_cycle.h"
#include "runtime/gc/gc_pacer.h"
#include "runtime/gc/root_set.h"
#include "runtime/gc/safepoint.h"
#include "runtime/gc/store_shadow.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/page_heap.h"
#include "runtime/heap/type_set.h"
#include "runtime/mutator.h"
#include "runtime/options.h"
#include "runtime/scavenger.h"
#include "runtime/span_class.h"
#include "runtime/specials/special_table.h"
#include "runtime/sweep/span_source.h"
#include "runtime/sweep/sweeper.h"

namespace loam {

// What a heap knows of a registered type.
struct TypeState {
  CentralSpanList central;
  // Allocate in typed spans. Relaxed: a hint. Set by mutators and the
  // collector, cleared by the collector.
  std::atomic<bool> typed;
  // Bytes allocated since the last cycle, over all mutators. Collector only.
  uint64_t cycle_bytes;
  // The list of types with nonzero cycle_bytes or typed spans: 0, not on it;
  // otherwise the next index plus one, or kEndOfUsedList. Collector only.
  uint32_t next_active;
};

// A cleanup that has been added to an object, alive or not.
struct CleanupName {
  uintptr_t address;
  uint64_t serial;
};

struct PathStep;  // retaining_paths.h

struct RuntimeStats {
  PageHeapStats pages;
  uint64_t external_bytes, trigger;
  CycleTotals cycle;
  uint64_t swept_bytes;
  uint64_t mutators;
  uint64_t typed_types;
  uint64_t finalizers_set, finalizers_waiting;
  uint64_t cleanups_set, pinned_objects, weak_handles;
  uint64_t scavenged_bytes, scavenger_ns, background_sweep_ns;
};

class Runtime final : private CycleHost {
 public:
  // The options have passed CheckOptionRanges.
  static Status Create(const RuntimeOptions& given, Runtime** result,
                       ErrorMessage* message);
  // kWrongState while mutators are attached.
  Status Destroy(ErrorMessage* message);

  // ---- Mutators

  Status Attach(const char* name, Mutator** result, ErrorMessage* message);
  Status Detach(Mutator* m, ErrorMessage* message);
  // The calling thread's, or NULL.
  Mutator* Current();

  // The slow path of loam_safepoint.
  void Safepoint(Mutator* m);
  void EnterNative(Mutator* m);
  Status LeaveNative(Mutator* m, ErrorMessage* message);
  void StopTheWorld(Mutator* m);
  void StartTheWorld(Mutator* m);
  // Attached, this moment.
  uint32_t mutator_count() const { return safepoints_.mutator_count(); }
  // Before a fork: stops the world and holds the heap's locks; one thread may
  // prepare several heaps. In the child `m` is the only mutator left.
  void PrepareFork(Mutator* m);
  void EndForkInParent(Mutator* m);
  void EndForkInChild(Mutator* m);

  // ---- Collecting

  // A safepoint. False while collections are disabled.
  CycleOutcome Collect(Mutator* m, CycleReason reason, bool sweep_all,
                       uint64_t only_after = GcCycle::kAnyCycle);
  bool TriggerReached() const {
    return counters_.ChargedBytes(page_heap_.record_bytes().Get()) >=
           pacer_.trigger();
  }
  // After a change of the pacer's options: sweeping is to be over by the new
  // trigger.
  void TriggerMoved() {
    sweeper_.MoveTrigger(pacer_.trigger());
    page_heap_.set_retained_bytes(scavenger_.RetainedForTrigger());
  }
  // Whether allocations should collect before they pass the memory limit, and
  // whether one that has come to it may do so now: enough has been allocated
  // since the last collection.
  bool KeepsMemoryLimit() const {
    return ledger_.soft_limit() != kNoLimit && !pacer_.is_exceeding_limit();
  }
  bool MayCollectForMemoryLimit() const;
  // Takes effect at once: free pages above it go back to the OS now. May be
  // kMemoryLimitFromCgroup.
  void SetMemoryLimit(uint64_t bytes);
  // Bytes that free space in caches may reach before rare types go without.
  uint64_t CachedBytesBound() const;
  size_t ReleaseMemory() { return page_heap_.ReleaseFreePages(SIZE_MAX); }
  // attempt(), and once more after giving free pages back to the OS if it had
  // no memory: under heap_limit they count like pages in use. It returns a
  // Status, or something that is zero when there was none.
  template <typename Attempt>
  auto WithFreePages(Attempt&& attempt) {
    auto result = attempt();
    bool had_memory;
    if constexpr (std::is_same_v<decltype(result), Status>) {
      had_memory = result != Status::kOutOfMemory;
    } else {
      had_memory = result != decltype(result){};
    }
    if (!had_memory && ReleaseMemory() > 0) result = attempt();
    return result;
  }
  // Takes effect at once: free pages above it go back to the OS now, others
  // when they become free.
  void SetHeapLimit(uint64_t bytes);
  void AdjustExternalBytes(int64_t bytes);

  // ---- Typed spans

  TypeState* type_state(const Type& type) {
    return &types_state_.at(type.index);
  }
  // Turns typed spans on for a type; false when out of memory.
  bool PromoteType(const Type& type);

  // ---- Looking inside

  RuntimeStats stats();
  // Base of the object that `address` lies in, its span and bytes; false if it
  // lies in none.
  bool FindObject(uintptr_t address, Span** span, uintptr_t* cell);
  // Bytes of the object in a cell that are the embedder's.
  static size_t ObjectBytes(const Span& span, uintptr_t cell);
  // Calls visit(object, bytes, type, data) for every allocated object until it
  // returns false. Stops the world.
  void Walk(Mutator* m,
            bool (*visit)(void* object, size_t bytes, const Type* type,
                          void* data),
            void* data);
  // Writes a page that shows the heap to a file. Stops the world; sweeps
  // nothing. kIoError or kOutOfMemory.
  Status WriteMap(Mutator* m, const char* path, ErrorMessage* message);
  // Writes a snapshot of what is reachable to a file. Stops the world.
  // kIoError, kOutOfMemory or kWrongState.
  Status WriteSnapshot(Mutator* m, const char* path, ErrorMessage* message);
  // Calls visit(step, data) for each step of a path from a root to the object
  // in which `address` lies, until it returns false. Stops the world.
  // kInvalidArgument, kNotFound or kOutOfMemory.
  Status FindPath(Mutator* m, uintptr_t address,
                  bool (*visit)(const PathStep& step, void* data), void* data,
                  ErrorMessage* message);
  // The same, to the log.
  Status LogPath(Mutator* m, uintptr_t address, ErrorMessage* message);
  // The world is stopped: makes every span swept and its free_index exact.
  void FlushAndSweep();
  // Checks invariants; calls report for each violation; the number of them.
  size_t Check(Mutator* m, bool full,
               void (*report)(const char* line, void* data), void* data);

  // ---- Specials. `object` may be interior. Where it is not alive:
  // kInvalidArgument.

  Status SetFinalizer(void* object, const FinalizerInfo& info,
                      ErrorMessage* message);
  Status ClearFinalizer(void* object, ErrorMessage* message);
  // Pins of one object nest.
  Status Pin(void* object, ErrorMessage* message);
  Status Unpin(void* object, ErrorMessage* message);
  Status AddCleanup(void* object, const CleanupInfo& info, CleanupName* name,
                    ErrorMessage* message);
  // The object may be dead.
  Status StopCleanup(const CleanupName& name, ErrorMessage* message);
  // NULL when out of memory. Lives as long as the heap.
  EmbedderKind* NewEmbedderKind(void (*died)(loam_mutator* m, uintptr_t word,
                                             void* data),
                                void* data);
  Status SetWord(void* object, const EmbedderKind* kind, uintptr_t word,
                 ErrorMessage* message);
  Status GetWord(void* object, const EmbedderKind* kind, uintptr_t* word,
                 ErrorMessage* message);
  Status RemoveWord(void* object, const EmbedderKind* kind, uintptr_t* word,
                    ErrorMessage* message);
  Status TakeWeakHandle(void* object, bool is_long, WeakHandle** handle,
                        ErrorMessage* message);
  Status Watch(void* object, WeakHandle** watch, ErrorMessage* message);
  // The address, if the object is alive as far as the last collection knows; 0
  // otherwise. For a watch: 0 once a cycle has ended since it was set.
  uintptr_t LoadWeakHandle(const WeakHandle& handle);
  void GiveWeakHandle(WeakHandle* handle);
  void GiveWatch(WeakHandle* watch);
  // Runs up to `max` (0: as many as are queued on entry); how many ran.
  size_t RunFinalizers(Mutator* m, size_t max);
  // A thread that does it. kWrongState if there is one, or none to stop.
  Status StartFinalizerRunner(ErrorMessage* message);
  Status StopFinalizerRunner(ErrorMessage* message);

  // ---- The heap profile

  // The rate may be changed at any time.
  SamplingRate* sampling_rate() { return &sampling_rate_; }
  // Writes what has been sampled to a file, in pprof's format. Any thread.
  // kIoError or kOutOfMemory.
  Status WriteProfile(const char* path, ErrorMessage* message);

  // ---- Messages

  // Remembers the message as the heap's last; fatal with abort_on_misuse,
  // unless it reports out of memory.
  void RememberError(Status status, const ErrorMessage& message);
  const char* last_error() const { return last_error_.text; }
  void Log(const char* line) override;

  // ---- Parts, for the allocator and the API

  const RuntimeOptions& options() const { return options_; }
  GcPacer* pacer() { return &pacer_; }
  MemoryLedger* ledger() { return &ledger_; }
  HeapCounters* counters() { return &counters_; }
  PageHeap* page_heap() { return &page_heap_; }
  Sweeper* sweeper() { return &sweeper_; }
  SpanSource* span_source() { return &span_source_; }
  RootSet* roots() { return &roots_; }
  SpecialTable* specials() { return &specials_; }
  GcCycle* cycle() { return &cycle_; }
  TypeSet* types() { return types_; }
  const StoreShadow& store_shadow() const { return store_shadow_; }
  CentralSpanList* classed_central(SpanClass c) { return &classed_[c]; }
  CentralSpanList* large_central() { return &large_; }
  const FatalContext* fatal_context() const { return &fatal_context_; }

 private:
  explicit Runtime(const RuntimeOptions& options);
  ~Runtime();
  bool Initialize();
  // For `call`: act(span, address) where the specials of a live object are,
  // its span being swept, and what it returns. kInvalidArgument if no object
  // lives there.
  template <typename Act>
  Status OnSpecials(const char* call, void* object, ErrorMessage* message,
                    Act&& act);
  // The span of an object that may be dead, swept; NULL if there is none.
  Span* FindSwept(uintptr_t address);
  // Runs what is queued, and what would be if everything died.
  void FinalizeAll();
  bool RunOneDispose(Mutator* m);
  // What a collection leaves to do is done in the background.
  void WakeBackground();

  // CycleHost
  const TypeSet& object_types() const override { return *types_; }
  void FlushCursors() override;
  void ResolveSamples() override;
  void ReleaseCaches() override;
  void VisitMutators(Tracer* tracer) override;
  void CycleBegins(const CycleInfo& info) override;
  void CycleEnds(const CycleInfo& info) override;

  // Whether what types have allocated is added up, which only the collector may
  // do, the world being stopped.
  enum class CountTypes : bool { kNo, kYes };
  Status TryAttach(const char* name, Mutator** result, ErrorMessage* message);
  template <typename Visit>
  static void ForEachPreparedHeap(Visit&& visit);
  void LockForFork();
  void UnlockAfterFork();
  void ResetAfterFork(Mutator* m);
  void ReleaseCachesOf(Mutator* m, CountTypes count_types);
  void DestroyMutator(Mutator* m);
  const Mutator* FindInTheWay(const Mutator* m);
  void AddTypeBytes(SpanClass span_class, uint32_t bytes);
  void DecideTypedSpans();
  void PrintState();
  static void OnThreadEnd(SafepointState* state);
  static const char* NameOfOtherHeap(void* data, uintptr_t address);

  RuntimeOptions options_;
  TypeSet* types_;
  bool owns_types_;
  SamplingRate sampling_rate_;
  FatalContext fatal_context_;

  MemoryLedger ledger_;
  HeapCounters counters_;
  PersistentAllocator persistent_;
  PageHeap page_heap_;
  SpecialTable specials_;
  Sweeper sweeper_;
  SpanSource span_source_;
  RootSet roots_;
  Safepoints safepoints_;
  // Mutators that host calls returned and did not detach, and any detaching
  // whose memory still exists; the heap may be destroyed at 0.
  std::atomic<uint32_t> attached_{0};
  GcPacer pacer_;
  StoreShadow store_shadow_;
  SparseTable<TypeState> types_state_;
  // Head of TypeState::next_active. Collector only.
  uint32_t first_active_type_ = kEndOfUsedList;
  Counter typed_types_;
  CentralSpanList classed_[kFirstTypedClass];
  CentralSpanList large_;

  Mutex<LockRank::kErrorMessage> error_mutex_;
  ErrorMessage last_error_;  // written under error_mutex_; see last_error()

  FinalizerRunner finalizer_runner_;
  GcCycle cycle_;
  BackgroundSweeper background_sweeper_;
  Scavenger scavenger_;
  // Last, so that it ends first.
  Background background_;
};

inline Mutator* MutatorOf(SafepointState* state) {
  return static_cast<Mutator*>(state->owner);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_RUNTIME_H_
