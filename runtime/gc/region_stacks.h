// References that wait to be marked, sorted by the region of the heap that they
// lead to: a stack for each.
//
// A heap that is larger than the caches, and whose references lead anywhere, is
// marked a region (1 MiB) at a time, so that what is looked at, the region's
// objects, span records and mark bits, stays in the caches and in the TLB. The
// same idea as partitioning a hash join (S. Manegold, P. Boncz, M. Kersten,
// "Optimizing main-memory join on modern hardware", 2002).
//
// A stack is a chain of blocks of 1 KiB. A reference takes 32 bits, since its
// region says the rest.
//
//   tops_[r]  NULL                   nothing waits
//             inside a block         the next free word of the newest block
//             at the end of a block  that block is full
//
// Owned by one marker, from Begin to End; without synchronisation. Blocks that
// were given away stay mapped until End, which is called when all are done.

#ifndef LOAM_RUNTIME_GC_REGION_STACKS_H_
#define LOAM_RUNTIME_GC_REGION_STACKS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/memory_ledger.h"

namespace loam {

class RegionStacks {
 public:
  // A region, what is needed to mark it, and what else is going on fit into a
  // second-level cache (docs/marking.md has measurements). It grows with heaps
  // above 4 GiB, up to an arena, so that the stacks' tops fit there too.
  static constexpr size_t kRegionShift = 20;
  static constexpr size_t kMaxRegions = 4096;

  // `max_bytes` bounds the blocks, for tests.
  RegionStacks(MemoryLedger* ledger, size_t max_bytes)
      : ledger_(ledger), max_bytes_(max_bytes) {}
  ~RegionStacks() { Release(); }
  RegionStacks(const RegionStacks&) = delete;
  RegionStacks& operator=(const RegionStacks&) = delete;

  // For references in [lowest, highest). False if there is no memory (or
  // nothing to refer to), or the heap is too large.
  bool Begin(uintptr_t lowest, uintptr_t highest);
  // Nothing waits any more: gives the memory back.
  void End();
  bool is_ready() const { return memory_ != 0; }

  // Whether a large object may be scanned further: if not, what its pieces
  // refer to should be marked first, or all of it would wait at once.
  bool is_spacious() const {
    return free_ != nullptr || fresh_ - first_ < kSpaciousBytes;
  }
  // False if there is no memory for it.
  __attribute__((always_inline)) bool Push(uintptr_t address) {
    const uintptr_t offset = address - lowest_;
    const size_t region = offset >> shift_;
    uint32_t* top = tops_[region];
    if (__builtin_expect(reinterpret_cast<uintptr_t>(top) % kBlockBytes == 0,
                         0)) {
      top = AddBlock(region);
      if (top == nullptr) return false;
    }
    *top = static_cast<uint32_t>(offset);
    tops_[region] = top + 1;
    return true;
  }

  // Goes on to the next region, in address order and round again, for which
  // something waits. False if there is none.
  bool FindNext();

  // The region at hand: the one that FindNext found.
  uintptr_t base() const { return lowest_ + (current_ << shift_); }
  size_t region_bytes() const { return size_t{1} << shift_; }
  bool current_is_empty() const { return tops_[current_] == nullptr; }
  // Whether so much waits for it that a pass over the region pays: more than a
  // block.
  bool current_has_much() const {
    uint32_t* const top = tops_[current_];
    return top != nullptr && BlockOf(top)->below != nullptr;
  }
  // It is not empty.
  uintptr_t Pop() {
    uint32_t* top = tops_[current_] - 1;
    const uintptr_t address = base() + (*top & (region_bytes() - 1));
    if (top == FirstWord(BlockOf(top))) top = RemoveBlock(top);
    tops_[current_] = top;
    return address;
  }
  // Calls visit(offset from base()) for all that waits for it, and removes it.
  template <typename Visit>
  __attribute__((always_inline)) void TakeAll(Visit&& visit) {
    const size_t offset_mask = region_bytes() - 1;
    for (uint32_t* top = tops_[current_]; top != nullptr;) {
      Block* const block = BlockOf(top);
      if (block->below != nullptr) Prefetch(block->below);
      for (const uint32_t* word = FirstWord(block); word != top; word++) {
        visit(*word & offset_mask);
      }
      top = RemoveBlock(top);
    }
    tops_[current_] = nullptr;
  }

  // ---- Between markers of the same heap. Blocks change hands as they are;
  // whoever empties them uses them again.

  // All that waits for one region.
  struct Waiting {
    size_t region;
    uint32_t* top;
  };
  // Takes away every second region for which something waits, up to `count`,
  // but not the one at hand; how many.
  size_t Take(Waiting* taken, size_t count);
  // Nothing waits for that region here.
  void Add(const Waiting& waiting) {
    tops_[waiting.region] = waiting.top;
    SetBit(waiting_, waiting.region);
  }
  // For those for whom Begin had no memory: calls visit(address).
  template <typename Visit>
  void ForEach(const Waiting& waiting, Visit&& visit) const {
    const uintptr_t base = lowest_ + (waiting.region << shift_);
    for (uint32_t* top = waiting.top; top != nullptr;) {
      Block* const block = BlockOf(top);
      for (const uint32_t* word = FirstWord(block); word != top; word++) {
        visit(base + (*word & (region_bytes() - 1)));
      }
      top = TopBelow(block);
    }
  }
  // All markers are done: from here on each uses its own blocks.
  void Rewind();

 private:
  static constexpr size_t kBlockBytes = 1024;
  static constexpr size_t kSpaciousBytes = 16 << 20;
  struct Block {
    Block* below;  // of the same region, and full; or of the free list
  };

  // Of a word in it, or its end.
  static Block* BlockOf(const uint32_t* top) {
    return reinterpret_cast<Block*>((reinterpret_cast<uintptr_t>(top) - 1) &
                                    ~uintptr_t{kBlockBytes - 1});
  }
  static uint32_t* FirstWord(Block* block) {
    return reinterpret_cast<uint32_t*>(block + 1);
  }
  static uint32_t* TopBelow(const Block* block) {
    if (block->below == nullptr) return nullptr;
    return reinterpret_cast<uint32_t*>(
        reinterpret_cast<uintptr_t>(block->below) + kBlockBytes);
  }
  static void Prefetch(const Block* block) {
    for (size_t at = 0; at < kBlockBytes; at += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(block) + at);
    }
  }

  void Release();
  // Makes room for a word; NULL if there is no memory.
  uint32_t* AddBlock(size_t region);
  // Removes the block at the top of the region at hand, of which nothing is
  // wanted any more; the new top.
  uint32_t* RemoveBlock(uint32_t* top);

  MemoryLedger* const ledger_;
  const size_t max_bytes_;
  uintptr_t memory_ = 0;  // 0 outside Begin and End
  size_t reserved_bytes_ = 0;
  size_t charged_bytes_ = 0;
  uintptr_t lowest_ = 0;  // of the lowest region
  size_t shift_ = 0;
  size_t region_count_ = 0;
  size_t current_ = 0;
  uint32_t** tops_ = nullptr;
  // Bit r: tops_[r] is not NULL.
  uint64_t* waiting_ = nullptr;
  Block* free_ = nullptr;
  uintptr_t first_ = 0;        // of all blocks
  uintptr_t fresh_ = 0;        // the first block never used
  uintptr_t fresh_limit_ = 0;  // what lies before it has been charged
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_REGION_STACKS_H_
