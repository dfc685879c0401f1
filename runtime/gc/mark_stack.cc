#include "runtime/gc/mark_stack.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/fatal.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t kFirstBytes = 64 << 10;

}  // namespace

bool MarkStack::Grow() {
  if (base_ == nullptr) {
    const uintptr_t memory = os::Allocate(max_bytes_);
    if (memory == 0) return false;
    base_ = bottom_ = top_ = limit_ = reinterpret_cast<uintptr_t*>(memory);
  }
  const size_t bytes = (limit_ - base_) * sizeof(uintptr_t);
  // What was given away left room at the bottom.
  if (bottom_ != base_ && bottom_ - base_ >= top_ - bottom_) {
    const size_t words = size();
    memcpy(base_, bottom_, words * sizeof(uintptr_t));
    bottom_ = base_;
    top_ = base_ + words;
    return true;
  }
  // Doubles.
  const size_t more =
      std::min(std::max(bytes, kFirstBytes), max_bytes_ - bytes);
  if (more == 0 || !ledger_->TryCharge(MemoryLedger::Use::kMetadata, more)) {
    return false;
  }
  limit_ += more / sizeof(uintptr_t);
  return true;
}

void MarkStack::Trim() {
  LOAM_CHECK(empty(), "the mark stack is trimmed before marking is complete");
  const size_t bytes = (limit_ - base_) * sizeof(uintptr_t);
  bottom_ = top_ = base_;
  if (bytes == 0) return;
  if (!os::Decommit(reinterpret_cast<uintptr_t>(base_), bytes)) return;
  ledger_->Refund(MemoryLedger::Use::kMetadata, bytes);
  limit_ = base_;
}

MarkStack::~MarkStack() {
  if (base_ == nullptr) return;
  os::Release(reinterpret_cast<uintptr_t>(base_), max_bytes_);
  ledger_->Refund(MemoryLedger::Use::kMetadata,
                  (limit_ - base_) * sizeof(uintptr_t));
}

}  // namespace loam
