// Where a heap gets its address space: whole arenas, aligned to their size.
//
// It is asked for, in this order,
//
//   in the linear range   one piece, reserved when the heap is created, if the
//                         options ask for one; arenas follow each other in it
//   at growth hints       addresses to go on from, upwards or downwards
//   anywhere              where the OS has room; both ends of that place become
//                         the only hints
//
// A hint at which something else lies is dropped, for good: that is learnt once
// and not at every growth. All of it is Reserved (os_memory.h), so that it
// costs no memory.
//
// Guarded by the page heap's lock.

#ifndef LOAM_RUNTIME_HEAP_ADDRESS_SPACE_H_
#define LOAM_RUNTIME_HEAP_ADDRESS_SPACE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/heap_constants.h"

namespace loam {

struct AddressSpaceOptions {
  uintptr_t first_hint = 0;  // 0: kFirstHint
  // Of the linear range; less, down to a quarter, where the OS has no such
  // piece. 0: none.
  size_t linear_bytes = 0;
  // Random bits in the hints, and in first_padding_pages.
  bool randomize = false;
};

class AddressSpace {
 public:
  // Where heaps start looking: addresses that begin with 00c0 stand out in a
  // debugger and are rarely taken. Further hints follow in steps.
  static constexpr uintptr_t kFirstHint =
      kHasUserAddressBits ? uintptr_t{0x00c0} << 32
                          : uintptr_t{1} << (kAddressBits - 2);
  static constexpr uintptr_t kHintStep =
      uintptr_t{1} << (kHasUserAddressBits ? 40 : kAddressBits - 7);
  static constexpr size_t kHints = 64;
  // How far up a random hint moves, at most.
  static constexpr uintptr_t kRandomRange = kHintStep / 4;

  AddressSpace() = default;
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // Plants the hints and reserves the linear range; without one if the OS has
  // no room for it.
  void Initialize(const AddressSpaceOptions& options);
  // What is left of the linear range. Arenas go back by themselves.
  void Release();

  // So many bytes of whole arenas, or 0.
  uintptr_t Reserve(size_t bytes);
  // The same right behind what was reserved before. False if that is taken.
  bool ReserveAt(uintptr_t address, size_t bytes);
  // The end of what was just reserved will not be used after all.
  void Return(uintptr_t address, size_t bytes);

  // Pages at the start of the first arena that stay unused, so that nobody can
  // tell an object's place in its arena.
  size_t first_padding_pages() const { return first_padding_pages_; }
  // Of the linear range, in no arena yet.
  size_t linear_left() const { return linear_end_ - linear_next_; }
  size_t hint_count() const { return hint_count_; }

 private:
  struct Hint {
    uintptr_t address;
    bool down;  // go on below the address, rather than from it on
  };

  void PlantFirstHints(uintptr_t first);
  void ReserveLinear(size_t bytes);
  uintptr_t TakeLinear(size_t bytes);
  uintptr_t TakeHint(size_t bytes);
  uintptr_t TakeAnywhere(size_t bytes);

  uintptr_t linear_next_ = 0;
  uintptr_t linear_end_ = 0;
  // The last is tried first.
  Hint hints_[kHints] = {};
  size_t hint_count_ = 0;
  size_t first_padding_pages_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_ADDRESS_SPACE_H_
