// Who runs what is queued: the embedder, a runner thread, or the end of the
// heap; in which order; and what callbacks may do.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csetjmp>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class RunFinalizersTest : public testing::Test {
 protected:
  explicit RunFinalizersTest(const loam_options& options = TestOptions())
      : heap_(std::make_unique<TestHeap>(options)),
        type_(RegisterNode(heap_->types())) {}

  static void Record(loam_mutator*, void* object, void* data) {
    static_cast<std::vector<uint64_t>*>(data)->push_back(
        static_cast<Node*>(object)->number);
  }
  Node* New(uint64_t number) { return NewNode(heap_->m(), type_, number); }
  void Set(void* object, loam_finalizer_mode mode,
           loam_finalizer_fn fn = Record) {
    ASSERT_EQ(loam_finalizer_set(heap_->m(), object, fn, &ran_, mode), LOAM_OK)
        << loam_last_error();
  }
  size_t Run(size_t max = 0) {
    size_t ran = 0;
    EXPECT_EQ(loam_finalizers_run(heap_->m(), max, &ran, nullptr), LOAM_OK);
    return ran;
  }
  // A chain of these numbers, each of which refers to the next; rooted.
  Node* Chain(size_t count) {
    heap_->kept = {nullptr};
    for (size_t i = count; i-- > 0;) {
      Node* node = New(i);
      loam_store_pointer(heap_->m(), node, &node->left, heap_->kept[0]);
      heap_->kept[0] = node;
    }
    return static_cast<Node*>(heap_->kept[0]);
  }

  std::vector<uint64_t> ran_;
  std::unique_ptr<TestHeap> heap_;
  const loam_type* type_;
};

std::vector<uint64_t> Numbers(uint64_t first, uint64_t count) {
  std::vector<uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

TEST_F(RunFinalizersTest, UnorderedOnesRunAtOnceNewestFirst) {
  Node* node = Chain(20);
  // Registered from the chain's head on; so the tail runs first.
  for (Node* n = node; n != nullptr; n = n->left) {
    Set(n, LOAM_FINALIZER_UNORDERED);
  }
  // A circle makes no difference.
  Node* last = node;
  while (last->left != nullptr) last = last->left;
  loam_store_pointer(heap_->m(), last, &last->left, node);
  heap_->kept.clear();
  heap_->Collect();
  EXPECT_EQ(Run(), 20u);
  std::vector<uint64_t> expected = Numbers(0, 20);
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(ran_, expected);
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

// What unordered finalizers refer to is alive when they run, and what an
// ordered one refers to is not dead at all.
TEST_F(RunFinalizersTest, OrderedAndUnorderedOnesTogether) {
  Node* node = Chain(4);  // 0 -> 1 -> 2 -> 3
  Set(node, LOAM_FINALIZER_UNORDERED);
  Set(node->left, LOAM_FINALIZER_ORDERED);
  Set(node->left->left, LOAM_FINALIZER_UNORDERED);
  Set(node->left->left->left, LOAM_FINALIZER_ORDERED);
  heap_->kept.clear();
  // 1 is ordered, so what it refers to, 2 and 3, counts as reachable.
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  EXPECT_EQ(ran_, Numbers(0, 4));
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

TEST_F(RunFinalizersTest, FinalizersBeforeCleanupsBeforeNothing) {
  static std::vector<std::string> events;
  events.clear();
  Node* node = New(1);
  heap_->kept = {node};
  loam_weak_handle* short_handle = nullptr;
  loam_weak_handle* long_handle = nullptr;
  ASSERT_EQ(
      loam_weak_handle_create(heap_->m(), node, LOAM_WEAK_SHORT, &short_handle),
      LOAM_OK);
  ASSERT_EQ(
      loam_weak_handle_create(heap_->m(), node, LOAM_WEAK_LONG, &long_handle),
      LOAM_OK);
  static loam_weak_handle* handles[2];
  handles[0] = short_handle;
  handles[1] = long_handle;
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(loam_cleanup_add(
                  heap_->m(), node,
                  [](loam_mutator* m, loam_word, void*) {
                    EXPECT_EQ(loam_weak_handle_get(m, handles[1]), nullptr);
                    events.emplace_back("cleanup");
                  },
                  0, nullptr, nullptr),
              LOAM_OK);
  }
  Set(node, LOAM_FINALIZER_ORDERED, [](loam_mutator* m, void* object, void*) {
    EXPECT_EQ(loam_weak_handle_get(m, handles[0]), nullptr);
    EXPECT_EQ(loam_weak_handle_get(m, handles[1]), object);
    events.emplace_back("finalizer");
  });
  heap_->kept.clear();
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  heap_->Collect();
  EXPECT_EQ(Run(), 3u);
  EXPECT_EQ(events, (std::vector<std::string>{"finalizer", "cleanup", "cleanup",
                                              "cleanup"}));
  EXPECT_EQ(loam_weak_handle_destroy(heap_->m(), short_handle), LOAM_OK);
  EXPECT_EQ(loam_weak_handle_destroy(heap_->m(), long_handle), LOAM_OK);
}

// A weak handle of an object that has been brought back is a new one.
TEST_F(RunFinalizersTest, AHandleOfWhatCameBackIsAnother) {
  static TestHeap* heap;
  heap = heap_.get();
  Node* node = New(1);
  loam_weak_handle* before = nullptr;
  ASSERT_EQ(loam_weak_handle_create(heap_->m(), node, LOAM_WEAK_SHORT, &before),
            LOAM_OK);
  Set(node, LOAM_FINALIZER_ORDERED,
      [](loam_mutator*, void* object, void*) { heap->kept = {object}; });
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  loam_weak_handle* after = nullptr;
  ASSERT_EQ(loam_weak_handle_create(heap_->m(), node, LOAM_WEAK_SHORT, &after),
            LOAM_OK);
  EXPECT_NE(before, after);
  EXPECT_EQ(loam_weak_handle_get(heap_->m(), before), nullptr);
  EXPECT_EQ(loam_weak_handle_get(heap_->m(), after), node);
  EXPECT_EQ(loam_weak_handle_destroy(heap_->m(), before), LOAM_OK);
  EXPECT_EQ(loam_weak_handle_destroy(heap_->m(), after), LOAM_OK);
}

jmp_buf jump;
loam_unwind_point point;

// A callback that leaves by a jump has run; the others wait for the next call.
TEST_F(RunFinalizersTest, ACallbackMayLeaveByAJump) {
  for (uint64_t i = 0; i < 5; i++) {
    Set(New(i), LOAM_FINALIZER_ORDERED,
        [](loam_mutator* m, void* object, void* data) {
          Record(m, object, data);
          loam_alloc_bytes(m, 100);
          longjmp(jump, 1);
        });
  }
  heap_->Collect();
  static volatile int jumps;
  jumps = 0;
  loam_unwind_save(heap_->m(), &point);
  if (setjmp(jump) != 0) {
    loam_unwind_to(heap_->m(), &point);
    jumps = jumps + 1;
  }
  if (jumps < 5) Run();
  EXPECT_EQ(ran_.size(), 5u);
  EXPECT_EQ(heap_->Stats().finalizers_waiting, 0u);
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  heap_->ExpectSound();
}

TEST_F(RunFinalizersTest, CallbacksMayDoAnything) {
  static int calls;
  calls = 0;
  const loam_finalizer_fn again = [](loam_mutator* m, void* object,
                                     void* data) {
    const auto fn = reinterpret_cast<loam_finalizer_fn>(data);
    for (int i = 0; i < 1000; i++) loam_alloc_bytes(m, 200);
    auto* node = static_cast<Node*>(object);
    loam_store_pointer(m, node, &node->left, node);
    EXPECT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
    EXPECT_EQ(node->number, 7u);
    loam_store_pointer(m, node, &node->left, nullptr);
    if (++calls < 5) {
      EXPECT_EQ(loam_finalizer_set(m, object, fn, data, LOAM_FINALIZER_ORDERED),
                LOAM_OK);
    }
    EXPECT_EQ(loam_finalizers_run(m, 1, nullptr, nullptr), LOAM_OK);
  };
  ASSERT_EQ(loam_finalizer_set(heap_->m(), New(7), again,
                               reinterpret_cast<void*>(again),
                               LOAM_FINALIZER_ORDERED),
            LOAM_OK);
  for (int i = 0; i < 10; i++) {
    heap_->Collect();
    Run();
  }
  EXPECT_EQ(calls, 5);
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
}

// ---- The runner

TEST_F(RunFinalizersTest, ARunnerRunsThem) {
  static std::atomic<uint64_t> ran;
  static std::atomic<bool> on_other_thread;
  static std::thread::id main_thread;
  ran = 0;
  on_other_thread = true;
  main_thread = std::this_thread::get_id();
  ASSERT_EQ(loam_finalizers_start_runner(heap_->heap()), LOAM_OK);
  EXPECT_EQ(loam_finalizers_start_runner(heap_->heap()), LOAM_WRONG_STATE);
  constexpr uint64_t kObjects = 10000;
  for (uint64_t i = 0; i < kObjects; i++) {
    Set(New(i), LOAM_FINALIZER_ORDERED, [](loam_mutator* m, void*, void*) {
      if (std::this_thread::get_id() == main_thread) on_other_thread = false;
      loam_alloc_bytes(m, 50);
      ran++;
    });
  }
  heap_->Collect();
  while (ran < kObjects) {
    loam_safepoint(heap_->m());
    std::this_thread::yield();
  }
  EXPECT_TRUE(on_other_thread);
  EXPECT_EQ(loam_finalizers_stop_runner(heap_->heap()), LOAM_OK);
  EXPECT_EQ(loam_finalizers_stop_runner(heap_->heap()), LOAM_WRONG_STATE);
  EXPECT_EQ(heap_->Stats().mutators, 1u);
  // And once more; the heap's end stops this one.
  ASSERT_EQ(loam_finalizers_start_runner(heap_->heap()), LOAM_OK);
  Set(New(1), LOAM_FINALIZER_ORDERED,
      [](loam_mutator*, void*, void*) { ran++; });
  heap_->Collect();
  while (ran < kObjects + 1) {
    loam_safepoint(heap_->m());
    std::this_thread::yield();
  }
}

// ---- The end of the heap

loam_options FinalizeAtDestroy() {
  loam_options options = TestOptions();
  options.finalize_at_destroy = 1;
  return options;
}

class FinalizeAtDestroyTest : public RunFinalizersTest {
 protected:
  FinalizeAtDestroyTest() : RunFinalizersTest(FinalizeAtDestroy()) {}
};

TEST_F(FinalizeAtDestroyTest, RunsWhatIsLeft) {
  static int cleanups;
  cleanups = 0;
  // Queued; dead; alive in a circle; alive, unordered.
  Set(New(0), LOAM_FINALIZER_ORDERED);
  heap_->Collect();
  Set(New(1), LOAM_FINALIZER_ORDERED);
  Node* node = Chain(2);
  node->number = 2;
  node->left->number = 3;
  loam_store_pointer(heap_->m(), node->left, &node->left->left, node);
  Set(node, LOAM_FINALIZER_ORDERED);
  Set(node->left, LOAM_FINALIZER_ORDERED);
  for (uint64_t i = 4; i < 8; i++) {
    heap_->kept.push_back(New(i));
    Set(heap_->kept.back(), LOAM_FINALIZER_UNORDERED);
    ASSERT_EQ(loam_cleanup_add(
                  heap_->m(), heap_->kept.back(),
                  [](loam_mutator*, loam_word, void*) { cleanups++; }, 0,
                  nullptr, nullptr),
              LOAM_OK);
  }
  // One whose callback sets it again, four times.
  static int again;
  again = 0;
  static loam_finalizer_fn set_again;
  set_again = [](loam_mutator* m, void* object, void*) {
    if (++again == 5) return;
    EXPECT_EQ(loam_finalizer_set(m, object, set_again, nullptr,
                                 LOAM_FINALIZER_ORDERED),
              LOAM_OK);
  };
  Set(New(100), LOAM_FINALIZER_ORDERED, set_again);
  heap_.reset();
  EXPECT_EQ(again, 5);
  EXPECT_EQ(std::set<uint64_t>(ran_.begin(), ran_.end()),
            (std::set<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(ran_.size(), 8u);
  EXPECT_EQ(cleanups, 4);
  // Newest first.
  const auto place = [this](uint64_t number) {
    return std::find(ran_.begin(), ran_.end(), number) - ran_.begin();
  };
  EXPECT_LT(place(7), place(6));
  EXPECT_LT(place(6), place(5));
  EXPECT_LT(place(5), place(4));
}

// Without the option they are dropped.
TEST_F(RunFinalizersTest, OtherwiseWhatIsLeftIsDropped) {
  Set(New(0), LOAM_FINALIZER_ORDERED);
  heap_->Collect();
  Set(New(1), LOAM_FINALIZER_ORDERED);
  heap_.reset();
  EXPECT_TRUE(ran_.empty());
}

// 100,000 records on one span: a large object's.
TEST_F(RunFinalizersTest, AnObjectMayHaveManyCleanups) {
  constexpr uint64_t kMany = 100000;
  void* object = loam_alloc_bytes(heap_->m(), 100000);
  heap_->kept = {object};
  static std::vector<uint64_t> order;
  order.clear();
  std::vector<loam_cleanup> cleanups(kMany);
  for (uint64_t i = 0; i < kMany; i++) {
    ASSERT_EQ(loam_cleanup_add(
                  heap_->m(), object,
                  [](loam_mutator*, loam_word, void* data) {
                    order.push_back(reinterpret_cast<uint64_t>(data));
                  },
                  0, reinterpret_cast<void*>(i), &cleanups[i]),
              LOAM_OK);
  }
  EXPECT_EQ(heap_->Stats().cleanups_set, kMany);
  for (uint64_t i = 0; i < kMany; i += 2) {
    ASSERT_EQ(loam_cleanup_stop(heap_->m(), &cleanups[i]), LOAM_OK);
  }
  heap_->kept.clear();
  heap_->Collect();
  EXPECT_EQ(Run(), kMany / 2);
  for (uint64_t i = 0; i < kMany / 2; i++) ASSERT_EQ(order[i], 2 * i + 1);
  for (const loam_cleanup& cleanup : cleanups) {
    ASSERT_EQ(loam_cleanup_stop(heap_->m(), &cleanup), LOAM_NOT_FOUND);
  }
}

}  // namespace
}  // namespace loam_test
