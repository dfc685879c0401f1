#include "runtime/sweep/page_reclaimer.h"

#include <algorithm>

#include "runtime/base/race_hooks.h"
#include "runtime/sweep/sweep_batch.h"
#include "runtime/sweep/sweep_token.h"
#include "runtime/sweep/sweeper.h"

namespace loam {
namespace {

// The memory of a Span's line that marking reads, and of its sweepgen.
void Prefetch(const Span* span) {
  __builtin_prefetch(span);
  __builtin_prefetch(&span->sweepgen);
}

// Whether a span needs sweeping and has no mark. It may be anybody's, and even
// be freed and used again meanwhile, so this is a hint; the token decides.
//
// In one generation a sweepgen changes once from "needs sweeping". So if it
// has that value before and after mark_bits and cell_count have been read, the
// two belong together and the bits are there: whoever changes them does so
// after taking the token, and with release, so that a reader of the new value
// finds the new sweepgen as well.
bool SeemsDead(Span* span, uint32_t generation) {
  const uint32_t unswept = NeedsSweeping(generation);
  if (span->sweepgen.load(std::memory_order_acquire) != unswept) return false;
  uint64_t* const bits =
      std::atomic_ref(span->mark_bits).load(std::memory_order_acquire);
  const size_t cells =
      std::atomic_ref(span->cell_count).load(std::memory_order_acquire);
  if (span->sweepgen.load(std::memory_order_relaxed) != unswept) return false;
  for (size_t w = 0; w < BitmapWords(cells); w++) {
    if (std::atomic_ref(bits[w]).load(std::memory_order_relaxed) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

void PageReclaimer::Begin() {
  arenas_ = page_heap_->arena_snapshot();
  chunk_count_ = arenas_.size() * kChunksPerArena;
  next_chunk_.store(0, std::memory_order_relaxed);
  credit_.store(0, std::memory_order_relaxed);
}

size_t PageReclaimer::UseCredit(size_t pages) {
  size_t credit = credit_.load(std::memory_order_relaxed);
  size_t used;
  do {
    used = std::min(credit, pages);
  } while (used > 0 && !credit_.compare_exchange_weak(
                           credit, credit - used, std::memory_order_relaxed));
  return used;
}

bool PageReclaimer::Reclaim(uint32_t generation, size_t pages,
                            size_t max_chunks, SweepBatch* batch) {
  pages -= UseCredit(pages);
  for (; batch->dead_pages() < pages && max_chunks > 0; max_chunks--) {
    if (next_chunk_.load(std::memory_order_relaxed) >= chunk_count_) {
      return false;
    }
    const size_t chunk = next_chunk_.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= chunk_count_) return false;
    AtRacePoint(RacePoint::kChunkClaimed);
    ReclaimChunk(generation, chunk, batch);
  }
  if (batch->dead_pages() > pages) {
    credit_.fetch_add(batch->dead_pages() - pages, std::memory_order_relaxed);
  }
  return true;
}

void PageReclaimer::ReclaimChunk(uint32_t generation, size_t chunk,
                                 SweepBatch* batch) {
  const Arena* arena = arenas_[chunk / kChunksPerArena];
  const size_t first_page = chunk % kChunksPerArena * kPagesPerChunk;
  constexpr size_t kWords = kPagesPerChunk / kBitsPerWord;
  for (size_t w = first_page / kBitsPerWord;
       w < first_page / kBitsPerWord + kWords; w++) {
    const uint64_t in_use =
        arena->page_in_use[w].load(std::memory_order_relaxed);
    Span* spans[kBitsPerWord];
    size_t count = 0;
    for (uint64_t bits = in_use; bits != 0; bits &= bits - 1) {
      const size_t page = w * kBitsPerWord + std::countr_zero(bits);
      // Acquire pairs with the release of whoever made the span.
      Span* span = arena->spans[page].load(std::memory_order_acquire);
      if (span == nullptr) continue;  // It comes or goes at this moment.
      Prefetch(span);
      spans[count++] = span;
    }
    if (count > 0) AtRacePoint(RacePoint::kSpansLookedUp);
    for (size_t i = 0; i < count; i++) {
      if (!SeemsDead(spans[i], generation)) continue;
      SweepToken token = SweepToken::TryAcquire(spans[i], generation);
      if (token) sweeper_->SweepInto(batch, std::move(token));
    }
  }
}

}  // namespace loam
