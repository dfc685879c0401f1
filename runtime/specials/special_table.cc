#include "runtime/specials/special_table.h"

namespace loam {

void SpecialTable::SetPageBit(const Span* span, bool value) {
  Arena* arena = page_heap_->arena_map().Find(span->base);
  const size_t page = Arena::PageIndex(span->base);
  std::atomic<uint64_t>& word = arena->page_specials[page / kBitsPerWord];
  const uint64_t bit = BitMask(page);
  // Relaxed: root marking reads it while the world is stopped.
  if (value) {
    word.fetch_or(bit, std::memory_order_relaxed);
  } else {
    word.fetch_and(~bit, std::memory_order_relaxed);
  }
}

Status SpecialTable::Insert(Span* span, Special* special) {
  SpecialList list(span);
  if (list.NeedsIndexFor(*special)) {
    SpecialIndex* index = pool_.TakeIndex();
    if (index == nullptr) {
      pool_.Give(special);
      return Status::kOutOfMemory;
    }
    list.GiveIndex(index);
  }
  const bool was_empty = list.is_empty();
  if (!list.Insert(special)) {
    pool_.Give(special);
    return Status::kWrongState;
  }
  if (was_empty) SetPageBit(span, true);
  return Status::kOk;
}

Special* SpecialTable::Remove(Span* span, const SpecialKey& key) {
  Special* found = SpecialList(span).Remove(key);
  if (found != nullptr) FreeIndexIfEmpty(span);
  return found;
}

void SpecialTable::FreeIndexIfEmpty(Span* span) {
  SpecialList list(span);
  if (!list.is_empty()) return;
  pool_.GiveIndex(list.TakeIndexIfEmpty());
  SetPageBit(span, false);
}

}  // namespace loam
