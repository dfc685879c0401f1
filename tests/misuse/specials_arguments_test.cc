// Bad arguments of what hangs on objects: which one, and that the message names
// the call and the argument.

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

// ---- Finalizers -------------------------------------------------------------

TEST(FinalizerArgumentsTest, AreChecked) {
  TestHeap heap;
  const auto nothing = [](loam_mutator*, void*, void*) {};
  void* object = loam_alloc_bytes(heap.m(), 100);
  heap.kept = {object};
  int outside = 0;
  EXPECT_EQ(loam_finalizer_set(heap.m(), nullptr, nothing, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_finalizer_set: object"));
  EXPECT_EQ(loam_finalizer_set(heap.m(), object, nullptr, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_finalizer_set: fn"));
  EXPECT_EQ(loam_finalizer_set(heap.m(), &outside, nothing, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_finalizer_set(heap.m(), object, nothing, nullptr,
                               static_cast<loam_finalizer_mode>(2)),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_finalizer_set: mode"));
  EXPECT_EQ(loam_finalizer_clear(heap.m(), object), LOAM_NOT_FOUND);
  EXPECT_EQ(loam_finalizer_set(heap.m(), object, nothing, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_OK);
  EXPECT_EQ(loam_finalizer_set(heap.m(), object, nothing, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), AllOf(HasSubstr("loam_finalizer_set: object"),
                                 HasSubstr("already")));
  EXPECT_EQ(loam_finalizer_clear(heap.m(), &outside), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_finalizer_clear(heap.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_finalizer_clear(heap.m(), object), LOAM_OK);
}

// ---- Cleanups, weak handles, watches, words ---------------------------------

TEST(SpecialArgumentsTest, AreChecked) {
  TestHeap heap;
  TestHeap other;
  void* object = loam_alloc_bytes(heap.m(), 100);
  heap.kept = {object};
  int outside = 0;
  const auto cleanup = [](loam_mutator*, loam_word, void*) {};
  loam_cleanup name = {};
  EXPECT_EQ(loam_cleanup_add(heap.m(), nullptr, cleanup, 0, nullptr, &name),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_cleanup_add: object"));
  EXPECT_EQ(loam_cleanup_add(heap.m(), object, nullptr, 0, nullptr, &name),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_cleanup_add: fn"));
  EXPECT_EQ(loam_cleanup_add(heap.m(), &outside, cleanup, 0, nullptr, &name),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_cleanup_stop(heap.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_cleanup_stop(heap.m(), &name), LOAM_NOT_FOUND);

  loam_weak_handle* handle = nullptr;
  EXPECT_EQ(
      loam_weak_handle_create(heap.m(), &outside, LOAM_WEAK_SHORT, &handle),
      LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_weak_handle_create: object"));
  EXPECT_EQ(loam_weak_handle_create(heap.m(), object, LOAM_WEAK_SHORT, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(
      loam_weak_handle_create(heap.m(), object,
                              static_cast<loam_weak_handle_kind>(2), &handle),
      LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_weak_handle_create: kind"));
  ASSERT_EQ(loam_weak_handle_create(heap.m(), object, LOAM_WEAK_SHORT, &handle),
            LOAM_OK);
  EXPECT_EQ(loam_weak_handle_destroy(heap.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_weak_handle_destroy(other.m(), handle), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("another heap"));
  EXPECT_EQ(loam_weak_handle_destroy(heap.m(), handle), LOAM_OK);
  EXPECT_EQ(loam_weak_handle_destroy(heap.m(), handle), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("already"));

  loam_watch* watch = nullptr;
  EXPECT_EQ(loam_watch_create(heap.m(), &outside, &watch),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_watch_create(heap.m(), object, nullptr),
            LOAM_INVALID_ARGUMENT);
  ASSERT_EQ(loam_watch_create(heap.m(), object, &watch), LOAM_OK);
  EXPECT_EQ(loam_watch_destroy(other.m(), watch), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_watch_destroy(heap.m(), watch), LOAM_OK);
  EXPECT_EQ(loam_watch_destroy(heap.m(), watch), LOAM_INVALID_ARGUMENT);

  loam_special_kind* kind = nullptr;
  loam_word word = 0;
  EXPECT_EQ(loam_special_kind_create(nullptr, nullptr, nullptr, &kind),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_special_kind_create(heap.heap(), nullptr, nullptr, nullptr),
            LOAM_INVALID_ARGUMENT);
  ASSERT_EQ(loam_special_kind_create(heap.heap(), nullptr, nullptr, &kind),
            LOAM_OK);
  EXPECT_EQ(loam_special_set(heap.m(), &outside, kind, 1),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_special_set(heap.m(), object, nullptr, 1),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_special_set(other.m(), object, kind, 1),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_special_get(heap.m(), object, kind, &word), LOAM_NOT_FOUND);
  EXPECT_EQ(loam_special_get(heap.m(), object, kind, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_special_remove(heap.m(), object, kind, &word), LOAM_NOT_FOUND);
}

TEST(WeakMapArgumentsTest, AreChecked) {
  TestHeap heap;
  void* map = loam_weak_map_new(heap.m());
  heap.kept = {map};
  loam_word value = 0;
  EXPECT_EQ(loam_weak_map_set(heap.m(), map, 0, 1), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_weak_map_set: key"));
  EXPECT_EQ(loam_weak_map_get(heap.m(), map, 0, &value), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_weak_map_get(heap.m(), map, 7, &value), LOAM_NOT_FOUND);
  EXPECT_EQ(loam_weak_map_remove(heap.m(), map, 7), LOAM_NOT_FOUND);
  void* bytes = loam_alloc_bytes(heap.m(), 48);
  EXPECT_DEATH((void)loam_weak_map_count(heap.m(), bytes), "is no weak map");
  EXPECT_DEATH((void)loam_ephemeron_key(heap.m(), map), "is no ephemeron");
  loam_root* root = nullptr;
  EXPECT_EQ(
      loam_weak_provider_add(heap.heap(), nullptr, nullptr, nullptr, &root),
      LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_weak_provider_add: fn"));
}

}  // namespace
}  // namespace loam_test
