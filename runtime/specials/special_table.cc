#include "runtime/specials/special_table.h"

namespace loam {
namespace {

bool IsOf(const Special* special, uintptr_t cell, SpecialKind kind) {
  return special != nullptr && special->cell == cell && special->kind == kind;
}

}  // namespace

Special** SpecialTable::FindLink(Span* span, uintptr_t cell, SpecialKind kind) {
  const auto is_before = [&](const Special& special) {
    return special.cell < cell || (special.cell == cell && special.kind < kind);
  };
  Special** link = &span->specials;
  // Start behind the record that went in last if that is not too far: objects
  // get their specials mostly in address order.
  Special* last = span->last_special;
  if (last != nullptr && is_before(*last)) link = &last->next;
  while (*link != nullptr && is_before(**link)) link = &(*link)->next;
  return link;
}

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

Status SpecialTable::SetFinalizer(Span* span, uintptr_t cell,
                                  FinalizerCallback function, void* data) {
  Special* record;
  {
    MutexLock lock(&pool_mutex_);
    record = pool_.Take();
  }
  if (record == nullptr) return Status::kOutOfMemory;
  page_heap_->record_bytes()->Add(sizeof(Special));
  record->cell = cell;
  record->kind = SpecialKind::kFinalizer;
  record->function = function;
  record->data = data;
  bool inserted = false;
  {
    SpinLockHolder lock(&span->specials_lock);
    Special** link = FindLink(span, cell, SpecialKind::kFinalizer);
    const bool exists = IsOf(*link, cell, SpecialKind::kFinalizer);
    if (!exists) {
      if (span->specials == nullptr) SetPageBit(span, true);
      record->next = *link;
      *link = record;
      span->last_special = record;
      inserted = true;
    }
  }
  if (!inserted) {
    FreeRecord(record);
    return Status::kWrongState;
  }
  finalizers_set_.Add(1);
  return Status::kOk;
}

Status SpecialTable::ClearFinalizer(Span* span, uintptr_t cell) {
  Special* found = nullptr;
  {
    SpinLockHolder lock(&span->specials_lock);
    Special** link = FindLink(span, cell, SpecialKind::kFinalizer);
    if (IsOf(*link, cell, SpecialKind::kFinalizer)) {
      found = *link;
      *link = found->next;
      span->last_special = nullptr;
      if (span->specials == nullptr) SetPageBit(span, false);
    }
  }
  if (found == nullptr) return Status::kNotFound;
  FreeRecord(found);
  finalizers_set_.Subtract(1);
  return Status::kOk;
}

bool SpecialTable::HasFinalizer(Span* span, uintptr_t cell) {
  SpinLockHolder lock(&span->specials_lock);
  return IsOf(*FindLink(span, cell, SpecialKind::kFinalizer), cell,
              SpecialKind::kFinalizer);
}

void SpecialTable::SweepSpecials(Span* span) {
  Special* dead = nullptr;
  Special** dead_tail = &dead;
  {
    SpinLockHolder lock(&span->specials_lock);
    if (span->specials == nullptr) return;
    Special** link = &span->specials;
    while (*link != nullptr) {
      Special* special = *link;
      const size_t index = span->CellIndex(special->cell);
      if (span->IsMarked(index)) {
        link = &special->next;
        continue;
      }
      *link = special->next;
      special->next = nullptr;
      *dead_tail = special;
      dead_tail = &special->next;
      // Every other special of this object sees it alive from here on.
      std::atomic_ref(span->mark_bits[index / kBitsPerWord])
          .fetch_or(BitMask(index), std::memory_order_relaxed);
    }
    span->last_special = nullptr;
    if (span->specials == nullptr) SetPageBit(span, false);
  }
  while (dead != nullptr) {
    Special* special = dead;
    dead = special->next;
    finalizers_set_.Subtract(1);
    queue_.Push(special);
  }
}

void SpecialTable::FreeRecord(Special* special) {
  page_heap_->record_bytes()->Subtract(sizeof(Special));
  MutexLock lock(&pool_mutex_);
  pool_.Give(special);
}

}  // namespace loam
