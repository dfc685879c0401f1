#include "runtime/sweep/central_span_list.h"

#include "runtime/base/race_hooks.h"

namespace loam {

void CentralSpanList::PushSwept(const SweptSpan& swept, uint32_t generation) {
  const SpinLockHolder lock(&lock_);
  Push(swept, generation);
}

void CentralSpanList::Push(const SweptSpan& swept, uint32_t generation) {
  Span* span = swept.span;
  CountLocked(span, swept.allocated_cells);
  const SpanListId id = ListId(swept.full, SweptParity(generation));
  Span*& head = Head(id);
  LOAM_DCHECK(span->list_id == SpanListId::kNone);
  span->list_id = id;
  span->previous = nullptr;
  span->next = head;
  if (head != nullptr) head->previous = span;
  head = span;
}

void CentralSpanList::CountLocked(Span* span, uint64_t allocated_cells) {
  const uint64_t dead_cells = span->uncounted_dead_cells;
  span->uncounted_dead_cells = 0;
  objects_.Add(allocated_cells, dead_cells);
  if (span->kind == SpanKind::kLarge) {
    large_bytes_.Add(allocated_cells * span->cell_bytes,
                     dead_cells * span->cell_bytes);
  }
}

void CentralSpanList::Unlink(Span* span) {
  if (span->previous != nullptr) {
    span->previous->next = span->next;
  } else {
    Head(span->list_id) = span->next;
  }
  if (span->next != nullptr) span->next->previous = span->previous;
  span->next = nullptr;
  span->previous = nullptr;
  span->list_id = SpanListId::kNone;
}

Span* CentralSpanList::Pop(SpanListId id) {
  Span* span = Head(id);
  if (span != nullptr) Unlink(span);
  return span;
}

Span* CentralSpanList::TakeForAllocation(uint32_t generation, bool* is_swept,
                                         const SweptSpan& used) {
  Span* span;
  {
    const SpinLockHolder lock(&lock_);
    if (used.span != nullptr) Push(used, generation);
    span = Pop(ListId(false, SweptParity(generation)));
    *is_swept = span != nullptr;
    if (*is_swept) return span;
    span = PopUnswept(generation);
  }
  if (span != nullptr) AtRacePoint(RacePoint::kSpanPopped);
  return span;
}

Span* CentralSpanList::TakeForSweeping(uint32_t generation) {
  Span* span;
  {
    const SpinLockHolder lock(&lock_);
    span = PopUnswept(generation);
  }
  if (span != nullptr) AtRacePoint(RacePoint::kSpanPopped);
  return span;
}

Span* CentralSpanList::PopUnswept(uint32_t generation) {
  const uint32_t parity = 1 - SweptParity(generation);
  Span* span = Pop(ListId(false, parity));
  return span != nullptr ? span : Pop(ListId(true, parity));
}

void CentralSpanList::Remove(Span* span) {
  const SpinLockHolder lock(&lock_);
  if (span->list_id != SpanListId::kNone) Unlink(span);
}

bool CentralSpanList::HasUnswept(uint32_t generation) {
  const SpinLockHolder lock(&lock_);
  const uint32_t parity = 1 - SweptParity(generation);
  return Head(ListId(false, parity)) != nullptr ||
         Head(ListId(true, parity)) != nullptr;
}

}  // namespace loam
