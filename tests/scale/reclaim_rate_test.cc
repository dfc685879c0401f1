// How fast the page reclaimer is on a gibibyte: where everything is dead, so
// that it frees, and where nearly everything lives, so that it looks.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

using std::chrono::steady_clock;

constexpr size_t kAll = SIZE_MAX;
constexpr size_t kPages = (size_t{1} << 30) / kPageBytes;

// What the spans of a heap hold.
struct Contents {
  const char* name;
  size_t cell_bytes;  // 0: spans of one object
  size_t pages;       // of those
};

// Spans for `pages` pages, full, on their central list.
std::vector<Span*> Fill(HeapFixture* heap, const Contents& contents,
                        CentralSpanList* central) {
  std::vector<Span*> spans;
  for (size_t pages = 0; pages < kPages;) {
    Span* span;
    if (contents.cell_bytes == 0) {
      span = heap->source()->AcquireLarge(
          HeapFixture::LargeShape(contents.pages, central), MayGrow::kYes);
    } else {
      span = heap->Acquire(HeapFixture::Shape(contents.cell_bytes, central));
      if (span != nullptr) {
        span->set_free_index(span->cell_count);
        heap->source()->Release(span);
      }
    }
    EXPECT_NE(span, nullptr);
    pages += span->page_count;
    spans.push_back(span);
  }
  return spans;
}

struct Reclaimed {
  double ms;
  size_t spans;
  size_t pages;
};

// All that there is to reclaim when one in `period` spans is dead (0: none).
Reclaimed MeasureReclaim(const Contents& contents, size_t period) {
  HeapFixture heap;
  CentralSpanList central;
  const std::vector<Span*> spans = Fill(&heap, contents, &central);
  heap.Cycle([&] {
    uint64_t bytes = 0;
    for (size_t i = 0; i < spans.size(); i++) {
      if (period != 0 && i % period == 0) continue;
      // In the middle, which is not the first that is looked at.
      HeapFixture::Mark(spans[i], spans[i]->cell_count / 2);
      bytes += spans[i]->cell_bytes;
    }
    return bytes;
  });
  const size_t before = heap.pages()->stats().spans;
  const uint64_t bytes_before = heap.pages()->stats().span_bytes;
  const auto start = steady_clock::now();
  heap.sweeper()->Reclaim(kAll, kAll);
  Reclaimed reclaimed;
  reclaimed.ms =
      std::chrono::duration<double, std::milli>(steady_clock::now() - start)
          .count();
  const PageHeapStats after = heap.pages()->stats();
  reclaimed.spans = before - after.spans;
  reclaimed.pages = (bytes_before - after.span_bytes) / kPageBytes;
  EXPECT_EQ(reclaimed.spans,
            period == 0 ? 0 : (spans.size() + period - 1) / period);
  EXPECT_EQ(heap.sweeper()->swept_pages(), reclaimed.pages)
      << "what lives is not swept";
  printf(
      "%-24s %6zu spans, dead: %6zu: %7.2f ms, %6.0f pages looked at and %6.0f "
      "reclaimed per ms\n",
      contents.name, spans.size(), reclaimed.spans, reclaimed.ms,
      static_cast<double>(kPages) / reclaimed.ms,
      static_cast<double>(reclaimed.pages) / reclaimed.ms);
  return reclaimed;
}

class ReclaimRateTest : public testing::TestWithParam<Contents> {};

TEST_P(ReclaimRateTest, AllIsDead) {
  const Reclaimed reclaimed = MeasureReclaim(GetParam(), 1);
  EXPECT_GE(reclaimed.pages, kPages);
}

TEST_P(ReclaimRateTest, OneSpanInAHundredIsDead) {
  MeasureReclaim(GetParam(), 100);
}

TEST_P(ReclaimRateTest, NothingIsDead) { MeasureReclaim(GetParam(), 0); }

INSTANTIATE_TEST_SUITE_P(Contents, ReclaimRateTest,
                         testing::Values(Contents{"cells of 64 bytes", 64, 0},
                                         Contents{"cells of 1 KiB", 1024, 0},
                                         Contents{"objects of 40 KiB", 0, 5},
                                         Contents{"objects of 4 MiB", 0, 512}),
                         [](const testing::TestParamInfo<Contents>& info) {
                           return info.param.cell_bytes != 0
                                      ? "Cells" + std::to_string(
                                                      info.param.cell_bytes)
                                      : "Pages" +
                                            std::to_string(info.param.pages);
                         });

}  // namespace
}  // namespace loam
