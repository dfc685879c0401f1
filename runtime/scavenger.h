// Gives free pages back to the OS in the background, at a hundredth of one
// processor's time.
//
// How much a heap retains:
//
//   while it allocates    what the next collection will find, and some more:
//                         this memory is about to be used again
//   when it has stopped   what is live, and some more
//
// "Some more" is a percentage of it, an option. A job in the background
// (background.h):
//
//   parked --a collection leaves too much--> working <-> waiting for idleness
//                                             |  ^
//                              nothing to do  v  |  another collection
//                                            parked
//
// It never touches an object or a span, only pages that are free.

#ifndef LOAM_RUNTIME_SCAVENGER_H_
#define LOAM_RUNTIME_SCAVENGER_H_

#include <cstdint>

#include "runtime/background.h"
#include "runtime/gc/gc_pacer.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class Scavenger final : public BackgroundJob {
 public:
  // After a spell of work, one line. On the thread that works.
  using ReportLine = void (*)(void* data, const char* line);

  Scavenger(uint32_t retain_percent, PageHeap* page_heap,
            const HeapCounters* counters, const GcPacer* pacer)
      : retain_percent_(retain_percent),
        page_heap_(page_heap),
        counters_(counters),
        pacer_(pacer) {}

  // Before the first collection. NULL: no lines.
  void set_report(ReportLine report, void* data) {
    report_ = report;
    report_data_ = data;
  }

  // A collection is over. Whether there may be something to do. Any thread.
  bool CollectionEnded();

  // What the heap retains while it allocates.
  uint64_t RetainedForTrigger() const;

  uint64_t Work() override;
  void Report() override;

  uint64_t scavenged_bytes() const { return scavenged_bytes_.Get(); }
  // That it has worked.
  uint64_t worked_ns() const { return worked_ns_.Get(); }

 private:
  // Works for about a millisecond from `began_ns` on; until when.
  uint64_t ReleasePages(uint64_t began_ns);

  // Committed pages above what is retained, or what the memory limit asks for.
  uint64_t Excess() const;
  uint64_t Retained(uint64_t bytes) const;
  // Whether the heap has not allocated for a while; notes what it does.
  bool IsIdle(uint64_t now_ns);

  const uint32_t retain_percent_;
  PageHeap* const page_heap_;
  const HeapCounters* const counters_;
  const GcPacer* const pacer_;
  ReportLine report_ = nullptr;
  void* report_data_ = nullptr;

  // Of whoever runs the job.
  uintptr_t below_ = UINTPTR_MAX;  // where to go on; 0: all has been looked at
  uint64_t seen_ = 0;              // of collections_
  bool is_idle_ = false;
  uint64_t activity_ = 0;     // when last looked at
  uint64_t active_ns_ = 0;    // when the heap was last seen to allocate
  uint64_t spell_bytes_ = 0;  // since the job was last parked
  uint64_t spell_ns_ = 0;
  bool spell_is_over_ = false;

  Counter collections_;
  Counter scavenged_bytes_;
  Counter worked_ns_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SCAVENGER_H_
