// Dispose functions of types: once for each object, before its memory is used
// again, at once or when the embedder asks.

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

// What objects begin with, so that a dispose function can tell who it is for.
struct Resource {
  Resource* next;
  uint64_t number;  // from 1
  uint64_t check;
};

class Disposals {
 public:
  static Disposals*& current() {
    static Disposals* current = nullptr;
    return current;
  }
  Disposals() { current() = this; }
  ~Disposals() { current() = nullptr; }

  static void Dispose(void* object, size_t size) {
    auto* resource = static_cast<Resource*>(object);
    EXPECT_GE(size, sizeof(Resource));
    EXPECT_EQ(resource->check, ~resource->number) << "its memory is as it was";
    EXPECT_TRUE(current()->disposed_.insert(resource->number).second)
        << "once: " << resource->number;
  }
  size_t size() const { return disposed_.size(); }
  bool Has(uint64_t number) const { return disposed_.count(number) != 0; }

 private:
  std::set<uint64_t> disposed_;
};

enum class Shape { kTyped, kRare, kArray, kLarge };
constexpr const char* kShapeNames[] = {"typed", "rare", "array", "large"};

loam_options CheckingOptions() {
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 1 << 20;
  options.check.verify_marking = 1;
  options.check.check_stores = 1;
  options.check.poison = 1;
  return options;
}

class DisposeTest : public testing::TestWithParam<std::tuple<Shape, bool>> {
 protected:
  DisposeTest() : heap_(std::make_unique<TestHeap>(CheckingOptions())) {
    static constexpr loam_field kNext =
        LOAM_FIELD(Resource, next, LOAM_POINTER);
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "resource";
    info.size = sizeof(Resource);
    info.fields = &kNext;
    info.field_count = 1;
    info.dispose = Disposals::Dispose;
    if (shape() == Shape::kArray || shape() == Shape::kLarge) {
      info.element_size = 8;
    }
    if (shape() == Shape::kTyped) info.flags |= LOAM_TYPE_HOT;
    if (is_queued()) info.flags |= LOAM_TYPE_DISPOSE_QUEUED;
    EXPECT_EQ(loam_type_register(heap_->types(), &info, &type_), LOAM_OK)
        << loam_last_error();
  }

  Shape shape() const { return std::get<0>(GetParam()); }
  bool is_queued() const { return std::get<1>(GetParam()); }

  Resource* New() {
    void* object = nullptr;
    switch (shape()) {
      case Shape::kTyped:
      case Shape::kRare:
        object = loam_alloc(heap_->m(), type_);
        break;
      case Shape::kArray:
        object = loam_alloc_array(heap_->m(), type_, made_ % 50);
        break;
      case Shape::kLarge:
        object = loam_alloc_array(heap_->m(), type_, 10000);
    }
    auto* resource = static_cast<Resource*>(object);
    resource->number = ++made_;
    resource->check = ~made_;
    return resource;
  }
  size_t Run(size_t max = 0) {
    size_t ran = 0;
    EXPECT_EQ(loam_finalizers_run(heap_->m(), max, &ran, nullptr), LOAM_OK);
    return ran;
  }
  void CollectAndRun() {
    heap_->Collect();
    const size_t waiting = heap_->Stats().finalizers_waiting;
    if (is_queued()) {
      EXPECT_EQ(Run(), waiting);
    } else {
      EXPECT_EQ(waiting, 0u);
    }
  }
  size_t Many() const { return shape() == Shape::kLarge ? 50 : 5000; }

  Disposals disposals_;
  std::unique_ptr<TestHeap> heap_;
  const loam_type* type_ = nullptr;
  uint64_t made_ = 0;
};

TEST_P(DisposeTest, OnceForEachDeadObject) {
  std::vector<void*>& kept = heap_->kept;
  for (size_t i = 0; i < Many(); i++) {
    Resource* resource = New();
    if (i % 3 == 0) kept.push_back(resource);
  }
  CollectAndRun();
  CollectAndRun();
  EXPECT_EQ(disposals_.size(), Many() - kept.size());
  for (const void* object : kept) {
    EXPECT_FALSE(disposals_.Has(static_cast<const Resource*>(object)->number));
  }
  EXPECT_EQ(heap_->Stats().live_objects, kept.size());
  kept.clear();
  CollectAndRun();
  CollectAndRun();
  EXPECT_EQ(disposals_.size(), Many());
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  heap_->ExpectSound();
}

TEST_P(DisposeTest, BeforeTheMemoryIsUsedAgain) {
  // No collection is asked for: they come with the allocations.
  for (size_t i = 0; i < 20 * Many(); i++) {
    New();
    if (is_queued() && i % 100 == 0) Run();
  }
  EXPECT_GT(disposals_.size(), Many());
  heap_->Collect();
  Run();
  EXPECT_EQ(disposals_.size(), made_);
}

// What waits refers to nothing any more, and stays as long as it waits.
TEST_P(DisposeTest, WhatWaitsStays) {
  if (!is_queued()) GTEST_SKIP() << "of types that wait";
  Resource* first = New();
  heap_->kept = {first};
  Resource* second = New();
  loam_store_pointer(heap_->m(), first, &first->next, second);
  heap_->kept.clear();
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().finalizers_waiting, 2u);
  EXPECT_EQ(first->next, nullptr);
  for (int i = 0; i < 4; i++) {
    heap_->Collect();
    for (int j = 0; j < 100; j++) loam_alloc_bytes(heap_->m(), 100);
    EXPECT_EQ(first->number, 1u);
    EXPECT_EQ(second->check, ~uint64_t{2});
    EXPECT_EQ(disposals_.size(), 0u);
  }
  EXPECT_EQ(Run(1), 1u);
  EXPECT_EQ(disposals_.size(), 1u);
  heap_->Collect();
  EXPECT_EQ(Run(), 1u);
  EXPECT_EQ(Run(), 0u);
  EXPECT_EQ(disposals_.size(), 2u);
  heap_->Collect();
  EXPECT_EQ(heap_->Stats().live_objects, 0u);
  EXPECT_EQ(heap_->Stats().finalizers_waiting, 0u);
}

TEST_P(DisposeTest, AfterTheFinalizer) {
  static std::vector<std::string> events;
  events.clear();
  Resource* resource = New();
  const auto finalize = [](loam_mutator*, void* object, void*) {
    EXPECT_EQ(static_cast<Resource*>(object)->number, 1u);
    EXPECT_EQ(Disposals::current()->size(), 0u);
    events.emplace_back("finalizer");
  };
  const auto clean = [](loam_mutator*, loam_word, void*) {
    events.emplace_back("cleanup");
  };
  ASSERT_EQ(loam_finalizer_set(heap_->m(), resource, finalize, nullptr,
                               LOAM_FINALIZER_ORDERED),
            LOAM_OK);
  ASSERT_EQ(loam_cleanup_add(heap_->m(), resource, clean, 0, nullptr, nullptr),
            LOAM_OK);
  heap_->Collect();
  Run();
  EXPECT_EQ(events, std::vector<std::string>{"finalizer"});
  EXPECT_EQ(disposals_.size(), 0u);
  heap_->Collect();
  Run();
  EXPECT_EQ(events, (std::vector<std::string>{"finalizer", "cleanup"}));
  EXPECT_EQ(disposals_.size(), 1u);
}

// Whatever is left: alive, dead and not swept yet, waiting.
TEST_P(DisposeTest, DestroyingTheHeapDisposesOfAll) {
  for (size_t i = 0; i < Many(); i++) {
    Resource* resource = New();
    if (i % 2 == 0) heap_->kept.push_back(resource);
  }
  heap_->Collect();
  if (is_queued()) {
    EXPECT_EQ(Run(Many() / 5), Many() / 5);
  }
  for (size_t i = 0; i < 100; i++) New();
  heap_->kept.resize(heap_->kept.size() / 2);
  heap_->kept.shrink_to_fit();
  heap_.reset();
  EXPECT_EQ(disposals_.size(), made_);
}

INSTANTIATE_TEST_SUITE_P(
    All, DisposeTest,
    testing::Combine(testing::Values(Shape::kTyped, Shape::kRare, Shape::kArray,
                                     Shape::kLarge),
                     testing::Bool()),
    [](const auto& info) {
      return std::string(
                 kShapeNames[static_cast<size_t>(std::get<0>(info.param))]) +
             (std::get<1>(info.param) ? "_queued" : "_at_once");
    });

}  // namespace
}  // namespace loam_test
