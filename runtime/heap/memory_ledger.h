// What one heap has committed, its hard limit, and its soft one.
//
// What a heap takes from the OS is charged here first (not what checking modes
// need, nor type sets, which have ledgers of their own); a charge that
// would pass the limit fails, and the caller reports out of memory. Reserved
// address space is not charged.
//
// The counters change together, under the lock; reading one of them needs none.

#ifndef LOAM_RUNTIME_HEAP_MEMORY_LEDGER_H_
#define LOAM_RUNTIME_HEAP_MEMORY_LEDGER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"

namespace loam {

// At one moment.
struct MemoryCounts {
  uint64_t committed;
  uint64_t peak_committed;
  uint64_t metadata;  // part of committed; the rest is heap pages
};

class MemoryLedger {
 public:
  enum class Use { kHeapPages, kMetadata };

  // Thread-safe. False, and nothing charged, if it would pass the limit.
  [[nodiscard]] bool TryCharge(Use use, size_t bytes) LOAM_EXCLUDES(lock_);
  void Refund(Use use, size_t bytes) LOAM_EXCLUDES(lock_);
  MemoryCounts counts() LOAM_EXCLUDES(lock_);
  // Whether a charge of so much could succeed now; a hint.
  bool HasRoomFor(uint64_t bytes) const {
    const uint64_t limit = this->limit();
    return bytes <= limit && committed() <= limit - bytes;
  }

  uint64_t committed() const { return Load(committed_); }
  uint64_t metadata() const { return Load(metadata_); }
  uint64_t limit() const { return Load(limit_); }
  // How much lies above the limit, after that was lowered.
  uint64_t excess() const {
    const uint64_t committed = this->committed();
    const uint64_t limit = this->limit();
    return committed > limit ? committed - limit : 0;
  }
  // Whoever lowers it below what is committed sees to the excess; no charge
  // that passed the old limit comes later.
  void set_limit(uint64_t bytes) LOAM_EXCLUDES(lock_) {
    const SpinLockHolder lock(&lock_);
    Set(&limit_, bytes);
  }
  // The soft limit refuses nothing: whoever is about to charge `bytes` gives
  // so much back first, if there is so much.
  uint64_t soft_excess(uint64_t bytes) const {
    const uint64_t wanted = committed() + bytes;
    const uint64_t limit = soft_limit();
    return wanted > limit ? wanted - limit : 0;
  }
  uint64_t soft_limit() const { return Load(soft_limit_); }
  void set_soft_limit(uint64_t bytes) { Set(&soft_limit_, bytes); }
  void LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Lock(); }
  void UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Unlock(); }

 private:
  // Relaxed throughout, since they order nothing else.
  static uint64_t Load(const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  }
  static void Set(std::atomic<uint64_t>* counter, uint64_t value) {
    counter->store(value, std::memory_order_relaxed);
  }

  SpinLock lock_;
  // Written under lock_.
  std::atomic<uint64_t> committed_{0};  // at most limit_ when a charge succeeds
  std::atomic<uint64_t> peak_{0};       // largest value of committed_
  std::atomic<uint64_t> metadata_{0};   // part of committed_
  std::atomic<uint64_t> limit_{UINT64_MAX};
  std::atomic<uint64_t> soft_limit_{UINT64_MAX};  // a setting
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_MEMORY_LEDGER_H_
