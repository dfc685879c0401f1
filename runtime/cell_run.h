// Runs: the free cells of a cached span that a mutator is using up.
//
//    span   |live| used up | zeroed     | free, not zeroed   |live| free ...
//                          ^            ^                    ^
//                     cursor.next  cursor.limit     CachedSpan::run_end
//
// The fast path takes cells up to the limit, wherever that lies in a cell; when
// the next cell does not fit, the limit moves on by a step; when the run is
// used up, the next one begins behind the live cells that end it, or with the
// cell that was to be sampled (allocation_sampler.h).
//
// Span::free_index stands at the end of the run all the while
// (docs/allocation.md, "The cursor protocol"). Everything here belongs to the
// mutator's thread.

#ifndef LOAM_RUNTIME_CELL_RUN_H_
#define LOAM_RUNTIME_CELL_RUN_H_

#include <cstddef>
#include <cstdint>

#include "runtime/mutator.h"

namespace loam {

// Whether a cell that is to be sampled is taken, with a call of RecordSample to
// follow when its object is complete, or left for somebody who does that.
enum class SampledCell : bool { kLeave, kTake };

// Zeroes another step of the cursor's run, so that the cell that ends at `next`
// fits, and returns that cell.
void* AdvanceLimit(AllocationCursor* cursor, CachedSpan* cached,
                   uintptr_t next);

// Begins the next run of the class's cached span; its first cell, or NULL if
// the span is full, or the cell is left.
void* TakeRun(Mutator* m, SpanClass span_class, CachedSpan* cached,
              SampledCell sampled);

// The next cell of the class's cached span; NULL if that is full, or there is
// none, or the cell is left. No safepoint.
inline void* TakeCell(Mutator* m, SpanClass span_class, size_t cell_bytes,
                      SampledCell sampled = SampledCell::kLeave) {
  AllocationCursor& cursor = m->cursor(span_class);
  const uintptr_t object = cursor.next;
  const uintptr_t next = object + cell_bytes;
  if (next <= cursor.limit) {
    cursor.next = next;
    return reinterpret_cast<void*>(object);
  }
  // Of a class that has never been used both tables read as zeroes.
  CachedSpan& cached = m->cached(span_class);
  if (next <= cached.run_end) return AdvanceLimit(&cursor, &cached, next);
  return cached.span == nullptr ? nullptr
                                : TakeRun(m, span_class, &cached, sampled);
}

// Empties the mutator's cursors and makes its spans' free_index exact. By its
// thread, or while it stands still.
void FlushCursorsOf(Mutator* m);

}  // namespace loam

#endif  // LOAM_RUNTIME_CELL_RUN_H_
