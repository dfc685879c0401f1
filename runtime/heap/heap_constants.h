// Sizes that the heap's address arithmetic rests on.

#ifndef LOAM_RUNTIME_HEAP_HEAP_CONSTANTS_H_
#define LOAM_RUNTIME_HEAP_HEAP_CONSTANTS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"

namespace loam {

constexpr size_t kPageShift = 13;
constexpr size_t kPageBytes = size_t{1} << kPageShift;  // 8 KiB

// No span has more cells; bounds mark and alloc bits.
constexpr size_t kMaxSpanCells = 2048;

// A chunk is the unit of the page allocator's bitmaps.
constexpr size_t kPagesPerChunk = 512;
constexpr size_t kChunkBytes = kPagesPerChunk * kPageBytes;  // 4 MiB

// An arena is the unit in which address space is reserved and looked up: 64
// MiB, and 4 MiB in two test builds (docs/testing.md).
#ifndef LOAM_ARENA_SHIFT
#define LOAM_ARENA_SHIFT 26
#endif
constexpr size_t kArenaShift = LOAM_ARENA_SHIFT;
constexpr size_t kArenaBytes = size_t{1} << kArenaShift;
constexpr size_t kPagesPerArena = kArenaBytes / kPageBytes;
constexpr size_t kChunksPerArena = kArenaBytes / kChunkBytes;

// User addresses of x86-64 and AArch64 fit in 48 bits. A test build has fewer:
// its arenas lie where the address space says, and nowhere else.
#ifndef LOAM_ADDRESS_BITS
#define LOAM_ADDRESS_BITS 48
#endif
constexpr size_t kAddressBits = LOAM_ADDRESS_BITS;
// Whether any address that the OS may give fits.
constexpr bool kHasUserAddressBits = kAddressBits >= 47;
constexpr size_t kMaxArenas = size_t{1} << (kAddressBits - kArenaShift);

// Objects above this have a span of their own.
constexpr size_t kMaxSmallBytes = 32 << 10;

// Every cell from 16 bytes on is aligned to 16.
constexpr size_t kCellAlignment = 16;

// The OS's page, in which tables are committed.
constexpr size_t kOsPageBytes = 4096;

static_assert(kPageBytes % kOsPageBytes == 0);
static_assert(kArenaBytes % kChunkBytes == 0);
static_assert(IsPowerOfTwo(kArenaBytes) && IsPowerOfTwo(kPageBytes));

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_HEAP_CONSTANTS_H_
