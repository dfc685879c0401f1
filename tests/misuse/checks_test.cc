// What the checking options find, and what they say about it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class ChecksTest : public testing::Test {
 protected:
  ChecksTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

loam_options Stores() {
  loam_options options = TestOptions();
  options.check.check_stores = 1;
  return options;
}
loam_options Verify() {
  loam_options options = TestOptions();
  options.check.verify_marking = 1;
  return options;
}

// ---- Stores -----------------------------------------------------------------

TEST_F(ChecksTest, ARawStoreIsNamedByTypeAndField) {
  const auto raw = [] {
    TestHeap heap(Stores());
    const loam_type* type = RegisterNode(heap.types());
    auto* a = static_cast<Node*>(loam_alloc(heap.m(), type));
    heap.kept = {a};
    auto* b = static_cast<Node*>(loam_alloc(heap.m(), type));
    heap.kept.push_back(b);
    heap.Collect();
    a->right = b;
    heap.Collect();
  };
  EXPECT_DEATH(raw(),
               "misuse of the API: raw store: field 'right' .offset 8. "
               "of a 'node' at 0x[0-9a-f]+ holds 0x[0-9a-f]+, but 0 is "
               "what went through");
}

TEST_F(ChecksTest, ARawStoreIsFoundInEveryLayout) {
  const auto in_typed_span = [] {
    TestHeap heap(Stores());
    const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    auto* a = static_cast<Node*>(loam_alloc(heap.m(), type));
    heap.kept = {a};
    heap.Collect();
    a->left = a;
    heap.Collect();
  };
  EXPECT_DEATH(in_typed_span(),
               "raw store: field 'left' .offset 0. of a "
               "'node'");
  const auto in_element = [] {
    TestHeap heap(Stores());
    const loam_type* type =
        RegisterType(heap.types(), "table", 16, {}, 0, 24,
                     {{"key", 0, 1, LOAM_VALUE}, {"entry", 8, 1, LOAM_VALUE}});
    auto* words = static_cast<loam_word*>(loam_alloc_array(heap.m(), type, 10));
    heap.kept = {words};
    heap.Collect();
    words[2 + 3 * 4 + 1] = 5;
    heap.Collect();
  };
  EXPECT_DEATH(in_element(),
               "raw store: field 'entry' .offset 8. of element 4 "
               "of a 'table'");
  const auto in_slots = [] {
    TestHeap heap(Stores());
    auto* words = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 10));
    heap.kept = {words};
    heap.Collect();
    words[3] = 5;
    heap.Collect();
  };
  EXPECT_DEATH(in_slots(), "raw store: word 3 of the untyped object");
  const auto in_bitmap = [] {
    TestHeap heap(Stores());
    const uint64_t bits = 4;
    auto* words = static_cast<loam_word*>(
        loam_alloc_bitmap(heap.m(), 80, nullptr, &bits));
    heap.kept = {words};
    heap.Collect();
    words[2] = 5;
    heap.Collect();
  };
  EXPECT_DEATH(in_bitmap(), "raw store: word 2 of the untyped object");
}

TEST_F(ChecksTest, ALateInitStoreIsFound) {
  const auto late = [] {
    TestHeap heap(Stores());
    const loam_type* type = RegisterNode(heap.types());
    auto* a = static_cast<Node*>(loam_alloc(heap.m(), type));
    heap.kept = {a};
    loam_store_pointer_init(heap.m(), a, &a->left, a);
    (void)loam_alloc(heap.m(), type);  // A safepoint.
    loam_store_pointer_init(heap.m(), a, &a->right, a);
    heap.Collect();
  };
  EXPECT_DEATH(late(),
               "raw store: field 'right' .*loam_store_._init came "
               "after a safepoint");
}

TEST_F(ChecksTest, WritingPastTheEndOfAnArrayIsNamed) {
  const auto overrun = [] {
    TestHeap heap(Verify());
    const loam_type* type = RegisterType(heap.types(), "array", 0, {}, 0, 8,
                                         {{"element", 0, 1, LOAM_POINTER}});
    auto* array = static_cast<loam_word*>(loam_alloc_array(heap.m(), type, 3));
    heap.kept = {array};
    heap.Collect();
    for (size_t i = 0; i < 8; i++) array[i] = 0x1234;  // Three of its own.
    heap.Collect();
  };
  EXPECT_DEATH(overrun(),
               "misuse of the API: something wrote past the end of the object "
               "at .*0x1234, and no type");
}

// Bulk copies go by the object's layout: data between slots is copied too.
TEST_F(ChecksTest, RecordsOfSlotsAndDataAreCopied) {
  TestHeap heap(Stores());
  loam_mutator* m = heap.m();
  const loam_type* type =
      RegisterType(heap.types(), "table", 16, {}, 0, 24,
                   {{"key", 0, 1, LOAM_POINTER}, {"entry", 8, 1, LOAM_VALUE}});
  auto* words = static_cast<loam_word*>(loam_alloc_array(m, type, 10));
  heap.kept = {words};
  loam_word* records = words + 2;
  loam_store_pointer(m, words, &records[0], words);
  loam_store_value(m, words, &records[1], 0);
  records[2] = 77;
  loam_copy_slots(m, words, &records[3], &records[0], 3);
  loam_copy_slots(m, words, &records[6], &records[0], 6);
  heap.Collect();
  EXPECT_EQ(records[9], reinterpret_cast<loam_word>(words));
  EXPECT_EQ(records[11], 77u);
  loam_clear_slots(m, words, &records[0], 12);
  heap.Collect();
  EXPECT_EQ(records[9], 0u);
  EXPECT_EQ(records[11], 0u);
}

// Everything that is allowed passes.
TEST_F(ChecksTest, ProperStoresPass) {
  TestHeap heap(Stores());
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  Node* a = NewNode(m, type, 1);
  loam_store_pointer_init(m, a, &a->left, a);
  heap.kept = {a};
  Node* b = NewNode(m, type, 2);
  loam_store_pointer(m, a, &a->right, b);
  heap.Collect();
  (loam_store_pointer)(m, b, &b->left, a);
  void* expected = a;
  EXPECT_TRUE(loam_compare_exchange_pointer(m, b, &b->left, &expected, b));
  EXPECT_EQ(loam_exchange_pointer(m, b, &b->right, a), nullptr);
  loam_copy_slots(m, a, &a->left, &b->left, 2);
  loam_clear_slots(m, b, &b->left, 2);
  heap.Collect();
  EXPECT_EQ(a->left, b);
  EXPECT_EQ(a->right, a);
  EXPECT_EQ(b->left, nullptr);
  // Data words are nobody's business.
  a->number = 77;
  heap.Collect();
}

// What a mutator has initialised stays initialised when it goes.
TEST_F(ChecksTest, FreshObjectsOfAMutatorThatDetachesPass) {
  TestHeap heap(Stores());
  const loam_type* type = RegisterNode(heap.types());
  loam_global* global = nullptr;
  ASSERT_EQ(loam_global_create(heap.heap(), LOAM_POINTER, 0, &global), LOAM_OK);
  loam_enter_native(heap.m());
  std::thread([&] {
    loam_mutator* m;
    ASSERT_EQ(loam_mutator_attach(heap.heap(), "short", &m), LOAM_OK);
    Node* a = NewNode(m, type, 1);
    loam_store_pointer_init(m, a, &a->left, a);
    loam_global_set(m, global, reinterpret_cast<loam_word>(a));
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  }).join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.Collect();
  auto* a = reinterpret_cast<Node*>(loam_global_get(global));
  EXPECT_EQ(a->left, a);
}

// ---- References -------------------------------------------------------------

// An object used after it became unreachable, with others around it alive.
void UseAfterDeath(const loam_options& options, bool by_root) {
  TestHeap heap(options);
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  Node* owner = NewNode(m, type, 1);
  heap.kept = {owner};
  Node* dead = NewNode(m, type, 2);
  Node* sibling = NewNode(m, type, 3);
  heap.kept.push_back(sibling);
  heap.Collect();
  if (by_root) {
    heap.kept.push_back(dead);
  } else {
    loam_store_pointer(m, owner, &owner->right, dead);
  }
  heap.Collect();
  heap.Collect();
}

TEST_F(ChecksTest, AReferenceToAFreeCellNamesOwnerAndField) {
  EXPECT_DEATH(UseAfterDeath(Verify(), false),
               "misuse of the API: field 'right' .offset 8. of a 'node' at "
               "0x[0-9a-f]+ refers to a free cell");
  EXPECT_DEATH(UseAfterDeath(Verify(), true),
               "misuse of the API: provider 'kept' refers to a free cell");
  // Without the verifier it is found when the span is swept.
  EXPECT_DEATH(UseAfterDeath(TestOptions(), false),
               "a reference to a free cell was found while marking(.|\n)*"
               "LOAM_VERIFY");
}

TEST_F(ChecksTest, AReferenceToFreePagesIsFound) {
  const auto stale = [] {
    TestHeap heap(Verify());
    const loam_type* type = RegisterNode(heap.types());
    Node* owner = NewNode(heap.m(), type, 1);
    heap.kept = {owner};
    void* dead = loam_alloc_bytes(heap.m(), 100000);
    heap.Collect();
    loam_store_pointer(heap.m(), owner, &owner->left, dead);
    heap.Collect();
  };
  EXPECT_DEATH(stale(),
               "field 'left' .offset 0. of a 'node' at 0x[0-9a-f]+ "
               "refers to memory that holds no object");
}

void ReferToOtherHeap(bool by_root) {
  TestHeap heap(Verify());
  TestHeap other;
  const loam_type* type = RegisterNode(heap.types());
  Node* owner = NewNode(heap.m(), type, 1);
  heap.kept = {owner};
  void* foreign = loam_alloc_bytes(other.m(), 100);
  if (by_root) {
    heap.kept.push_back(foreign);
  } else {
    loam_store_pointer(heap.m(), owner, &owner->left, foreign);
  }
  heap.Collect();
}

TEST_F(ChecksTest, AReferenceIntoAnotherHeapIsFound) {
  EXPECT_DEATH(ReferToOtherHeap(false),
               "field 'left' .offset 0. of a 'node' at 0x[0-9a-f]+ refers to "
               "another heap");
}

TEST_F(ChecksTest, ARootIntoAnotherHeapIsFound) {
  EXPECT_DEATH(ReferToOtherHeap(true),
               "provider 'kept' refers to another heap");
}

TEST_F(ChecksTest, ForeignReferencesCanBeForbidden) {
  static int foreign;
  const auto refer = [](bool forbid) {
    loam_options options = TestOptions();
    options.check.forbid_foreign_references = forbid ? 1 : 0;
    options.check.verify_marking = 1;
    TestHeap heap(options);
    Node* owner = NewNode(heap.m(), RegisterNode(heap.types()), 1);
    heap.kept = {owner};
    loam_store_pointer(heap.m(), owner, &owner->left, &foreign);
    heap.Collect();
  };
  EXPECT_DEATH(refer(true),
               "field 'left' .offset 0. of a 'node' at "
               "0x[0-9a-f]+ refers to an address outside the "
               "heap");
  refer(false);
}

// Foreign words in every kind of root are met while locks are held.
TEST_F(ChecksTest, ForeignWordsInRootsPassTheVerifier) {
  static loam_word foreign;
  loam_options options = Verify();
  options.check.check_threads = 1;
  TestHeap heap(options);
  loam_mutator* m = heap.m();
  heap.kept = {&foreign};
  loam_word words[2] = {reinterpret_cast<loam_word>(&foreign), 0};
  loam_root* root;
  ASSERT_EQ(
      loam_root_add_range(heap.heap(), words, 2, LOAM_POINTER, "words", &root),
      LOAM_OK);
  loam_global* global;
  ASSERT_EQ(loam_global_create(heap.heap(), LOAM_POINTER, words[0], &global),
            LOAM_OK);
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  f.slots[0] = words[0];
  loam_handle_scope scope;
  loam_handle_scope_open(m, &scope);
  ASSERT_NE(loam_handle_pointer(m, &foreign), nullptr);
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap.heap(), nullptr, &fiber), LOAM_OK);
  loam_fiber_switch(m, fiber);
  ASSERT_NE(loam_handle_pointer(m, &foreign), nullptr);
  heap.Collect();
  loam_fiber_switch(m, nullptr);
  heap.Collect();
  loam_handle_scope_close(&scope);
  LOAM_FRAME_END(f);
}

// ---- Poison -----------------------------------------------------------------

TEST_F(ChecksTest, FreedCellsArePoisoned) {
  loam_options options = TestOptions();
  options.check.poison = 1;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  Node* dead = NewNode(heap.m(), type, 2);
  Node* sibling = NewNode(heap.m(), type, 3);
  heap.kept = {sibling};
  heap.Collect();
  // Dangling on purpose: the pages are still there, since a sibling lives.
  EXPECT_EQ(dead->number, 0xdbdbdbdbdbdbdbdbu);
  EXPECT_EQ(sibling->number, 3u);
  // And what is handed out again is clean.
  for (int i = 0; i < 1000; i++) {
    Node* fresh = NewNode(heap.m(), type, 0);
    ASSERT_EQ(fresh->left, nullptr);
    ASSERT_EQ(fresh->right, nullptr);
  }
}

// ---- Stress -----------------------------------------------------------------

TEST_F(ChecksTest, StressCollectsAtEveryNthAllocation) {
  loam_options options = TestOptions();
  options.check.stress_interval = 3;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  const uint64_t before = heap.Stats().cycles;
  for (int i = 0; i < 300; i++) (void)loam_alloc(heap.m(), type);
  EXPECT_EQ(heap.Stats().cycles - before, 100u);
  for (int i = 0; i < 30; i++) (void)loam_try_alloc(heap.m(), type);
  EXPECT_EQ(heap.Stats().cycles - before, 100u);
}

TEST_F(ChecksTest, StressProbabilityFollowsItsSeed) {
  const auto cycles = [](uint64_t seed) {
    loam_options options = TestOptions();
    options.check.stress_probability = 0.1;
    options.check.stress_seed = seed;
    TestHeap heap(options);
    uint64_t digest = 0;
    for (int i = 0; i < 1000; i++) {
      (void)loam_alloc_bytes(heap.m(), 10);
      digest = digest * 3 + heap.Stats().cycles;
    }
    EXPECT_GT(heap.Stats().cycles, 60u);
    EXPECT_LT(heap.Stats().cycles, 140u);
    return digest;
  };
  EXPECT_EQ(cycles(5), cycles(5));
  EXPECT_NE(cycles(5), cycles(6));
}

TEST_F(ChecksTest, AFreshStressSeedIsLogged) {
  static std::string logged;
  logged.clear();
  loam_options options = TestOptions();
  options.check.stress_probability = 0.1;
  options.callbacks.log = [](loam_heap*, const char* line, void*) {
    logged += line;
  };
  TestHeap heap(options);
  EXPECT_THAT(logged, testing::ContainsRegex("LOAM_STRESS_SEED=[0-9]+"));
}

}  // namespace
}  // namespace loam_test
