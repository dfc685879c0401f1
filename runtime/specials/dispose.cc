// Dispose functions of types: called when their objects are swept, or later,
// when the embedder asks.

#include "runtime/base/embedder_call.h"
#include "runtime/heap/object_slots.h"
#include "runtime/specials/special_table.h"

namespace loam {
namespace {

// Calls visit(index, cell, type) for every allocated cell of the span that is
// not marked and whose object has a dispose function.
template <typename Visit>
void ForEachDead(const Span& span, Visit&& visit) {
  for (size_t w = 0; w < BitmapWords(span.cell_count); w++) {
    const size_t first = w * kBitsPerWord;
    uint64_t allocated = span.alloc_bits()[w];
    const size_t free_index = span.free_index();
    if (free_index > first) {
      allocated |= free_index - first >= kBitsPerWord
                       ? ~uint64_t{0}
                       : LowBits(free_index - first);
    }
    uint64_t dead = allocated & ~span.mark_bits[w];
    if (span.cell_count - first < kBitsPerWord) {
      dead &= LowBits(span.cell_count - first);
    }
    for (; dead != 0; dead &= dead - 1) {
      const size_t index = first + std::countr_zero(dead);
      const uintptr_t cell = span.CellAddress(index);
      const Type* type = span.TypeOf(cell);
      if (type != nullptr && type->dispose != nullptr) {
        visit(index, cell, *type);
      }
    }
  }
}

bool IsQueued(const Type& type) {
  return (type.flags & kTypeDisposeQueued) != 0;
}

void CallDispose(const Type& type, uintptr_t cell, const Span& span) {
  EmbedderCall("a dispose function", [&] {
    type.dispose(reinterpret_cast<void*>(cell), span.object_bytes());
  });
}

// In checking mode, too, the slots count as stored.
void ClearReferences(const Arena& arena, const Span& span, uintptr_t cell) {
  ForEachSlot(span, cell, [&arena](WordKind, uintptr_t slot) {
    *reinterpret_cast<uintptr_t*>(slot) = 0;
    if (arena.store_shadow != nullptr) {
      arena.store_shadow[(slot - arena.base) / kWordBytes] = 0;
    }
  });
}

}  // namespace

void SpecialTable::DisposeDead(Span* span) {
  bool some_are_queued = false;
  ForEachDead(*span, [&](size_t, uintptr_t cell, const Type& type) {
    if (IsQueued(type)) {
      some_are_queued = true;
    } else {
      CallDispose(type, cell, *span);
    }
  });
  if (some_are_queued) KeepForDispose(span);
}

void SpecialTable::KeepForDispose(Span* span) {
  WaitingCells* cells = nullptr;
  bool was_empty = false;
  {
    size_t added = 0;
    const SpinLockHolder lock(&span->specials_lock);
    const SpecialKey key = {span->base, SpecialKind::kDispose};
    const Special* record = Find(span, key);
    if (record != nullptr) {
      cells = record->waiting;
    } else {
      cells = pool_.TakeWaiting(span);
      if (cells != nullptr && Add(span, span->base, SpecialKind::kDispose,
                                  /*has_extra=*/false, [&](Special* special) {
                                    special->waiting = cells;
                                  }) != Status::kOk) {
        pool_.GiveWaiting(cells);
        cells = nullptr;
      }
    }
    ForEachDead(*span, [&](size_t index, uintptr_t cell, const Type& type) {
      if (!IsQueued(type)) return;
      if (cells != nullptr && TestBit(cells->disposed, index)) {
        ClearBit(cells->disposed, index);
        return;  // Now its memory may be reused.
      }
      span->Mark(index);
      if (cells != nullptr && TestBit(cells->waiting, index)) return;
      ClearReferences(*page_heap_->arena_map().Find(cell), *span, cell);
      // Without memory for the bits it will be found dead once more.
      if (cells == nullptr) return;
      SetBit(cells->waiting, index);
      added++;
    });
    if (cells != nullptr && CountSet(cells->waiting, 0, kMaxSpanCells) == 0 &&
        CountSet(cells->disposed, 0, kMaxSpanCells) == 0) {
      pool_.Give(Remove(span, key));
      pool_.GiveWaiting(cells);
    } else if (added > 0) {
      // Under the lock: nobody may take one that has not been counted.
      was_empty = queue_.AddWaiting(cells, added);
    }
  }
  if (was_empty) queue_.Wake();
}

bool SpecialTable::TakeWaiting(Span* span, uintptr_t* object,
                               const Type** type) {
  const SpinLockHolder lock(&span->specials_lock);
  const Special* record = Find(span, {span->base, SpecialKind::kDispose});
  if (record == nullptr) return false;
  WaitingCells* cells = record->waiting;
  const size_t index = FindFirstSet(cells->waiting, 0, span->cell_count);
  if (index == span->cell_count) return false;
  ClearBit(cells->waiting, index);
  SetBit(cells->disposed, index);
  *object = span->CellAddress(index);
  *type = span->TypeOf(*object);
  queue_.TakeWaiting(cells);
  return true;
}

void SpecialTable::DisposeAll() {
  page_heap_->ForEachSpan([this](Span* span) {
    if (!span->may_dispose()) return;
    const Special* record;
    {
      const SpinLockHolder lock(&span->specials_lock);
      record = Find(span, {span->base, SpecialKind::kDispose});
    }
    // Allocated cells that are not marked: nothing is.
    ClearBitRange(span->mark_bits, 0, span->cell_count);
    ForEachDead(*span, [&](size_t index, uintptr_t cell, const Type& type) {
      if (record != nullptr && TestBit(record->waiting->disposed, index)) {
        return;
      }
      CallDispose(type, cell, *span);
    });
  });
}

}  // namespace loam
