// Memory goes back to the OS in the background, and when it is asked for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/count_threads.h"

namespace loam_test {
namespace {

using std::chrono::steady_clock;
using testing::ContainsRegex;

constexpr size_t kMiB = size_t{1} << 20;

loam_options BackgroundOptions() {
  loam_options options = TestOptions();
  options.no_background = 0;
  return options;
}

// Keeps so many objects of 64 KiB, which are written.
void Keep(TestHeap* heap, size_t objects) {
  while (heap->kept.size() < objects) {
    void* const object = loam_alloc_bytes(heap->m(), 64 << 10);
    ASSERT_NE(object, nullptr);
    memset(object, 1, 64 << 10);
    heap->kept.push_back(object);
  }
}

uint64_t HeapBytes(const TestHeap& heap) {
  const loam_stats stats = heap.Stats();
  return stats.span_bytes + stats.free_page_bytes;
}

// Waits until it holds; false if it does not within half a minute.
template <typename Condition>
bool Becomes(Condition&& condition) {
  const auto start = steady_clock::now();
  while (!condition()) {
    if (steady_clock::now() - start > std::chrono::seconds(30)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

TEST(ScavengerTest, AnIdleHeapKeepsLittleMoreThanIsLive) {
  const size_t threads = CountThreads();
  std::mutex mutex;
  std::vector<std::string> lines;
  struct Log {
    std::mutex* mutex;
    std::vector<std::string>* lines;
  } log = {&mutex, &lines};
  loam_options options = BackgroundOptions();
  options.trace = LOAM_TRACE_SCAVENGE;
  options.callbacks.data = &log;
  options.callbacks.log = [](loam_heap*, const char* line, void* data) {
    const std::lock_guard<std::mutex> lock(*static_cast<Log*>(data)->mutex);
    static_cast<Log*>(data)->lines->emplace_back(line);
  };
  {
    TestHeap heap(options);
    Keep(&heap, 3200);  // 200 MiB
    heap.kept.resize(320);
    // Before: afterwards some may have gone back already.
    ASSERT_GT(HeapBytes(heap), 180 * kMiB);
    const auto start = steady_clock::now();
    heap.Collect();
    EXPECT_EQ(CountThreads(), threads + 1);
    // At first what the next collection will find stays, 40 MiB and a tenth;
    // then what is live.
    EXPECT_TRUE(Becomes([&] { return HeapBytes(heap) <= 47 * kMiB; }));
    EXPECT_GE(HeapBytes(heap), 40 * kMiB);
    EXPECT_TRUE(Becomes([&] { return HeapBytes(heap) <= 24 * kMiB; }));
    const std::chrono::duration<double, std::nano> taken =
        steady_clock::now() - start;
    const loam_stats stats = heap.Stats();
    EXPECT_GE(stats.span_bytes, 20 * kMiB) << "all that is live is there";
    EXPECT_GE(stats.scavenged_bytes, 155 * kMiB);
    EXPECT_GT(stats.scavenger_ns, 0u);
    std::printf("%.0f MiB in %.1f s, %.1f ms of them at work\n",
                static_cast<double>(stats.scavenged_bytes) / kMiB,
                taken.count() / 1e9,
                static_cast<double>(stats.scavenger_ns) / 1e6);
    EXPECT_TRUE(Becomes([&] {
      const std::lock_guard<std::mutex> lock(mutex);
      return !lines.empty();
    }));
    const std::lock_guard<std::mutex> lock(mutex);
    EXPECT_THAT(lines.back(), ContainsRegex("^scavenged [0-9.]+ MiB in [0-9.]+ "
                                            "ms of work; 2[0-9.]+ MiB "
                                            "retained$"));
  }
  // A thread that has been joined is in the list a moment longer.
  EXPECT_TRUE(Becomes([&] { return CountThreads() == threads; }));
}

TEST(ScavengerTest, RetainsAsMuchAsIsAskedFor) {
  loam_options options = BackgroundOptions();
  options.retain_percent = 300;
  TestHeap heap(options);
  Keep(&heap, 1600);  // 100 MiB
  heap.kept.resize(160);
  heap.Collect();
  EXPECT_TRUE(Becomes([&] { return HeapBytes(heap) <= 42 * kMiB; }));
  EXPECT_GE(HeapBytes(heap), 38 * kMiB) << "four times what is live";
}

TEST(ScavengerTest, SmallHeapsHaveNoThread) {
  const size_t threads = CountThreads();
  TestHeap heap(BackgroundOptions());
  for (int i = 0; i < 5; i++) {
    Keep(&heap, 60);
    heap.kept.clear();
    heap.Collect();
  }
  EXPECT_EQ(CountThreads(), threads);
}

TEST(ScavengerTest, WithoutBackgroundMemoryGoesBackOnRequest) {
  const size_t threads = CountThreads();
  TestHeap heap;
  Keep(&heap, 1600);
  heap.kept.resize(160);
  heap.Collect();
  EXPECT_EQ(CountThreads(), threads);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_GT(HeapBytes(heap), 90 * kMiB);
  EXPECT_EQ(heap.Stats().scavenged_bytes, 0u);
  EXPECT_GT(loam_heap_release_memory(heap.heap()), 80 * kMiB);
  EXPECT_LE(HeapBytes(heap), 11 * kMiB);
}

// The child has no scavenger, and finds no page under way.
TEST(ScavengerTest, AForkedChildFindsAWholeHeap) {
  loam_options options = BackgroundOptions();
  options.retain_percent = 0;
  TestHeap heap(options);
  for (int i = 0; i < 20; i++) {
    Keep(&heap, 1600);
    heap.kept.resize(16);
    const uint64_t before = heap.Stats().scavenged_bytes;
    heap.Collect();
    // In the middle of its work.
    ASSERT_TRUE(Becomes([&] { return heap.Stats().scavenged_bytes > before; }));
    ASSERT_EQ(loam_fork_prepare(heap.m()), LOAM_OK);
    const pid_t child = fork();
    if (child == 0) {
      loam_fork_child(heap.m());
      const auto* const first = static_cast<const unsigned char*>(heap.kept[0]);
      if (first[0] != 1) _exit(1);
      if (loam_heap_check(heap.m(), LOAM_CHECK_FULL, nullptr, nullptr) !=
          LOAM_OK) {
        _exit(2);
      }
      if (loam_alloc_bytes(heap.m(), 1 << 20) == nullptr) _exit(3);
      if (loam_mutator_detach(heap.m()) != LOAM_OK) _exit(4);
      _exit(loam_heap_destroy(heap.heap()) == LOAM_OK ? 0 : 5);
    }
    loam_fork_parent(heap.m());
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }
}

// Pages are taken and given back while threads want them.
TEST(ScavengerTest, ThreadsGoOnAllocating) {
  loam_options options = BackgroundOptions();
  options.retain_percent = 0;
  TestHeap heap(options);
  std::atomic<bool> ending{false};
  std::atomic<uint64_t> rounds{0};
  const auto work = [&](unsigned seed) {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap.heap(), "worker", &m), LOAM_OK);
    LOAM_FRAME(m, f, 16, LOAM_POINTER);
    while (!ending.load()) {
      // Grows to 16 MiB, falls to nothing; what it finds is what it wrote.
      for (size_t i = 0; i < 16; i++) {
        const size_t bytes = (size_t{200} << 10) * (1 + (seed + i) % 9);
        auto* const object =
            static_cast<unsigned char*>(loam_alloc_bytes(m, bytes));
        ASSERT_NE(object, nullptr);
        ASSERT_EQ(object[0], 0);
        ASSERT_EQ(object[bytes - 1], 0);
        memset(object, static_cast<int>(seed + i), bytes);
        f.slots[i] = reinterpret_cast<loam_word>(object);
        loam_safepoint(m);
      }
      for (size_t i = 0; i < 16; i++) {
        const auto* const object =
            reinterpret_cast<const unsigned char*>(f.slots[i]);
        ASSERT_EQ(object[100], static_cast<unsigned char>(seed + i));
        f.slots[i] = 0;
      }
      if (seed == 0) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
      rounds++;
      // Time for the scavenger, as a program that waits would leave it.
      loam_enter_native(m);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ASSERT_EQ(loam_leave_native(m), LOAM_OK);
    }
    LOAM_FRAME_END(f);
    EXPECT_EQ(loam_mutator_detach(m), LOAM_OK);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; i++) threads.emplace_back(work, i);
  loam_enter_native(heap.m());
  const auto start = steady_clock::now();
  while (steady_clock::now() - start < std::chrono::seconds(3) ||
         heap.Stats().scavenged_bytes == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (steady_clock::now() - start > std::chrono::seconds(60)) break;
  }
  ending = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_GT(rounds.load(), 4u);
  EXPECT_GT(heap.Stats().scavenged_bytes, 0u);
  EXPECT_EQ(
      loam_heap_check(
          heap.m(), LOAM_CHECK_FULL,
          [](const char* line, void*) { ADD_FAILURE() << line; }, nullptr),
      LOAM_OK);
}

}  // namespace
}  // namespace loam_test
