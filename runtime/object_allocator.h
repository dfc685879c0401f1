// Allocation's slow paths: from an empty cursor to a zeroed cell.
//
// The fast path is inlined into the embedder (api/loam_inline.h): take the next
// cell of a run. This file starts runs, gets spans, and decides when to
// collect:
//
//   run       the next free cells of the cached span (cell_run.h)
//   refill    another span of the class, after a look at the trigger
//   no memory a full collection; free pages to the OS; the embedder's callback
//
// Objects go to span classes as follows. Fixed-size types that allocate enough:
// typed spans. Other registered types: headed. Bytes: noscan, below 16 bytes
// several to a cell. Slots, bitmaps: their own. Above 32 KiB: a span each.

#ifndef LOAM_RUNTIME_OBJECT_ALLOCATOR_H_
#define LOAM_RUNTIME_OBJECT_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/type_layout.h"
#include "runtime/mutator.h"

namespace loam {

enum class AllocationMode : uint8_t {
  kMayCollect,   // a safepoint
  kNeverCollect  // not a safepoint: NULL when the memory at hand does not do
};

// Collects if the trigger is reached, as every refill does that may. For calls
// whose refills may not. A safepoint.
void CollectIfDue(Mutator* m);

// NULL: out of memory. Sizes have been checked for overflow by the caller.
void* AllocateObject(Mutator* m, const Type& type, size_t bytes,
                     AllocationMode mode);
void* AllocateBytes(Mutator* m, size_t bytes, AllocationMode mode);
// Zeroed only if they are in a cell.
void* AllocateUnzeroedBytes(Mutator* m, size_t bytes, AllocationMode mode);
// `bytes` a multiple of 8.
void* AllocateSlots(Mutator* m, size_t bytes, AllocationMode mode);
void* AllocateBitmap(Mutator* m, size_t bytes, const uint64_t* pointer_bits,
                     const uint64_t* value_bits, AllocationMode mode);
void* AllocateAmbiguous(Mutator* m, size_t bytes, AllocationMode mode);
// Grows or shrinks an object of AllocateBytes where it is, if its cell allows;
// bytes past the old size become zero.
bool ResizeInPlace(Mutator* m, void* buffer, size_t old_bytes,
                   size_t new_bytes);

}  // namespace loam

#endif  // LOAM_RUNTIME_OBJECT_ALLOCATOR_H_
