// Span classes: one number for what a mutator caches spans of.
//
//   [0, kFirstTypedClass)  classed kinds: kind * kSizeClassCount + size class
//   from there on          typed: kFirstTypedClass + Type::index
//
// The number is also the index of the mutator's cursor, so it is ABI: a type's
// cursor offset follows from it.

#ifndef LOAM_RUNTIME_SPAN_CLASS_H_
#define LOAM_RUNTIME_SPAN_CLASS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/size_classes.h"
#include "runtime/heap/span.h"
#include "runtime/heap/type_set.h"

namespace loam {

using SpanClass = uint32_t;

constexpr SpanClass kFirstTypedClass =
    static_cast<SpanClass>(kClassedSpanKinds * kSizeClassCount);
constexpr size_t kSpanClassCount = kFirstTypedClass + kMaxTypes;

constexpr SpanClass ClassedSpanClass(SpanKind kind, size_t size_class) {
  return static_cast<SpanClass>(static_cast<size_t>(kind) * kSizeClassCount +
                                size_class);
}
inline SpanClass TypedSpanClass(const Type& type) {
  return kFirstTypedClass + type.index;
}

// Untyped objects with caller-given bitmaps have spans of their own up to here.
constexpr size_t kMaxSpanBitmapBytes = 512;

inline ScanKind ScanKindOf(SpanKind kind) {
  switch (kind) {
    case SpanKind::kSlots:
      return ScanKind::kValues;
    case SpanKind::kHeaded:
    case SpanKind::kDisposed:
      return ScanKind::kHeaded;
    case SpanKind::kBitmap:
      return ScanKind::kBitmap;
    default:
      return ScanKind::kNoscan;
  }
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SPAN_CLASS_H_
