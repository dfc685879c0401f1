// Memory for mark bits and alloc bits.
//
// Bits are bumped out of arenas, and whole arenas are recycled by epoch, since
// the bits of a span live for two cycles at most: as mark bits of one, and, if
// something in it is alive, as alloc bits of the next.
//
//   next      mark bits for the coming cycle come from here
//   current   mark bits of the last cycle: alloc bits once a span is swept
//   previous  alloc bits of spans not yet swept
//   free
//
// NextEpoch rotates next -> current -> previous -> free at the start of
// marking, when every span is swept and nobody sweeps. A reader that holds bits
// of one epoch too long still reads memory of the right size, for one cycle.
//
// Sweeping must not fail, so capacity is bought when a span is made
// (ReserveFor), for all three epochs; New then always succeeds.

#ifndef LOAM_RUNTIME_HEAP_GC_BITS_H_
#define LOAM_RUNTIME_HEAP_GC_BITS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/base/mutex.h"
#include "runtime/heap/memory_ledger.h"

namespace loam {

// The alloc bits of a fresh span: all clear, shared, never written.
const uint64_t* NoBits();

class GcBits {
 public:
  explicit GcBits(MemoryLedger* ledger) : ledger_(ledger) {}
  ~GcBits();
  GcBits(const GcBits&) = delete;
  GcBits& operator=(const GcBits&) = delete;

  // Buys room for the bits of a span of `cells` cells, in every epoch from now
  // on. False when out of memory.
  [[nodiscard]] bool ReserveFor(size_t cells) {
    return Reserve(BytesFor(cells));
  }
  // The span was not made after all, and took no bits.
  void CancelReservation(size_t cells) { Cancel(BytesFor(cells)); }
  // The same for several spans at once, which need so many bytes together.
  [[nodiscard]] bool Reserve(size_t bytes) LOAM_EXCLUDES(mutex_);
  void Cancel(size_t bytes) LOAM_EXCLUDES(mutex_);
  // Spans that needed so many bytes are gone. Their bits stay readable for the
  // rest of their epochs.
  void Unreserve(size_t bytes) LOAM_EXCLUDES(mutex_);
  // That a span of `cells` cells needs in each epoch.
  static size_t BytesFor(size_t cells) {
    return BitmapWords(cells) * kWordBytes;
  }

  // Zeroed bits for `cells` cells, from the next epoch. Thread-safe.
  uint64_t* New(size_t cells) LOAM_EXCLUDES(mutex_);

  void NextEpoch() LOAM_EXCLUDES(mutex_);
  void LockForFork() { mutex_.LockForFork(); }
  void UnlockAfterFork() { mutex_.UnlockAfterFork(); }

 private:
  struct Arena;

  Arena* NewArena() LOAM_REQUIRES(mutex_);
  void FreeList(Arena* list) LOAM_REQUIRES(mutex_);
  size_t ArenasNeeded() const LOAM_REQUIRES(mutex_);

  MemoryLedger* const ledger_;
  Mutex<LockRank::kGcBits> mutex_;
  // Stored under the lock with release, read without it with acquire.
  std::atomic<Arena*> next_{nullptr};
  Arena* current_ LOAM_GUARDED_BY(mutex_) = nullptr;
  Arena* previous_ LOAM_GUARDED_BY(mutex_) = nullptr;
  Arena* free_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t arena_count_ LOAM_GUARDED_BY(mutex_) = 0;  // on any of the lists
  // Bytes of bits that one epoch needs, and those that spans gave up since each
  // of the last rotations but still occupy older epochs.
  size_t reserved_ LOAM_GUARDED_BY(mutex_) = 0;
  size_t leaving_[3] LOAM_GUARDED_BY(mutex_) = {};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_GC_BITS_H_
