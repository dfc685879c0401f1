// Calls that are right at another moment: unbalanced sections, detaching and
// destroying too early, and where their messages are found.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string LastError() { return loam_last_error(); }

TEST(StateTest, UnbalancedCallsAreRefused) {
  TestHeap heap;
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("loam_gc_enable: m"));
  EXPECT_EQ(loam_leave_native(heap.m()), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(),
              AllOf(HasSubstr("loam_leave_native: m"), HasSubstr("'main'")));
  EXPECT_EQ(loam_start_the_world(heap.m()), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("loam_start_the_world: m"));
  EXPECT_EQ(loam_leave_native(nullptr), LOAM_INVALID_ARGUMENT);
  loam_gc_disable(heap.m());
  EXPECT_EQ(loam_collect(heap.m(), LOAM_COLLECT_FULL), LOAM_WRONG_STATE);
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_WRONG_STATE);
}

TEST(StateTest, DetachingInTheWrongMomentIsRefused) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  loam_enter_native(m);
  EXPECT_EQ(loam_mutator_detach(m), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(),
              AllOf(HasSubstr("loam_mutator_detach: m"), HasSubstr("native")));
  EXPECT_EQ(loam_leave_native(m), LOAM_OK);
  loam_gc_disable(m);
  EXPECT_EQ(loam_mutator_detach(m), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("disabled"));
  EXPECT_EQ(loam_gc_enable(m), LOAM_OK);
  EXPECT_EQ(loam_stop_the_world(m), LOAM_OK);
  EXPECT_EQ(loam_mutator_detach(m), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("stopped the world"));
  EXPECT_EQ(loam_start_the_world(m), LOAM_OK);
  EXPECT_EQ(loam_mutator_detach(nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_heap_destroy(heap.heap()), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), AllOf(HasSubstr("loam_heap_destroy: heap"),
                                 HasSubstr("attached")));
  loam_mutator* second = nullptr;
  EXPECT_EQ(loam_mutator_attach(heap.heap(), "second", &second),
            LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(),
              AllOf(HasSubstr("loam_mutator_attach"), HasSubstr("'main'")));
  EXPECT_EQ(loam_mutator_attach(nullptr, nullptr, &second),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_mutator_attach(heap.heap(), nullptr, nullptr),
            LOAM_INVALID_ARGUMENT);
}

TEST(StateTest, ATypeSetInUseIsNotDestroyed) {
  loam_type_set* set = nullptr;
  ASSERT_EQ(loam_type_set_create(&set), LOAM_OK);
  loam_options options = TestOptions();
  options.types = set;
  {
    TestHeap heap(options);
    EXPECT_EQ(loam_type_set_destroy(set), LOAM_WRONG_STATE);
    EXPECT_THAT(LastError(), HasSubstr("loam_type_set_destroy: set"));
  }
  EXPECT_EQ(loam_type_set_destroy(set), LOAM_OK);
  EXPECT_EQ(loam_type_set_destroy(nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_type_set_create(nullptr), LOAM_INVALID_ARGUMENT);
}

TEST(StateTest, TheLastErrorIsPerThreadAndPerHeap) {
  TestHeap heap;
  TestHeap other;
  EXPECT_STREQ(loam_heap_last_error(heap.heap()), "");
  (void)loam_gc_enable(heap.m());
  EXPECT_THAT(loam_heap_last_error(heap.heap()), HasSubstr("loam_gc_enable"));
  EXPECT_STREQ(loam_heap_last_error(other.heap()), "");
}

}  // namespace
}  // namespace loam_test
