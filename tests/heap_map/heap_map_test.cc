// The data of loam_heap_map_write, against what else is known of the heap; and
// its errors.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <string>
#include <thread>

#include "tests/heap_map/known_heap.h"
#include "tests/heap_map/map_reader.h"

namespace loam_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kPageBytes = 8192;

// A folder of the test's own, to see what is left behind.
class HeapMapTest : public testing::Test {
 protected:
  HeapMapTest() : folder_(testing::TempDir() + "/heap_map_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  ~HeapMapTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name = "map.html") const {
    return folder_ + "/" + name;
  }
  size_t FilesInFolder() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  MapReader Write(const TestHeap& heap) const {
    EXPECT_EQ(loam_heap_map_write(heap.m(), Path().c_str()), LOAM_OK)
        << loam_last_error();
    return MapReader(Path());
  }

 private:
  const std::string folder_;
};

// What the page says of itself adds up, and agrees with the statistics, which
// were read just before or after.
void ExpectConsistent(const MapReader& map, const loam_stats& stats) {
  EXPECT_EQ(map.Number("committed"), stats.committed_bytes);
  EXPECT_EQ(map.Number("inSpans"), stats.span_bytes);
  EXPECT_EQ(map.Number("free"), stats.free_page_bytes);
  EXPECT_EQ(map.Number("released"), stats.released_bytes);
  EXPECT_EQ(map.Number("reserved"), stats.reserved_bytes);
  EXPECT_EQ(map.Number("metadata"), stats.metadata_bytes);
  EXPECT_EQ(map.Number("spans"), stats.spans);
  EXPECT_EQ(map.Number("cycles"), stats.cycles);
  EXPECT_EQ(map.Number("live"), stats.live_bytes);

  const auto pages = [&](int code) {
    const auto found = map.pages.find(code);
    return found == map.pages.end() ? 0 : found->second;
  };
  EXPECT_EQ(map.arenas.size() * 8192 * kPageBytes, stats.reserved_bytes);
  EXPECT_EQ(pages(kLarge) * kPageBytes, stats.span_bytes);
  EXPECT_EQ(pages(kFree) * kPageBytes, stats.free_page_bytes);
  EXPECT_EQ(pages(kReleased) * kPageBytes, stats.released_bytes);
  EXPECT_EQ(pages(kUnavailable), 0u);
  uint64_t all = 0;
  for (const auto& [code, count] : map.pages) all += count;
  EXPECT_EQ(all, map.arenas.size() * 8192);

  uint64_t spans = 0;
  uint64_t span_pages = 0;
  uint64_t in_use = 0;
  for (const auto& [id, c] : map.classes) {
    spans += c.spans;
    span_pages += c.pages;
    in_use += c.in_use;
    EXPECT_LE(c.in_use, c.cells) << id;
  }
  EXPECT_EQ(spans, stats.spans);
  EXPECT_EQ(span_pages * kPageBytes, stats.span_bytes);
  uint64_t listed = 0;
  for (const auto& [state, count] : map.spans_by_state) listed += count;
  EXPECT_EQ(listed, stats.spans);
  uint64_t objects = 0;
  for (const auto& [id, type] : map.types) objects += type.objects;
  EXPECT_EQ(objects, in_use);
}

using ObjectsByType = std::map<const loam_type*, uint64_t>;

ObjectsByType WalkByType(const TestHeap& heap) {
  ObjectsByType result;
  const auto visit = [](void*, size_t, const loam_type* type, void* data) {
    ++(*static_cast<ObjectsByType*>(data))[type];
    return 1;
  };
  EXPECT_EQ(loam_heap_walk(heap.m(), visit, &result), LOAM_OK);
  return result;
}

TEST_F(HeapMapTest, AgreesWithStatisticsAndWalk) {
  const KnownHeap heap;
  const MapReader map = Write(heap);
  ExpectConsistent(map, heap.Stats());
  EXPECT_GE(map.arenas.size(), 2u);
  EXPECT_GT(map.pages.at(kFree), 0u);
  EXPECT_GE(map.pages.at(kReleased) * kPageBytes, uint64_t{5} << 20);

  // All is swept after a full collection, so a walk sees the same objects.
  EXPECT_EQ(map.spans_by_state.count(1), 0u);
  const ObjectsByType walked = WalkByType(heap);
  EXPECT_EQ(map.TypeNamed("node").objects, KnownHeap::kNodes);
  EXPECT_EQ(map.TypeNamed("node").bytes, KnownHeap::kNodes * 32);
  EXPECT_EQ(map.TypeNamed("node").objects, walked.at(heap.node));
  EXPECT_EQ(map.TypeNamed("rare").objects, KnownHeap::kRare);
  EXPECT_EQ(map.TypeNamed("rare").bytes, KnownHeap::kRare * 48);
  EXPECT_EQ(map.TypeNamed("leaf").objects, KnownHeap::kLeaves);
  EXPECT_EQ(map.TypeNamed("slots").objects, KnownHeap::kSlotCells);
  EXPECT_EQ(map.TypeNamed("objects with a bitmap").objects,
            KnownHeap::kBitmapCells);
  EXPECT_EQ(map.TypeNamed("bytes").objects, KnownHeap::kByteCells + 2);
  EXPECT_FALSE(map.TypeNamed("bytes").is_named);
  EXPECT_TRUE(map.TypeNamed("node").is_named);
  uint64_t untyped = 0;
  for (const auto& [id, type] : map.types) {
    if (!type.is_named) untyped += type.objects;
  }
  EXPECT_EQ(untyped, walked.at(nullptr));
}

TEST_F(HeapMapTest, SpanClassesHaveTheirCells) {
  const KnownHeap heap;
  const MapReader map = Write(heap);
  // Kinds by number, as in "kinds".
  ASSERT_THAT(map.data, HasSubstr("\"kinds\":[\"noscan\",\"slots\",\"headed\","
                                  "\"headed noscan\",\"bitmap\",\"disposed\","
                                  "\"typed\",\"large\"]"));
  std::map<uint64_t, uint64_t> in_use;
  for (const auto& [id, c] : map.classes) in_use[c.kind] += c.in_use;
  EXPECT_EQ(in_use[0], KnownHeap::kByteCells);
  EXPECT_EQ(in_use[1], KnownHeap::kSlotCells);
  EXPECT_EQ(in_use[2], KnownHeap::kRare);
  EXPECT_EQ(in_use[3], KnownHeap::kLeaves);
  EXPECT_EQ(in_use[4], KnownHeap::kBitmapCells);
  EXPECT_EQ(in_use[5], KnownHeap::kResources);
  EXPECT_EQ(in_use[6], KnownHeap::kNodes + KnownHeap::kHostile);
  EXPECT_EQ(in_use[7], 2u);
  for (const auto& [id, c] : map.classes) {
    if (c.kind == 0) {
      EXPECT_EQ(c.cell_bytes, 64u);
      EXPECT_EQ(c.spans, 2u);
      EXPECT_EQ(c.cells, 2 * kPageBytes / 64);
    }
    if (c.kind == 7) {
      EXPECT_EQ(c.pages, KnownHeap::kSmallLargeBytes / kPageBytes + 1 +
                             KnownHeap::kHugeBytes / kPageBytes);
    }
  }
}

TEST_F(HeapMapTest, DoesNotSweep) {
  const KnownHeap heap;
  heap.CollectByTrigger();
  const uint64_t swept = heap.Stats().swept_bytes;
  const MapReader map = Write(heap);
  EXPECT_EQ(heap.Stats().swept_bytes, swept);
  ExpectConsistent(map, heap.Stats());
  EXPECT_GT(map.spans_by_state.at(1), 5u) << "not swept";
  EXPECT_GE(map.spans_by_state.at(2), 1u) << "cached";
  // Of spans that are not swept the marks count: these all live.
  EXPECT_EQ(map.TypeNamed("node").objects, KnownHeap::kNodes);
  EXPECT_EQ(map.TypeNamed("rare").objects, KnownHeap::kRare);
}

TEST_F(HeapMapTest, UnsweptSpansShowWhatIsMarked) {
  KnownHeap heap;
  std::vector<void*> kept;
  for (size_t i = 0; i < heap.kept.size(); i++) {
    if (i % 2 == 0 || i >= KnownHeap::kNodes) kept.push_back(heap.kept[i]);
  }
  heap.kept = kept;
  EXPECT_EQ(Write(heap).TypeNamed("node").objects, KnownHeap::kNodes);
  heap.CollectByTrigger();
  EXPECT_EQ(Write(heap).TypeNamed("node").objects, KnownHeap::kNodes / 2);
}

// The cursor of a span in use says how far it is filled, to the cell.
TEST_F(HeapMapTest, CachedSpansAreExact) {
  TestHeap heap;
  const loam_type* node = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  for (uint64_t i = 1; i <= 100; i++) {
    ASSERT_NE(NewNode(heap.m(), node, i), nullptr);
    EXPECT_EQ(Write(heap).TypeNamed("node").objects, i);
  }
  EXPECT_EQ(Write(heap).spans_by_state.at(2), 1u);
}

TEST_F(HeapMapTest, AHeapWithoutObjects) {
  const TestHeap heap;
  const MapReader map = Write(heap);
  ExpectConsistent(map, heap.Stats());
  EXPECT_TRUE(map.types.empty());
  EXPECT_TRUE(map.classes.empty());
}

TEST_F(HeapMapTest, NamesAreEscaped) {
  loam_options options = TestOptions();
  options.name = "</script>\"&<!--";
  const KnownHeap heap(options);
  const MapReader map = Write(heap);
  EXPECT_THAT(map.data,
              Not(AnyOf(HasSubstr("<"), HasSubstr("&"),
                        HasSubstr("\xe2\x80\xa8"), HasSubstr("\xff"))));
  EXPECT_THAT(map.data, HasSubstr("\\u003c/script\\u003e\\u0022\\u0026"));
  const MapType& hostile = map.TypeNamed(
      "\\u003c/script\\u003e\\u003cb\\u003e\\u0022\\u005c\\u0027\\u0026amp;"
      "\\u2028\\u2029\\u000a\\u003c!-- \xc3\xa9 \\ufffd\\ufffd");
  EXPECT_EQ(hostile.objects, KnownHeap::kHostile);
  // One data script, one other: nothing has begun or ended in between.
  size_t scripts = 0;
  for (size_t at = map.page.find("<script"); at != std::string::npos;
       at = map.page.find("<script", at + 1)) {
    scripts++;
  }
  EXPECT_EQ(scripts, 2u);
}

TEST_F(HeapMapTest, NeedsNoNetwork) {
  const TestHeap heap;
  const MapReader map = Write(heap);
  EXPECT_THAT(map.page, Not(AnyOf(HasSubstr("http://"), HasSubstr("https://"),
                                  HasSubstr("src="), HasSubstr("@import"))));
}

// Nothing is bought from the heap, whose limit is reached.
TEST_F(HeapMapTest, AFullHeapHasAMap) {
  loam_options options = TestOptions();
  options.heap_limit = 4 << 20;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  while (void* object = loam_alloc(heap.m(), node)) heap.kept.push_back(object);
  const loam_stats before = heap.Stats();
  ExpectConsistent(Write(heap), before);
  EXPECT_EQ(heap.Stats().committed_bytes, before.committed_bytes);
}

// What another thread has in its cache is flushed too, wherever the thread is.
TEST_F(HeapMapTest, OtherThreadsAreIncluded) {
  const KnownHeap heap;
  std::promise<void> is_native;
  std::promise<void> is_written;
  std::thread other([&] {
    loam_mutator* m = nullptr;
    EXPECT_EQ(loam_mutator_attach(heap.heap(), "other", &m), LOAM_OK);
    for (int i = 0; i < 10; i++) EXPECT_NE(loam_alloc(m, heap.node), nullptr);
    loam_enter_native(m);
    is_native.set_value();
    is_written.get_future().wait();
    EXPECT_EQ(loam_leave_native(m), LOAM_OK);
    EXPECT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  loam_enter_native(heap.m());
  is_native.get_future().wait();
  EXPECT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_EQ(Write(heap).TypeNamed("node").objects, KnownHeap::kNodes + 10);
  is_written.set_value();
  loam_enter_native(heap.m());
  other.join();
  EXPECT_EQ(loam_leave_native(heap.m()), LOAM_OK);
}

// Maps of threads that go on allocating and releasing pages: each is consistent
// in itself.
TEST_F(HeapMapTest, OfAHeapThatIsBusy) {
  loam_options options = TestOptions();
  options.no_background = 0;
  options.minimum_heap_bytes = 1 << 20;
  const KnownHeap heap(options);
  std::atomic<bool> is_over{false};
  const auto work = [&](size_t bytes) {
    loam_mutator* m = nullptr;
    EXPECT_EQ(loam_mutator_attach(heap.heap(), "worker", &m), LOAM_OK);
    while (!is_over.load(std::memory_order_relaxed)) {
      EXPECT_NE(loam_alloc(m, heap.node), nullptr);
      EXPECT_NE(loam_alloc_bytes(m, bytes), nullptr);
    }
    EXPECT_EQ(loam_mutator_detach(m), LOAM_OK);
  };
  std::thread first([&] { work(100); });
  std::thread second([&] { work(50000); });
  std::thread third([&] {
    while (!is_over.load(std::memory_order_relaxed)) {
      loam_heap_release_memory(heap.heap());
    }
  });
  for (int i = 0; i < 30; i++) {
    const MapReader map = Write(heap);
    uint64_t pages = 0;
    for (const auto& [code, count] : map.pages) pages += count;
    EXPECT_EQ(pages, map.arenas.size() * 8192);
    EXPECT_EQ(map.pages.at(kLarge) * kPageBytes, map.Number("inSpans"));
    EXPECT_GE(map.TypeNamed("node").objects, KnownHeap::kNodes);
  }
  is_over.store(true, std::memory_order_relaxed);
  loam_enter_native(heap.m());  // A worker may wait to collect.
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.ExpectSound();
}

// ---- The file

TEST_F(HeapMapTest, ReplacesAnEarlierFile) {
  const TestHeap heap;
  std::ofstream(Path()) << "earlier";
  EXPECT_THAT(Write(heap).page, HasSubstr("<!DOCTYPE html>"));
  EXPECT_EQ(FilesInFolder(), 1u);
}

TEST_F(HeapMapTest, FilesThatCannotBeOpenedAreNamed) {
  const TestHeap heap;
  const auto expect_error = [&](const std::string& path, const char* reason) {
    EXPECT_EQ(loam_heap_map_write(heap.m(), path.c_str()), LOAM_IO_ERROR)
        << path;
    EXPECT_THAT(std::string(loam_last_error()),
                AllOf(HasSubstr("loam_heap_map_write: cannot"),
                      HasSubstr(path.substr(0, 100)), HasSubstr(reason)));
    EXPECT_STREQ(loam_heap_last_error(heap.heap()), loam_last_error());
  };
  expect_error(Path("missing/map.html"), "No such file or directory");
  expect_error(Path(""), "no ordinary file");
  expect_error("", "No such file or directory");
  expect_error("/dev/null", "no ordinary file");
  expect_error(Path(std::string(300, 'x')), "File name too long");
  expect_error("/" + std::string(5000, 'y') + "/z", "File name too long");
  std::ofstream(Path("file")) << "content";
  expect_error(Path("file/map.html"), "Not a directory");
  EXPECT_EQ(FilesInFolder(), 1u);
}

// A file system that is full, as far as a test can have one.
TEST_F(HeapMapTest, AFileThatCannotBeWrittenLeavesNothingBehind) {
  const KnownHeap heap;
  std::ofstream(Path()) << "earlier";
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {10000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const loam_status status = loam_heap_map_write(heap.m(), Path().c_str());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status, LOAM_IO_ERROR);
  EXPECT_THAT(
      std::string(loam_last_error()),
      AllOf(HasSubstr("cannot write " + Path()), HasSubstr("File too large")));
  EXPECT_EQ(FilesInFolder(), 1u);
  EXPECT_EQ(ReadFile(Path()), "earlier");
  // The heap goes on.
  heap.ExpectSound();
  EXPECT_NE(loam_alloc(heap.m(), heap.node), nullptr);
}

// A failure of the file system is no misuse, and not fatal.
TEST_F(HeapMapTest, IoErrorsAreNoMisuse) {
  loam_options options = TestOptions();
  options.check.abort_on_misuse = 1;
  const TestHeap heap(options);
  EXPECT_EQ(loam_heap_map_write(heap.m(), Path("missing/map.html").c_str()),
            LOAM_IO_ERROR);
}

}  // namespace
}  // namespace loam_test
