// Specials: records about single objects, kept outside them.
//
// The specials of a span's objects form one list, sorted by (cell, kind). It
// is guarded by the span's specials_lock and changed only by someone who knows
// that the span is swept: its sweeper, or a caller of Sweeper::EnsureSwept.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_H_

#include <cstdint>

struct loam_mutator;

namespace loam {

using FinalizerCallback = void (*)(loam_mutator* m, void* object, void* data);

// In the order in which they are handled for one object.
enum class SpecialKind : uint8_t {
  kFinalizer = 1,
};

// Half a cache line: a program may have as many as objects.
struct Special {
  Special* next;
  uint64_t cell : 56;  // the object's address
  SpecialKind kind : 8;
  // kFinalizer.
  FinalizerCallback function;
  void* data;

  void* object() const { return reinterpret_cast<void*>(uintptr_t{cell}); }
};
static_assert(sizeof(Special) == 32);

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_H_
