// Boehm's collector as a workload's heap; see peer.h. What its users do for
// speed is done here: free lists of each thread (GC_THREADS), objects without
// references allocated as such, no search for pointers to the inside of objects
// except from stacks (GC_set_all_interior_pointers(0)), and on request several
// marking threads. With explicit layouts (GC_malloc_explicitly_typed) it
// allocates several times slower, so arrays and records are scanned word by
// word.

#ifndef LOAM_BENCHMARKS_PEER_PEER_BOEHM_H_
#define LOAM_BENCHMARKS_PEER_PEER_BOEHM_H_

#include <gc/gc.h>
#include <time.h>

#include <algorithm>

#include "benchmarks/peer/plain_pointers.h"

namespace peer {

inline constexpr const char* kName = "boehm";
inline constexpr bool kCollects = true;

class Heap {
 public:
  explicit Heap(const Settings& settings) {
    GC_set_all_interior_pointers(0);
    GC_set_markers_count(static_cast<unsigned>(settings.markers));
    GC_set_no_dls(0);
    GC_set_finalize_on_demand(1);
    GC_set_warn_proc(GC_ignore_warn_proc);
    GC_INIT();
    GC_allow_register_threads();
    GC_set_on_collection_event(&OnEvent);
    size_t bytes = settings.fixed_heap_bytes;
    if (bytes != 0) {
      GC_set_max_heap_size(bytes);
    } else {
      bytes = settings.minimum_heap_bytes;
    }
    const size_t has = GC_get_heap_size();
    // Below its rounding of sizes an exact fit is refused: take what is left.
    if (bytes > has && !GC_expand_hp(bytes - has)) {
      GC_expand_hp((bytes - has) / 16 * 15);
    }
  }

  Statistics statistics() const {
    return {.collections = GC_get_gc_no(),
            .longest_pause_ns = longest_pause_ns_,
            .total_pause_ns = total_pause_ns_,
            .heap_bytes = GC_get_heap_size()};
  }
  void ReleaseMemory() { GC_gcollect_and_unmap(); }

 private:
  // Called with the collector's lock held, which guards what it changes.
  static void OnEvent(GC_EventType event) {
    if (event == GC_EVENT_PRE_STOP_WORLD) {
      stop_ns_ = NowNs();
    } else if (event == GC_EVENT_POST_START_WORLD) {
      const uint64_t pause = NowNs() - stop_ns_;
      total_pause_ns_ += pause;
      longest_pause_ns_ = std::max(longest_pause_ns_, pause);
    }
  }
  static uint64_t NowNs() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<uint64_t>(now.tv_nsec);
  }

  inline static uint64_t stop_ns_ = 0;
  inline static uint64_t longest_pause_ns_ = 0;
  inline static uint64_t total_pause_ns_ = 0;
};

class Thread {
 public:
  explicit Thread(Heap&) {
    GC_stack_base base;
    GC_get_stack_base(&base);
    registered_ = GC_register_my_thread(&base) == GC_SUCCESS;
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() {
    if (registered_) GC_unregister_my_thread();
  }

  void poll() const {}
  void Collect() const { GC_gcollect(); }

 private:
  bool registered_ = false;
};

// Signals stop a waiting thread like any other.
class Blocked {
 public:
  explicit Blocked(const Thread&) {}
};

inline void* Allocated(void* object) {
  if (__builtin_expect(object == nullptr, 0)) OutOfMemory();
  return object;
}

template <typename T>
class Type {
 public:
  explicit Type(Heap&) {}
  T* New(const Thread&) const {
    return static_cast<T*>(Allocate(sizeof(T), Layout<T>::kHasReferences));
  }
  T* NewArray(const Thread&, size_t count) const {
    using Element = typename Layout<T>::Element;
    return static_cast<T*>(
        Allocate(sizeof(T) + count * sizeof(Element),
                 Layout<T>::kHasReferences || kIsMember<Element>));
  }

 private:
  static void* Allocate(size_t size, bool has_references) {
    if (has_references) return Allocated(GC_MALLOC(size));
    // Not zeroed by the collector, and objects of a type are.
    return __builtin_memset(Allocated(GC_MALLOC_ATOMIC(size)), 0, size);
  }
};

inline void* NewBytes(const Thread&, size_t size) {
  return Allocated(GC_MALLOC_ATOMIC(size));
}

inline void* NewSlots(const Thread&, size_t words) {
  return Allocated(GC_MALLOC(words * sizeof(void*)));
}

inline void Free(void*) {}

template <auto kFunction, typename T>
void SetFinalizer(const Thread&, T* object) {
  GC_REGISTER_FINALIZER(
      object, [](void* dead, void*) { kFunction(static_cast<T*>(dead)); },
      nullptr, nullptr, nullptr);
}
template <auto kFunction>
void SetCleanup(const Thread&, void* object) {
  GC_REGISTER_FINALIZER_NO_ORDER(
      object, [](void*, void*) { kFunction(); }, nullptr, nullptr, nullptr);
}
inline void RunFinalizers(const Thread&) { GC_invoke_finalizers(); }

}  // namespace peer

#endif  // LOAM_BENCHMARKS_PEER_PEER_BOEHM_H_
