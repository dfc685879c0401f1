// What is kept of each kind of special, as long as the object is alive.

#include "runtime/base/fatal.h"
#include "runtime/specials/special_table.h"

namespace loam {

// ---- Finalizers

Status SpecialTable::SetFinalizer(Span* span, uintptr_t object,
                                  const FinalizerInfo& info) {
  const SpinLockHolder lock(&span->specials_lock);
  const Status status =
      Add(span, object, SpecialKind::kFinalizer, info.is_unordered,
          [&](Special* special) {
            special->finalizer = {info.function, info.data};
            special->is_unordered = info.is_unordered;
            if (!info.is_unordered) return;
            *special->extra() = {
                next_serial_.fetch_add(1, std::memory_order_relaxed), 0};
          });
  if (status != Status::kOk) return status;
  finalizers_set_.Add(1);
  if (info.is_unordered) unordered_set_.Add(1);
  return Status::kOk;
}

Status SpecialTable::ClearFinalizer(Span* span, uintptr_t object) {
  Special* found;
  {
    const SpinLockHolder lock(&span->specials_lock);
    found = Remove(span, {object, SpecialKind::kFinalizer});
  }
  if (found == nullptr) return Status::kNotFound;
  finalizers_set_.Subtract(1);
  if (found->is_unordered) unordered_set_.Subtract(1);
  pool_.Give(found);
  return Status::kOk;
}

bool SpecialTable::HasFinalizer(Span* span, uintptr_t object) {
  const SpinLockHolder lock(&span->specials_lock);
  return Find(span, {object, SpecialKind::kFinalizer}) != nullptr;
}

// ---- Pins

Status SpecialTable::Pin(Span* span, uintptr_t object) {
  const SpinLockHolder lock(&span->specials_lock);
  Special* pin = Find(span, {object, SpecialKind::kPin});
  if (pin != nullptr) {
    pin->pin_count++;
    return Status::kOk;
  }
  const Status status =
      Add(span, object, SpecialKind::kPin, /*has_extra=*/false,
          [](Special* special) { special->pin_count = 1; });
  if (status == Status::kOk) pinned_objects_.Add(1);
  return status;
}

Status SpecialTable::Unpin(Span* span, uintptr_t object) {
  Special* last;
  {
    const SpinLockHolder lock(&span->specials_lock);
    Special* pin = Find(span, {object, SpecialKind::kPin});
    if (pin == nullptr) return Status::kNotFound;
    if (--pin->pin_count > 0) return Status::kOk;
    last = Remove(span, {object, SpecialKind::kPin});
  }
  pool_.Give(last);
  pinned_objects_.Subtract(1);
  return Status::kOk;
}

// ---- Cleanups

Status SpecialTable::AddCleanup(Span* span, uintptr_t object,
                                const CleanupInfo& info, uint64_t* serial) {
  *serial = next_serial_.fetch_add(1, std::memory_order_relaxed);
  const SpinLockHolder lock(&span->specials_lock);
  const Status status = Add(span, object, SpecialKind::kCleanup,
                            /*has_extra=*/true, [&](Special* special) {
                              special->cleanup = {info.function, info.data};
                              *special->extra() = {*serial, info.value};
                            });
  if (status == Status::kOk) cleanups_set_.Add(1);
  return status;
}

Status SpecialTable::RemoveCleanup(Span* span, uintptr_t object,
                                   uint64_t serial) {
  Special* found;
  {
    const SpinLockHolder lock(&span->specials_lock);
    found = Remove(span, {object, SpecialKind::kCleanup, serial});
  }
  if (found == nullptr) return Status::kNotFound;
  pool_.Give(found);
  cleanups_set_.Subtract(1);
  return Status::kOk;
}

// ---- Words of the embedder's

namespace {

SpecialKey WordKey(uintptr_t object, const EmbedderKind* kind) {
  return {object, SpecialKind::kEmbedder, reinterpret_cast<uintptr_t>(kind)};
}

}  // namespace

Status SpecialTable::SetWord(Span* span, uintptr_t object,
                             const EmbedderKind* kind, uintptr_t word) {
  const SpinLockHolder lock(&span->specials_lock);
  Special* found = Find(span, WordKey(object, kind));
  if (found != nullptr) {
    found->embedder.word = word;
    return Status::kOk;
  }
  return Add(span, object, SpecialKind::kEmbedder, /*has_extra=*/false,
             [&](Special* special) { special->embedder = {kind, word}; });
}

Status SpecialTable::GetWord(Span* span, uintptr_t object,
                             const EmbedderKind* kind, uintptr_t* word) {
  const SpinLockHolder lock(&span->specials_lock);
  const Special* found = Find(span, WordKey(object, kind));
  if (found == nullptr) return Status::kNotFound;
  *word = found->embedder.word;
  return Status::kOk;
}

Status SpecialTable::RemoveWord(Span* span, uintptr_t object,
                                const EmbedderKind* kind, uintptr_t* word) {
  Special* found;
  {
    const SpinLockHolder lock(&span->specials_lock);
    found = Remove(span, WordKey(object, kind));
  }
  if (found == nullptr) return Status::kNotFound;
  *word = found->embedder.word;
  pool_.Give(found);
  return Status::kOk;
}

// ---- The heap profile

Status SpecialTable::AddProfile(Span* span, uintptr_t object,
                                ProfileBucket* bucket, double objects) {
  const SpinLockHolder lock(&span->specials_lock);
  return Add(span, object, SpecialKind::kProfile, /*has_extra=*/false,
             [&](Special* special) { special->profile = {bucket, objects}; });
}

bool SpecialTable::WillDie(Span* span, uintptr_t cell) {
  if (span->IsMarked(span->CellIndex(cell))) return false;
  const SpinLockHolder lock(&span->specials_lock);
  return span->specials == nullptr;
}

// ---- Weak handles and watches

namespace {

SpecialKey HandleKey(uintptr_t address, bool is_long) {
  return {address,
          is_long ? SpecialKind::kLongWeakHandle : SpecialKind::kWeakHandle};
}

SpecialKey WatchKey(uintptr_t address, const WeakHandle* watch) {
  return {address, SpecialKind::kWatch, reinterpret_cast<uintptr_t>(watch)};
}

}  // namespace

Status SpecialTable::TakeWeakHandle(Span* span, uintptr_t address, bool is_long,
                                    const void* owner, WeakHandle** handle) {
  const SpinLockHolder lock(&span->specials_lock);
  const SpecialKey key = HandleKey(address, is_long);
  const Special* found = Find(span, key);
  if (found != nullptr) {
    // Relaxed: the lock orders it before whoever takes the last away.
    found->handle->references.fetch_add(1, std::memory_order_relaxed);
    *handle = found->handle;
    return Status::kOk;
  }
  WeakHandle* created = pool_.TakeHandle(address, is_long, owner);
  if (created == nullptr) return Status::kOutOfMemory;
  const Status status =
      Add(span, address, key.kind, /*has_extra=*/false,
          [created](Special* special) { special->handle = created; });
  if (status != Status::kOk) {
    pool_.GiveHandle(created);
    return status;
  }
  weak_handles_.Add(1);
  *handle = created;
  return Status::kOk;
}

Status SpecialTable::Watch(Span* span, uintptr_t object, const void* owner,
                           WeakHandle** watch) {
  WeakHandle* created = pool_.TakeHandle(object, /*is_long=*/false, owner);
  if (created == nullptr) return Status::kOutOfMemory;
  // The embedder has it, and the record.
  created->references.store(2, std::memory_order_relaxed);
  const SpinLockHolder lock(&span->specials_lock);
  const Status status =
      Add(span, object, SpecialKind::kWatch, /*has_extra=*/false,
          [created](Special* special) { special->handle = created; });
  if (status == Status::kOk) {
    *watch = created;
  } else {
    pool_.GiveHandle(created);
  }
  return status;
}

void SpecialTable::DropReference(WeakHandle* handle) {
  if (handle->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    pool_.GiveHandle(handle);
  }
}

void SpecialTable::GiveWeakHandle(Span* span, WeakHandle* handle) {
  if (span == nullptr) return DropReference(handle);
  Special* last = nullptr;
  {
    const SpinLockHolder lock(&span->specials_lock);
    if (handle->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      last = Remove(span,
                    HandleKey(handle->address.load(std::memory_order_relaxed),
                              handle->is_long));
      LOAM_CHECK(last != nullptr && last->handle == handle,
                 "a weak handle of a live object is not in its span's list");
    }
  }
  if (last == nullptr) return;
  pool_.Give(last);
  pool_.GiveHandle(handle);
  weak_handles_.Subtract(1);
}

void SpecialTable::GiveWatch(Span* span, WeakHandle* watch) {
  if (span != nullptr) {
    Special* found;
    {
      const SpinLockHolder lock(&span->specials_lock);
      found = Remove(
          span,
          WatchKey(watch->address.load(std::memory_order_relaxed), watch));
    }
    if (found != nullptr) {
      pool_.Give(found);
      DropReference(watch);
    }
  }
  DropReference(watch);
}

void SpecialTable::ClearHandle(WeakHandle* handle) {
  handle->address.store(0, std::memory_order_release);
}

}  // namespace loam
