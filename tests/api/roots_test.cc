// Roots: each kind keeps what it refers to, for as long as it is there.

#include <gtest/gtest.h>

#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class RootsTest : public testing::Test {
 protected:
  RootsTest() : type_(RegisterNode(heap_.types())) {}

  void* New() { return NewNode(heap_.m(), type_, 1); }
  loam_word Word() { return reinterpret_cast<loam_word>(New()); }
  uint64_t Live() {
    heap_.Collect();
    return heap_.Stats().live_objects;
  }

  TestHeap heap_;
  const loam_type* type_;
};

TEST_F(RootsTest, RegisteredWords) {
  loam_word words[3] = {};
  loam_root* roots[3];
  const loam_word_kind kinds[] = {LOAM_VALUE, LOAM_POINTER, LOAM_AMBIGUOUS};
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(
        loam_root_add(heap_.heap(), &words[i], kinds[i], "word", &roots[i]),
        LOAM_OK);
    loam_root_store_value(heap_.m(), &words[i], Word() + 7);
  }
  EXPECT_EQ(Live(), 3u);
  loam_root_store_pointer(heap_.m(), &words[0], nullptr);
  EXPECT_EQ(Live(), 2u);
  ASSERT_EQ(loam_root_remove(roots[1]), LOAM_OK);
  EXPECT_EQ(Live(), 1u);
  ASSERT_EQ(loam_root_remove(roots[2]), LOAM_OK);
  EXPECT_EQ(Live(), 0u);
}

TEST_F(RootsTest, FramesOfMixedKinds) {
  const uint8_t kinds[] = {LOAM_POINTER, LOAM_DATA, LOAM_AMBIGUOUS, LOAM_VALUE};
  const loam_frame_map map = {4, 0, kinds, "mixed"};
  struct {
    loam_frame frame;
    loam_word slots[4];
  } f = {};
  loam_frame_push(heap_.m(), &f.frame, &map);
  for (loam_word& slot : f.slots) slot = Word();
  EXPECT_EQ(Live(), 3u);
  {
    LOAM_FRAME(heap_.m(), inner, 2, LOAM_VALUE);
    inner.slots[1] = Word();
    EXPECT_EQ(Live(), 4u);
    LOAM_FRAME_END(inner);
  }
  EXPECT_EQ(Live(), 3u);
  loam_frame_pop(&f.frame);
  EXPECT_EQ(Live(), 0u);
}

TEST_F(RootsTest, HandlesLiveAsLongAsTheirScope) {
  loam_handle_scope outer;
  loam_handle_scope_open(heap_.m(), &outer);
  loam_handle first = loam_handle_pointer(heap_.m(), New());
  ASSERT_NE(first, nullptr);
  for (int round = 0; round < 3; round++) {
    loam_handle_scope inner;
    loam_handle_scope_open(heap_.m(), &inner);
    for (int i = 0; i < 2000; i++) {
      ASSERT_NE(loam_handle_value(heap_.m(), Word()), nullptr);
    }
    EXPECT_EQ(Live(), 2001u);
    loam_handle_scope_close(&inner);
    EXPECT_EQ(Live(), 1u);
  }
  first->word = Word();  // Written plainly by its owner.
  EXPECT_EQ(Live(), 1u);
  loam_handle_scope_close(&outer);
  EXPECT_EQ(Live(), 0u);
}

TEST_F(RootsTest, Globals) {
  std::vector<loam_global*> globals(1000);
  for (loam_global*& global : globals) {
    ASSERT_EQ(loam_global_create(heap_.heap(), LOAM_POINTER, Word(), &global),
              LOAM_OK);
  }
  EXPECT_EQ(Live(), 1000u);
  for (size_t i = 0; i < 500; i++) loam_global_set(heap_.m(), globals[i], 0);
  EXPECT_EQ(loam_global_get(globals[0]), 0u);
  EXPECT_NE(loam_global_get(globals[500]), 0u);
  EXPECT_EQ(Live(), 500u);
  for (loam_global* global : globals) {
    ASSERT_EQ(loam_global_destroy(global), LOAM_OK);
  }
  EXPECT_EQ(Live(), 0u);
}

void Provide(loam_visitor* visitor, void* data) {
  loam_visit_pointer(visitor, *static_cast<void**>(data));
}

TEST_F(RootsTest, ProvidersGoWithTheirOwners) {
  void* words[3] = {};
  loam_root* of_heap;
  loam_root* of_mutator;
  loam_root* of_fiber;
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap_.heap(), nullptr, &fiber), LOAM_OK);
  ASSERT_EQ(loam_root_provider_add(heap_.heap(), Provide, &words[0], "heap",
                                   &of_heap),
            LOAM_OK);
  ASSERT_EQ(loam_mutator_root_provider_add(heap_.m(), Provide, &words[1], "m",
                                           &of_mutator),
            LOAM_OK);
  ASSERT_EQ(loam_fiber_root_provider_add(fiber, Provide, &words[2], "fiber",
                                         &of_fiber),
            LOAM_OK);
  for (void*& word : words) word = New();
  EXPECT_EQ(Live(), 3u);
  ASSERT_EQ(loam_fiber_destroy(fiber), LOAM_OK);
  EXPECT_EQ(Live(), 2u);
  ASSERT_EQ(loam_root_remove(of_mutator), LOAM_OK);
  EXPECT_EQ(Live(), 1u);
  ASSERT_EQ(loam_root_remove(of_heap), LOAM_OK);
  EXPECT_EQ(Live(), 0u);
}

// ---- Unwinding --------------------------------------------------------------

TEST_F(RootsTest, UnwindingRestoresEverything) {
  loam_mutator* m = heap_.m();
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  f.slots[0] = Word();
  loam_gc_disable(m);
  loam_unwind_point point;
  loam_unwind_save(m, &point);
  {
    loam_frame_map map = {1, LOAM_POINTER, nullptr, nullptr};
    struct {
      loam_frame frame;
      loam_word slot;
    } skipped = {};
    loam_frame_push(m, &skipped.frame, &map);
    skipped.slot = Word();
    loam_handle_scope scope;
    loam_handle_scope_open(m, &scope);
    for (int i = 0; i < 1000; i++) (void)loam_handle_pointer(m, New());
    loam_gc_disable(m);
    loam_gc_disable(m);
    loam_enter_native(m);
    loam_enter_native(m);
  }
  loam_unwind_to(m, &point);
  EXPECT_EQ(loam_leave_native(m), LOAM_WRONG_STATE);
  EXPECT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_WRONG_STATE);
  EXPECT_EQ(loam_gc_enable(m), LOAM_OK);
  EXPECT_EQ(loam_gc_enable(m), LOAM_WRONG_STATE);
  EXPECT_EQ(Live(), 1u);
  LOAM_FRAME_END(f);
}

TEST_F(RootsTest, APointSavedInNativeStateStaysNative) {
  loam_mutator* m = heap_.m();
  loam_enter_native(m);
  loam_unwind_point point;
  loam_unwind_save(m, &point);
  ASSERT_EQ(loam_leave_native(m), LOAM_OK);
  loam_enter_native(m);
  loam_enter_native(m);
  loam_unwind_to(m, &point);
  EXPECT_EQ(loam_leave_native(m), LOAM_OK);
  EXPECT_EQ(loam_leave_native(m), LOAM_WRONG_STATE);
}

// ---- Fibers -----------------------------------------------------------------

TEST_F(RootsTest, AFiberLivesWithItsOwner) {
  loam_mutator* m = heap_.m();
  void* owner = New();
  heap_.kept = {owner};
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap_.heap(), owner, &fiber), LOAM_OK);
  loam_fiber_switch(m, fiber);
  EXPECT_EQ(loam_fiber_current(m), fiber);
  ASSERT_NE(loam_handle_pointer(m, New()), nullptr);
  loam_fiber_switch(m, nullptr);
  EXPECT_EQ(loam_fiber_current(m), nullptr);
  EXPECT_EQ(Live(), 2u);
  // Current, it needs no owner reachable: it keeps its owner.
  loam_fiber_switch(m, fiber);
  heap_.kept.clear();
  EXPECT_EQ(Live(), 2u);
  loam_fiber_switch(m, nullptr);
  // Abandoned, it goes.
  EXPECT_EQ(Live(), 0u);
}

// A fiber whose owner is reachable only from the stack of another.
TEST_F(RootsTest, FibersKeepEachOther) {
  loam_mutator* m = heap_.m();
  void* first = New();
  heap_.kept = {first};
  loam_fiber* previous = nullptr;
  ASSERT_EQ(loam_fiber_create(heap_.heap(), first, &previous), LOAM_OK);
  for (int i = 0; i < 50; i++) {
    loam_fiber_switch(m, previous);
    loam_handle owner = loam_handle_pointer(m, New());
    ASSERT_NE(owner, nullptr);
    ASSERT_EQ(
        loam_fiber_create(heap_.heap(), reinterpret_cast<void*>(owner->word),
                          &previous),
        LOAM_OK);
  }
  loam_fiber_switch(m, nullptr);
  EXPECT_EQ(Live(), 51u);
  heap_.kept.clear();
  EXPECT_EQ(Live(), 0u);
}

}  // namespace
}  // namespace loam_test
