// Finds pages of dead objects: looks through the spans in use for those without
// a mark, by address, and sweeps only these, so that pages come back without
// sweeping what is alive.
//
// The heap as it was at the start of the generation is cut into chunks of 512
// pages; each is claimed by one thread, once in a generation. What a reclaimer
// frees beyond what it was asked for is credit to the next.
//
// Any thread, within an ActiveSweep.

#ifndef LOAM_RUNTIME_SWEEP_PAGE_RECLAIMER_H_
#define LOAM_RUNTIME_SWEEP_PAGE_RECLAIMER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/page_heap.h"

namespace loam {

class SweepBatch;
class Sweeper;

class PageReclaimer {
 public:
  PageReclaimer(PageHeap* page_heap, Sweeper* sweeper)
      : page_heap_(page_heap), sweeper_(sweeper) {}

  // A new generation: everything needs sweeping. The world is stopped, and
  // nobody sweeps.
  void Begin();

  // Frees `pages`, or uses credit of so many, looking at `max_chunks` chunks at
  // most. False if no chunk is left to claim.
  bool Reclaim(uint32_t generation, size_t pages, size_t max_chunks,
               SweepBatch* batch);

 private:
  // Takes up to `pages` off the credit; how many.
  size_t UseCredit(size_t pages);
  void ReclaimChunk(uint32_t generation, size_t chunk, SweepBatch* batch);

  PageHeap* const page_heap_;
  Sweeper* const sweeper_;
  // Constant in a generation.
  ArenaSnapshot arenas_;
  size_t chunk_count_ = 0;
  // The next chunk to claim. Relaxed: what is in the chunks was ordered by the
  // stop, and what has changed since is found out from sweepgen.
  std::atomic<size_t> next_chunk_{0};
  std::atomic<size_t> credit_{0};  // pages; relaxed
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_PAGE_RECLAIMER_H_
