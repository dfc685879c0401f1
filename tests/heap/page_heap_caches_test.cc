// Spans from mutators' caches: who gets what, what is counted, and that what
// caches hold can always be had back.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/page_heap.h"
#include "tests/base/test_random.h"
#include "tests/heap/span_of_pages.h"

namespace loam {
namespace {

// With so many pages in spans a heap can afford a few caches.
constexpr size_t kLargeHeapPages = (size_t{64} << 20) / kPageBytes;

class PageHeapCachesTest : public testing::Test {
 protected:
  PageHeapCachesTest() {
    heap_ =
        std::make_unique<PageHeap>(&ledger_, &persistent_, PageHeapOptions{});
    EXPECT_TRUE(heap_->Initialize());
  }

  Span* Allocate(size_t pages, HeapCache* cache, bool may_grow = true) {
    return heap_->AllocateSpan(Pages(pages), kGeneration, may_grow, cache);
  }
  // A span that makes the heap large enough for `caches`.
  Span* MakeLarge(size_t caches = 4) {
    return Allocate(std::max(kLargeHeapPages, caches * 64 * 32), nullptr);
  }
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(heap_->CheckInvariants(problem, sizeof(problem))) << problem;
    const PageHeapStats stats = heap_->stats();
    EXPECT_EQ(stats.memory.committed - stats.memory.metadata,
              stats.span_bytes + stats.free_page_bytes);
  }
  // Makes pages that a cache can be filled with.
  void AddFreePages(size_t pages) { heap_->FreeSpan(Allocate(pages, nullptr)); }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  std::unique_ptr<PageHeap> heap_;
};

TEST_F(PageHeapCachesTest, ASmallHeapHasNone) {
  HeapCache cache;
  AddFreePages(1000);
  std::vector<Span*> spans;
  for (int i = 0; i < 500; i++) spans.push_back(Allocate(1, &cache));
  EXPECT_EQ(cache.pages.count(), 0u);
  EXPECT_EQ(cache.spans.count(), 0u);
  EXPECT_EQ(cache.bits_bytes, 0u);
  for (Span* span : spans) heap_->FreeSpan(span);
  Check();
}

TEST_F(PageHeapCachesTest, SmallSpansComeFromOneBlock) {
  Span* large = MakeLarge();
  AddFreePages(256);
  HeapCache cache;
  const uint64_t free_before = heap_->stats().free_page_bytes;
  Span* first = Allocate(1, &cache);
  ASSERT_NE(first, nullptr);
  const size_t held = cache.pages.count();
  EXPECT_GT(held, 0u);
  EXPECT_EQ(heap_->stats().free_page_bytes, free_before - kPageBytes)
      << "what is in the cache is free";
  EXPECT_EQ(heap_->stats().spans, 2u) << "records in the cache are not in use";
  ASSERT_NO_FATAL_FAILURE(Check());
  std::vector<Span*> spans = {first};
  for (size_t i = 1; i <= held; i++) {
    spans.push_back(Allocate(1, &cache));
    EXPECT_EQ(spans.back()->base, first->base + i * kPageBytes);
    EXPECT_EQ(heap_->FindSpan(spans.back()->base), spans.back());
  }
  EXPECT_EQ(cache.pages.count(), 0u);
  ASSERT_NO_FATAL_FAILURE(Check());
  // 16 pages and more do not.
  Span* wide = Allocate(16, &cache);
  EXPECT_EQ(cache.pages.count(), 0u);
  heap_->ReturnCache(&cache);
  for (Span* span : spans) heap_->FreeSpan(span);
  heap_->FreeSpan(wide);
  heap_->FreeSpan(large);
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_EQ(heap_->stats().spans, 0u);
  EXPECT_EQ(heap_->stats().span_bytes, 0u);
}

// What is left in a cache, and too little, does not keep it from being filled.
TEST_F(PageHeapCachesTest, PiecesAreExchangedForABlock) {
  MakeLarge();
  AddFreePages(1024);
  HeapCache cache;
  size_t from_cache = 0;
  for (int i = 0; i < 100; i++) {
    const size_t before = cache.pages.count();
    ASSERT_NE(Allocate(5, &cache), nullptr);
    if (cache.pages.count() != before) from_cache++;
  }
  // But for those that lie across the ends of blocks.
  EXPECT_GE(from_cache, 90u);
  ASSERT_NO_FATAL_FAILURE(Check());
  heap_->ReturnCache(&cache);
  Check();
}

TEST_F(PageHeapCachesTest, ReturningACacheLeavesNothing) {
  MakeLarge();
  AddFreePages(256);
  heap_->ReleaseFreePages(SIZE_MAX);
  const PageHeapStats before = heap_->stats();
  HeapCache cache;
  heap_->FreeSpan(Allocate(1, &cache));
  EXPECT_EQ(heap_->stats().free_page_bytes,
            before.free_page_bytes + 64 * kPageBytes)
      << "pages that go into a cache are charged";
  ASSERT_NO_FATAL_FAILURE(Check());
  heap_->ReturnCache(&cache);
  heap_->ReturnCache(&cache);  // nothing is left
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_EQ(cache.bits_bytes, 0u);
  EXPECT_EQ(cache.spans.count(), 0u);
  const PageHeapStats after = heap_->stats();
  EXPECT_EQ(after.free_page_bytes, before.free_page_bytes + kPageBytes)
      << "the one that was used stays committed, the others were not touched";
  EXPECT_EQ(after.released_bytes, before.released_bytes - kPageBytes);
  EXPECT_EQ(after.spans, before.spans);
}

TEST_F(PageHeapCachesTest, ReleasingMemoryGetsWhatIsInCaches) {
  MakeLarge();
  AddFreePages(256);
  HeapCache cache;
  Span* span = Allocate(1, &cache);
  EXPECT_GT(cache.pages.count(), 0u);
  heap_->ReleaseFreePages(SIZE_MAX);
  EXPECT_EQ(cache.pages.count(), 0u);
  EXPECT_EQ(heap_->stats().free_page_bytes, 0u);
  ASSERT_NO_FATAL_FAILURE(Check());
  // The cache goes on: it is its owner's, and knows nothing of that.
  Span* next = Allocate(1, &cache);
  EXPECT_EQ(next->base, span->base + kPageBytes);
  heap_->ReturnCache(&cache);
  Check();
}

TEST_F(PageHeapCachesTest, TheLastPagesUnderTheLimitComeOutOfCaches) {
  MakeLarge();
  AddFreePages(128);
  HeapCache mine;
  HeapCache theirs;
  ASSERT_NE(Allocate(1, &theirs), nullptr);
  ASSERT_NE(Allocate(1, &mine), nullptr);
  const uint64_t cached = theirs.pages.count() + mine.pages.count();
  ASSERT_GT(cached, 64u);
  // What is free now is all there is.
  ledger_.set_limit(ledger_.committed());
  const uint64_t pages = heap_->stats().free_page_bytes / kPageBytes;
  uint64_t allocated = 0;
  while (Allocate(1, &mine) != nullptr) allocated++;
  EXPECT_EQ(allocated, pages);
  EXPECT_EQ(theirs.pages.count(), 0u);
  ASSERT_NO_FATAL_FAILURE(Check());
  heap_->ReturnCache(&mine);
  heap_->ReturnCache(&theirs);
  Check();
}

TEST_F(PageHeapCachesTest, NoChargeNoCache) {
  MakeLarge();
  AddFreePages(256);
  heap_->ReleaseFreePages(SIZE_MAX);
  // Room for a few pages, not for a block; and for the records.
  HeapCache cache;
  heap_->FreeSpan(Allocate(1, &cache));
  heap_->ReturnCache(&cache);
  heap_->ReleaseFreePages(SIZE_MAX);
  ledger_.set_limit(ledger_.committed() + 5 * kPageBytes);
  for (int i = 0; i < 5; i++) EXPECT_NE(Allocate(1, &cache), nullptr) << i;
  EXPECT_EQ(cache.pages.count(), 0u);
  EXPECT_EQ(Allocate(1, &cache), nullptr);
  heap_->ReturnCache(&cache);
  Check();
}

TEST_F(PageHeapCachesTest, CachesTogetherHoldAThirtySecondPart) {
  MakeLarge();
  AddFreePages(64 * 64);
  constexpr size_t kCaches = 40;
  std::vector<HeapCache> caches(kCaches);
  size_t filled = 0;
  for (HeapCache& cache : caches) {
    ASSERT_NE(Allocate(1, &cache), nullptr);
    if (cache.pages.count() > 0) filled++;
  }
  EXPECT_GT(filled, 0u);
  EXPECT_LE(filled * 64 * 32 * kPageBytes,
            heap_->stats().span_bytes + filled * 64 * kPageBytes);
  ASSERT_NO_FATAL_FAILURE(Check());
  for (HeapCache& cache : caches) heap_->ReturnCache(&cache);
  Check();
}

TEST_F(PageHeapCachesTest, AFixedHeapHasNone) {
  MakeLarge();
  AddFreePages(256);
  HeapCache cache;
  ASSERT_NE(Allocate(1, &cache), nullptr);
  EXPECT_GT(cache.pages.count(), 0u);
  heap_->set_max_heap_bytes(heap_->stats().span_bytes + 10 * kPageBytes);
  // Until the owner needs the lock it does not notice.
  while (Allocate(1, nullptr) != nullptr) {
  }
  EXPECT_EQ(cache.pages.count(), 0u);
  EXPECT_EQ(Allocate(1, &cache), nullptr);
  EXPECT_EQ(cache.pages.count(), 0u);
  heap_->ReturnCache(&cache);
  Check();
}

// need_zero is right whatever the order in which pages are handed out: two
// caches, and what goes past them.
TEST_F(PageHeapCachesTest, UnflaggedMemoryIsZero) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  Span* large = MakeLarge();
  std::vector<HeapCache> caches(2);
  std::vector<Span*> spans;
  size_t unflagged = 0;
  for (int i = 0; i < 4000; i++) {
    if (random.OneIn(2) || spans.empty()) {
      HeapCache* cache = random.OneIn(5) ? nullptr : &caches[random.Below(2)];
      Span* span = Allocate(random.OneIn(8) ? 20 : random.Between(1, 4), cache);
      ASSERT_NE(span, nullptr);
      if (!span->need_zero) {
        unflagged++;
        const auto* words = reinterpret_cast<const uint64_t*>(span->base);
        for (size_t w = 0; w < span->bytes() / 8; w += 64) {
          ASSERT_EQ(words[w], 0u);
        }
      }
      memset(reinterpret_cast<void*>(span->base), 0xab, span->bytes());
      spans.push_back(span);
    } else {
      const size_t at = random.Below(spans.size());
      heap_->FreeSpan(spans[at]);
      spans[at] = spans.back();
      spans.pop_back();
    }
    if (random.OneIn(200)) heap_->FlushCaches();
    if (random.OneIn(300)) heap_->ReleaseFreePages(64 * kPageBytes);
    if (random.OneIn(100)) {
      ASSERT_NO_FATAL_FAILURE(Check());
    }
  }
  EXPECT_GT(unflagged, 0u);
  for (Span* span : spans) heap_->FreeSpan(span);
  heap_->FreeSpan(large);
  for (HeapCache& cache : caches) heap_->ReturnCache(&cache);
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_EQ(heap_->stats().spans, 0u);
}

// Owners allocate and free while another thread takes pages out of all caches
// and adds up the statistics.
TEST_F(PageHeapCachesTest, OwnersAndOthersAtOnce) {
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  constexpr size_t kThreads = 4;
  MakeLarge(kThreads);
  std::atomic<size_t> running{kThreads};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      TestRandom random(seed, t);
      HeapCache cache;
      std::vector<Span*> spans;
      for (int i = 0; i < 4000; i++) {
        if (spans.size() < 100 && (random.OneIn(2) || spans.empty())) {
          Span* span = Allocate(random.Between(1, 5), &cache);
          // Nobody else has a page of it.
          memset(reinterpret_cast<void*>(span->base), static_cast<int>(t + 1),
                 span->bytes());
          spans.push_back(span);
          continue;
        }
        const size_t at = random.Below(spans.size());
        const auto* bytes = reinterpret_cast<const char*>(spans[at]->base);
        for (size_t b = 0; b < spans[at]->bytes(); b += 512) {
          ASSERT_EQ(bytes[b], static_cast<char>(t + 1));
        }
        heap_->FreeSpan(spans[at]);
        spans[at] = spans.back();
        spans.pop_back();
      }
      for (Span* span : spans) heap_->FreeSpan(span);
      heap_->ReturnCache(&cache);
      running--;
    });
  }
  while (running.load() > 0) {
    const PageHeapStats stats = heap_->stats();
    EXPECT_EQ(stats.memory.committed - stats.memory.metadata,
              stats.span_bytes + stats.free_page_bytes);
    char problem[256] = "";
    EXPECT_TRUE(heap_->CheckPages(problem, sizeof(problem))) << problem;
    heap_->FlushCaches();
    heap_->ReleaseFreePages(32 * kPageBytes);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_EQ(heap_->stats().spans, 1u);
}

}  // namespace
}  // namespace loam
