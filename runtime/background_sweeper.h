// Sweeps in the background, so that a heap that stops allocating in the middle
// of sweeping gets its pages and finalizers all the same, and mutators find
// swept spans.
//
//   parked --a collection leaves spans unswept--> sweeping --none is left-->
//   parked
//
// In a large heap it begins at once. In a small one mutators have swept all in
// a moment, and to wake a thread takes as long: it looks a little later.

#ifndef LOAM_RUNTIME_BACKGROUND_SWEEPER_H_
#define LOAM_RUNTIME_BACKGROUND_SWEEPER_H_

#include <cstdint>

#include "runtime/background.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/sweep/sweeper.h"

namespace loam {

class BackgroundSweeper final : public BackgroundJob {
 public:
  BackgroundSweeper(Sweeper* sweeper, PageHeap* page_heap)
      : sweeper_(sweeper), page_heap_(page_heap) {}

  // A collection is over: when to wake this job; kParked if there is too little
  // to do.
  uint64_t TimeToBegin();

  uint64_t Work() override;

  // That it has worked.
  uint64_t worked_ns() const { return worked_ns_.Get(); }

 private:
  Sweeper* const sweeper_;
  PageHeap* const page_heap_;
  Counter worked_ns_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BACKGROUND_SWEEPER_H_
