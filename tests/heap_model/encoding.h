// The value encodings the programs run with, one of each kind, seen from the
// embedder's side: how it makes words out of addresses.

#ifndef LOAM_TESTS_HEAP_MODEL_ENCODING_H_
#define LOAM_TESTS_HEAP_MODEL_ENCODING_H_

#include <cstdint>

#include "api/loam.h"
#include "tests/support/random.h"

namespace loam_test {

// options.weak_cleared_word of some programs: no reference in any encoding, nor
// an address in the heap.
constexpr loam_word kClearedWord = 7;

class Encoding {
 public:
  explicit Encoding(loam_encoding_kind kind) : kind_(kind) {}

  loam_encoding_kind kind() const { return kind_; }
  loam_encoding options() const;

  // A word that refers to `address`.
  loam_word Encode(uintptr_t address, Random* random) const;
  // Interior references must be multiples of this.
  size_t granularity() const { return kind_ == LOAM_ENCODING_LOW_TAG ? 8 : 1; }
  // A word that is no reference. Where tags tell, its payload is the address of
  // an object, which must not be kept alive by it.
  loam_word Immediate(uintptr_t address, Random* random) const;

 private:
  loam_encoding_kind kind_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_ENCODING_H_
