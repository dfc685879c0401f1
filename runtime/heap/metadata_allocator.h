// Off-heap memory for the runtime's own records. None of it is scanned by the
// collector, and all of it is charged to the heap's ledger and released with
// the heap.
//
//   PersistentAllocator  bump allocation; nothing is freed before the heap is
//   FixedPool<T>         records of one type, with a free list
//   SparseTable<T>       a large array, committed where it is used

#ifndef LOAM_RUNTIME_HEAP_METADATA_ALLOCATOR_H_
#define LOAM_RUNTIME_HEAP_METADATA_ALLOCATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "runtime/base/bits.h"
#include "runtime/base/mutex.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/memory_ledger.h"

namespace loam {

class PersistentAllocator {
 public:
  explicit PersistentAllocator(MemoryLedger* ledger) : ledger_(ledger) {}
  ~PersistentAllocator();
  PersistentAllocator(const PersistentAllocator&) = delete;
  PersistentAllocator& operator=(const PersistentAllocator&) = delete;

  // Zeroed; alignment a power of two up to the OS page. NULL when out of
  // memory. Thread-safe.
  void* Allocate(size_t bytes, size_t alignment) LOAM_EXCLUDES(mutex_);

  // From now on records lie in blocks of a huge page each, which the OS may
  // back by one: for a heap so large that its records are many and read all
  // over. Blocks of before stay as they are.
  void UseHugePages() LOAM_EXCLUDES(mutex_);

  MemoryLedger* ledger() const { return ledger_; }
  void LockForFork() { mutex_.LockForFork(); }
  void UnlockAfterFork() { mutex_.UnlockAfterFork(); }

 private:
  struct Block {  // At the start of each region taken from the OS.
    Block* previous;
    size_t bytes;
  };
  enum class Backing { kSmallPages, kHugePages };
  Block* NewBlock(size_t bytes, Backing backing) LOAM_REQUIRES(mutex_);

  MemoryLedger* const ledger_;
  Mutex<LockRank::kMetadata> mutex_;
  Block* blocks_ LOAM_GUARDED_BY(mutex_) = nullptr;
  uintptr_t next_ LOAM_GUARDED_BY(mutex_) = 0;
  uintptr_t limit_ LOAM_GUARDED_BY(mutex_) = 0;
  bool uses_huge_pages_ LOAM_GUARDED_BY(mutex_) = false;
};

// Records of one type. Guarded by a lock of its owner's. A record that is freed
// and taken again is NOT zeroed: spans rely on it, others set every field.
template <typename T>
class FixedPool {
  static_assert(sizeof(T) >= sizeof(void*));
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit FixedPool(PersistentAllocator* persistent)
      : persistent_(persistent) {}

  // Zeroed on its first use only. NULL when out of memory.
  T* Take() {
    if (free_ == nullptr && !Refill()) return nullptr;
    Free* record = free_;
    free_ = record->next;
    in_use_++;
    return reinterpret_cast<T*>(record);
  }
  void Give(T* record) {
    auto* free = reinterpret_cast<Free*>(record);
    free->next = free_;
    free_ = free;
    in_use_--;
  }
  size_t in_use() const { return in_use_; }

 private:
  // Overlays the first word of a free record: a type whose fields must survive
  // (Span) keeps something else there.
  struct Free {
    Free* next;
  };
  bool Refill() {
    // A block has room for one batch less than its size suggests, because of
    // its header: what that wastes is small if batches are.
    constexpr size_t kBatchBytes = 1024;
    constexpr size_t kBatch =
        sizeof(T) * 2 > kBatchBytes ? 2 : kBatchBytes / sizeof(T);
    auto* records = static_cast<char*>(
        persistent_->Allocate(kBatch * sizeof(T), alignof(T)));
    if (records == nullptr) return false;
    for (size_t i = kBatch; i-- > 0;) {
      auto* free = reinterpret_cast<Free*>(records + i * sizeof(T));
      free->next = free_;
      free_ = free;
    }
    return true;
  }

  PersistentAllocator* const persistent_;
  Free* free_ = nullptr;
  size_t in_use_ = 0;
};

// Commits granules (OS pages) of a reserved region on first use; the region
// reads as zeroes before. The bookkeeping behind SparseTable.
class SparseRegion {
 public:
  // Reserves `bytes`; false if the OS refuses.
  bool Reserve(MemoryLedger* ledger, size_t bytes);
  // Refunds and releases everything; harmless if Reserve failed.
  void Release();
  // Makes [offset, offset + bytes) writable. False when out of memory.
  // Thread-safe.
  bool EnsureCommitted(size_t offset, size_t bytes);

  char* base() const { return base_; }

 private:
  MemoryLedger* ledger_ = nullptr;
  char* base_ = nullptr;
  size_t bytes_ = 0;
  // Bit g: granule g has been charged. Set under lock_, read without; relaxed:
  // the memory itself needs no ordering, the OS provides it.
  std::atomic<uint64_t>* committed_ = nullptr;
  SpinLock* lock_ = nullptr;  // behind the bitmap: a region is copied about
};

// A table of `capacity` zero-initialised T, any of which may be read before it
// is committed (all zeroes).
template <typename T>
class SparseTable {
 public:
  bool Reserve(MemoryLedger* ledger, size_t capacity) {
    return region_.Reserve(ledger, capacity * kEntryBytes);
  }
  void Release() { region_.Release(); }
  // Fails when out of memory. Thread-safe.
  T* EnsureCommitted(size_t index) {
    return region_.EnsureCommitted(index * kEntryBytes, kEntryBytes)
               ? &at(index)
               : nullptr;
  }
  T& at(size_t index) const {
    return reinterpret_cast<T*>(region_.base())[index];
  }

 private:
  static constexpr size_t kEntryBytes =
      sizeof(T);  // NOLINT: T may be a pointer

  SparseRegion region_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_METADATA_ALLOCATOR_H_
