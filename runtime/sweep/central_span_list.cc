#include "runtime/sweep/central_span_list.h"

#include "runtime/base/race_hooks.h"

namespace loam {

void CentralSpanList::PushSwept(Span* span, bool full, uint32_t generation) {
  MutexLock lock(&mutex_);
  const SpanListId id = ListId(full, SweptParity(generation));
  Span*& head = Head(id);
  LOAM_DCHECK(span->list_id == SpanListId::kNone);
  span->list_id = id;
  span->previous = nullptr;
  span->next = head;
  if (head != nullptr) head->previous = span;
  head = span;
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

Span* CentralSpanList::PopPartialSwept(uint32_t generation) {
  MutexLock lock(&mutex_);
  return Pop(ListId(false, SweptParity(generation)));
}

Span* CentralSpanList::PopPartialUnswept(uint32_t generation) {
  Span* span;
  {
    MutexLock lock(&mutex_);
    span = Pop(ListId(false, 1 - SweptParity(generation)));
  }
  if (span != nullptr) AtRacePoint(RacePoint::kSpanPopped);
  return span;
}

Span* CentralSpanList::PopFullUnswept(uint32_t generation) {
  Span* span;
  {
    MutexLock lock(&mutex_);
    span = Pop(ListId(true, 1 - SweptParity(generation)));
  }
  if (span != nullptr) AtRacePoint(RacePoint::kSpanPopped);
  return span;
}

void CentralSpanList::Remove(Span* span) {
  MutexLock lock(&mutex_);
  if (span->list_id != SpanListId::kNone) Unlink(span);
}

bool CentralSpanList::HasUnswept(uint32_t generation) {
  MutexLock lock(&mutex_);
  const uint32_t parity = 1 - SweptParity(generation);
  return Head(ListId(false, parity)) != nullptr ||
         Head(ListId(true, parity)) != nullptr;
}

}  // namespace loam
