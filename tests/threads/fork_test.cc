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

// Forks with every heap prepared; the child's exit status is in_child()'s. The
// caller's mutators are running.
void ForkAnd(const std::vector<loam_mutator*>& mutators, int (*in_child)(void*),
             void* data) {
  for (loam_mutator* m : mutators) ASSERT_EQ(loam_fork_prepare(m), LOAM_OK);
  const pid_t child = fork();
  if (child == 0) {
    for (loam_mutator* m : mutators) loam_fork_child(m);
    _exit(in_child(data));
  }
  for (loam_mutator* m : mutators) loam_fork_parent(m);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A mutator that the forking thread has left native is gone like all others.
TEST(ForkTest, PooledMutatorsAreGoneInTheChild) {
  TestHeap heap;
  loam_enter_native(heap.m());
  loam_mutator* m = nullptr;
  ASSERT_EQ(loam_mutator_attach(heap.heap(), "second", &m), LOAM_OK);
  ForkAnd(
      {m},
      [](void* data) {
        auto* mutator = static_cast<loam_mutator*>(data);
        if (loam_collect(mutator, LOAM_COLLECT_FULL) != LOAM_OK) return 2;
        if (loam_alloc_bytes(mutator, 1000) == nullptr) return 3;
        return loam_mutator_detach(mutator) == LOAM_OK ? 0 : 4;
      },
      m);
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.Collect();
}

TEST(ForkTest, PreparingTwiceIsRefused) {
  TestHeap heap;
  ASSERT_EQ(loam_fork_prepare(heap.m()), LOAM_OK);
  EXPECT_EQ(loam_fork_prepare(heap.m()), LOAM_WRONG_STATE);
  loam_fork_parent(heap.m());
  heap.Collect();
}

// Two heaps of one thread, while others run in both and ask each for what it
// keeps under its locks.
void ForkWithTwoHeaps(bool shared_types) {
  loam_type_set* set = nullptr;
  ASSERT_EQ(loam_type_set_create(&set), LOAM_OK);
  {
    loam_options options = TestOptions();
    if (shared_types) options.types = set;
    TestHeap first(options);
    TestHeap second(options);
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
      threads.emplace_back([&, t] {
        loam_mutator* a = nullptr;
        loam_mutator* b = nullptr;
        ASSERT_EQ(loam_mutator_attach(first.heap(), "other", &a), LOAM_OK);
        ASSERT_EQ(loam_mutator_attach(second.heap(), "other", &b), LOAM_OK);
        while (!done.load()) {
          (void)first.Stats();
          (void)loam_alloc_bytes(b, 1000);
          (void)second.Stats();
          (void)loam_alloc_bytes(a, 1000);
          (void)loam_heap_set_gc_percent(first.heap(), 100);
          (void)RegisterNode(t == 0 ? first.types() : second.types());
          loam_global* global = nullptr;
          ASSERT_EQ(loam_global_create(second.heap(), LOAM_VALUE, 0, &global),
                    LOAM_OK);
          ASSERT_EQ(loam_global_destroy(global), LOAM_OK);
        }
        ASSERT_EQ(loam_mutator_detach(a), LOAM_OK);
        ASSERT_EQ(loam_mutator_detach(b), LOAM_OK);
      });
    }
    struct Both {
      loam_mutator* m[2];
    } both = {{first.m(), second.m()}};
    for (int round = 0; round < 20; round++) {
      ForkAnd(
          {first.m(), second.m()},
          [](void* data) {
            for (loam_mutator* m : static_cast<Both*>(data)->m) {
              loam_heap* heap = loam_mutator_heap(m);
              (void)RegisterNode(loam_heap_types(heap));
              if (loam_alloc_bytes(m, 1000) == nullptr) return 2;
              if (loam_collect(m, LOAM_COLLECT_FULL) != LOAM_OK) return 3;
              if (loam_heap_check(m, LOAM_CHECK_FULL, nullptr, nullptr) !=
                  LOAM_OK) {
                return 4;
              }
            }
            return 0;
          },
          &both);
      (void)loam_alloc_bytes(first.m(), 1000);
      (void)loam_alloc_bytes(second.m(), 1000);
    }
    done.store(true);
    loam_enter_native(first.m());
    loam_enter_native(second.m());
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(loam_leave_native(first.m()), LOAM_OK);
    ASSERT_EQ(loam_leave_native(second.m()), LOAM_OK);
  }
  ASSERT_EQ(loam_type_set_destroy(set), LOAM_OK);
}
TEST(ForkTest, TwoHeapsWithTypesOfTheirOwn) { ForkWithTwoHeaps(false); }
TEST(ForkTest, TwoHeapsThatShareTheirTypes) { ForkWithTwoHeaps(true); }

}  // namespace
}  // namespace loam_test
