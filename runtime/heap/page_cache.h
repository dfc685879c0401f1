// What a mutator has of the page heap, so that most small spans cost no lock:
//
//   PageCache   the free pages of an aligned block of 64, out of the allocator
//   SpanCache   unused span records
//   HeapCache   both, and mark bits bought in advance
//
// A page in a cache is free, committed and charged: it counts as a free page,
// though the page allocator has it as taken.

#ifndef LOAM_RUNTIME_HEAP_PAGE_CACHE_H_
#define LOAM_RUNTIME_HEAP_PAGE_CACHE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/base/fatal.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/span.h"

namespace loam {

// Pages of the 64 from `base` on.
struct PageBlock {
  static constexpr size_t kPages = kBitsPerWord;
  static constexpr size_t kBytes = kPages * kPageBytes;  // and its alignment

  uintptr_t base = 0;
  // Bit i: page i is among them.
  uint64_t free = 0;
  // Bit i: nothing has been written to page i since the OS gave it; a part of
  // `free`.
  uint64_t scavenged = 0;
};

static_assert(kPagesPerChunk % PageBlock::kPages == 0);

// The owner takes pages; only the owner puts in a block, when the cache is
// empty; anybody may take out what is left of it. Put and TakeAll happen under
// the page heap's lock, Take without.
class PageCache {
 public:
  // Runs of so many pages and more are not looked for here: they would leave
  // little behind.
  static constexpr size_t kPagesFromWhichNot = PageBlock::kPages / 4;

  struct Run {
    uintptr_t address;  // 0: there is none
    size_t scavenged_pages;
  };

  // The lowest run. The owner only.
  Run Take(size_t pages) {
    uint64_t free = free_.load(std::memory_order_relaxed);
    for (;;) {
      const size_t first = FindRunInWord(free, pages);
      if (first == kBitsPerWord) return {0, 0};
      const uint64_t run = LowBits(pages) << first;
      // Relaxed: who has a page's bit has the page, and the pages were
      // synchronised when the block was put in. That the block is still the
      // same one needs no more: nobody else puts one in.
      if (free_.compare_exchange_weak(free, free & ~run,
                                      std::memory_order_relaxed)) {
        return {base_ + first * kPageBytes, PopCount(scavenged_ & run)};
      }
    }
  }

  void Put(const PageBlock& block) {
    LOAM_DCHECK(count() == 0);
    base_ = block.base;
    scavenged_ = block.scavenged;
    free_.store(block.free, std::memory_order_relaxed);
  }

  PageBlock TakeAll() {
    const uint64_t free = free_.exchange(0, std::memory_order_relaxed);
    return {base_, free, scavenged_ & free};
  }

  // Whether Take would find one, if nobody takes all meanwhile.
  bool HasRun(size_t pages) const {
    return FindRunInWord(free_.load(std::memory_order_relaxed), pages) !=
           kBitsPerWord;
  }
  // Free pages. Falls at any time unless the owner asks.
  size_t count() const {
    return PopCount(free_.load(std::memory_order_relaxed));
  }

 private:
  // Bit i: page i is free and here. Set by the owner, cleared by anybody.
  std::atomic<uint64_t> free_{0};
  // Written under the page heap's lock, by the owner: read by the owner
  // anywhere, by others under the lock.
  uintptr_t base_ = 0;
  uint64_t scavenged_ = 0;  // at the time of Put
};

// Records in the state kFree. The owner's alone, but for count().
class SpanCache {
 public:
  Span* Take() {
    Span* span = first_;
    if (span == nullptr) return nullptr;
    first_ = reinterpret_cast<Span*>(span->base);
    count_.store(count() - 1, std::memory_order_relaxed);
    return span;
  }
  void Give(Span* span) {
    span->base = reinterpret_cast<uintptr_t>(first_);
    first_ = span;
    count_.store(count() + 1, std::memory_order_relaxed);
  }
  // Relaxed, any thread: a statistic.
  size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  Span* first_ = nullptr;  // linked by Span::base, as in the pool
  std::atomic<size_t> count_{0};
};

// Part of a mutator, and the owner's, but for what is said of its parts.
struct HeapCache {
  PageCache pages;
  SpanCache spans;
  size_t bits_bytes = 0;  // reserved of GcBits
  // Guarded by the page heap's lock: the list of caches that are not empty, and
  // whether this one may have pages.
  HeapCache* next = nullptr;
  HeapCache* previous = nullptr;
  bool is_listed = false;
  bool has_block = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_CACHE_H_
