// Marking: finds everything reachable from what it is given.
//
// References wait in two places: a stack (the work still to do), and in front
// of it a queue of about 64 whose object and span record have been prefetched.
// A reference enters the queue when its memory has been requested, and leaves
// it, oldest first, when that memory has had time to arrive; only then is its
// cell found, its mark bit tested and the object scanned. Marking a heap larger
// than the caches is a matter of memory latency, and this keeps dozens of
// misses in flight (C.-Y. Cher, A. L. Hosking, T. N. Vijaykumar, "Software
// prefetching for mark-sweep garbage collection", ASPLOS 2004).
//
// Objects larger than 128 KiB are scanned in pieces of that size, so that the
// stack does not fill with one object's references.
//
// Marking cannot fail. When the stack cannot grow, the object is marked at once
// and its span flagged; when the stack has run empty, flagged spans are
// rescanned: every marked object in them is scanned again. Each round marks at
// least one object more than the last or flags nothing, so it ends.
//
// One marker, while the world is stopped: mark bits are plain memory.

#ifndef LOAM_RUNTIME_GC_MARKER_H_
#define LOAM_RUNTIME_GC_MARKER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/mark_stack.h"
#include "runtime/gc/tracer.h"
#include "runtime/gc/value_encoding.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class Marker : public Tracer {
 public:
  // Makes a marker for the encoding in `storage` (kStorageBytes, aligned like a
  // cache line).
  static constexpr size_t kStorageBytes = 4096;
  static Marker* Create(void* storage, PageHeap* page_heap, MarkStack* stack,
                        const ValueEncoding& encoding);

  // Starts a cycle: nothing marked, nothing pending.
  void Begin();
  bool HasReached(uintptr_t address) const final;

  uint64_t marked_bytes() const { return marked_bytes_; }
  uint64_t marked_objects() const { return marked_objects_; }
  // Rounds of rescanning that the cycle needed; for tests.
  uint64_t rescan_rounds() const { return rescan_rounds_; }

 protected:
  Marker(PageHeap* page_heap, MarkStack* stack)
      : page_heap_(page_heap), stack_(stack) {}

  PageHeap* const page_heap_;
  MarkStack* const stack_;
  // All objects lie in [lowest_, lowest_ + range_).
  uintptr_t lowest_ = 0;
  uintptr_t range_ = 0;
  // The one table of the arena map that covers them, if it is one.
  const std::atomic<Arena*>* table_ = nullptr;
  uint64_t marked_bytes_ = 0;
  uint64_t marked_objects_ = 0;
  uint64_t rescan_rounds_ = 0;
  bool some_span_needs_rescan_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARKER_H_
