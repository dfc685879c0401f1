#include "runtime/heap/memory_ledger.h"

#include "runtime/base/fatal.h"

namespace loam {

bool MemoryLedger::TryCharge(Use use, size_t bytes) {
  uint64_t committed = committed_.load(std::memory_order_relaxed);
  do {
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    if (bytes > limit || committed > limit - bytes) return false;
  } while (!committed_.compare_exchange_weak(committed, committed + bytes,
                                             std::memory_order_relaxed));
  if (use == Use::kMetadata) {
    metadata_.fetch_add(bytes, std::memory_order_relaxed);
  }
  const uint64_t now = committed + bytes;
  uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak &&
         !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return true;
}

void MemoryLedger::Refund(Use use, size_t bytes) {
  const uint64_t before =
      committed_.fetch_sub(bytes, std::memory_order_relaxed);
  LOAM_CHECK(before >= bytes, "refund of %zu bytes, %zu committed", bytes,
             static_cast<size_t>(before));
  if (use == Use::kMetadata) {
    metadata_.fetch_sub(bytes, std::memory_order_relaxed);
  }
}

}  // namespace loam
