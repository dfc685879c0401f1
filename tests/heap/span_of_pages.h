// Spans for tests of the page heap, which do not care what is in them.

#ifndef LOAM_TESTS_HEAP_SPAN_OF_PAGES_H_
#define LOAM_TESTS_HEAP_SPAN_OF_PAGES_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/span.h"

namespace loam {

constexpr uint32_t kGeneration = 4;

// A span of one large object of so many pages.
inline SpanShape Pages(size_t pages) {
  SpanShape shape = {};
  shape.kind = SpanKind::kLarge;
  shape.scan = ScanKind::kNoscan;
  shape.pages = static_cast<uint32_t>(pages);
  shape.cell_bytes = pages * kPageBytes;
  return shape;
}

}  // namespace loam

#endif  // LOAM_TESTS_HEAP_SPAN_OF_PAGES_H_
