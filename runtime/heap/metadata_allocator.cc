#include "runtime/heap/metadata_allocator.h"

#include "runtime/base/fatal.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t kBlockBytes = 64 << 10;

// A bit for every granule, and a lock.
size_t BookkeepingBytes(size_t granules) {
  return AlignUp(BitmapWords(granules) * sizeof(uint64_t) + sizeof(SpinLock),
                 kOsPageBytes);
}

}  // namespace

PersistentAllocator::~PersistentAllocator() {
  while (blocks_ != nullptr) {
    Block* block = blocks_;
    blocks_ = block->previous;
    const size_t bytes = block->bytes;
    os::Release(reinterpret_cast<uintptr_t>(block), bytes);
    ledger_->Refund(MemoryLedger::Use::kMetadata, bytes);
  }
}

PersistentAllocator::Block* PersistentAllocator::NewBlock(size_t bytes,
                                                          Backing backing) {
  if (!ledger_->TryCharge(MemoryLedger::Use::kMetadata, bytes)) return nullptr;
  const uintptr_t base = backing == Backing::kHugePages
                             ? os::AllocateHugePages(bytes)
                             : os::Allocate(bytes);
  if (base == 0) {
    ledger_->Refund(MemoryLedger::Use::kMetadata, bytes);
    return nullptr;
  }
  auto* block = reinterpret_cast<Block*>(base);
  block->previous = blocks_;
  block->bytes = bytes;
  blocks_ = block;
  return block;
}

void PersistentAllocator::UseHugePages() {
  MutexLock lock(&mutex_);
  uses_huge_pages_ = true;
}

void* PersistentAllocator::Allocate(size_t bytes, size_t alignment) {
  LOAM_DCHECK(IsPowerOfTwo(alignment) && alignment <= kOsPageBytes);
  MutexLock lock(&mutex_);
  const uintptr_t aligned = AlignUp(next_, alignment);
  if (aligned + bytes <= limit_ && next_ != 0) {
    next_ = aligned + bytes;
    return reinterpret_cast<void*>(aligned);
  }
  const size_t with_header = AlignUp(sizeof(Block), alignment) + bytes;
  Block* block = nullptr;
  if (uses_huge_pages_ && with_header <= os::kHugePageBytes / 4) {
    // Near the limit there is room for a smaller one only.
    block = NewBlock(os::kHugePageBytes, Backing::kHugePages);
  }
  // Its own region otherwise, if it is large; the current block goes on.
  const bool alone = block == nullptr && with_header > kBlockBytes / 4;
  if (block == nullptr) {
    block = NewBlock(alone ? AlignUp(with_header, kOsPageBytes) : kBlockBytes,
                     Backing::kSmallPages);
  }
  if (block == nullptr) return nullptr;
  const auto start = reinterpret_cast<uintptr_t>(block);
  const uintptr_t result = AlignUp(start + sizeof(Block), alignment);
  if (!alone) {
    limit_ = start + block->bytes;
    next_ = result + bytes;
  }
  return reinterpret_cast<void*>(result);
}

bool SparseRegion::Reserve(MemoryLedger* ledger, size_t bytes) {
  ledger_ = ledger;
  bytes = AlignUp(bytes, kOsPageBytes);
  const size_t granules = bytes / kOsPageBytes;
  const size_t bitmap_bytes = BookkeepingBytes(granules);
  // The bitmap itself, at the end of the region, is charged in full: a bit per
  // 4 KiB.
  if (!ledger->TryCharge(MemoryLedger::Use::kMetadata, bitmap_bytes)) {
    return false;
  }
  const uintptr_t base = os::Allocate(bytes + bitmap_bytes);
  if (base == 0) {
    ledger->Refund(MemoryLedger::Use::kMetadata, bitmap_bytes);
    return false;
  }
  base_ = reinterpret_cast<char*>(base);
  bytes_ = bytes;
  committed_ = reinterpret_cast<std::atomic<uint64_t>*>(base + bytes);
  lock_ = reinterpret_cast<SpinLock*>(committed_ + BitmapWords(granules));
  return true;
}

void SparseRegion::Release() {
  if (base_ == nullptr) return;
  const size_t granules = bytes_ / kOsPageBytes;
  const size_t bitmap_words = BitmapWords(granules);
  size_t charged = BookkeepingBytes(granules);
  const size_t total = bytes_ + charged;
  for (size_t i = 0; i < bitmap_words; i++) {
    charged +=
        PopCount(committed_[i].load(std::memory_order_relaxed)) * kOsPageBytes;
  }
  os::Release(reinterpret_cast<uintptr_t>(base_), total);
  ledger_->Refund(MemoryLedger::Use::kMetadata, charged);
  base_ = nullptr;
}

bool SparseRegion::EnsureCommitted(size_t offset, size_t bytes) {
  LOAM_DCHECK(offset + bytes <= bytes_);
  const size_t last = (offset + bytes - 1) / kOsPageBytes;
  for (size_t g = offset / kOsPageBytes; g <= last; g++) {
    std::atomic<uint64_t>& word = committed_[g / kBitsPerWord];
    const uint64_t bit = uint64_t{1} << (g % kBitsPerWord);
    if ((word.load(std::memory_order_relaxed) & bit) != 0) continue;
    const SpinLockHolder lock(lock_);
    if ((word.load(std::memory_order_relaxed) & bit) != 0) continue;
    if (!ledger_->TryCharge(MemoryLedger::Use::kMetadata, kOsPageBytes)) {
      return false;
    }
    word.fetch_or(bit, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace loam
