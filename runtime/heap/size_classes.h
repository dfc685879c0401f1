// Size classes: the cell sizes that objects up to 32 KiB are rounded to.
//
// The table is computed at compile time by the rules of Go's mksizeclasses:
// spans are whole pages, and a class is as coarse as keeps the waste at the end
// of a span, and from rounding, near an eighth. Two differences: cells from 16
// bytes on are multiples of 16 (so that they are 16-byte aligned), and span
// lengths are chosen for arbitrary cell sizes too, for typed spans.

#ifndef LOAM_RUNTIME_HEAP_SIZE_CLASSES_H_
#define LOAM_RUNTIME_HEAP_SIZE_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/heap_constants.h"

namespace loam {

constexpr size_t kMaxSizeClasses = 80;

// Pages of a span of cells of this size: the fewest that waste at most an
// eighth at the end.
constexpr size_t SpanPagesForCell(size_t cell_bytes) {
  size_t pages = 1;
  while (pages * kPageBytes < cell_bytes ||
         pages * kPageBytes % cell_bytes > pages * kPageBytes / 8) {
    pages++;
  }
  return pages;
}

// The same for typed spans. A type that has them allocates much, so these are
// larger where pages are few: a span is taken, swept and given back as often as
// its objects are many, and a tenth of the time of programs that mostly
// allocate went there (docs/allocation.md). Not larger still: each mutator
// keeps one for each type, and one live object keeps it from other types.
constexpr size_t TypedSpanPages(size_t cell_bytes) {
  constexpr size_t kUsualPages = 4;
  const size_t fewest = SpanPagesForCell(cell_bytes);
  size_t pages = fewest;
  while (pages + fewest <= kUsualPages &&
         (pages + fewest) * kPageBytes / cell_bytes <= kMaxSpanCells) {
    pages += fewest;
  }
  return pages;
}

struct SizeClass {
  uint32_t cell_bytes = 0;
  uint32_t span_pages = 0;
};

struct SizeClassTable {
  size_t count = 0;  // Classes 0 to count - 1, by rising size.
  std::array<SizeClass, kMaxSizeClasses> classes = {};
  // Class of a size of up to 1 KiB: [(size + 7) / 8]; above, in steps of 128
  // from 1 KiB: [(size - 1024 + 127) / 128].
  std::array<uint8_t, 1024 / 8 + 1> small_lookup = {};
  std::array<uint8_t, (kMaxSmallBytes - 1024) / 128 + 1> large_lookup = {};
};

constexpr SizeClassTable MakeSizeClassTable() {
  SizeClassTable table;
  size_t step = 8;
  for (size_t size = 8; size <= kMaxSmallBytes; size += step) {
    // Widen the step as sizes grow: about eight classes to a doubling.
    if (IsPowerOfTwo(size)) {
      if (size >= 2048) {
        step = 256;
      } else if (size >= 128) {
        step = size / 8;
      } else if (size >= 16) {
        step = 16;
      }
    }
    const size_t pages = SpanPagesForCell(size);
    const size_t cells = pages * kPageBytes / size;
    if (table.count > 0) {
      // The class before is useless if as many of the larger cells fit.
      SizeClass& last = table.classes[table.count - 1];
      if (last.span_pages == pages &&
          pages * kPageBytes / last.cell_bytes == cells) {
        last.cell_bytes = static_cast<uint32_t>(size);
        continue;
      }
    }
    table.classes[table.count++] = {static_cast<uint32_t>(size),
                                    static_cast<uint32_t>(pages)};
  }
  // Widen each class to what fits as often in its span, in steps of 128.
  for (size_t i = 0; i < table.count; i++) {
    SizeClass& c = table.classes[i];
    const size_t span_bytes = c.span_pages * kPageBytes;
    const size_t widened =
        AlignDown(span_bytes / (span_bytes / c.cell_bytes), 128);
    if (widened > c.cell_bytes && widened <= kMaxSmallBytes) {
      c.cell_bytes = static_cast<uint32_t>(widened);
    }
  }
  size_t next = 0;
  for (size_t i = 0; i < table.small_lookup.size(); i++) {
    while (table.classes[next].cell_bytes < i * 8) next++;
    table.small_lookup[i] = static_cast<uint8_t>(next);
  }
  next = 0;
  for (size_t i = 0; i < table.large_lookup.size(); i++) {
    while (table.classes[next].cell_bytes < 1024 + i * 128) next++;
    table.large_lookup[i] = static_cast<uint8_t>(next);
  }
  return table;
}

inline constexpr SizeClassTable kSizeClasses = MakeSizeClassTable();
inline constexpr size_t kSizeClassCount = kSizeClasses.count;

static_assert(kSizeClassCount < kMaxSizeClasses);
static_assert(kSizeClasses.classes[kSizeClassCount - 1].cell_bytes ==
              kMaxSmallBytes);

// The class of the smallest cells of at least `bytes`, 0 to kMaxSmallBytes.
constexpr size_t SizeClassOf(size_t bytes) {
  return bytes <= 1024 ? kSizeClasses.small_lookup[(bytes + 7) / 8]
                       : kSizeClasses.large_lookup[(bytes - 1024 + 127) / 128];
}

// The class of the smallest cells of at least `bytes` whose size is a multiple
// of `alignment` (a power of two), so that every cell is aligned; or
// kSizeClassCount if there is none.
constexpr size_t AlignedSizeClassOf(size_t bytes, size_t alignment) {
  for (size_t c = SizeClassOf(bytes); c < kSizeClassCount; c++) {
    if ((kSizeClasses.classes[c].cell_bytes & (alignment - 1)) == 0) return c;
  }
  return kSizeClassCount;
}

constexpr size_t ClassCellBytes(size_t size_class) {
  return kSizeClasses.classes[size_class].cell_bytes;
}
constexpr size_t ClassSpanPages(size_t size_class) {
  return kSizeClasses.classes[size_class].span_pages;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_SIZE_CLASSES_H_
