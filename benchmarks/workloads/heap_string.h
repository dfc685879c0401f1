// Strings as objects of the heap.

#ifndef LOAM_BENCHMARKS_WORKLOADS_HEAP_STRING_H_
#define LOAM_BENCHMARKS_WORKLOADS_HEAP_STRING_H_

#include "benchmarks/peer/peer.h"

namespace benchmarks {

// Bytes without references; not of a registered type. `length` letters follow.
struct String {
  uint32_t length;
  char* letters() { return reinterpret_cast<char*>(this + 1); }
};

// The letters are not set.
inline String* NewString(const peer::Thread& thread, size_t length) {
  auto* const string =
      static_cast<String*>(peer::NewBytes(thread, sizeof(String) + length));
  string->length = static_cast<uint32_t>(length);
  return string;
}

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_WORKLOADS_HEAP_STRING_H_
