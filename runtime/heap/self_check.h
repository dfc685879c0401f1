// What the heap's arithmetic takes for granted, checked before there is a heap.
//
// What the compiler can tell is asserted in self_check.cc: sizes and shifts,
// how the address is split, the fields of summaries, size classes and their
// division. What only the machine can tell is asked for here, once for each
// heap, in a few microseconds.

#ifndef LOAM_RUNTIME_HEAP_SELF_CHECK_H_
#define LOAM_RUNTIME_HEAP_SELF_CHECK_H_

#include <cstddef>
#include <cstdint>

namespace loam {

// As the OS says.
struct OsFacts {
  size_t page_bytes;
  size_t huge_page_bytes;    // 0: it has none, or is not asked
  uintptr_t mapped_address;  // at which it placed something just now
};

// Huge pages are looked up in a file: only for a heap that wants them.
OsFacts AskOs(bool wants_huge_pages);

// False, and a sentence for the embedder, if a heap cannot work here.
bool SelfCheck(const OsFacts& facts, char* problem, size_t problem_bytes);

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_SELF_CHECK_H_
