// A place for a heap that a test chooses.

#ifndef LOAM_TESTS_HEAP_FREE_PLACE_H_
#define LOAM_TESTS_HEAP_FREE_PLACE_H_

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "runtime/heap/address_space.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {

// An address at which this much is free, and stays free: the OS places what it
// may place anywhere as high as it can, and is left much room above.
inline uintptr_t FreePlace(size_t bytes) {
  if (!kHasUserAddressBits) {  // Nothing of the OS's is where arenas fit.
    return AddressSpace::kFirstHint + 20 * AddressSpace::kHintStep;
  }
  constexpr size_t kAbove = size_t{16} << 30;
  const uintptr_t above = os::Reserve(0, kAbove, kArenaBytes);
  const uintptr_t place = os::Reserve(0, bytes, kArenaBytes);
  EXPECT_NE(above, 0);
  EXPECT_NE(place, 0);
  os::Release(above, kAbove);
  os::Release(place, bytes);
  return place;
}

}  // namespace loam

#endif  // LOAM_TESTS_HEAP_FREE_PLACE_H_
