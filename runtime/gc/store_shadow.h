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

  // For a plain store, recorded first, stored afterwards: of two threads that
  // store to one slot at once, each may win once, and the shadow differs. Such
  // structures use the exchanges. Relaxed atomics all the same.
  void Record(uintptr_t slot, uintptr_t word) const {
    if (uint64_t* shadow = Find(slot)) {
      __atomic_store_n(shadow, word, __ATOMIC_RELAXED);
    }
  }
  // After an exchange: records what the slot holds, however many threads are
  // exchanging it. Once all have returned, the two agree: all accesses, the
  // exchanges too, are sequentially consistent, and whoever recorded last saw
  // the slot unchanged afterwards; an exchange after that look would have been
  // recorded later still.
  void RecordPresent(uintptr_t slot) const {
    uint64_t* shadow = Find(slot);
    if (shadow == nullptr) return;
    const auto* word = reinterpret_cast<const uintptr_t*>(slot);
    uintptr_t present = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    for (;;) {
      __atomic_store_n(shadow, present, __ATOMIC_SEQ_CST);
      const uintptr_t now = __atomic_load_n(word, __ATOMIC_SEQ_CST);
      if (now == present) return;
      present = now;
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
