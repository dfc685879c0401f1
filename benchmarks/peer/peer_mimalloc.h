// malloc and free, by mimalloc, as a workload's heap; see peer.h.

#ifndef LOAM_BENCHMARKS_PEER_PEER_MIMALLOC_H_
#define LOAM_BENCHMARKS_PEER_PEER_MIMALLOC_H_

#include <mimalloc.h>

#include "benchmarks/peer/plain_pointers.h"

namespace peer {

inline constexpr const char* kName = "mimalloc";
inline constexpr bool kCollects = false;

class Heap {
 public:
  explicit Heap(const Settings&) {}
  Statistics statistics() const { return {}; }
  void ReleaseMemory() { mi_collect(/*force=*/true); }
};

class Thread {
 public:
  explicit Thread(Heap&) {}
  void poll() const {}
  void Collect() const {}
};

class Blocked {
 public:
  explicit Blocked(const Thread&) {}
};

template <typename T>
class Type {
 public:
  explicit Type(Heap&) {}
  T* New(const Thread&) const { return Allocate(sizeof(T)); }
  T* NewArray(const Thread&, size_t count) const {
    return Allocate(sizeof(T) + count * sizeof(typename Layout<T>::Element));
  }

 private:
  static T* Allocate(size_t size) {
    void* const object = mi_zalloc(size);
    if (__builtin_expect(object == nullptr, 0)) OutOfMemory();
    return static_cast<T*>(object);
  }
};

inline void* NewBytes(const Thread&, size_t size) {
  void* const bytes = mi_malloc(size);
  if (__builtin_expect(bytes == nullptr, 0)) OutOfMemory();
  return bytes;
}

inline void* NewSlots(const Thread& thread, size_t words) {
  return NewBytes(thread, words * sizeof(void*));
}

inline void Free(void* object) { mi_free(object); }

}  // namespace peer

#endif  // LOAM_BENCHMARKS_PEER_PEER_MIMALLOC_H_
