// All arenas of a heap in the order in which they came, for those who walk them
// while others come.
//
// Arenas are added under the page heap's lock, and stay until the heap is
// destroyed. An entry is written before the count that covers it is published,
// and neither it nor the arena's place changes afterwards; so whoever has read
// a count may read that many entries, without a lock and for as long as the
// heap lives. That count is all a snapshot is: marking and sweeping take one
// when they begin. An arena that comes later holds no object that was there at
// that moment.
//
// It is the list that is safe to read, and of an arena what is atomic; its
// other fields have guards of their own.

#ifndef LOAM_RUNTIME_HEAP_ARENA_LIST_H_
#define LOAM_RUNTIME_HEAP_ARENA_LIST_H_

#include <atomic>
#include <cstddef>

#include "runtime/heap/arena.h"
#include "runtime/heap/metadata_allocator.h"

namespace loam {

// The arenas of one moment.
class ArenaSnapshot {
 public:
  ArenaSnapshot() = default;
  ArenaSnapshot(Arena* const* arenas, size_t count)
      : arenas_(arenas), count_(count) {}

  size_t size() const { return count_; }
  Arena* operator[](size_t i) const { return arenas_[i]; }
  Arena* const* begin() const { return arenas_; }
  Arena* const* end() const { return arenas_ + count_; }

 private:
  Arena* const* arenas_ = nullptr;
  size_t count_ = 0;
};

class ArenaList {
 public:
  // False when out of memory.
  bool Reserve(MemoryLedger* ledger) {
    return arenas_.Reserve(ledger, kMaxArenas);
  }
  void Release() {
    count_.store(0, std::memory_order_relaxed);
    arenas_.Release();
  }

  // Makes room for one more. False when out of memory. Guarded, like Add, by
  // the page heap's lock.
  bool Prepare() {
    return arenas_.EnsureCommitted(count_.load(std::memory_order_relaxed)) !=
           nullptr;
  }
  // An arena that is complete, after Prepare.
  void Add(Arena* arena) {
    const size_t count = count_.load(std::memory_order_relaxed);
    arenas_.at(count) = arena;
    count_.store(count + 1, std::memory_order_release);
  }

  // Any thread.
  ArenaSnapshot Snapshot() const {
    return {&arenas_.at(0), count_.load(std::memory_order_acquire)};
  }

 private:
  SparseTable<Arena*> arenas_;
  // Release when an arena is added, acquire when a snapshot is taken.
  std::atomic<size_t> count_{0};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_ARENA_LIST_H_
