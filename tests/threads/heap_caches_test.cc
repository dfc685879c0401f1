// Mutators whose spans come from caches of pages: in heaps large enough for
// them, with others that add up, release and fork meanwhile.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Caches are for heaps of 64 MiB and more.
loam_options LargeHeap() {
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 160 * kMiB;
  return options;
}

// An object that needs a span of its own, and says whose it is.
uint64_t* NewPage(loam_mutator* m, uint64_t owner) {
  auto* words = static_cast<uint64_t*>(loam_alloc_bytes(m, 8192));
  if (words == nullptr) return nullptr;
  for (size_t i = 0; i < 1024; i += 128) {
    EXPECT_EQ(words[i], 0u);
    words[i] = owner;
  }
  return words;
}
bool IsPage(const uint64_t* words, uint64_t owner) {
  for (size_t i = 0; i < 1024; i += 128) {
    if (words[i] != owner) return false;
  }
  return true;
}

void Allocate(loam_heap* heap, uint64_t owner, const std::atomic<bool>* done) {
  loam_mutator* m = nullptr;
  ASSERT_EQ(loam_mutator_attach(heap, "other", &m), LOAM_OK);
  std::vector<uint64_t*> live(256);
  loam_root* root = nullptr;
  ASSERT_EQ(loam_root_add_range(heap, live.data(), live.size(), LOAM_POINTER,
                                "live", &root),
            LOAM_OK);
  for (size_t i = 0; !done->load(); i++) {
    uint64_t*& place = live[i % live.size()];
    if (place != nullptr) {
      ASSERT_TRUE(IsPage(place, owner));
    }
    place = NewPage(m, owner);
    ASSERT_NE(place, nullptr);
    ASSERT_NE(loam_alloc_bytes(m, 24 << (i % 12)), nullptr);
  }
  for (uint64_t* page : live) {
    ASSERT_TRUE(page == nullptr || IsPage(page, owner));
  }
  ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
}

// Keeps 80 MiB, so that the heap has caches after collections too.
void Fill(TestHeap* heap) {
  for (int i = 0; i < 80; i++) {
    heap->kept.push_back(loam_alloc_bytes(heap->m(), kMiB));
  }
}

TEST(HeapCachesTest, StatisticsAddUpAtAnyMoment) {
  TestHeap heap(LargeHeap());
  Fill(&heap);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 3; t++) {
    threads.emplace_back(Allocate, heap.heap(), t, &done);
  }
  loam_enter_native(heap.m());
  const Deadline deadline(TestSeconds(kSanitized ? 4 : 1));
  for (size_t round = 0; deadline.Running(); round++) {
    const loam_stats stats = heap.Stats();
    ASSERT_EQ(stats.committed_bytes - stats.metadata_bytes,
              stats.span_bytes + stats.free_page_bytes);
    if (round % 16 == 0) loam_heap_release_memory(heap.heap());
    if (round % 7 == 0) {
      void* pages = nullptr;
      ASSERT_EQ(loam_pages_allocate(heap.heap(), 30000, 1 << 15, &pages),
                LOAM_OK);
      ASSERT_EQ(loam_pages_free(heap.heap(), pages), LOAM_OK);
    }
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.kept.clear();
  heap.Collect();
  heap.ExpectSound();
  const loam_stats stats = heap.Stats();
  EXPECT_EQ(stats.live_bytes, 0u);
  EXPECT_EQ(stats.span_bytes, 0u) << "no cache holds anything";
  EXPECT_EQ(stats.spans, 0u);
  loam_heap_release_memory(heap.heap());
  EXPECT_EQ(heap.Stats().free_page_bytes, 0u);
}

// Out of memory is not early because of what other mutators' caches hold.
TEST(HeapCachesTest, WhatCachesHoldIsThereForWhoNeedsIt) {
  loam_options options = LargeHeap();
  options.heap_limit = 100 * kMiB;
  TestHeap heap(options);
  Fill(&heap);
  std::atomic<int> waiting = 0;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "idle", &m), LOAM_OK);
      ASSERT_NE(loam_alloc_bytes(m, 8192), nullptr);
      loam_enter_native(m);
      waiting++;
      while (!done.load()) std::this_thread::yield();
      ASSERT_EQ(loam_leave_native(m), LOAM_OK);
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
    });
  }
  while (waiting.load() < 3) std::this_thread::yield();
  loam_gc_disable(heap.m());
  const loam_stats before = heap.Stats();
  const uint64_t free =
      options.heap_limit - before.committed_bytes + before.free_page_bytes;
  uint64_t allocated = 0;
  while (loam_alloc_bytes(heap.m(), 8192) != nullptr) allocated += 8192;
  // Records take a part of it.
  EXPECT_GT(allocated, free - free / 20);
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
  done = true;
  loam_enter_native(heap.m());
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.ExpectSound();
}

// In the child: failures are exit codes, since it must not return to gtest.
int Child(TestHeap* heap) {
  loam_fork_child(heap->m());
  for (int i = 0; i < 3000; i++) {
    if (NewPage(heap->m(), 9) == nullptr) return 2;
  }
  if (loam_collect(heap->m(), LOAM_COLLECT_FULL) != LOAM_OK) return 3;
  if (loam_heap_check(heap->m(), LOAM_CHECK_FULL, nullptr, nullptr) !=
      LOAM_OK) {
    return 4;
  }
  loam_heap_release_memory(heap->heap());
  const loam_stats stats = heap->Stats();
  if (stats.committed_bytes - stats.metadata_bytes !=
      stats.span_bytes + stats.free_page_bytes) {
    return 5;
  }
  if (loam_mutator_detach(heap->m()) != LOAM_OK) return 6;
  return loam_heap_destroy(heap->heap()) == LOAM_OK ? 0 : 7;
}

TEST(HeapCachesTest, AChildHasThePagesOfMutatorsThatAreGone) {
  TestHeap heap(LargeHeap());
  Fill(&heap);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 2; t++) {
    threads.emplace_back(Allocate, heap.heap(), t, &done);
  }
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 500; i++) ASSERT_NE(NewPage(heap.m(), 9), nullptr);
    ASSERT_EQ(loam_fork_prepare(heap.m()), LOAM_OK);
    const pid_t child = fork();
    if (child == 0) _exit(Child(&heap));
    loam_fork_parent(heap.m());
    loam_enter_native(heap.m());
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "the child's status is " << status;
  }
  done = true;
  loam_enter_native(heap.m());
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
