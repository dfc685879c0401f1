// Where spans come from: the only way for the layers above to get one.
//
// In order of cost: a swept span of the class with free cells; one that needs
// sweeping; pages, as many of which are reclaimed from dead objects first; and
// only then does the heap grow. Whoever gets a span then sweeps what is due.

#ifndef LOAM_RUNTIME_SWEEP_SPAN_SOURCE_H_
#define LOAM_RUNTIME_SWEEP_SPAN_SOURCE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"
#include "runtime/sweep/central_span_list.h"
#include "runtime/sweep/sweeper.h"

namespace loam {

// Whether the page heap may take more memory from the OS: not at all, as long
// as the soft limit allows it, or as much as is needed.
enum class MayGrow : uint8_t { kNo, kWithinSoftLimit, kYes };

class SpanSource {
 public:
  SpanSource(PageHeap* page_heap, Sweeper* sweeper, HeapCounters* counters)
      : page_heap_(page_heap), sweeper_(sweeper), counters_(counters) {}

  // A span with free cells, now cached: owned by the caller until Release. Its
  // free cells count as handed out. NULL when out of memory. `cache`, which may
  // be NULL, is the caller's. `used`, which may be NULL, is a cached span of
  // the same class: released first, whatever happens.
  Span* Acquire(const SpanShape& shape, MayGrow may_grow,
                HeapCache* cache = nullptr, Span* used = nullptr);

  // Gives a cached span back. Its cursor has been flushed, so free_index tells
  // what was used. A span that went stale is swept on the way.
  void Release(Span* span);

  // A span of one cell, holding an object; on its central list already.
  Span* AcquireLarge(const SpanShape& shape, MayGrow may_grow,
                     HeapCache* cache = nullptr);

 private:
  Span* TakePages(const SpanShape& shape, uint32_t generation, MayGrow may_grow,
                  HeapCache* cache);
  // From the central list, sweeping if need be; NULL if that has none.
  Span* TakeCentral(CentralSpanList* central, uint32_t generation,
                    const SweptSpan& used = {});
  // Ends a span's time as a cached one: to be pushed on its list. Empty if it
  // was stale: that is swept, and where it belongs.
  SweptSpan Uncache(Span* span, uint32_t generation);
  Span* Cache(Span* span, uint32_t generation);

  PageHeap* const page_heap_;
  Sweeper* const sweeper_;
  HeapCounters* const counters_;
};

// Cells of a cached span that have not been handed out.
inline size_t FreeCells(const Span* span) {
  const size_t first = span->free_index();
  return span->cell_count - first -
         CountSet(span->alloc_bits(), first, span->cell_count);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SPAN_SOURCE_H_
