// Checking mode's memory of what went through the store functions: a word for
// every word of the heap, in a mirror of each arena. A slot whose content
// differs from its shadow was written behind loam's back.
//
// A fresh object may be filled in by plain (init) stores until the next
// safepoint; its mutator takes a snapshot of it then.

#ifndef LOAM_RUNTIME_GC_STORE_SHADOW_H_
#define LOAM_RUNTIME_GC_STORE_SHADOW_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/arena.h"

namespace loam {

class StoreShadow {
 public:
  explicit StoreShadow(const ArenaMap* arenas) : arenas_(arenas) {}

  // Recorded first, stored afterwards: two threads that store to one slot at
  // once may leave a shadow that differs, so lock-free structures cannot be
  // checked. Relaxed atomics all the same.
  void Record(uintptr_t slot, uintptr_t word) const {
    if (uint64_t* shadow = Find(slot)) {
      __atomic_store_n(shadow, word, __ATOMIC_RELAXED);
    }
  }
  // True if the slot holds what was stored, or is not in the heap.
  bool Matches(uintptr_t slot) const {
    const uint64_t* shadow = Find(slot);
    return shadow == nullptr || __atomic_load_n(shadow, __ATOMIC_RELAXED) ==
                                    *reinterpret_cast<const uintptr_t*>(slot);
  }
  uintptr_t Recorded(uintptr_t slot) const { return *Find(slot); }
  // Takes the object's present content for stored.
  void Snapshot(uintptr_t object, size_t bytes) const {
    for (size_t i = 0; i < bytes; i += kWordBytes) {
      Record(object + i, *reinterpret_cast<const uintptr_t*>(object + i));
    }
  }

 private:
  uint64_t* Find(uintptr_t slot) const {
    const Arena* arena = arenas_->Find(slot);
    return arena == nullptr || arena->store_shadow == nullptr
               ? nullptr
               : &arena->store_shadow[(slot - arena->base) / kWordBytes];
  }

  const ArenaMap* const arenas_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_STORE_SHADOW_H_
