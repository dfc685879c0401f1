// Work that markers of one heap give to each other.
//
// A marker without work takes a batch of references from the pool, or waits
// there; one that has work sees that somebody waits (`is_wanted`, a relaxed
// load per object) and gives some of its oldest references, which lead to the
// most, or what waits for some regions. So nothing is copied while everybody is
// busy.
//
// Marking is complete when all markers wait and the pool is empty: whoever
// waits has an empty stack, queue and regions, and work in the pool is taken
// under the lock under which its taker stops counting as waiting.

#ifndef LOAM_RUNTIME_GC_MARK_POOL_H_
#define LOAM_RUNTIME_GC_MARK_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/gc/region_stacks.h"

namespace loam {

// Up to kWords words of a mark stack, or what waits for up to kRegions regions.
struct MarkBatch {
  static constexpr size_t kWords = 256;
  static constexpr size_t kRegions = 64;
  size_t count = 0;
  size_t region_count = 0;
  uintptr_t words[kWords];
  RegionStacks::Waiting regions[kRegions];
};

class MarkPool {
 public:
  static constexpr uint32_t kMaxMarkers = 16;

  MarkPool() = default;
  MarkPool(const MarkPool&) = delete;
  MarkPool& operator=(const MarkPool&) = delete;

  // Starts a phase of `markers` markers: none waits, nothing is in the pool.
  void Begin(uint32_t markers) LOAM_EXCLUDES(mutex_);
  // One more takes part. False if marking is complete.
  bool Join() LOAM_EXCLUDES(mutex_);

  // Whether more markers wait than there are batches for. A hint.
  bool is_wanted() const { return wanted_.load(std::memory_order_relaxed) > 0; }
  // False if nobody waits any more.
  bool Give(const MarkBatch& batch) LOAM_EXCLUDES(mutex_);
  // Waits for a batch. False when marking is complete.
  bool Take(MarkBatch* batch) LOAM_EXCLUDES(mutex_);

  void LockForFork() { mutex_.LockForFork(); }
  void UnlockAfterFork() { mutex_.UnlockAfterFork(); }
  void ResetAfterFork() { changed_.ResetAfterFork(); }

 private:
  // Tells is_wanted and those who spin.
  void Publish() LOAM_REQUIRES(mutex_);

  Mutex<LockRank::kMarkPool> mutex_;
  ConditionVariable changed_;  // a batch has come, or marking is complete
  // Never more batches than waiting markers.
  MarkBatch batches_[kMaxMarkers] LOAM_GUARDED_BY(mutex_);
  uint32_t count_ LOAM_GUARDED_BY(mutex_) = 0;
  uint32_t waiting_ LOAM_GUARDED_BY(mutex_) = 0;
  uint32_t markers_ LOAM_GUARDED_BY(mutex_) = 0;
  bool complete_ LOAM_GUARDED_BY(mutex_) = false;
  // Copies of the state for those without the lock; relaxed, as they look again
  // under it.
  std::atomic<int32_t> wanted_{0};       // waiting_ - count_
  std::atomic<bool> take_again_{false};  // count_ > 0 or complete_
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_POOL_H_
