// A mutator: what one thread needs to allocate without asking anybody.
//
// It lies at the start of a reserved region that continues with two tables
// indexed by span class: allocation cursors, whose offsets are ABI, and the
// cached spans that go with them. Both are committed where they are used and
// read as zeroes elsewhere, so that an unused cursor is empty. Behind them is
// what the heap profile remembers of call stacks, and samples that no marking
// has seen, committed by the first sample.
//
// Owned by the thread that uses it. While the world is stopped, the collector
// flushes its cursors and takes its spans.

#ifndef LOAM_RUNTIME_MUTATOR_H_
#define LOAM_RUNTIME_MUTATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/allocation_sampler.h"
#include "runtime/call_stack.h"
#include "runtime/gc/root_set.h"
#include "runtime/gc/safepoint.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_cache.h"
#include "runtime/span_class.h"
#include "runtime/young_samples.h"

namespace loam {

class Runtime;

// The zeroed beginning, [next, limit), of a run of free cells inside a cached
// span. Where it ends lies anywhere in a cell.
struct AllocationCursor {
  uintptr_t next;
  uintptr_t limit;
};

// What stands behind a cursor.
struct CachedSpan {
  Span* span;
  // The end of the cursor's run; 0 without one. From the cursor's limit on its
  // cells are free but not zeroed yet.
  uintptr_t run_end;
  // The list of classes used since the last cycle: 0, not on it; otherwise the
  // next class plus one, or kEndOfUsedList.
  uint32_t next_used;
  // Bytes of the class's type allocated since the last cycle, with or without
  // typed spans; saturating.
  uint32_t type_bytes;
  // From the end of the run on. Survives flushes and refills.
  SamplingCountdown sampling;
};
constexpr uint32_t kEndOfUsedList = UINT32_MAX;

enum BarrierWord : uint32_t {
  kBarrierCheck = 1,  // checking mode: stores are recorded
};

struct Mutator {
  // loam_mutator_abi: known to compiled code.
  std::atomic<uint32_t> safepoint_word;  // SafepointWord
  uint32_t barrier_word;                 // BarrierWord; changes while stopped
  RootStack* root_stack;                 // current: its own, or a fiber's
  void* user_words[4];

  Runtime* runtime;
  SparseRegion region;  // this very memory
  SafepointState safepoint;
  MutatorRoots roots;
  uint32_t first_used;  // head of the list in CachedSpan::next_used
  uint32_t gc_disabled_depth;
  uint32_t world_stops;  // loam_stop_the_world that are open
  bool thread_ended;     // made native because its thread ended
  bool fork_prepared;    // between loam_fork_prepare and _parent or _child
  // The tiny allocator's cell: free from tiny_next to tiny_limit.
  uintptr_t tiny_next;
  uintptr_t tiny_limit;
  // Stress mode.
  uint64_t allocations_until_stress;
  uint64_t random_state;
  // Checking mode: objects allocated since the last safepoint.
  uintptr_t* fresh_objects;
  size_t fresh_count;
  char name[32];
  // The heap profile: the countdown of large objects; the cell of the object
  // being allocated, if it is to be sampled (otherwise the span is NULL), and
  // the rate that has chosen it; random numbers; call stacks; and the samples
  // that no marking has seen. Both last are NULL until they are committed.
  SamplingCountdown large_sampling;
  Span* sampled_span;
  uintptr_t sampled_cell;
  uint64_t sampled_at_rate;
  Exponentials exponentials;
  KnownCalls* known_calls;
  YoungSample* young_samples;
  uint32_t young_sample_count;
  // What new spans are made of. Given back at each cycle, and before the
  // mutator goes.
  HeapCache heap_cache;

  inline AllocationCursor& cursor(SpanClass span_class);
  inline CachedSpan& cached(SpanClass span_class);
};

constexpr size_t kCursorTableOffset = 1024;
constexpr size_t kCachedTableOffset =
    kCursorTableOffset + kSpanClassCount * sizeof(AllocationCursor);
constexpr size_t kKnownCallsOffset = AlignUp(
    kCachedTableOffset + kSpanClassCount * sizeof(CachedSpan), kOsPageBytes);
constexpr size_t kYoungSamplesOffset =
    AlignUp(kKnownCallsOffset + sizeof(KnownCalls), kOsPageBytes);
constexpr size_t kYoungSamplesBytes = kMaxYoungSamples * sizeof(YoungSample);
constexpr size_t kMutatorRegionBytes = kYoungSamplesOffset + kYoungSamplesBytes;
static_assert(sizeof(Mutator) <= kCursorTableOffset);

// Where the cursor of the first registered type lies.
constexpr uint32_t kFirstTypeCursorOffset = static_cast<uint32_t>(
    kCursorTableOffset + kFirstTypedClass * sizeof(AllocationCursor));

constexpr size_t CursorOffset(SpanClass span_class) {
  return kCursorTableOffset + span_class * sizeof(AllocationCursor);
}
constexpr size_t CachedOffset(SpanClass span_class) {
  return kCachedTableOffset + span_class * sizeof(CachedSpan);
}

inline AllocationCursor& Mutator::cursor(SpanClass span_class) {
  return *reinterpret_cast<AllocationCursor*>(reinterpret_cast<char*>(this) +
                                              CursorOffset(span_class));
}
inline CachedSpan& Mutator::cached(SpanClass span_class) {
  return *reinterpret_cast<CachedSpan*>(reinterpret_cast<char*>(this) +
                                        CachedOffset(span_class));
}

}  // namespace loam

#endif  // LOAM_RUNTIME_MUTATOR_H_
