#include "runtime/gc/region_stacks.h"

#include <algorithm>
#include <bit>

#include "runtime/base/fatal.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

// Blocks are charged to the ledger so many bytes at a time.
constexpr size_t kChargedBytes = 64 << 10;

}  // namespace

bool RegionStacks::Begin(uintptr_t lowest, uintptr_t highest) {
  if (lowest >= highest) return false;
  size_t shift = kRegionShift;
  while ((highest - 1) >> shift >= (lowest >> shift) + kMaxRegions) shift++;
  if (shift > kArenaShift) return false;
  lowest_ = lowest >> shift << shift;
  shift_ = shift;
  const size_t regions = ((highest - 1) >> shift) - (lowest >> shift) + 1;
  const size_t waiting_words = BitmapWords(regions);
  const size_t table_bytes =
      AlignUp(regions * sizeof(tops_[0]) + waiting_words * sizeof(waiting_[0]),
              kOsPageBytes);
  if (!ledger_->TryCharge(MemoryLedger::Use::kMetadata, table_bytes)) {
    return false;
  }
  reserved_bytes_ = table_bytes + max_bytes_;
  memory_ = os::Allocate(reserved_bytes_);
  if (memory_ == 0) {
    ledger_->Refund(MemoryLedger::Use::kMetadata, table_bytes);
    return false;
  }
  charged_bytes_ = table_bytes;
  region_count_ = regions;
  current_ = 0;
  tops_ = reinterpret_cast<uint32_t**>(memory_);
  waiting_ = reinterpret_cast<uint64_t*>(tops_ + regions);
  free_ = nullptr;
  first_ = fresh_ = fresh_limit_ = memory_ + table_bytes;
  return true;
}

void RegionStacks::End() {
  if (memory_ == 0) return;
  LOAM_CHECK(current_is_empty() && !FindNext(),
             "the region stacks end before marking is complete");
  Release();
}

void RegionStacks::Release() {
  if (memory_ == 0) return;
  os::Release(memory_, reserved_bytes_);
  ledger_->Refund(MemoryLedger::Use::kMetadata, charged_bytes_);
  memory_ = 0;
}

bool RegionStacks::FindNext() {
  const size_t words = BitmapWords(region_count_);
  size_t word = current_ / kBitsPerWord;
  uint64_t bits = waiting_[word] & (~uint64_t{0} << (current_ % kBitsPerWord));
  // The first word twice: its end, and when round, its beginning.
  for (size_t looked_at = 0; looked_at <= words; looked_at++) {
    if (bits != 0) {
      current_ = word * kBitsPerWord + std::countr_zero(bits);
      return true;
    }
    word = word + 1 == words ? 0 : word + 1;
    bits = waiting_[word];
  }
  return false;
}

uint32_t* RegionStacks::AddBlock(size_t region) {
  Block* block = free_;
  if (block != nullptr) {
    free_ = block->below;
  } else {
    if (fresh_ == fresh_limit_) {
      const size_t bytes =
          std::min(kChargedBytes, memory_ + reserved_bytes_ - fresh_);
      if (bytes == 0 ||
          !ledger_->TryCharge(MemoryLedger::Use::kMetadata, bytes)) {
        return nullptr;
      }
      charged_bytes_ += bytes;
      fresh_limit_ += bytes;
    }
    block = reinterpret_cast<Block*>(fresh_);
    fresh_ += kBlockBytes;
  }
  uint32_t* const top = tops_[region];
  block->below = top == nullptr ? nullptr : BlockOf(top);
  SetBit(waiting_, region);
  return FirstWord(block);
}

uint32_t* RegionStacks::RemoveBlock(uint32_t* top) {
  // A top at a block's first word is an address in it, and so is its end.
  Block* const block = BlockOf(top);
  uint32_t* const below = TopBelow(block);
  block->below = free_;
  free_ = block;
  if (below == nullptr) ClearBit(waiting_, current_);
  return below;
}

size_t RegionStacks::Take(Waiting* taken, size_t count) {
  const size_t at_hand = current_;
  size_t found = 0;
  bool take = true;
  for (size_t w = 0; w < BitmapWords(region_count_); w++) {
    for (uint64_t bits = waiting_[w]; bits != 0; bits &= bits - 1) {
      const size_t region = w * kBitsPerWord + std::countr_zero(bits);
      if (region == at_hand) continue;
      if (take) {
        if (found == count) return found;
        taken[found++] = {region, tops_[region]};
        tops_[region] = nullptr;
        ClearBit(waiting_, region);
      }
      take = !take;
    }
  }
  return found;
}

void RegionStacks::Rewind() {
  if (!is_ready()) return;
  LOAM_CHECK(!FindNext(), "markers are done, and references wait");
  free_ = nullptr;
  fresh_ = first_;
}

}  // namespace loam
