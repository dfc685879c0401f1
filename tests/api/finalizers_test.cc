// Finalizers: when they are queued, in which order they run, what they see.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class FinalizersTest : public testing::Test {
 protected:
  FinalizersTest() : type_(RegisterNode(heap_.types())) {}

  static void Record(loam_mutator*, void* object, void* data) {
    static_cast<std::vector<uint64_t>*>(data)->push_back(
        static_cast<Node*>(object)->number);
  }
  Node* New(uint64_t number) { return NewNode(heap_.m(), type_, number); }
  void Set(void* object, loam_finalizer_fn fn = Record) {
    ASSERT_EQ(loam_finalizer_set(heap_.m(), object, fn, &ran_,
                                 LOAM_FINALIZER_ORDERED),
              LOAM_OK)
        << loam_last_error();
  }
  size_t RunAll() {
    size_t ran = 0;
    EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, &ran, nullptr), LOAM_OK);
    return ran;
  }

  std::vector<uint64_t> ran_;
  TestHeap heap_;
  const loam_type* type_;
};

TEST_F(FinalizersTest, RunOnceTheObjectIsDead) {
  Node* node = New(7);
  heap_.kept = {node};
  Set(node);
  EXPECT_EQ(heap_.Stats().finalizers_set, 1u);
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().finalizers_waiting, 0u);
  heap_.kept.clear();
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().finalizers_waiting, 1u);
  EXPECT_EQ(heap_.Stats().finalizers_set, 0u);
  // Queued is a root: it waits as long as nobody runs it.
  heap_.Collect();
  heap_.Collect();
  EXPECT_TRUE(ran_.empty());
  EXPECT_EQ(RunAll(), 1u);
  EXPECT_EQ(ran_, std::vector<uint64_t>{7});
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().live_objects, 0u);
  EXPECT_EQ(RunAll(), 0u);
}

TEST_F(FinalizersTest, AChainIsFinalizedOneLinkPerCycle) {
  constexpr uint64_t kLinks = 5;
  Node* previous = nullptr;
  for (uint64_t i = 0; i < kLinks; i++) {
    Node* node = New(i);
    Set(node);
    if (previous != nullptr) {
      loam_store_pointer(heap_.m(), previous, &previous->left, node);
    } else {
      heap_.kept = {node};
    }
    previous = node;
  }
  heap_.kept.clear();
  for (uint64_t i = 0; i < kLinks; i++) {
    heap_.Collect();
    ASSERT_EQ(RunAll(), 1u) << i;
    ASSERT_EQ(ran_.size(), i + 1);
    EXPECT_EQ(ran_.back(), i);
  }
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().live_objects, 0u);
}

TEST_F(FinalizersTest, CyclesAreNeverFinalized) {
  Node* a = New(1);
  heap_.kept = {a};
  Node* b = New(2);
  loam_store_pointer(heap_.m(), a, &a->left, b);
  loam_store_pointer(heap_.m(), b, &b->left, a);
  Set(a);
  Set(b);
  heap_.kept.clear();
  for (int i = 0; i < 5; i++) heap_.Collect();
  EXPECT_EQ(RunAll(), 0u);
  EXPECT_EQ(heap_.Stats().live_objects, 2u);
  // Until somebody breaks it.
  loam_store_pointer(heap_.m(), b, &b->left, nullptr);
  heap_.Collect();
  EXPECT_EQ(RunAll(), 1u);
  heap_.Collect();
  EXPECT_EQ(RunAll(), 1u);
  EXPECT_EQ(ran_, (std::vector<uint64_t>{1, 2}));
}

// A cycle that merely hangs on a finalizable object is no obstacle.
TEST_F(FinalizersTest, WhatAFinalizerSeesIsAlive) {
  Node* head = New(1);
  heap_.kept = {head};
  Node* a = New(2);
  loam_store_pointer(heap_.m(), head, &head->left, a);
  Node* b = New(3);
  loam_store_pointer(heap_.m(), a, &a->left, b);
  loam_store_pointer(heap_.m(), b, &b->left, a);
  Set(head, [](loam_mutator* m, void* object, void* data) {
    auto* node = static_cast<Node*>(object);
    // It may allocate, and even collect: its object is rooted meanwhile.
    EXPECT_NE(loam_alloc_bytes(m, 1000), nullptr);
    EXPECT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
    EXPECT_EQ(node->number, 1u);
    EXPECT_EQ(node->left->number, 2u);
    EXPECT_EQ(node->left->left->number, 3u);
    EXPECT_EQ(node->left->left->left, node->left);
    Record(m, object, data);
  });
  heap_.kept.clear();
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().live_objects, 2u);  // Not the head itself.
  EXPECT_EQ(RunAll(), 1u);
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().live_objects, 0u);
}

TEST_F(FinalizersTest, AFinalizerMayResurrectAndBeSetAgain) {
  static TestHeap* heap;
  heap = &heap_;
  Set(New(5), [](loam_mutator* m, void* object, void* data) {
    heap->kept.push_back(object);
    Record(m, object, data);
    EXPECT_EQ(
        loam_finalizer_set(m, object, Record, data, LOAM_FINALIZER_ORDERED),
        LOAM_OK);
  });
  heap_.Collect();
  EXPECT_EQ(RunAll(), 1u);
  heap_.Collect();
  EXPECT_EQ(RunAll(), 0u);
  EXPECT_EQ(static_cast<Node*>(heap_.kept[0])->number, 5u);
  heap_.kept.clear();
  heap_.Collect();
  EXPECT_EQ(RunAll(), 1u);
  EXPECT_EQ(ran_, (std::vector<uint64_t>{5, 5}));
}

TEST_F(FinalizersTest, RunsAsManyAsAsked) {
  for (uint64_t i = 0; i < 10; i++) Set(New(i));
  heap_.Collect();
  size_t ran = 0;
  size_t waiting = 0;
  ASSERT_EQ(loam_finalizers_run(heap_.m(), 4, &ran, &waiting), LOAM_OK);
  EXPECT_EQ(ran, 4u);
  EXPECT_EQ(waiting, 6u);
  ASSERT_EQ(loam_finalizers_run(heap_.m(), 100, &ran, &waiting), LOAM_OK);
  EXPECT_EQ(ran, 6u);
  EXPECT_EQ(waiting, 0u);
  ASSERT_EQ(loam_finalizers_run(heap_.m(), 1, nullptr, nullptr), LOAM_OK);
}

TEST_F(FinalizersTest, EveryKindOfObjectMayHaveOne) {
  static int count;
  count = 0;
  const auto fn = [](loam_mutator*, void*, void*) { count++; };
  const loam_type* hot = RegisterNode(heap_.types(), LOAM_TYPE_HOT);
  for (int i = 0; i < 3; i++) {
    Set(loam_alloc(heap_.m(), hot), fn);
    Set(loam_alloc_bytes(heap_.m(), 100), fn);
    Set(loam_alloc_bytes(heap_.m(), 100000), fn);
    Set(loam_alloc_slots(heap_.m(), 10), fn);
    Set(loam_alloc_ambiguous(heap_.m(), 10), fn);
    Set(loam_alloc_bitmap(heap_.m(), 100, nullptr, nullptr), fn);
    Set(loam_alloc_bitmap(heap_.m(), 1000, nullptr, nullptr), fn);
    // An interior address stands for its object.
    Set(static_cast<char*>(loam_alloc_bytes(heap_.m(), 200)) + 77, fn);
  }
  heap_.Collect();
  EXPECT_EQ(RunAll(), 24u);
  EXPECT_EQ(count, 24);
}

// Tiny objects share cells, and die together; each has a finalizer of its own.
TEST_F(FinalizersTest, TinyObjectsThatShareACellHaveOneEach) {
  static std::vector<void*> got;
  got.clear();
  const auto fn = [](loam_mutator*, void* object, void*) {
    got.push_back(object);
  };
  void* first = loam_alloc_bytes(heap_.m(), 8);
  void* second = loam_alloc_bytes(heap_.m(), 8);
  ASSERT_EQ(loam_object_base(heap_.heap(), second), first);
  Set(second, fn);
  Set(first, fn);
  EXPECT_EQ(
      loam_finalizer_set(heap_.m(), first, fn, nullptr, LOAM_FINALIZER_ORDERED),
      LOAM_WRONG_STATE);
  // Alive as long as one of them is.
  heap_.kept = {first};
  heap_.Collect();
  EXPECT_EQ(RunAll(), 0u);
  heap_.kept.clear();
  heap_.Collect();
  EXPECT_EQ(RunAll(), 2u);
  EXPECT_EQ(got, (std::vector<void*>{first, second}));
}

TEST_F(FinalizersTest, ClearedOnesDoNotRun) {
  Node* node = New(1);
  Set(node);
  ASSERT_EQ(loam_finalizer_clear(heap_.m(), node), LOAM_OK);
  heap_.Collect();
  EXPECT_EQ(RunAll(), 0u);
  EXPECT_EQ(heap_.Stats().finalizers_set, 0u);
  EXPECT_EQ(heap_.Stats().live_objects, 0u);
}

TEST_F(FinalizersTest, TheEmbedderIsWoken) {
  int woken = 0;
  loam_finalizers_on_ready(
      heap_.heap(), [](void* data) { ++*static_cast<int*>(data); }, &woken);
  for (uint64_t i = 0; i < 10; i++) Set(New(i));
  heap_.Collect();
  EXPECT_EQ(woken, 1);  // Once for an empty queue.
  EXPECT_EQ(RunAll(), 10u);
  Set(New(1));
  heap_.Collect();
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(RunAll(), 1u);
  loam_finalizers_on_ready(heap_.heap(), nullptr, nullptr);
  Set(New(1));
  heap_.Collect();
  EXPECT_EQ(woken, 2);
}

// What is dead but must be finalized is there for one more cycle: a full heap
// is no place to find that out. The records of finalizers are part of its size.
TEST_F(FinalizersTest, AFixedHeapKeepsRoomForThoseThatWait) {
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = 8 << 20;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  uint64_t count = 0;
  const auto add = [](loam_mutator*, void*, void* data) {
    ++*static_cast<uint64_t*>(data);
  };
  constexpr uint64_t kObjects = 1'000'000;
  for (uint64_t i = 0; i < kObjects; i++) {
    Node* node = NewNode(heap.m(), type, i);
    ASSERT_NE(node, nullptr) << i;
    ASSERT_EQ(
        loam_finalizer_set(heap.m(), node, add, &count, LOAM_FINALIZER_ORDERED),
        LOAM_OK);
    if (i % 1000 == 0) {
      ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
    }
  }
  heap.Collect();
  ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(count, kObjects);
  EXPECT_LT(heap.Stats().peak_committed_bytes,
            options.fixed_heap_size + (1 << 20))
      << "a page table, mark bits and stacks besides";
}

TEST_F(FinalizersTest, AHeapDropsThoseThatHaveNotRun) {
  std::vector<uint64_t> ran;
  {
    TestHeap heap;
    const loam_type* type = RegisterNode(heap.types());
    ASSERT_EQ(loam_finalizer_set(heap.m(), NewNode(heap.m(), type, 1), Record,
                                 &ran, LOAM_FINALIZER_ORDERED),
              LOAM_OK);
    heap.Collect();
    ASSERT_EQ(loam_finalizer_set(heap.m(), NewNode(heap.m(), type, 2), Record,
                                 &ran, LOAM_FINALIZER_ORDERED),
              LOAM_OK);
  }
  EXPECT_TRUE(ran.empty());
}

}  // namespace
}  // namespace loam_test
