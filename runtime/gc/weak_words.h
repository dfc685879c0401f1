// Weak and ephemeron words of objects.
//
// Marking does not follow them. It notes which spans have objects with any, in
// a bit for each page (Arena::page_weak), and comes back to those when all that
// is strongly reachable is marked:
//
//   1. values of ephemeron records whose keys are all alive are marked, and
//      what they lead to, until there are no more (WeakScanner)
//   2. words that refer to what is not marked now are cleared (here)
//
// A key or a weak word that refers to no object of the heap never dies.
// Both visit the objects that are marked, and those that are not but live on
// because of a finalizer: what they refer to has been marked too.

#ifndef LOAM_RUNTIME_GC_WEAK_WORDS_H_
#define LOAM_RUNTIME_GC_WEAK_WORDS_H_

#include <cstdint>

#include "runtime/gc/store_shadow.h"
#include "runtime/gc/value_encoding.h"
#include "runtime/heap/page_heap.h"
#include "runtime/specials/special.h"

namespace loam {

// A span of `arena` has a marked object with weak or ephemeron words. Any
// marker; relaxed: read when all have met.
inline void NoteWeakObject(Arena* arena, const Span& span) {
  const size_t page = Arena::PageIndex(span.base);
  std::atomic<uint64_t>& word = arena->page_weak[page / kBitsPerWord];
  const uint64_t bit = BitMask(page);
  if ((word.load(std::memory_order_relaxed) & bit) == 0) {
    word.fetch_or(bit, std::memory_order_relaxed);
  }
}

// The cell that `address` lies in, if it is one and unmarked; otherwise 0.
inline uintptr_t FindUnmarked(const PageHeap& page_heap, uintptr_t address) {
  const Span* span =
      address == 0 ? nullptr : page_heap.arena_map().FindSpan(address);
  if (span == nullptr) return 0;
  const size_t index = span->CellIndex(address);
  return index >= span->cell_count || span->IsMarked(index)
             ? 0
             : span->CellAddress(index);
}

// The type of the object in a cell, if it has weak or ephemeron words;
// otherwise NULL.
inline const Type* WeakTypeOf(const Span& span, uintptr_t cell) {
  const Type* type = span.TypeOf(cell);
  return type != nullptr && type->scan == ScanKind::kWeakLayout ? type
                                                                : nullptr;
}

// Nothing is noted: a cycle begins.
void ForgetWeakObjects(PageHeap* page_heap);

// Calls visit(span, cell, type) for every object with weak or ephemeron words
// that marking has noted.
template <typename Visit>
void ForEachWeakObject(PageHeap* page_heap, Visit&& visit) {
  const auto visit_cell = [&](Span* span, size_t index) {
    const uintptr_t cell = span->CellAddress(index);
    const Type* type = WeakTypeOf(*span, cell);
    if (type != nullptr) visit(span, cell, *type);
  };
  const auto visit_span = [&](Span* span) {
    for (size_t i = FindFirstSet(span->mark_bits, 0, span->cell_count);
         i < span->cell_count;
         i = FindFirstSet(span->mark_bits, i + 1, span->cell_count)) {
      visit_cell(span, i);
    }
    SpinLockHolder lock(&span->specials_lock);
    for (const Special* s = span->specials; s != nullptr; s = s->next) {
      if (s->kind != SpecialKind::kFinalizer) continue;
      const size_t index = span->CellIndex(s->address);
      if (!span->IsMarked(index)) visit_cell(span, index);
    }
  };
  page_heap->ForEachArena([&](Arena* arena) {
    for (size_t w = 0; w < kPagesPerArena / kBitsPerWord; w++) {
      uint64_t bits = arena->page_weak[w].load(std::memory_order_relaxed);
      for (; bits != 0; bits &= bits - 1) {
        const size_t page = w * kBitsPerWord + std::countr_zero(bits);
        visit_span(arena->spans[page].load(std::memory_order_relaxed));
      }
    }
  });
}

// Marking is done: clears the words of noted objects that refer to something
// dead, and of each ephemeron record with a dead key all keys and values.
// `shadow` NULL: nobody checks stores.
void ClearWeakWords(PageHeap* page_heap, const ValueEncoding& encoding,
                    uintptr_t cleared_word, const StoreShadow* shadow);

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_WEAK_WORDS_H_
