// How the objects of a program are laid out, as the program itself knows it.

#ifndef LOAM_TESTS_HEAP_MODEL_LAYOUT_H_
#define LOAM_TESTS_HEAP_MODEL_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "api/loam.h"
#include "tests/heap_model/coverage.h"
#include "tests/support/random.h"

namespace loam_test {

constexpr size_t kWord = sizeof(loam_word);

class DisposeLog;

// What is to become of the objects of a type.
enum class Disposed { kNever, kAtOnce, kQueued };

struct Layout {
  std::string name;
  Covered category;
  const loam_type* type = nullptr;  // NULL: untyped
  size_t alignment = 8;
  size_t prefix_bytes = 0;
  std::vector<uint8_t> prefix;  // a loam_word_kind per whole word
  size_t element_bytes = 0;
  std::vector<uint8_t> element;
  // Word 0 of the object says what its other words hold: see TaggedKind.
  bool tagged = false;
  bool hot = false;             // LOAM_TYPE_HOT
  bool has_weak_words = false;  // ephemeron words included
  bool is_never_cleared = false;
  // Word 0 is data that no other object has, word 1 the address of the log.
  Disposed disposed = Disposed::kNever;
  DisposeLog* dispose_log = nullptr;
  bool is_opaque = false;    // a weak map, or part of one
  bool is_internal = false;  // part of one, which nobody else knows

  bool is_array() const { return element_bytes != 0; }
};

// Objects of tagged layouts: bits 2i and 2i + 1 of word 0 are the kind of word
// i, for words 1 to 31; the others are data.
constexpr size_t kTaggedWords = 32;
inline loam_word_kind TaggedKind(loam_word tag, size_t word) {
  constexpr loam_word_kind kKinds[] = {LOAM_DATA, LOAM_VALUE, LOAM_POINTER,
                                       LOAM_AMBIGUOUS};
  if (word == 0 || word >= kTaggedWords) return LOAM_DATA;
  return kKinds[(tag >> (2 * word)) & 3];
}

// Registers the types of one program: some of every category, their shapes
// drawn from `random`. `log` is told of objects that are disposed of at once,
// and `dispose` called for those that wait. False if a registration fails.
bool RegisterLayouts(loam_type_set* set, Random* random, DisposeLog* log,
                     loam_dispose_fn dispose, std::vector<Layout>* layouts);

// The layouts of objects without types.
struct UntypedLayouts {
  UntypedLayouts();
  Layout bytes;
  Layout slots;
  Layout ambiguous;
  Layout bitmap;  // the kinds are the object's own
  Layout ephemeron;
  Layout map;
  Layout map_entries;
  Layout map_heads;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_LAYOUT_H_
