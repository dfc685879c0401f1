// The spans of one span class that no mutator has cached: with free cells
// (partial) or without (full), each as a swept and an unswept set.
//
// The sets swap roles with every cycle: what was swept in generation h is
// unswept in h + 2. Which is which follows from the generation's parity, so the
// swap costs nothing.
//
// Zeroed memory is a valid empty list.

#ifndef LOAM_RUNTIME_SWEEP_CENTRAL_SPAN_LIST_H_
#define LOAM_RUNTIME_SWEEP_CENTRAL_SPAN_LIST_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/span.h"

namespace loam {

// A span on its way to its list.
struct SweptSpan {
  Span* span = nullptr;
  bool full = false;             // no free cells
  uint64_t allocated_cells = 0;  // by its cache; not counted yet
};

class CentralSpanList {
 public:
  // Counts what was allocated of the span, and who died in it.
  void PushSwept(const SweptSpan& swept, uint32_t generation)
      LOAM_EXCLUDES(lock_);
  // A span that may have free cells, the best first: partial and swept,
  // partial, full. NULL if there is none. A swept span is the caller's; an
  // unswept one may have a sweeper already: the caller tries for the token and
  // forgets the span if it does not get it. (Its sweepgen does not tell which
  // it was, since that sweeper may have finished.) Pushes `used` first, unless
  // that is empty: most of who takes a span gives one back.
  Span* TakeForAllocation(uint32_t generation, bool* is_swept,
                          const SweptSpan& used = {}) LOAM_EXCLUDES(lock_);
  // An unswept span; the same holds.
  Span* TakeForSweeping(uint32_t generation) LOAM_EXCLUDES(lock_);
  // Takes a span that the caller is sweeping off whatever list it is on.
  void Remove(Span* span) LOAM_EXCLUDES(lock_);

  bool HasUnswept(uint32_t generation) LOAM_EXCLUDES(lock_);

  // Objects of this span class. Their bytes follow from the size of cells, but
  // where sizes differ.
  void Count(Span* span, uint64_t allocated_cells) LOAM_EXCLUDES(lock_) {
    const SpinLockHolder lock(&lock_);
    CountLocked(span, allocated_cells);
  }
  AllocationCounter::Counts objects() const { return objects_.Get(); }
  // kLarge only.
  AllocationCounter::Counts large_bytes() const { return large_bytes_.Get(); }

  // The chain of all lists that have ever held a span, and what that is; see
  // Sweeper::Register. Constant once registered.
  CentralSpanList* next_registered = nullptr;
  SpanKind kind = {};
  const Type* type = nullptr;  // kTyped
  size_t cell_bytes = 0;
  std::atomic<bool> registered{false};  // relaxed; set under Sweeper's lock

 private:
  static SpanListId ListId(bool full, uint32_t parity) {
    return static_cast<SpanListId>(
        static_cast<uint32_t>(SpanListId::kPartial0) + (full ? 2 : 0) + parity);
  }
  static uint32_t SweptParity(uint32_t generation) {
    return generation / 2 % 2;
  }
  Span*& Head(SpanListId id) LOAM_REQUIRES(lock_) {
    return heads_[static_cast<size_t>(id)];
  }
  Span* Pop(SpanListId id) LOAM_REQUIRES(lock_);
  Span* PopUnswept(uint32_t generation) LOAM_REQUIRES(lock_);
  void Unlink(Span* span) LOAM_REQUIRES(lock_);
  void Push(const SweptSpan& swept, uint32_t generation) LOAM_REQUIRES(lock_);
  void CountLocked(Span* span, uint64_t allocated_cells) LOAM_REQUIRES(lock_);

  AllocationCounter objects_;
  AllocationCounter large_bytes_;
  SpinLock lock_;  // held for a few instructions at every refill
  Span* heads_[5] LOAM_GUARDED_BY(lock_) = {};  // by SpanListId
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_CENTRAL_SPAN_LIST_H_
