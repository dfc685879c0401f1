// A frame of the library's own: words that are roots while it is at work.
//
// Popped when it goes out of scope, like the frames of an embedder; a callback
// that leaves by a jump unwinds it.

#ifndef LOAM_RUNTIME_ROOTED_WORDS_H_
#define LOAM_RUNTIME_ROOTED_WORDS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/root_stack.h"
#include "runtime/heap/word_kind.h"
#include "runtime/mutator.h"

namespace loam {

// `map` describes kCount words. Words begin as 0.
template <size_t kCount>
class RootedWords {
 public:
  RootedWords(Mutator* m, const FrameMap* map) {
    frame_.stack = m->root_stack;
    frame_.previous = m->root_stack->frames;
    frame_.map = map;
    m->root_stack->frames = &frame_;
  }
  ~RootedWords() { frame_.stack->frames = frame_.previous; }
  RootedWords(const RootedWords&) = delete;
  RootedWords& operator=(const RootedWords&) = delete;

  uintptr_t& operator[](size_t i) { return words_[i]; }

 private:
  Frame frame_ = {};
  uintptr_t words_[kCount] = {};  // right behind the frame
};

}  // namespace loam

#endif  // LOAM_RUNTIME_ROOTED_WORDS_H_
