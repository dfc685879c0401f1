// loam as a workload's heap; see peer.h.

#ifndef LOAM_BENCHMARKS_PEER_PEER_LOAM_H_
#define LOAM_BENCHMARKS_PEER_PEER_LOAM_H_

#include <span>

#include "api/loam.hpp"

namespace peer {

inline constexpr const char* kName = "loam";
inline constexpr bool kCollects = true;

inline void Check(loam::Status status, const char* what) {
  if (!status.ok()) Fail(what, status.message());
}

class Heap {
 public:
  explicit Heap(const Settings& settings) {
    loam::Options options;
    if (settings.fixed_heap_bytes != 0) {
      options.policy = LOAM_POLICY_FIXED;
      options.fixed_heap_size = settings.fixed_heap_bytes;
    }
    options.workers = static_cast<uint32_t>(settings.markers) - 1;
    options.minimum_heap_bytes = settings.minimum_heap_bytes;
    // The container's limit is not what is measured.
    options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
    Check(heap_.Create(options), "creating a heap");
  }

  Statistics statistics() const {
    const loam_stats stats = heap_.Stats();
    return {.collections = stats.cycles,
            .longest_pause_ns = stats.longest_pause_ns,
            .total_pause_ns = stats.total_pause_ns,
            .heap_bytes = stats.span_bytes};
  }
  void ReleaseMemory() { loam_heap_release_memory(heap_); }
  loam::Heap& heap() { return heap_; }

 private:
  loam::Heap heap_;
};

class Thread {
 public:
  explicit Thread(Heap& heap) { Check(m_.Attach(heap.heap()), "attaching"); }

  void poll() const { m_.Safepoint(); }
  void Collect() const { Check(m_.Collect(), "collecting"); }
  operator loam::Mutator() const { return m_; }  // NOLINT: what it stands for
  operator loam_mutator*() const { return m_; }  // NOLINT: what it stands for

 private:
  loam::ScopedMutator m_;
};

// Around waiting for other threads.
class Blocked {
 public:
  explicit Blocked(const Thread& thread) : native_(thread) {}

 private:
  loam::Native native_;
};

template <typename T>
using Member = loam::Member<T>;
template <typename T>
using Local = loam::Local<T>;

template <typename T>
class Type {
 public:
  explicit Type(Heap& heap) {
    Check(heap.heap().Register(&type_), "registering a type");
  }
  T* New(const Thread& thread) const {
    void* const object = loam_alloc(thread, type_);
    if (__builtin_expect(object == nullptr, 0)) OutOfMemory();
    return static_cast<T*>(object);
  }
  T* NewArray(const Thread& thread, size_t count) const {
    void* const object = loam_alloc_array(thread, type_, count);
    if (__builtin_expect(object == nullptr, 0)) OutOfMemory();
    return static_cast<T*>(object);
  }

 private:
  loam::Type<T> type_;
};

inline void* NewBytes(const Thread& thread, size_t size) {
  void* const bytes = loam_alloc_bytes_unzeroed(thread, size);
  if (__builtin_expect(bytes == nullptr, 0)) OutOfMemory();
  return bytes;
}

// Words that are all references.
inline void* NewSlots(const Thread& thread, size_t words) {
  void* const slots = loam_alloc_slots(thread, words);
  if (__builtin_expect(slots == nullptr, 0)) OutOfMemory();
  return slots;
}

inline void Free(void*) {}

template <typename T>
typename loam::Layout<T>::Element* Elements(T* object) {
  return reinterpret_cast<typename loam::Layout<T>::Element*>(object + 1);
}

// kFunction(T*) runs when the object is found dead, from RunFinalizers.
template <auto kFunction, typename T>
void SetFinalizer(const Thread& thread, T* object) {
  const auto fn = [](loam_mutator*, void* dead, void*) {
    kFunction(static_cast<T*>(dead));
  };
  Check(loam_finalizer_set(thread, object, fn, nullptr, LOAM_FINALIZER_ORDERED),
        "setting a finalizer");
}
// kFunction() runs when the object is gone, from RunFinalizers.
template <auto kFunction>
void SetCleanup(const Thread& thread, void* object) {
  const auto fn = [](loam_mutator*, loam_word, void*) { kFunction(); };
  Check(loam_cleanup_add(thread, object, fn, 0, nullptr, nullptr),
        "adding a cleanup");
}
inline void RunFinalizers(const Thread& thread) {
  size_t ran = 0;
  size_t left = 0;
  Check(loam_finalizers_run(thread, SIZE_MAX, &ran, &left),
        "running finalizers");
}

}  // namespace peer

#define PEER_LAYOUT(...) LOAM_LAYOUT(__VA_ARGS__)
#define PEER_ARRAY_LAYOUT(...) LOAM_ARRAY_LAYOUT(__VA_ARGS__)

#endif  // LOAM_BENCHMARKS_PEER_PEER_LOAM_H_
