// What heaps do beside their mutators, on threads that they share or that are
// the embedder's.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/count_threads.h"
#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr size_t kNodes = kSanitized ? 200'000 : 300'000;

// Waits until it holds; false if it does not within half a minute.
template <typename Condition>
bool Becomes(Condition&& condition) {
  const Deadline deadline(30);
  while (!condition()) {
    if (!deadline.Running()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

loam_options PlatformOptions(const loam_platform* platform, uint32_t workers) {
  loam_options options = TestOptions();
  options.no_background = 0;
  options.platform = platform;
  options.workers = workers;
  return options;
}

// Threads that start when the heap wants them, and tasks that wait until the
// test lets them go.
class HeldPlatform {
 public:
  HeldPlatform() {
    loam_platform_init(&platform_);
    platform_.post = Post;
    platform_.data = this;
  }
  ~HeldPlatform() { RunAll(); }

  const loam_platform* get() const { return &platform_; }
  void set_refuses(bool refuses) { refuses_ = refuses; }
  size_t posted() const { return posted_; }

  // Runs what has been posted so far on this thread, whatever its delay.
  size_t RunAll() {
    std::deque<Item> items;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      items.swap(items_);
    }
    for (const Item& item : items) item.task(item.argument);
    return items.size();
  }

 private:
  struct Item {
    loam_task_fn task;
    void* argument;
  };
  static int Post(loam_task_fn task, void* argument, uint64_t, void* data) {
    auto* self = static_cast<HeldPlatform*>(data);
    if (self->refuses_) return 0;
    self->posted_++;
    const std::lock_guard<std::mutex> lock(self->mutex_);
    self->items_.push_back({task, argument});
    return 1;
  }

  loam_platform platform_;
  std::atomic<bool> refuses_ = false;
  std::atomic<size_t> posted_ = 0;
  std::mutex mutex_;
  std::deque<Item> items_;
};

// Allocates 30 MB, of which nothing stays alive.
void LeaveUnswept(TestHeap* heap) {
  for (int i = 0; i < 3000; i++) {
    ASSERT_NE(loam_alloc_bytes(heap->m(), 10'000), nullptr);
  }
}

TEST(PlatformTest, HeapsShareThreads) {
  const size_t threads = CountThreads();
  loam_thread_pool* pool = nullptr;
  ASSERT_EQ(loam_thread_pool_create(2, &pool), LOAM_OK);
  loam_platform platform;
  loam_thread_pool_platform(pool, &platform);
  {
    std::vector<std::unique_ptr<TestHeap>> heaps;
    for (int i = 0; i < 5; i++) {
      heaps.push_back(
          std::make_unique<TestHeap>(PlatformOptions(&platform, 3)));
    }
    for (const auto& heap : heaps) {
      const loam_type* type = RegisterNode(heap->types());
      heap->kept.push_back(MakeList(heap->m(), type, kNodes, 1));
      for (int i = 0; i < 4; i++) {
        LeaveUnswept(heap.get());
        heap->Collect();
        EXPECT_EQ(heap->Stats().live_objects, kNodes);
      }
      EXPECT_TRUE(IsList(static_cast<Node*>(heap->kept[0]), kNodes, 1));
    }
    EXPECT_EQ(CountThreads(), threads + 2);
    EXPECT_EQ(loam_thread_pool_destroy(pool), LOAM_WRONG_STATE);
    // What has died goes back to the OS.
    for (const auto& heap : heaps) {
      heap->kept.clear();
      heap->Collect();
      EXPECT_TRUE(Becomes([&] { return heap->Stats().scavenged_bytes > 0; }));
    }
  }
  EXPECT_EQ(loam_thread_pool_destroy(pool), LOAM_OK);
  EXPECT_TRUE(Becomes([&] { return CountThreads() == threads; }));
}

TEST(PlatformTest, PoolsAreChecked) {
  loam_thread_pool* pool = nullptr;
  EXPECT_EQ(loam_thread_pool_create(0, &pool), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_thread_pool_create(65, &pool), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_thread_pool_create(1, nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_thread_pool_destroy(nullptr), LOAM_INVALID_ARGUMENT);
}

// Tasks that have not begun do not hold up a collection.
TEST(PlatformTest, MarkingWaitsForNobody) {
  const size_t threads = CountThreads();
  HeldPlatform platform;
  std::atomic<bool> ends = false;
  std::thread runner;
  {
    TestHeap heap(PlatformOptions(platform.get(), 4));
    const loam_type* type = RegisterNode(heap.types());
    heap.kept.push_back(MakeList(heap.m(), type, kNodes, 1));
    heap.Collect();
    EXPECT_GE(platform.posted(), 4u);
    EXPECT_EQ(heap.Stats().live_objects, kNodes);
    // Helpers that come late find nothing to do.
    platform.RunAll();
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, kNodes);
    EXPECT_EQ(CountThreads(), threads);
    // The heap ends when they have come.
    runner = std::thread([&] {
      while (!ends) platform.RunAll();
    });
  }
  ends = true;
  runner.join();
}

TEST(PlatformTest, WithoutTasksMutatorsDoEverything) {
  HeldPlatform platform;
  platform.set_refuses(true);
  TestHeap heap(PlatformOptions(platform.get(), 4));
  const loam_type* type = RegisterNode(heap.types());
  heap.kept.push_back(MakeList(heap.m(), type, kNodes, 1));
  for (int i = 0; i < 3; i++) LeaveUnswept(&heap);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, kNodes);
  EXPECT_EQ(platform.posted(), 0u);
  // Later it is asked again.
  platform.set_refuses(false);
  LeaveUnswept(&heap);
  heap.kept.clear();
  heap.Collect();
  EXPECT_GT(platform.posted(), 0u);
  while (platform.RunAll() > 0) {
  }
}

TEST(PlatformTest, TasksMayComeAfterTheEndOfTheHeap) {
  HeldPlatform platform;
  size_t posted;
  {
    loam_options options = PlatformOptions(platform.get(), 0);
    options.minimum_heap_bytes = 16 << 20;
    TestHeap heap(options);
    LeaveUnswept(&heap);
    posted = platform.posted();
    EXPECT_GT(posted, 0u);
  }
  EXPECT_EQ(platform.RunAll(), posted);
  EXPECT_EQ(platform.posted(), posted) << "they ask for nothing more";
}

// A heap that stops in the middle of sweeping is swept all the same.
TEST(PlatformTest, TheBackgroundSweepsAnIdleHeap) {
  HeldPlatform platform;
  loam_options options = PlatformOptions(platform.get(), 0);
  options.gc_percent = 1000;
  options.minimum_heap_bytes = 32 << 20;
  TestHeap heap(options);
  const uint64_t before = heap.Stats().cycles;
  while (heap.Stats().cycles == before) {
    ASSERT_NE(loam_alloc_bytes(heap.m(), 200), nullptr);
  }
  const uint64_t span_bytes = heap.Stats().span_bytes;
  ASSERT_GT(span_bytes, 20u << 20);
  while (platform.RunAll() > 0 && heap.Stats().span_bytes > (1 << 20)) {
  }
  EXPECT_LE(heap.Stats().span_bytes, 1u << 20);
  heap.ExpectSound();
}

TEST(PlatformTest, AForkedChildDoesWithout) {
  loam_thread_pool* pool = nullptr;
  ASSERT_EQ(loam_thread_pool_create(2, &pool), LOAM_OK);
  loam_platform platform;
  loam_thread_pool_platform(pool, &platform);
  {
    TestHeap heap(PlatformOptions(&platform, 2));
    const loam_type* type = RegisterNode(heap.types());
    heap.kept.push_back(MakeList(heap.m(), type, kNodes, 1));
    for (int i = 0; i < 10; i++) {
      LeaveUnswept(&heap);
      ASSERT_EQ(loam_fork_prepare(heap.m()), LOAM_OK);
      const pid_t child = fork();
      if (child == 0) {
        loam_fork_child(heap.m());
        LeaveUnswept(&heap);
        (void)loam_collect(heap.m(), LOAM_COLLECT_FULL);
        _exit(heap.Stats().live_objects == kNodes ? 0 : 1);
      }
      loam_fork_parent(heap.m());
      int status = -1;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
  }
  EXPECT_EQ(loam_thread_pool_destroy(pool), LOAM_OK);
}

}  // namespace
}  // namespace loam_test
