#include "runtime/gc/marker.h"

#include <algorithm>
#include <new>

#include "runtime/base/fatal.h"
#include "runtime/gc/mark_pool.h"
#include "runtime/gc/mark_team.h"
#include "runtime/gc/region_scanner.h"

namespace loam {
namespace {

// Entries of the prefetch queue. A power of two.
constexpr size_t kQueueEntries = 64;

inline void Prefetch(const void* address) { __builtin_prefetch(address); }

template <typename Decoder>
class MarkerFor final : public RegionScanner<Decoder> {
  using Base = RegionScanner<Decoder>;

 public:
  MarkerFor(PageHeap* page_heap, MarkWork* work, const ValueEncoding& encoding)
      : Base(page_heap, work, encoding) {}

  void Drain() override {
    if (team_ == nullptr || !team_->has_workers()) {
      DrainAll<Marking::kAlone>();
    } else if (!DrainAll<Marking::kAlone>(marked_objects_ + marked_alone_)) {
      team_->Run(this);
    }
    while (some_span_needs_rescan_) RescanFlagged();
  }

  void ResolveWeakWords() override {
    is_resolving_ = true;
    uint64_t marked_before;
    do {
      marked_before = marked_objects_;
      lost_records_ = false;
      some_key_may_be_dead_ = false;
      ForEachWeakObject(page_heap_, [this](const Span* span, uintptr_t cell,
                                           const Type& type) {
        const uintptr_t end = cell + span->object_bytes();
        Resolve(type, cell, end, cell, end);
      });
      DrainResolving();
      while (some_span_needs_rescan_) RescanFlagged();
      some_key_may_be_dead_ |= lost_records_ || index_->waiting() > 0;
      index_->End();
      // Without memory for the index: all records again, as long as that finds
      // something.
    } while (lost_records_ && marked_objects_ != marked_before);
    is_resolving_ = false;
  }

  void DrainShared(MarkPool* pool) override {
    marks_together_ = true;
    for (;;) {
      DrainAll<Marking::kShared>(UINT64_MAX, pool);
      stack_->Rewind();
      MarkBatch batch;
      if (!pool->Take(&batch)) break;
      for (size_t i = 0; i < batch.count; i++) Resume(batch.words[i]);
      for (size_t i = 0; i < batch.region_count; i++) {
        Resume(batch.regions[i]);
      }
    }
    work_->regions.Rewind();
    marks_together_ = false;
  }

 private:
  using Base::FindSpanInRange;
  using Base::index_;
  using Base::is_resolving_;
  using Base::LoadLoop;
  using Base::lost_records_;
  using Base::lowest_;
  using Base::marked_alone_;
  using Base::marked_by_region_;
  using Base::marked_bytes_;
  using Base::marked_objects_;
  using Base::MarkForRescan;
  using Base::marks_together_;
  using Base::page_heap_;
  using Base::range_;
  using Base::regions_refused_;
  using Base::rescan_rounds_;
  using Base::Resolve;
  using Base::ResolveRecordsOf;
  using Base::SaveLoop;
  using Base::Scan;
  using Base::ScanMasksInLoop;
  using Base::ScanPieces;
  using Base::ScanPiecesInLoop;
  using Base::ShareRegion;
  using Base::some_key_may_be_dead_;
  using Base::some_span_needs_rescan_;
  using Base::Sort;
  using Base::stack_;
  using Base::team_;
  using Base::work_;
  using typename Base::Loop;
  using typename Base::Marking;

  // Puts a word of another marker's stack on this one.
  void Resume(uintptr_t word) {
    if (__builtin_expect(stack_->Push(word), 1)) return;
    if ((word & kPieceBit) != 0) {
      ScanPieces(word & ~kPieceBit);
    } else {
      MarkForRescan(word);
    }
  }

  void Resume(const RegionStacks::Waiting& waiting) {
    if (work_->regions.is_ready()) {
      work_->regions.Add(waiting);
    } else {
      work_->regions.ForEach(waiting,
                             [this](uintptr_t address) { Resume(address); });
    }
  }

  // Somebody waits: gives half of the stack, at most a batch, the oldest first.
  void Share(MarkPool* pool) {
    MarkBatch batch;
    batch.count = std::min(stack_->size() / 2, MarkBatch::kWords);
    if (batch.count == 0) return;
    const uintptr_t* oldest = stack_->TakeOldest(batch.count);
    std::copy(oldest, oldest + batch.count, batch.words);
    if (!pool->Give(batch)) stack_->ReturnOldest(batch.count);  // Too late.
  }

  // A reference whose object and span have been prefetched; or, with kPieceBit,
  // a piece.
  struct Entry {
    uintptr_t address;
    Span* span;
  };

  // Scans the marked objects of all flagged spans.
  void RescanFlagged() {
    some_span_needs_rescan_ = false;
    rescan_rounds_++;
    page_heap_->ForEachSpan([this](Span* span) {
      if (!span->needs_rescan.load(std::memory_order_relaxed)) return;
      span->needs_rescan.store(false, std::memory_order_relaxed);
      for (size_t i = 0; i < span->cell_count; i++) {
        if (!span->IsMarked(i)) continue;
        Scan(span, span->CellAddress(i));
        if (is_resolving_) {
          DrainResolving();
        } else {
          DrainAll<Marking::kAlone>();
        }
      }
    });
  }

  // Finds the span of a reference and asks for its memory and the object's.
  // False if there is none. What needs either comes later, in Leave.
  bool Enter(uintptr_t address, Entry* entry) {
    Span* span = FindSpanInRange(address);  // Push has looked.
    if (__builtin_expect(span == nullptr, 0)) return false;
    Prefetch(reinterpret_cast<const void*>(address));
    Prefetch(span);
    *entry = {address, span};
    return true;
  }

  // Marks the object of an entry and scans it, if it has not been marked.
  template <Marking kMarking>
  __attribute__((always_inline)) void Leave(Loop* loop, const Entry& entry) {
    Span* const span = entry.span;
    if (__builtin_expect((entry.address & kPieceBit) != 0, 0)) {
      ScanPiecesInLoop(loop, entry.address);
      return;
    }
    const uint32_t index = span->CellIndex(entry.address);
    if (__builtin_expect(index >= span->cell_count, 0)) return;
    if (!Base::template SetMark<kMarking>(span->mark_bits, index)) return;
    loop->marked_bytes += span->cell_bytes;
    loop->marked_objects++;
    const uintptr_t cell = span->CellAddress(index);
    switch (span->scan) {
      case ScanKind::kNoscan:
        return;
      case ScanKind::kMasks:
        Base::template ScanCell<kMarking>(loop, *span, index);
        return;
      case ScanKind::kHeaded: {
        const Type* type = *span->TypeWord(cell);
        if (type != nullptr && type->scan == ScanKind::kMasks) {
          ScanMasksInLoop(loop, cell, type->pointer_mask, type->value_mask);
          return;
        }
        break;
      }
      default:
        break;
    }
    SaveLoop(*loop);
    Scan(span, cell);
    *loop = LoadLoop();
  }

  // Marks what waits and what it leads to. Or, when `until_marked` objects have
  // been marked, returns false; the rest waits, outside the queue.
  template <Marking kMarking>
  bool DrainAll(uint64_t until_marked = UINT64_MAX, MarkPool* pool = nullptr) {
    if (range_ >= marked_by_region_ && !work_->regions.is_ready() &&
        !regions_refused_) {
      regions_refused_ = !work_->BeginRegions(lowest_, lowest_ + range_);
    }
    return work_->regions.is_ready()
               ? DrainAs<kMarking, true>(until_marked, pool)
               : DrainAs<kMarking, false>(until_marked, pool);
  }

  template <Marking kMarking, bool kByRegion>
  bool DrainAs(uint64_t until_marked, MarkPool* pool) {
    Entry queue[kQueueEntries];
    size_t head = 0;
    size_t count = 0;
    Loop loop = LoadLoop();
    for (;;) {
      if constexpr (kByRegion) {
        FillByRegion<kMarking>(&loop, queue, head, &count, until_marked, pool);
      } else {
        while (count < kQueueEntries && loop.top != loop.bottom) {
          if (Enter(*--loop.top, &queue[(head + count) % kQueueEntries])) {
            count++;
          }
        }
      }
      if (kMarking == Marking::kAlone && loop.marked_objects >= until_marked &&
          loop.limit - loop.top >= static_cast<ptrdiff_t>(count)) {
        for (; count > 0; count--) {
          *loop.top++ = queue[head].address;
          head = (head + 1) % kQueueEntries;
        }
        SaveLoop(loop);
        return stack_->empty() && (!kByRegion || !work_->regions.FindNext());
      }
      if (count == 0) break;
      const Entry entry = queue[head];
      head = (head + 1) % kQueueEntries;
      count--;
      Leave<kMarking>(&loop, entry);
      if (kMarking == Marking::kShared && pool->is_wanted()) {
        SaveLoop(loop);
        if constexpr (kByRegion) {
          ShareRegion(pool);
        } else {
          Share(pool);
        }
        loop = LoadLoop();
      }
    }
    SaveLoop(loop);
    return true;
  }

  // Marks what is on the stack and what it leads to, and what waits for any of
  // it. One at a time: in a chain of ephemerons there is nothing to prefetch.
  // Where much waits, what comes soon is.
  void DrainResolving() {
    constexpr ptrdiff_t kAhead = 8;
    while (!stack_->empty()) {
      if (stack_->top() - stack_->bottom() > kAhead) {
        Prefetch(reinterpret_cast<const void*>(stack_->top()[-kAhead]));
      }
      const uintptr_t word = stack_->Pop();
      if (__builtin_expect((word & kPieceBit) != 0, 0)) {
        ScanPieces(word & ~kPieceBit);
        continue;
      }
      Span* const span = FindSpanInRange(word);
      if (span == nullptr) continue;
      const uint32_t index = span->CellIndex(word);
      if (index >= span->cell_count ||
          !Base::template SetMark<Marking::kAlone>(span->mark_bits, index)) {
        continue;
      }
      marked_bytes_ += span->cell_bytes;
      marked_objects_++;
      const uintptr_t cell = span->CellAddress(index);
      ResolveRecordsOf(cell);
      if (span->scan != ScanKind::kNoscan) Scan(span, cell);
    }
  }

  // Sorts what is on the stack, marks regions for which much waits, and fills
  // the queue with what waits for others. Leaves it empty only when nothing is
  // left, or `until_marked` objects have been marked.
  template <Marking kMarking>
  __attribute__((always_inline)) void FillByRegion(Loop* loop, Entry* queue,
                                                   size_t head, size_t* count,
                                                   uint64_t until_marked,
                                                   MarkPool* pool) {
    RegionStacks& regions = work_->regions;
    Sort(loop);
    while (*count < kQueueEntries) {
      uintptr_t word;
      if (!regions.current_is_empty() || regions.FindNext()) {
        if (regions.current_has_much()) {
          SaveLoop(*loop);
          Base::template MarkRegion<kMarking>(pool);
          *loop = LoadLoop();
          if (loop->marked_objects >= until_marked) return;
          continue;
        }
        word = regions.Pop();
      } else if (loop->top != loop->bottom) {
        word = *--loop->top;  // There was no room to sort it.
        if ((word & kPieceBit) != 0) {
          ScanPiecesInLoop(loop, word);
          Sort(loop);
          continue;
        }
      } else {
        return;
      }
      if (Enter(word, &queue[(head + *count) % kQueueEntries])) ++*count;
    }
  }
};

template <typename Decoder>
Marker* CreateFor(void* storage, PageHeap* page_heap, MarkWork* work,
                  const ValueEncoding& encoding) {
  static_assert(sizeof(MarkerFor<Decoder>) <= Marker::kStorageBytes);
  return new (storage) MarkerFor<Decoder>(page_heap, work, encoding);
}

}  // namespace

Marker* Marker::Create(void* storage, PageHeap* page_heap, MarkWork* work,
                       const ValueEncoding& encoding) {
  switch (encoding.kind) {
    case EncodingKind::kPointer:
      return CreateFor<PointerDecoder>(storage, page_heap, work, encoding);
    case EncodingKind::kLowTag:
      return CreateFor<LowTagDecoder>(storage, page_heap, work, encoding);
    case EncodingKind::kNanBox:
      return CreateFor<NanBoxDecoder>(storage, page_heap, work, encoding);
    case EncodingKind::kCallback:
      return CreateFor<CallbackDecoder>(storage, page_heap, work, encoding);
  }
  FatalBug("no marker for encoding %u", static_cast<unsigned>(encoding.kind));
}

void Marker::Add(const Marker& other) {
  marked_bytes_ += other.marked_bytes_;
  marked_objects_ += other.marked_objects_;
  marked_regions_ += other.marked_regions_;
  some_span_needs_rescan_ |= other.some_span_needs_rescan_;
}

void Marker::Begin() {
  LOAM_CHECK(!work_->regions.is_ready(),
             "marking begins with the regions of the last time");
  lowest_ = page_heap_->lowest_address();
  const uintptr_t highest = page_heap_->highest_address();
  range_ = highest > lowest_ ? highest - lowest_ : 0;
  table_ = page_heap_->arena_map().SingleTable(lowest_, highest);
  marked_bytes_ = 0;
  marked_objects_ = 0;
  rescan_rounds_ = 0;
  marked_regions_ = 0;
  regions_refused_ = false;
  some_span_needs_rescan_ = false;
  some_key_may_be_dead_ = false;
}

bool Marker::HasReached(uintptr_t address) const {
  const Span* span = page_heap_->FindSpan(address);
  if (span == nullptr) return false;
  const size_t index = span->CellIndex(address);
  return index < span->cell_count && span->IsMarked(index);
}

}  // namespace loam
