#include "runtime/specials/special_table.h"

#include "runtime/base/fatal.h"

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

Status SpecialTable::Add(Span* span, const SpecialKey& key, Special** added) {
  Special* special = pool_.Take();
  if (special == nullptr) return Status::kOutOfMemory;
  special->address = key.address;
  special->kind = key.kind;
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
  *added = special;
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

Status SpecialTable::SetFinalizer(Span* span, uintptr_t cell,
                                  FinalizerCallback function, void* data) {
  const SpinLockHolder lock(&span->specials_lock);
  Special* special;
  const Status status = Add(span, {cell, SpecialKind::kFinalizer}, &special);
  if (status != Status::kOk) return status;
  special->finalizer = {function, data};
  finalizers_set_.Add(1);
  return Status::kOk;
}

Status SpecialTable::ClearFinalizer(Span* span, uintptr_t cell) {
  Special* found;
  {
    SpinLockHolder lock(&span->specials_lock);
    found = Remove(span, {cell, SpecialKind::kFinalizer});
  }
  if (found == nullptr) return Status::kNotFound;
  FreeRecord(found);
  finalizers_set_.Subtract(1);
  return Status::kOk;
}

bool SpecialTable::HasFinalizer(Span* span, uintptr_t cell) {
  SpinLockHolder lock(&span->specials_lock);
  return SpecialList(span).Find({cell, SpecialKind::kFinalizer}) != nullptr;
}

Status SpecialTable::Pin(Span* span, uintptr_t cell) {
  const SpecialKey key = {cell, SpecialKind::kPin};
  const SpinLockHolder lock(&span->specials_lock);
  Special* pin = SpecialList(span).Find(key);
  if (pin != nullptr) {
    pin->pin_count++;
    return Status::kOk;
  }
  const Status status = Add(span, key, &pin);
  if (status != Status::kOk) return status;
  pin->pin_count = 1;
  pinned_objects_.Add(1);
  return Status::kOk;
}

Status SpecialTable::Unpin(Span* span, uintptr_t cell) {
  Special* last;
  {
    const SpinLockHolder lock(&span->specials_lock);
    Special* pin = SpecialList(span).Find({cell, SpecialKind::kPin});
    if (pin == nullptr) return Status::kNotFound;
    if (--pin->pin_count > 0) return Status::kOk;
    last = Remove(span, {cell, SpecialKind::kPin});
  }
  FreeRecord(last);
  pinned_objects_.Subtract(1);
  return Status::kOk;
}

Status SpecialTable::AddProfile(Span* span, uintptr_t cell,
                                ProfileBucket* bucket, double objects) {
  const SpinLockHolder lock(&span->specials_lock);
  Special* special;
  const Status status = Add(span, {cell, SpecialKind::kProfile}, &special);
  if (status == Status::kOk) special->profile = {bucket, objects};
  return status;
}

void SpecialTable::SweepSpecials(Span* span) {
  Special* dead = nullptr;
  Special** dead_tail = &dead;
  {
    SpinLockHolder lock(&span->specials_lock);
    if (span->specials == nullptr) return;
    SpecialList(span).Filter([&](Special* special) {
      const size_t index = span->CellIndex(special->address);
      if (span->IsMarked(index)) return true;
      LOAM_CHECK(special->kind != SpecialKind::kPin,
                 "the pinned object %p is unmarked", special->object());
      special->next = nullptr;
      *dead_tail = special;
      dead_tail = &special->next;
      if (special->kind == SpecialKind::kProfile) return false;
      // Every other special of this object sees it alive from here on.
      std::atomic_ref(span->mark_bits[index / kBitsPerWord])
          .fetch_or(BitMask(index), std::memory_order_relaxed);
      return false;
    });
    FreeIndexIfEmpty(span);
  }
  while (dead != nullptr) {
    Special* special = dead;
    dead = special->next;
    if (special->kind == SpecialKind::kProfile) {
      heap_profile_.CountFreed(special->profile.bucket,
                               special->profile.objects);
      FreeRecord(special);
      continue;
    }
    finalizers_set_.Subtract(1);
    queue_.Push(special);
  }
}

}  // namespace loam
