// What one word of an object or root holds. The values are those of
// loam_word_kind.

#ifndef LOAM_RUNTIME_HEAP_WORD_KIND_H_
#define LOAM_RUNTIME_HEAP_WORD_KIND_H_

#include <cstdint>

namespace loam {

enum class WordKind : uint8_t {
  kData = 0,
  kValue = 1,
  kPointer = 2,
  kWeakValue = 3,
  kWeakPointer = 4,
  kEphemeronKey = 5,
  kEphemeronValue = 6,
  kAmbiguous = 7,
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_WORD_KIND_H_
