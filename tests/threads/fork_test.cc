// A process that forks while other threads run in its heap: the child goes on
// with one mutator.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

// In the child: failures are exit codes, since it must not return to gtest.
int Child(TestHeap* heap, const loam_type* type, loam_fiber* fiber) {
  loam_mutator* m = heap->m();
  loam_fork_child(m);
  if (!IsList(static_cast<Node*>(heap->kept[0]), 1000, 5)) return 2;
  if (heap->Stats().mutators != 1) return 3;
  for (int i = 0; i < 20; i++) {
    Node* list = MakeList(m, type, 5000, 9);
    if (!IsList(list, 5000, 9)) return 4;
    if (loam_collect(m, LOAM_COLLECT_FULL) != LOAM_OK) return 5;
  }
  if (!IsList(static_cast<Node*>(heap->kept[0]), 1000, 5)) return 6;
  loam_fiber_switch(m, fiber);
  loam_fiber_switch(m, nullptr);
  // A heap of its own, and more mutators, would be allowed: threads are not.
  size_t ran = 0;
  if (loam_finalizers_run(m, 0, &ran, nullptr) != LOAM_OK || ran != 1) return 7;
  if (loam_heap_check(m, LOAM_CHECK_FULL, nullptr, nullptr) != LOAM_OK) {
    return 8;
  }
  if (loam_mutator_detach(m) != LOAM_OK) return 9;
  return loam_heap_destroy(heap->heap()) == LOAM_OK ? 0 : 10;
}

TEST(ForkTest, TheChildAllocatesAndCollects) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  heap.kept.push_back(MakeList(m, type, 1000, 5));
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap.heap(), nullptr, &fiber), LOAM_OK);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      loam_mutator* mine;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "other", &mine), LOAM_OK);
      LOAM_FRAME(mine, f, 1, LOAM_POINTER);
      while (!done.load()) {
        f.slots[0] = reinterpret_cast<loam_word>(MakeList(mine, type, 1000, 7));
        if (t == 0) {
          ASSERT_EQ(loam_collect(mine, LOAM_COLLECT_FULL), LOAM_OK);
        }
        if (t == 1) {
          loam_enter_native(mine);
          std::this_thread::yield();
          ASSERT_EQ(loam_leave_native(mine), LOAM_OK);
        }
        ASSERT_TRUE(IsList(reinterpret_cast<Node*>(f.slots[0]), 1000, 7));
      }
      LOAM_FRAME_END(f);
      ASSERT_EQ(loam_mutator_detach(mine), LOAM_OK);
    });
  }
  for (int round = 0; round < 5; round++) {
    // Dead by the next collection, in the child and in the parent.
    ASSERT_EQ(
        loam_finalizer_set(
            m, loam_alloc_bytes(m, 100), [](loam_mutator*, void*, void*) {},
            nullptr, LOAM_FINALIZER_ORDERED),
        LOAM_OK);
    ASSERT_EQ(loam_fork_prepare(m), LOAM_OK);
    const pid_t child = fork();
    if (child == 0) _exit(Child(&heap, type, fiber));
    loam_fork_parent(m);
    loam_enter_native(m);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(loam_leave_native(m), LOAM_OK);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    heap.Collect();
    size_t ran = 0;
    EXPECT_EQ(loam_finalizers_run(m, 0, &ran, nullptr), LOAM_OK);
    EXPECT_EQ(ran, 1u);
  }
  done.store(true);
  loam_enter_native(m);
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(m), LOAM_OK);
  EXPECT_TRUE(IsList(static_cast<Node*>(heap.kept[0]), 1000, 5));
}

}  // namespace
}  // namespace loam_test
