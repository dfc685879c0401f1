// What all parts of a marker use: the span of an address, mark bits, and the
// stack of references that wait.
//
// A template over the heap's value encoding, so that decoding a value is
// inlined. The parts above it: WeakScanner, SpanScanner, ObjectScanner,
// RegionScanner, and in marker.cc what decides what comes next.

#ifndef LOAM_RUNTIME_GC_MARKER_BASE_H_
#define LOAM_RUNTIME_GC_MARKER_BASE_H_

#include <atomic>

#include "runtime/gc/ephemeron_index.h"
#include "runtime/gc/marker.h"

namespace loam {

// A stack word with this bit is not a reference but the address at which to go
// on scanning a large object (which ScanObject does not mark).
constexpr uintptr_t kPieceBit = uintptr_t{1} << 63;

template <typename Decoder>
class MarkerBase : public Marker {
 public:
  void VisitValue(uintptr_t word) override { Push(decode_(word)); }
  void VisitPointer(uintptr_t address) override { Push(address); }
  void VisitAmbiguous(uintptr_t word) override {
    const Span* span = FindSpan(word);
    if (span == nullptr) return;
    const size_t index = span->CellIndex(word);
    // Free cells are no objects: marking one would make it a zombie.
    if (index < span->cell_count && span->IsAllocated(index)) Push(word);
  }

 protected:
  MarkerBase(PageHeap* page_heap, MarkWork* work, const ValueEncoding& encoding)
      : Marker(page_heap, work),
        arenas_(page_heap->arena_map()),
        decode_(encoding) {}

  // Alone on the heap, or beside other markers.
  enum class Marking { kAlone, kShared };

  static uintptr_t Load(uintptr_t slot) {
    return *reinterpret_cast<const uintptr_t*>(slot);
  }

  static uintptr_t LoadWord(uintptr_t object, size_t index) {
    return Load(object + index * kWordBytes);
  }

  // The address lies in [lowest_, lowest_ + range_); kPieceBit does no harm.
  Span* FindSpanInRange(uintptr_t address) const {
    const Arena* arena = table_ != nullptr
                             ? table_[ArenaMap::TableIndex(address)].load(
                                   std::memory_order_relaxed)
                             : arenas_.Find(address & ~kPieceBit);
    if (__builtin_expect(arena == nullptr, 0)) return nullptr;
    // Relaxed: the stop has synchronised the spans' publication.
    return arena->spans[Arena::PageIndex(address)].load(
        std::memory_order_relaxed);
  }

  Span* FindSpan(uintptr_t address) const {
    return address - lowest_ < range_ ? FindSpanInRange(address) : nullptr;
  }

  void Push(uintptr_t address) {
    if (address - lowest_ >= range_) return;  // 0 included
    if (__builtin_expect(!stack_->Push(address), 0)) MarkForRescan(address);
  }

  // Sets the mark of cell `index`; false if it was set.
  template <Marking kMarking>
  static bool SetMark(uint64_t* mark_bits, size_t index) {
    uint64_t* const word = &mark_bits[index / kBitsPerWord];
    const uint64_t bit = uint64_t{1} << (index % kBitsPerWord);
    if constexpr (kMarking == Marking::kAlone) {
      const uint64_t marks = *word;
      if ((marks & bit) != 0) return false;
      *word = marks | bit;
      return true;
    } else {
      const std::atomic_ref<uint64_t> marks(*word);
      // Most references lead to what is marked: reading does not disturb
      // others.
      if ((marks.load(std::memory_order_relaxed) & bit) != 0) return false;
      return (marks.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
    }
  }

  // Off the inner loop, so it does not ask whether others mark too.
  bool Mark(Span* span, size_t index) {
    if (!SetMark<Marking::kShared>(span->mark_bits, index)) return false;
    marked_bytes_ += span->cell_bytes;
    marked_objects_++;
    return true;
  }

  // The stack is full: remember the object by its mark bit and its span.
  void MarkForRescan(uintptr_t address) {
    Span* span = FindSpan(address);
    if (span == nullptr) return;
    const size_t index = span->CellIndex(address);
    if (index >= span->cell_count || !Mark(span, index)) return;
    // It may be a key, and the records that wait for it are not asked.
    lost_records_ |= is_resolving_;
    if (span->scan == ScanKind::kNoscan) return;
    span->needs_rescan.store(true, std::memory_order_relaxed);
    some_span_needs_rescan_ = true;
  }

  // The state of the inner loop, kept in registers: nothing it stores to the
  // heap, the stack or mark bits can alias it. Saved before and loaded after
  // everything that is not inlined.
  struct Loop {
    uintptr_t* top;
    uintptr_t* bottom;
    uintptr_t* limit;
    uintptr_t lowest;
    uintptr_t range;
    uint64_t marked_bytes;
    uint64_t marked_objects;
  };
  void SaveLoop(const Loop& loop) {
    stack_->set_top(loop.top);
    marked_bytes_ = loop.marked_bytes;
    marked_objects_ = loop.marked_objects;
  }
  Loop LoadLoop() const {
    return {stack_->top(), stack_->bottom(), stack_->limit(), lowest_,
            range_,        marked_bytes_,    marked_objects_};
  }

  void PushInLoop(Loop* loop, uintptr_t address) {
    if (address - loop->lowest >= loop->range) return;
    if (__builtin_expect(loop->top != loop->limit, 1)) {
      *loop->top++ = address;
      return;
    }
    SaveLoop(*loop);
    Push(address);
    *loop = LoadLoop();
  }

  // Whether `words` pushes need not look at the limit.
  static bool HasRoom(const Loop& loop, size_t words) {
    return static_cast<size_t>(loop.limit - loop.top) > words;
  }

  // Needs HasRoom. (Storing always and moving the top by a condition, without a
  // branch, was measured: the top then waits for every field's load, which
  // costs more than the mispredicted NULLs.)
  __attribute__((always_inline)) static void PushUnchecked(Loop* loop,
                                                           uintptr_t address) {
    if (address - loop->lowest < loop->range) *loop->top++ = address;
  }

  const ArenaMap& arenas_;
  const Decoder decode_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARKER_BASE_H_
