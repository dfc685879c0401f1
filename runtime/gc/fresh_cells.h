// The cells of one region of the heap that references have been found to, for a
// marker that works off a region at a time.
//
// They are collected first, a bit for each, span by span; marked then, a word
// of bits at a time; and scanned in address order. The technique is that of
// Go's Green Tea collector (issue golang/go#73581), with a region of many spans
// in place of one.
//
// A span's place ("slot") is that of its first page, counted from a little
// before the region: spans that began there may reach into it.

#ifndef LOAM_RUNTIME_GC_FRESH_CELLS_H_
#define LOAM_RUNTIME_GC_FRESH_CELLS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/span.h"

namespace loam {

class FreshCells {
 public:
  explicit FreshCells(MemoryLedger* ledger) : ledger_(ledger) {}
  ~FreshCells() { End(); }
  FreshCells(const FreshCells&) = delete;
  FreshCells& operator=(const FreshCells&) = delete;

  // False if there is no memory.
  bool Begin(size_t region_bytes) {
    slots_ = kPagesBefore + region_bytes / kPageBytes;
    const size_t bytes = Bytes();
    if (!ledger_->TryCharge(MemoryLedger::Use::kMetadata, bytes)) return false;
    const uintptr_t memory = os::Allocate(bytes);
    if (memory == 0) {
      ledger_->Refund(MemoryLedger::Use::kMetadata, bytes);
      return false;
    }
    bits_ = reinterpret_cast<uint64_t*>(memory);
    spans_ = reinterpret_cast<Span**>(bits_ + bits_words());
    counts_ = reinterpret_cast<uint32_t*>(spans_ + slots_);
    return true;
  }
  void End() {
    if (bits_ == nullptr) return;
    os::Release(reinterpret_cast<uintptr_t>(bits_), Bytes());
    ledger_->Refund(MemoryLedger::Use::kMetadata, Bytes());
    bits_ = nullptr;
  }

  // The region at hand; nothing is in here.
  void set_region(uintptr_t base) { floor_ = base - kPagesBefore * kPageBytes; }

  // An address in the span, and in the region.
  __attribute__((always_inline)) void Add(Span* span, uintptr_t address) {
    const uintptr_t base = span->base;
    const size_t index = ((address - base) * span->divide_magic) >> 32;
    if (__builtin_expect(index >= span->cell_count, 0)) return;
    // Only a single large object can begin before the floor.
    const size_t slot = ((base > floor_ ? base : floor_) - floor_) / kPageBytes;
    spans_[slot] = span;
    bits_[slot * kWordsPerSlot + index / kBitsPerWord] |=
        uint64_t{1} << (index % kBitsPerWord);
  }

  size_t slots() const { return slots_; }
  // NULL if nothing has been added.
  Span* span(size_t slot) const { return spans_[slot]; }
  // A bit for each cell; whoever empties them clears the slot.
  uint64_t* bits(size_t slot) { return bits_ + slot * kWordsPerSlot; }
  void Clear(size_t slot) { spans_[slot] = nullptr; }
  // How many bits there are, once they have been counted.
  size_t count(size_t slot) const { return counts_[slot]; }
  void set_count(size_t slot, size_t count) {
    counts_[slot] = static_cast<uint32_t>(count);
  }

 private:
  // Spans of several cells have at most 2^17 bytes (DivideMagic).
  static constexpr size_t kPagesBefore = (size_t{1} << 17) / kPageBytes;
  // Cells have at least a word. A span of several pages has the bits of their
  // slots; one that goes on behind the region has those behind the last slot,
  // which stay zero.
  static constexpr size_t kWordsPerSlot =
      kPageBytes / kWordBytes / kBitsPerWord;
  static constexpr size_t kWordsBehind = BitmapWords(kMaxSpanCells);

  size_t bits_words() const { return slots_ * kWordsPerSlot + kWordsBehind; }
  size_t Bytes() const {
    return AlignUp(bits_words() * sizeof(bits_[0]) +
                       slots_ * (sizeof(spans_[0]) + sizeof(counts_[0])),
                   kOsPageBytes);
  }

  MemoryLedger* const ledger_;
  size_t slots_ = 0;
  uint64_t* bits_ = nullptr;  // NULL outside Begin and End
  Span** spans_ = nullptr;
  uint32_t* counts_ = nullptr;
  uintptr_t floor_ = 0;  // the address of slot 0
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_FRESH_CELLS_H_
