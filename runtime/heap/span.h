// A span: a run of pages that holds cells of one size.
//
// States (SpanState), and who owns the span in each:
//
//   kFree    not in use; the record is in the page heap's pool
//   kInUse   holds objects; the pages' entries in the arena point here.
//            Owned by a mutator's cache (sweepgen h+1, h+3), by a sweeper
//            (h-1), or by a central list (h-2, h)
//   kManual  holds no objects: pages that somebody asked for by themselves
//            (PageHeap::AllocateManual), and owns until they are given back.
//            The pages' entries are NULL, so that nobody takes what lies there
//            for an object; only base, page_count and size_class mean anything
//
// A span record is never zeroed when it is taken again: a sweeper that still
// holds a stale pointer must find a sweepgen that it cannot acquire.

#ifndef LOAM_RUNTIME_HEAP_SPAN_H_
#define LOAM_RUNTIME_HEAP_SPAN_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/type_layout.h"

namespace loam {

class CentralSpanList;
struct Special;
struct SpecialIndex;

enum class SpanState : uint8_t { kFree = 0, kInUse = 1, kManual = 2 };

// What the pages of a manual span are for; counted apart.
enum class ManualUse : uint8_t {
  kEmbedder,    // loam_pages_allocate
  kWorkBuffer,  // of the collector; none yet (docs/page_heap.md)
};
constexpr size_t kManualUses = 2;

// What a span's cells hold, and where the type and layout of an object are.
enum class SpanKind : uint8_t {
  kNoscan,        // bytes: no type, no references
  kSlots,         // values in every word: no type
  kHeaded,        // a type word at the end of each cell
  kHeadedNoscan,  // the same, types without references
  kBitmap,        // two bitmaps at the end of the span
  kDisposed,      // a type word, types with a dispose function
  kTyped,         // one type: Span::type
  kLarge,         // one object: Span::type, or none
};
constexpr size_t kClassedSpanKinds = 6;  // up to kDisposed, per size class

// Which list of which central list a span is on, if any.
enum class SpanListId : uint8_t { kNone, kPartial0, kPartial1, kFull0, kFull1 };

struct alignas(64) Span {
  // ---- What marking reads: one cache line. Constant while the span is in use,
  // except mark_bits (exchanged by its sweeper) and free_index_.

  // First byte. Overlaid by the pool's link while the record is free.
  uintptr_t base;
  // Bit i: cell i has been reached. Written by the marker, while the world is
  // stopped or with its atomics; by the sweeper otherwise, with relaxed
  // atomics, since a PageReclaimer may look. Changed by set_mark_bits.
  uint64_t* mark_bits;
  size_t cell_bytes;
  uint64_t pointer_mask;  // ScanKind::kMasks
  uint64_t value_mask;
  const Type* type;       // kTyped, kLarge; otherwise NULL
  uint32_t divide_magic;  // ceil(2^32 / cell_bytes); 0 for one large object
  uint32_t cell_count;    // changed by set_cell_count
  // See free_index().
  std::atomic<uint32_t> free_index_;
  ScanKind scan;
  SpanKind kind;
  // A marker could not push some object of this span: rescan it. Relaxed: read
  // when all markers have met.
  std::atomic<bool> needs_rescan;
  // Freshly taken cells must be zeroed. Owned like the span.
  bool need_zero;

  // ---- What allocation and sweeping use.

  // See alloc_bits().
  std::atomic<const uint64_t*> alloc_bits_;
  // The relation to the heap's generation h, which rises by 2 per cycle:
  //
  //   h - 2   needs sweeping
  //   h - 1   is being swept
  //   h       swept, ready for use
  //   h + 1   cached since before the current cycle; needs sweeping
  //   h + 3   swept, then cached
  //
  // h-2 -> h-1 by compare-and-swap (acquire) is the right to sweep; the sweeper
  // stores h (release) last, after everything it changed.
  std::atomic<uint32_t> sweepgen;
  std::atomic<SpanState> state;  // release when set, acquire when tested
  SpanListId list_id;            // guarded by central's lock
  SpinLock specials_lock;        // guards specials
  uint8_t size_class;            // classed kinds; kManual: the ManualUse
  uint32_t page_count;
  // Cells with an object in them, when the span was last swept, given back by a
  // cache, or taken by one. Owned like the span.
  uint16_t allocated_cells;
  // Cells found dead since `central` last counted. Owned like the span.
  uint16_t uncounted_dead_cells;
  Span* next;  // on a central list: guarded by central's lock
  Span* previous;
  CentralSpanList* central;  // where it goes when not cached; constant
  // See specials/special_list.h.
  Special* specials;
  SpecialIndex* special_index;

  // A cell below free_index is allocated, or was when the span was last swept
  // and alloc_bits tells; from free_index on, alloc_bits tells alone. Bit i of
  // alloc_bits: cell i was alive when the span was last swept. The bits are the
  // mark bits of that cycle: replaced when the span is swept, never changed.
  //
  // Both are changed only by whoever owns the span; any thread may ask whether
  // the cell of an object that it keeps alive is allocated. That is why
  // sweeping replaces the bits first and then resets the index, with release: a
  // reader sees the old index (its cell is below it, or has its old bit), or
  // the new one with the new bits, in which its cell is marked.
  uint32_t free_index() const {
    return free_index_.load(std::memory_order_acquire);
  }
  void set_free_index(size_t index) {
    free_index_.store(static_cast<uint32_t>(index), std::memory_order_release);
  }
  const uint64_t* alloc_bits() const {
    return alloc_bits_.load(std::memory_order_relaxed);
  }
  void set_alloc_bits(const uint64_t* bits) {
    alloc_bits_.store(bits, std::memory_order_relaxed);
  }

  // Only the owner changes mark_bits and cell_count, and reads them plainly. A
  // PageReclaimer reads them without owning the span. Release, so that it finds
  // out from sweepgen if what it has read belongs to another use of the record.
  void set_mark_bits(uint64_t* bits) {
    std::atomic_ref(mark_bits).store(bits, std::memory_order_release);
  }
  void set_cell_count(size_t cells) {
    std::atomic_ref(cell_count)
        .store(static_cast<uint32_t>(cells), std::memory_order_release);
  }

  size_t bytes() const { return size_t{page_count} * kPageBytes; }
  uintptr_t limit() const { return base + cell_count * cell_bytes; }

  // Which cell an address inside [base, base + bytes()) lies in; may be
  // cell_count or more in the unused end of the span (spans of one large object
  // are all that object's).
  uint32_t CellIndex(uintptr_t address) const {
    return static_cast<uint32_t>(((address - base) * divide_magic) >> 32);
  }
  uintptr_t CellAddress(size_t index) const {
    return base + index * cell_bytes;
  }
  // The cell that an address lies in.
  uintptr_t CellOf(uintptr_t address) const {
    return CellAddress(CellIndex(address));
  }

  // Whether cell `index` holds an object. Exact while the world is stopped and
  // cursors are flushed.
  bool IsAllocated(size_t index) const {
    return index < free_index() || TestBit(alloc_bits(), index);
  }
  bool IsMarked(size_t index) const { return TestBit(mark_bits, index); }
  // Its sweeper keeps a dead object. Relaxed: nobody else changes the bits, and
  // they are read again when the span has been swept.
  void Mark(size_t index) const {
    std::atomic_ref(mark_bits[index / kBitsPerWord])
        .fetch_or(BitMask(index), std::memory_order_relaxed);
  }

  bool is_headed() const {
    return kind == SpanKind::kHeaded || kind == SpanKind::kHeadedNoscan ||
           kind == SpanKind::kDisposed;
  }
  // Bytes of a cell that the object itself may use.
  size_t object_bytes() const {
    return is_headed() ? cell_bytes - kWordBytes : cell_bytes;
  }
  // The type word of a headed cell. Zero until its object has been set up.
  const Type** TypeWord(uintptr_t cell) const {
    return reinterpret_cast<const Type**>(cell + cell_bytes - kWordBytes);
  }
  // The type of the object in a cell; NULL if it has none.
  const Type* TypeOf(uintptr_t cell) const {
    return is_headed() ? *TypeWord(cell) : type;
  }

  // Whether some object may have a dispose function.
  bool may_dispose() const {
    return kind == SpanKind::kDisposed ||
           (type != nullptr && type->dispose != nullptr);
  }

  // Bytes of each of the two bitmaps at the end of a kBitmap span: one bit per
  // word of the span.
  size_t bitmap_bytes() const { return bytes() / 64; }
  uint64_t* PointerBitmap() const {
    return reinterpret_cast<uint64_t*>(base + bytes() - 2 * bitmap_bytes());
  }
  uint64_t* ValueBitmap() const {
    return reinterpret_cast<uint64_t*>(base + bytes() - bitmap_bytes());
  }
};

static_assert(offsetof(Span, alloc_bits_) == 64,
              "what marking reads fits one cache line");
static_assert(sizeof(Span) == 128, "a span of 8 KiB costs a sixty-fourth");
static_assert(kMaxSpanCells <= UINT16_MAX, "cells are counted in 16 bits");

// (address - base) / cell_bytes == ((address - base) * magic) >> 32 for every
// address in a span: exact as long as span bytes times the error of the magic
// (less than cell_bytes) stay below 2^32; spans of small cells have at most
// 2^17 bytes and cells at most 2^15.
constexpr uint32_t DivideMagic(size_t cell_bytes) {
  return static_cast<uint32_t>(((uint64_t{1} << 32) + cell_bytes - 1) /
                               cell_bytes);
}

// Everything that defines a new span.
struct SpanShape {
  SpanKind kind;
  ScanKind scan;
  uint8_t size_class = 0;
  uint32_t pages = 0;
  size_t cell_bytes = 0;
  const Type* type = nullptr;
  CentralSpanList* central = nullptr;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_SPAN_H_
