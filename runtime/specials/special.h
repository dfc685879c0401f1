// Specials: records about single objects, kept outside them.
//
// The specials of a span's objects form one list, sorted by (offset, kind). It
// is guarded by the span's specials_lock and changed only by someone who knows
// that the span is swept: its sweeper, or a caller of Sweeper::EnsureSwept.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_H_

#include <cstddef>
#include <cstdint>

struct loam_mutator;

namespace loam {

using FinalizerCallback = void (*)(loam_mutator* m, void* object, void* data);

// In the order in which they are handled for one object.
enum class SpecialKind : uint8_t {
  kFinalizer = 1,
};

struct Special {
  Special* next;
  size_t offset;  // of the object's cell, from the span's base
  SpecialKind kind;
  // kFinalizer. While the record is on the finalizer queue, `object` is set.
  FinalizerCallback function;
  void* data;
  void* object;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_H_
