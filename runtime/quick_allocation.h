// What the allocation functions try first: the next cell of the class's run,
// when nobody waits for a safepoint and no check watches. NULL means no more
// than that somebody has to look closer (object_allocator.h).
//
// None is a safepoint. All but TakeTiny take a mutator that may be NULL.

#ifndef LOAM_RUNTIME_QUICK_ALLOCATION_H_
#define LOAM_RUNTIME_QUICK_ALLOCATION_H_

#include <cstddef>
#include <cstdint>

#include "runtime/cell_run.h"
#include "runtime/span_class.h"

namespace loam {

// Objects smaller than this, without type or slots, share cells of this size.
constexpr size_t kTinyCellBytes = 16;

// Whether `m` exists, nobody waits for it, and nobody watches.
inline bool IsUnobserved(const Mutator* m) {
  return m != nullptr &&
         m->safepoint_word.load(std::memory_order_relaxed) == 0 &&
         m->fresh_objects == nullptr;
}

// Of a type with typed spans.
inline void* TakeTyped(Mutator* m, const Type& type) {
  if (!IsUnobserved(m)) return nullptr;
  return TakeCell(m, TypedSpanClass(type), type.cell_bytes);
}

// In cells of a kind that needs nothing else; `bytes` not 0.
inline void* TakeClassed(Mutator* m, SpanKind kind, size_t bytes) {
  if (bytes > kMaxSmallBytes || !IsUnobserved(m)) return nullptr;
  const size_t size_class = SizeClassOf(bytes);
  return TakeCell(m, ClassedSpanClass(kind, size_class),
                  ClassCellBytes(size_class));
}

inline void* TakeSlots(Mutator* m, size_t count) {
  if (count == 0 || count > kMaxSmallBytes / kWordBytes) return nullptr;
  return TakeClassed(m, SpanKind::kSlots, count * kWordBytes);
}

// The last word of a headed cell.
inline void SetTypeWord(void* object, size_t cell_bytes, const Type& type) {
  *reinterpret_cast<const Type**>(static_cast<char*>(object) + cell_bytes -
                                  kWordBytes) = &type;
}

// Up to `count` objects of a type with typed spans: those that are zeroed
// already. The cursor goes through memory once for all of them.
inline size_t TakeManyTyped(Mutator* m, const Type& type, size_t count,
                            void** out) {
  if (!IsUnobserved(m)) return 0;
  AllocationCursor& cursor = m->cursor(TypedSpanClass(type));
  const uintptr_t limit = cursor.limit;
  const size_t cell_bytes = type.cell_bytes;
  uintptr_t next = cursor.next;
  size_t taken = 0;
  for (; taken < count && next + cell_bytes <= limit; taken++) {
    out[taken] = reinterpret_cast<void*>(next);
    next += cell_bytes;
  }
  if (taken > 0) cursor.next = next;
  return taken;
}

// `count` elements behind the fixed part of an array type.
inline void* TakeArray(Mutator* m, const Type& type, size_t count) {
  size_t cell_needed;
  if (type.alignment > kCellAlignment ||
      __builtin_mul_overflow(type.element_size, count, &cell_needed) ||
      __builtin_add_overflow(cell_needed, type.size + kWordBytes,
                             &cell_needed) ||
      cell_needed > kMaxSmallBytes || !IsUnobserved(m)) {
    return nullptr;
  }
  const size_t size_class = SizeClassOf(cell_needed);
  // Cells of fewer bytes than an alignment are not all aligned to it.
  const size_t cell_bytes = ClassCellBytes(size_class);
  if (cell_bytes % kCellAlignment != 0) return nullptr;
  void* object =
      TakeCell(m, ClassedSpanClass(type.headed_kind, size_class), cell_bytes);
  if (object != nullptr) SetTypeWord(object, cell_bytes, type);
  return object;
}

// Of any registered type; `count` 0 for one of fixed size.
inline void* TakeObject(Mutator* m, const Type& type, size_t count) {
  if (!type.is_fixed_size()) return TakeArray(m, type, count);
  return count == 0 ? TakeTyped(m, type) : nullptr;
}

// Several objects to a cell, each aligned to a word: an address with low bits
// could not be told from a tagged value.
inline void* TakeTiny(Mutator* m, size_t bytes) {
  const uintptr_t object = AlignUp(m->tiny_next, kWordBytes);
  if (m->tiny_next == 0 || object + bytes > m->tiny_limit) return nullptr;
  m->tiny_next = object + bytes;
  return reinterpret_cast<void*>(object);
}

inline void* TakeBytes(Mutator* m, size_t bytes) {
  if (bytes >= kTinyCellBytes) {
    return TakeClassed(m, SpanKind::kNoscan, bytes);
  }
  return bytes != 0 && IsUnobserved(m) ? TakeTiny(m, bytes) : nullptr;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_QUICK_ALLOCATION_H_
