// Corners of weak references that random programs have found, one at a time.

#include <gtest/gtest.h>

#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

struct Record {
  loam_word keys[2];
  loam_word value;
};
const loam_type* RegisterRecord(loam_type_set* set) {
  return RegisterType(set, "record", sizeof(Record),
                      {LOAM_FIELD(Record, keys, LOAM_EPHEMERON_KEY),
                       LOAM_FIELD(Record, value, LOAM_EPHEMERON_VALUE)},
                      LOAM_TYPE_HOT);
}
const loam_type* RegisterNeverCleared(loam_type_set* set) {
  return RegisterType(set, "symbol", sizeof(Node), {}, LOAM_TYPE_NEVER_CLEARED);
}
loam_word Word(const void* object) {
  return reinterpret_cast<loam_word>(object);
}

loam_options Verifying() {
  loam_options options = TestOptions();
  options.check.verify_marking = 1;
  return options;
}

void Nothing(loam_mutator*, void*, void*) {}

// An object that lives only as an unordered finalizer's does, or is referred to
// by one, has died all the same: for every kind of weak reference.
TEST(WeakCorners, WhatUnorderedFinalizersKeepHasDied) {
  TestHeap heap;
  const loam_type* node = RegisterNode(heap.types());
  Node* finalized = NewNode(heap.m(), node, 1);
  heap.kept.push_back(finalized);
  finalized->left = nullptr;
  Node* referred = NewNode(heap.m(), node, 2);
  loam_store_pointer(heap.m(), finalized, &finalized->left, referred);
  ASSERT_EQ(loam_finalizer_set(heap.m(), finalized, Nothing, nullptr,
                               LOAM_FINALIZER_UNORDERED),
            LOAM_OK);
  for (void* object : {finalized, referred}) {
    loam_weak_handle* handle;
    loam_watch* watch;
    loam_global* global;
    ASSERT_EQ(
        loam_weak_handle_create(heap.m(), object, LOAM_WEAK_SHORT, &handle),
        LOAM_OK);
    ASSERT_EQ(loam_watch_create(heap.m(), object, &watch), LOAM_OK);
    ASSERT_EQ(loam_global_create(heap.heap(), LOAM_WEAK_POINTER, Word(object),
                                 &global),
              LOAM_OK);
    if (object == finalized) continue;
    heap.kept.clear();
    heap.Collect();
    EXPECT_EQ(loam_weak_handle_get(heap.m(), handle), nullptr);
    EXPECT_EQ(loam_watch_get(heap.m(), watch), LOAM_WATCH_UNREACHED);
    EXPECT_EQ(loam_global_get(global), 0u);
    EXPECT_TRUE(loam_is_live_object(heap.heap(), referred));
  }
}

// The value of a record in a dead object is not alive because some other object
// in the span has weak words.
TEST(WeakCorners, RecordsOfTheDeadKeepNothing) {
  TestHeap heap;
  const loam_type* type = RegisterRecord(heap.types());
  heap.kept.push_back(loam_alloc(heap.m(), type));
  auto* dead = static_cast<Record*>(loam_alloc(heap.m(), type));
  void* value = loam_alloc_bytes(heap.m(), 100);
  loam_store_weak(heap.m(), dead, &dead->value, Word(value));
  ASSERT_EQ(loam_finalizer_set(heap.m(), dead, Nothing, nullptr,
                               LOAM_FINALIZER_UNORDERED),
            LOAM_OK);
  loam_watch* watch;
  ASSERT_EQ(loam_watch_create(heap.m(), value, &watch), LOAM_OK);
  heap.Collect();
  EXPECT_EQ(loam_watch_get(heap.m(), watch), LOAM_WATCH_UNREACHED);
  EXPECT_TRUE(loam_is_live_object(heap.heap(), value));
}

TEST(WeakCorners, FibersDoNotKeepOwnersWithUnorderedFinalizers) {
  TestHeap heap;
  void* owner = loam_alloc_bytes(heap.m(), 100);
  heap.kept.push_back(owner);
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap.heap(), owner, &fiber), LOAM_OK);
  loam_root* root;
  const auto provide = [](loam_visitor* visitor, void* data) {
    loam_visit_pointer(visitor, data);
  };
  ASSERT_EQ(loam_fiber_root_provider_add(fiber, provide, owner, nullptr, &root),
            LOAM_OK);
  ASSERT_EQ(loam_finalizer_set(heap.m(), owner, Nothing, nullptr,
                               LOAM_FINALIZER_UNORDERED),
            LOAM_OK);
  heap.kept.clear();
  heap.Collect();
  size_t ran = 0;
  ASSERT_EQ(loam_finalizers_run(heap.m(), 0, &ran, nullptr), LOAM_OK);
  EXPECT_EQ(ran, 1u);
}

// Values lead to the next keys through arrays of neighbours, which marking
// takes together elsewhere.
TEST(WeakCorners, KeysThatAreNeighbours) {
  constexpr size_t kLinks = 200;
  constexpr size_t kWidth = 4;
  TestHeap heap(Verifying());
  std::vector<void*> keys;
  for (size_t i = 0; i < kLinks + kWidth; i++) {
    keys.push_back(loam_alloc_bytes(heap.m(), 48));
  }
  auto* all = static_cast<loam_word*>(loam_alloc_slots(heap.m(), kLinks));
  heap.kept = {keys[0], all};
  std::vector<loam_watch*> watches(kLinks);
  for (size_t i = 0; i < kLinks; i++) {
    auto* next = static_cast<loam_word*>(loam_alloc_slots(heap.m(), kWidth));
    for (size_t w = 0; w < kWidth; w++) {
      loam_store_value(heap.m(), next, &next[w], Word(keys[i + 1 + w]));
    }
    void* link = loam_ephemeron_new(heap.m(), Word(keys[i]), Word(next));
    loam_store_value(heap.m(), all, &all[i], Word(link));
    ASSERT_EQ(loam_watch_create(heap.m(), next, &watches[i]), LOAM_OK);
  }
  heap.Collect();
  for (loam_watch* watch : watches) {
    EXPECT_EQ(loam_watch_get(heap.m(), watch), LOAM_WATCH_REACHED);
  }
  heap.kept[0] = nullptr;
  heap.Collect();
  EXPECT_EQ(loam_ephemeron_key(heap.m(), reinterpret_cast<void*>(all[0])), 0u);
}

// A weak provider that asks about an object keeps it, if weak references to it
// are strong; and with what it refers to, records alive whose key that is.
TEST(WeakCorners, ProvidersKeepWhatIsNeverCleared) {
  TestHeap heap(Verifying());
  Node* symbol =
      NewNode(heap.m(), RegisterNode(heap.types(), LOAM_TYPE_NEVER_CLEARED), 1);
  void* key = loam_alloc_bytes(heap.m(), 100);
  loam_store_pointer(heap.m(), symbol, &symbol->left, key);
  auto* record =
      static_cast<Record*>(loam_alloc(heap.m(), RegisterRecord(heap.types())));
  heap.kept.push_back(record);
  void* value = loam_alloc_bytes(heap.m(), 100);
  loam_store_weak(heap.m(), record, &record->keys[0], Word(key));
  loam_store_weak(heap.m(), record, &record->value, Word(value));
  loam_root* root;
  const auto ask = [](loam_visitor* visitor, void* data) {
    EXPECT_NE(loam_weak_is_live_pointer(visitor, data), 0);
  };
  ASSERT_EQ(loam_weak_provider_add(heap.heap(), ask, symbol, "", &root),
            LOAM_OK);
  heap.Collect();
  EXPECT_EQ(record->value, Word(value));
  EXPECT_TRUE(loam_is_live_object(heap.heap(), value));
  ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  heap.Collect();
  EXPECT_EQ(record->value, 0u);
}

// A record with a dead key lets go of the other key, which it has kept until
// then.
TEST(WeakCorners, OneKeyDiesTheOtherIsNeverCleared) {
  TestHeap heap(Verifying());
  auto* record =
      static_cast<Record*>(loam_alloc(heap.m(), RegisterRecord(heap.types())));
  heap.kept.push_back(record);
  void* symbol = loam_alloc(heap.m(), RegisterNeverCleared(heap.types()));
  loam_store_weak(heap.m(), record, &record->keys[0], Word(symbol));
  loam_store_weak(heap.m(), record, &record->keys[1],
                  Word(loam_alloc_bytes(heap.m(), 100)));
  heap.Collect();
  EXPECT_EQ(record->keys[0], 0u);
  EXPECT_EQ(record->keys[1], 0u);
}

}  // namespace
}  // namespace loam_test
