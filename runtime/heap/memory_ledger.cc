#include "runtime/heap/memory_ledger.h"

#include <algorithm>

#include "runtime/base/fatal.h"

namespace loam {

bool MemoryLedger::TryCharge(Use use, size_t bytes) {
  const SpinLockHolder lock(&lock_);
  if (!HasRoomFor(bytes)) return false;
  Set(&committed_, committed() + bytes);
  Set(&peak_, std::max(Load(peak_), committed()));
  if (use == Use::kMetadata) Set(&metadata_, metadata() + bytes);
  return true;
}

void MemoryLedger::Refund(Use use, size_t bytes) {
  const SpinLockHolder lock(&lock_);
  LOAM_CHECK(committed() >= bytes, "refund of %zu bytes, %zu committed", bytes,
             static_cast<size_t>(committed()));
  Set(&committed_, committed() - bytes);
  if (use == Use::kMetadata) Set(&metadata_, metadata() - bytes);
}

MemoryCounts MemoryLedger::counts() {
  const SpinLockHolder lock(&lock_);
  return {committed(), Load(peak_), metadata()};
}

}  // namespace loam
