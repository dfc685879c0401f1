// Memory for specials, the indexes of their lists, and weak handles. Any
// thread.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_POOL_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_POOL_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/specials/dispose_queue.h"
#include "runtime/specials/special.h"
#include "runtime/specials/special_list.h"

namespace loam {

class SpecialPool {
 public:
  // Counts in `bytes_in_use`.
  SpecialPool(PersistentAllocator* persistent, Counter* bytes_in_use);

  // A record of a random height, with or without ExtraWords; every other field
  // is the caller's to set. NULL when out of memory.
  Special* Take(bool has_extra = false) LOAM_EXCLUDES(lock_);
  void Give(Special* special) LOAM_EXCLUDES(lock_);
  // Zeroed; NULL when out of memory.
  SpecialIndex* TakeIndex() LOAM_EXCLUDES(lock_);
  // NULL: does nothing.
  void GiveIndex(SpecialIndex* index) LOAM_EXCLUDES(lock_);
  // With one reference, alive. NULL when out of memory.
  WeakHandle* TakeHandle(uintptr_t address, bool is_long, const void* owner)
      LOAM_EXCLUDES(lock_);
  void GiveHandle(WeakHandle* handle) LOAM_EXCLUDES(lock_);
  // With no bit set. NULL when out of memory.
  WaitingCells* TakeWaiting(Span* span) LOAM_EXCLUDES(lock_);
  void GiveWaiting(WaitingCells* cells) LOAM_EXCLUDES(lock_);

 private:
  template <size_t kBytes>
  struct Record {
    alignas(16) char bytes[kBytes];
  };
  // Calls call(pool) with that of records of a size.
  template <typename Call>
  auto WithPool(size_t bytes, Call&& call) LOAM_REQUIRES(lock_);

  Counter* const bytes_in_use_;
  // Held for a few instructions, but when a pool grows.
  SpinLock lock_;
  uint64_t random_state_ LOAM_GUARDED_BY(lock_) = 0x9e3779b97f4a7c15;
  FixedPool<Record<32>> pool32_ LOAM_GUARDED_BY(lock_);
  FixedPool<Record<48>> pool48_ LOAM_GUARDED_BY(lock_);
  FixedPool<Record<64>> pool64_ LOAM_GUARDED_BY(lock_);
  FixedPool<Record<112>> pool112_ LOAM_GUARDED_BY(lock_);
  FixedPool<WeakHandle> handle_pool_ LOAM_GUARDED_BY(lock_);
  FixedPool<WaitingCells> waiting_pool_ LOAM_GUARDED_BY(lock_);
  FixedPool<SpecialIndex> index_pool_ LOAM_GUARDED_BY(lock_);
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_POOL_H_
