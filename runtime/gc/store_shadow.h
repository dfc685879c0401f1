// Checking mode's memory of what went through the store functions: a word for
// every word of the heap, in a mirror of each arena. A slot whose content
// differs from its shadow was written behind loam's back.
//
// States of a shadow word:
//
//   fresh(m)   its object is younger than the last safepoint of the mutator m,
//              which may fill the slot in by plain (init) stores and its own
//              store functions: no record of either
//   a word     what the slot holds
//
//   fresh(m) -> word   by m, at its next safepoint: whatever the slot holds
//   fresh(m) -> word   by another thread, to which the object was published
//                      before: what that thread stores. m then leaves it alone
//
// Only one mutator at a time uses a cell, so each word has one owner while it
// is fresh; both ends change it by compare-and-swap or plain atomic stores, and
// whoever stores last through the store functions is recorded last.

#ifndef LOAM_RUNTIME_GC_STORE_SHADOW_H_
#define LOAM_RUNTIME_GC_STORE_SHADOW_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/arena.h"

namespace loam {

class StoreShadow {
 public:
  explicit StoreShadow(const ArenaMap* arenas) : arenas_(arenas) {}

  // What marks words as fresh for one mutator: the upper half is a value that
  // no slot is likely to hold, the lower half tells mutators apart.
  static uint64_t FreshTag(const void* mutator) {
    return (uint64_t{0xd1b54a33} << 32) |
           ((reinterpret_cast<uintptr_t>(mutator) >> 12) & 0xffffffff);
  }
  void BeginFresh(uintptr_t object, size_t bytes, uint64_t tag) const {
    for (size_t i = 0; i < bytes; i += kWordBytes) {
      if (uint64_t* shadow = Find(object + i)) Set(shadow, tag);
    }
  }
  void EndFresh(uintptr_t object, size_t bytes, uint64_t tag) const {
    for (size_t i = 0; i < bytes; i += kWordBytes) {
      uint64_t* shadow = Find(object + i);
      if (shadow == nullptr || Get(shadow) != tag) continue;
      uint64_t expected = tag;
      __atomic_compare_exchange_n(shadow, &expected, Get(Word(object + i)),
                                  /*weak=*/false, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST);
    }
  }

  // For a plain store by the mutator of `tag`, recorded first, stored
  // afterwards: of two threads that store to one slot at once, each may win
  // once, and the shadow differs. Such structures use the exchanges.
  void Record(uintptr_t slot, uintptr_t word, uint64_t tag) const {
    uint64_t* shadow = Find(slot);
    if (shadow != nullptr && Get(shadow) != tag) Set(shadow, word);
  }
  // After an exchange by the mutator of `tag`: records what the slot holds,
  // however many threads are exchanging it. Once all have returned, the two
  // agree: all accesses, the exchanges too, are sequentially consistent, and
  // whoever recorded last saw the slot unchanged afterwards; an exchange after
  // that look would have been recorded later still.
  void RecordPresent(uintptr_t slot, uint64_t tag) const {
    uint64_t* shadow = Find(slot);
    if (shadow == nullptr || Get(shadow) == tag) return;
    uint64_t present = Get(Word(slot));
    for (;;) {
      Set(shadow, present);
      const uint64_t now = Get(Word(slot));
      if (now == present) return;
      present = now;
    }
  }
  // True if the slot holds what was stored, or is not in the heap, or belongs
  // to an object that is still fresh. The world is stopped.
  bool Matches(uintptr_t slot) const {
    const uint64_t* shadow = Find(slot);
    return shadow == nullptr || Get(shadow) == Get(Word(slot)) ||
           Get(shadow) >> 32 == FreshTag(nullptr) >> 32;
  }
  uintptr_t Recorded(uintptr_t slot) const { return *Find(slot); }

 private:
  static uint64_t Get(const uint64_t* word) {
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
  }
  // NOLINTNEXTLINE(readability-non-const-parameter): it is stored through.
  static void Set(uint64_t* word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
  }
  static const uint64_t* Word(uintptr_t slot) {
    return reinterpret_cast<const uint64_t*>(slot);
  }
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
