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
// In large heaps references are sorted first by the megabyte that they lead to,
// and where much waits, a region is marked as a whole (region_scanner.h).
//
// Objects larger than 128 KiB are scanned in pieces of that size, so that the
// stack does not fill with one object's references.
//
// Marking cannot fail. When the stack cannot grow, the object is marked at once
// and its span flagged; when the stack has run empty, flagged spans are
// rescanned: every marked object in them is scanned again. Each round marks at
// least one object more than the last or flags nothing, so it ends.
//
// While a marker is alone, mark bits are plain memory. When it finds that there
// is much to mark (kMarkedAlone objects and no end), it calls in its team, if
// it has one: from then on all of them set mark bits by atomic operations, and
// whoever sets a bit scans the object (inside a span two may do so, see
// span_scanner.h). Relaxed order suffices: what a marker
// reads of an object was written before the world stopped, and references
// travel through the pool's lock. Counts are summed, and mark bits plain memory
// again, after all have met (MarkTeam::Run).

#ifndef LOAM_RUNTIME_GC_MARKER_H_
#define LOAM_RUNTIME_GC_MARKER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/mark_work.h"
#include "runtime/gc/tracer.h"
#include "runtime/gc/value_encoding.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class EphemeronIndex;
class MarkPool;
class MarkTeam;

class Marker : public Tracer {
 public:
  // Makes a marker for the encoding in `storage` (kStorageBytes, aligned like a
  // cache line).
  static constexpr size_t kStorageBytes = 8192;
  static Marker* Create(void* storage, PageHeap* page_heap, MarkWork* work,
                        const ValueEncoding& encoding);

  // Starts a cycle: nothing marked, nothing pending.
  void Begin();
  // Calls in these threads when `marked_alone` objects have been marked without
  // coming to an end. The default takes a few hundred microseconds, some ten
  // times what waking a thread costs.
  static constexpr uint64_t kMarkedAlone = 20'000;
  void set_team(MarkTeam* team, uint64_t marked_alone = kMarkedAlone) {
    team_ = team;
    marked_alone_ = marked_alone;
  }
  // Heaps that extend over so much address space are marked by region, if there
  // is memory for it. Smaller ones fit into the caches.
  static constexpr size_t kMarkedByRegion = 8 << 20;
  size_t marked_by_region() const { return marked_by_region_; }
  void set_marked_by_region(size_t bytes) { marked_by_region_ = bytes; }
  // Whether the heap has types to which weak references are strong. Before a
  // cycle's roots.
  void set_has_never_cleared(bool value) { has_never_cleared_ = value; }
  // Whether ResolveWeakWords has left ephemeron records whose keys may be dead.
  bool some_key_may_be_dead() const { return some_key_may_be_dead_; }
  // What ResolveWeakWords uses: markers that help have none.
  void set_index(EphemeronIndex* index) { index_ = index; }
  // Marks together with others that use the pool, until there is nothing left.
  virtual void DrainShared(MarkPool* pool) = 0;
  // Adds what another marker has counted since its Begin.
  void Add(const Marker& other);
  bool HasReached(uintptr_t address) const final;

  uint64_t marked_bytes() const { return marked_bytes_; }
  uint64_t marked_objects() const { return marked_objects_; }
  // Rounds of rescanning that the cycle needed; for tests.
  uint64_t rescan_rounds() const { return rescan_rounds_; }
  // How often it has marked a region as a whole; for tests.
  uint64_t marked_regions() const { return marked_regions_; }

 protected:
  Marker(PageHeap* page_heap, MarkWork* work)
      : page_heap_(page_heap), work_(work), stack_(&work->stack) {}

  PageHeap* const page_heap_;
  MarkWork* const work_;
  MarkStack* const stack_;  // of work_
  // All objects lie in [lowest_, lowest_ + range_).
  uintptr_t lowest_ = 0;
  uintptr_t range_ = 0;
  // The one table of the arena map that covers them, if it is one.
  const std::atomic<Arena*>* table_ = nullptr;
  uint64_t marked_bytes_ = 0;
  uint64_t marked_objects_ = 0;
  uint64_t rescan_rounds_ = 0;
  uint64_t marked_regions_ = 0;
  bool some_span_needs_rescan_ = false;
  MarkTeam* team_ = nullptr;
  uint64_t marked_alone_ = 0;
  size_t marked_by_region_ = kMarkedByRegion;
  bool regions_refused_ = false;  // no memory for them in this cycle
  // See weak_scanner.h.
  EphemeronIndex* index_ = nullptr;
  bool has_never_cleared_ = false;
  bool is_resolving_ = false;
  bool lost_records_ = false;  // all records are to be asked again
  bool some_key_may_be_dead_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARKER_H_
