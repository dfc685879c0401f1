#include "runtime/cell_run.h"

#include <algorithm>
#include <cstring>

#include "runtime/runtime.h"

namespace loam {
namespace {

// Cells are zeroed in steps of this many bytes, shortly before they are used:
// so few stores fit into the processor's store buffer, and the program goes on
// while they are written. The step after that is on its way into the cache.
constexpr size_t kZeroStepBytes = 1 << 10;

constexpr size_t kCacheLineBytes = 64;

void PrefetchForWriting(uintptr_t begin, uintptr_t end) {
  for (uintptr_t line = begin; line < end; line += kCacheLineBytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(line), 1);
  }
}

void Zero(uintptr_t begin, uintptr_t end) {
  // Between live cells runs are short, and a call costs as much as the stores.
  constexpr size_t kShortBytes = 256;
  if (end - begin > kShortBytes || ((begin | end) % kCellAlignment) != 0) {
    memset(reinterpret_cast<void*>(begin), 0, end - begin);
    return;
  }
  for (; begin != end; begin += kCellAlignment) {
    __builtin_memset(reinterpret_cast<void*>(begin), 0, kCellAlignment);
  }
}

}  // namespace

void* AdvanceLimit(AllocationCursor* cursor, CachedSpan* cached,
                   uintptr_t next) {
  const uintptr_t limit = cursor->limit;
  const uintptr_t new_limit =
      std::min(std::max(limit + kZeroStepBytes, next), cached->run_end);
  if (cached->span->need_zero) {
    PrefetchForWriting(new_limit,
                       std::min(new_limit + kZeroStepBytes, cached->run_end));
    Zero(limit, new_limit);
  }
  const uint64_t type_bytes = uint64_t{cached->type_bytes} + new_limit - limit;
  cached->type_bytes =
      static_cast<uint32_t>(std::min<uint64_t>(type_bytes, UINT32_MAX));
  void* object = reinterpret_cast<void*>(cursor->next);
  *cursor = {next, new_limit};
  return object;
}

void* TakeRun(Mutator* m, SpanClass span_class, CachedSpan* cached,
              SampledCell sampled) {
  Span* span = cached->span;
  const size_t start =
      FindFirstClear(span->alloc_bits(), span->free_index(), span->cell_count);
  if (start == span->cell_count) return nullptr;
  // Checking modes want to see every allocation.
  const bool single_cell =
      (m->safepoint_word.load(std::memory_order_relaxed) & kWordAlways) != 0;
  size_t end = single_cell
                   ? start + 1
                   : FindFirstSet(span->alloc_bits(), start, span->cell_count);
  if (const uint64_t rate = m->runtime->sampling_rate()->word(); rate != 0) {
    const size_t cells = CellsBeforeSample(
        m, rate, &cached->sampling,
        {span, span->CellAddress(start), span->cell_bytes, end - start},
        sampled == SampledCell::kTake);
    if (cells == 0) return nullptr;
    end = start + cells;
  }
  span->set_free_index(end);
  const uintptr_t first = span->CellAddress(start);
  cached->run_end = span->CellAddress(end);
  AllocationCursor& cursor = m->cursor(span_class);
  cursor = {first, first};
  return AdvanceLimit(&cursor, cached, first + span->cell_bytes);
}

void FlushCursorsOf(Mutator* m) {
  m->tiny_next = 0;
  m->tiny_limit = 0;
  for (uint32_t next = m->first_used; next != kEndOfUsedList;) {
    const SpanClass span_class = next - 1;
    CachedSpan& cached = m->cached(span_class);
    next = cached.next_used;
    if (cached.span == nullptr) continue;
    AllocationCursor& cursor = m->cursor(span_class);
    if (cursor.next != cached.run_end) {
      cached.span->set_free_index(cached.span->CellIndex(cursor.next));
    }
    // What is left of the run will be counted down again.
    if (cached.sampling != 0) cached.sampling += cached.run_end - cursor.next;
    cursor = {0, 0};
    cached.run_end = 0;
  }
}

}  // namespace loam
