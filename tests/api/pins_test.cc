// Pins: what they keep alive, how they nest, and what several threads may do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using testing::HasSubstr;

class PinsTest : public testing::Test {
 protected:
  PinsTest() : type_(RegisterNode(heap_.types())) {}

  Node* New(uint64_t number) { return NewNode(heap_.m(), type_, number); }
  void Pin(void* object) {
    ASSERT_EQ(loam_pin(heap_.m(), object), LOAM_OK) << loam_last_error();
  }
  void Unpin(void* object) {
    ASSERT_EQ(loam_unpin(heap_.m(), object), LOAM_OK) << loam_last_error();
  }
  bool IsAlive(const void* object) {
    return loam_is_live_object(heap_.heap(), object) != 0;
  }
  uint64_t LiveAfterCollection() {
    heap_.Collect();
    return heap_.Stats().live_objects;
  }

  TestHeap heap_;
  const loam_type* type_;
};

TEST_F(PinsTest, KeepsTheObjectAndWhatItRefersTo) {
  Node* node = New(1);
  Pin(node);
  Node* child = New(2);
  loam_store_pointer(heap_.m(), node, &node->left, child);
  for (int i = 0; i < 3; i++) EXPECT_EQ(LiveAfterCollection(), 2u);
  EXPECT_EQ(node->number, 1u);
  EXPECT_EQ(node->left->number, 2u);
  EXPECT_EQ(heap_.Stats().pinned_objects, 1u);
  Unpin(node);
  EXPECT_EQ(heap_.Stats().pinned_objects, 0u);
  EXPECT_EQ(LiveAfterCollection(), 0u);
}

TEST_F(PinsTest, Nest) {
  Node* node = New(1);
  for (int i = 0; i < 1000; i++) Pin(node);
  EXPECT_EQ(heap_.Stats().pinned_objects, 1u);
  for (int i = 0; i < 999; i++) Unpin(node);
  EXPECT_EQ(LiveAfterCollection(), 1u);
  Unpin(node);
  EXPECT_EQ(loam_unpin(heap_.m(), node), LOAM_NOT_FOUND);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_unpin: object"));
  Pin(node);  // and again
  EXPECT_EQ(LiveAfterCollection(), 1u);
  Unpin(node);
  EXPECT_EQ(LiveAfterCollection(), 0u);
}

TEST_F(PinsTest, ByAnAddressInside) {
  Node* node = New(1);
  Pin(&node->number);
  EXPECT_EQ(LiveAfterCollection(), 1u);
  EXPECT_EQ(loam_pin(heap_.m(), node), LOAM_OK) << "the same object";
  EXPECT_EQ(heap_.Stats().pinned_objects, 1u);
  Unpin(&node->right);
  Unpin(node);
  EXPECT_EQ(LiveAfterCollection(), 0u);
}

TEST_F(PinsTest, ObjectsOfEverySize) {
  for (const size_t size : {size_t{1}, size_t{16}, size_t{500}, size_t{32768},
                            size_t{100} << 10, size_t{5} << 20}) {
    SCOPED_TRACE(size);
    auto* bytes =
        static_cast<unsigned char*>(loam_alloc_bytes(heap_.m(), size));
    ASSERT_NE(bytes, nullptr);
    std::memset(bytes, 0x5a, size);
    Pin(bytes + size / 2);
    EXPECT_EQ(LiveAfterCollection(), 1u);
    // Whoever is in native state may use it.
    loam_enter_native(heap_.m());
    EXPECT_EQ(bytes[0], 0x5a);
    EXPECT_EQ(bytes[size - 1], 0x5a);
    ASSERT_EQ(loam_leave_native(heap_.m()), LOAM_OK);
    Unpin(bytes);
    EXPECT_EQ(LiveAfterCollection(), 0u);
  }
}

TEST_F(PinsTest, APinnedObjectIsNotFinalized) {
  int ran = 0;
  Node* node = New(1);
  ASSERT_EQ(
      loam_finalizer_set(
          heap_.m(), node,
          [](loam_mutator*, void*, void* data) { ++*static_cast<int*>(data); },
          &ran, LOAM_FINALIZER_ORDERED),
      LOAM_OK);
  Pin(node);
  heap_.Collect();
  EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(ran, 0);
  Unpin(node);
  heap_.Collect();
  EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(LiveAfterCollection(), 0u);
}

TEST_F(PinsTest, AFinalizerMayPin) {
  Node* node = New(1);
  ASSERT_EQ(
      loam_finalizer_set(
          heap_.m(), node,
          [](loam_mutator* m, void* object, void*) { loam_pin(m, object); },
          nullptr, LOAM_FINALIZER_ORDERED),
      LOAM_OK);
  heap_.Collect();
  EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(LiveAfterCollection(), 1u);
  Unpin(node);
  EXPECT_EQ(LiveAfterCollection(), 0u);
}

TEST_F(PinsTest, OnlyObjectsCanBePinned) {
  int outside = 0;
  EXPECT_EQ(loam_pin(heap_.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_pin(heap_.m(), &outside), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_pin: object: no object"));
  EXPECT_EQ(loam_unpin(heap_.m(), &outside), LOAM_INVALID_ARGUMENT);
  Node* node = New(1);
  Pin(node);
  Unpin(node);
  heap_.Collect();
  EXPECT_FALSE(IsAlive(node));
  EXPECT_EQ(loam_pin(heap_.m(), node), LOAM_INVALID_ARGUMENT) << "it is dead";
}

TEST_F(PinsTest, WhatIsStillPinnedGoesWithTheHeap) {
  for (int i = 0; i < 1000; i++) Pin(New(1));
  EXPECT_EQ(LiveAfterCollection(), 1000u);
}

TEST(PinsOutOfMemoryTest, IsReported) {
  loam_options options = TestOptions();
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  // A list, so that the objects need no records of their own.
  heap.kept.assign(1, nullptr);
  for (int i = 0; i < 200000; i++) {
    Node* node = NewNode(heap.m(), type, 1);
    ASSERT_NE(node, nullptr);
    loam_store_pointer_init(heap.m(), node, &node->left,
                            static_cast<Node*>(heap.kept[0]));
    heap.kept[0] = node;
  }
  ASSERT_EQ(loam_heap_set_heap_limit(heap.heap(),
                                     heap.Stats().committed_bytes + (1 << 20)),
            LOAM_OK);
  size_t pinned = 0;
  loam_status status = LOAM_OK;
  auto* next = static_cast<Node*>(heap.kept[0]);
  while (next != nullptr && status == LOAM_OK) {
    status = loam_pin(heap.m(), next);
    if (status == LOAM_OK) pinned++;
    if (status == LOAM_OK) next = next->left;
  }
  EXPECT_EQ(status, LOAM_OUT_OF_MEMORY);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_pin"));
  EXPECT_EQ(heap.Stats().pinned_objects, pinned);
  EXPECT_EQ(loam_unpin(heap.m(), next), LOAM_NOT_FOUND);
  auto* first = static_cast<Node*>(heap.kept[0]);
  EXPECT_EQ(loam_unpin(heap.m(), first), LOAM_OK);
  EXPECT_EQ(loam_pin(heap.m(), first), LOAM_OK) << "the record is free";
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
