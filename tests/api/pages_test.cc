// Pages without objects: loam_pages_allocate, loam_pages_free.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "api/loam_pages.hpp"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using testing::HasSubstr;

constexpr size_t kMiB = size_t{1} << 20;

std::string LastError() { return loam_last_error(); }

void* Allocate(loam_heap* heap, size_t bytes, size_t alignment = 1) {
  void* pages = nullptr;
  EXPECT_EQ(loam_pages_allocate(heap, bytes, alignment, &pages), LOAM_OK)
      << LastError();
  return pages;
}

// ---- The story of docs/embedding.md: a VM's stack

struct Vm {
  Node** stack;
  size_t depth;
};

void VisitVm(loam_visitor* visitor, void* data) {
  const auto* vm = static_cast<Vm*>(data);
  loam_visit_pointer_range(visitor, vm->stack, vm->depth);
}

void RunVm(const loam_options& options) {
  TestHeap heap(options);
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  constexpr size_t kStackBytes = 1 * kMiB;
  Vm vm = {};
  void* stack = Allocate(heap.heap(), kStackBytes, 4096);
  vm.stack = static_cast<Node**>(stack);
  loam_root* root = nullptr;
  ASSERT_EQ(loam_mutator_root_provider_add(m, VisitVm, &vm, "VM stack", &root),
            LOAM_OK);
  EXPECT_EQ(heap.Stats().manual_bytes, kStackBytes);
  // Pushes, and collects now and then: nothing on the stack is lost.
  constexpr size_t kDepth = 2000;
  for (size_t i = 0; i < kDepth; i++) {
    vm.stack[vm.depth] = NewNode(m, type, i);
    vm.depth++;
    NewNode(m, type, 0);  // dies
    if (i % 500 == 0) heap.Collect();
  }
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, kDepth);
  for (size_t i = 0; i < kDepth; i++) ASSERT_EQ(vm.stack[i]->number, i);
  // What is popped dies, though the words are still there.
  vm.depth = 10;
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 10u);
  heap.ExpectSound();
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
  EXPECT_EQ(loam_pages_free(heap.heap(), stack), LOAM_OK) << LastError();
  EXPECT_EQ(heap.Stats().manual_bytes, 0u);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
  heap.ExpectSound();
}

TEST(PagesTest, AVmStackIsScannedByItsProvider) { RunVm(TestOptions()); }

TEST(PagesTest, AVmStackUnderEveryCheck) {
  loam_options options = TestOptions();
  options.check.verify_marking = 1;
  options.check.check_stores = 1;
  options.check.check_threads = 1;
  options.check.poison = 1;
  RunVm(options);
}

// ---- What the memory is

TEST(PagesTest, AreZeroedAndAligned) {
  TestHeap heap;
  for (size_t alignment = 1; alignment <= LOAM_PAGES_ALIGNMENT_MAX;
       alignment *= 2) {
    auto* bytes =
        static_cast<unsigned char*>(Allocate(heap.heap(), 20000, alignment));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % alignment, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 8192, 0u);
    for (size_t i = 0; i < 24576; i += 7) ASSERT_EQ(bytes[i], 0);
    memset(bytes, 0xff, 24576);
    EXPECT_EQ(loam_pages_free(heap.heap(), bytes), LOAM_OK);
  }
  EXPECT_EQ(heap.Stats().manual_bytes, 0u);
}

TEST(PagesTest, HoldNoObjects) {
  TestHeap heap;
  auto* pages = static_cast<char*>(Allocate(heap.heap(), 100000));
  heap.kept.push_back(pages + 40);
  heap.Collect();
  EXPECT_EQ(loam_object_base(heap.heap(), pages), nullptr);
  EXPECT_EQ(loam_object_size(heap.heap(), pages + 8), 0u);
  EXPECT_EQ(loam_is_live_object(heap.heap(), pages), 0);
  size_t objects = 0;
  const auto count = [](void*, size_t, const loam_type*, void* data) {
    return ++*static_cast<size_t*>(data) > 0 ? 1 : 0;
  };
  EXPECT_EQ(loam_heap_walk(heap.m(), count, &objects), LOAM_OK);
  EXPECT_EQ(objects, 0u);
  heap.ExpectSound();
}

TEST(PagesTest, RootsMayLieInThem) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  auto** slots = static_cast<Node**>(Allocate(heap.heap(), 8192));
  loam_root* root = nullptr;
  ASSERT_EQ(
      loam_root_add_range(heap.heap(), slots, 4, LOAM_POINTER, "table", &root),
      LOAM_OK)
      << LastError();
  loam_root_store_pointer(heap.m(), reinterpret_cast<void**>(&slots[2]),
                          NewNode(heap.m(), type, 5));
  heap.Collect();
  EXPECT_EQ(slots[2]->number, 5u);
  EXPECT_EQ(heap.Stats().live_objects, 1u);
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
  EXPECT_EQ(loam_pages_free(heap.heap(), slots), LOAM_OK);
}

// An object may hold the address of such a page, like that of other memory.
TEST(PagesTest, AReferenceIntoThemIsLikeOneOutsideTheHeap) {
  loam_options options = TestOptions();
  options.check.verify_marking = 1;
  options.check.check_stores = 1;
  const auto store = [](const loam_options& with) {
    TestHeap heap(with);
    const loam_type* type = RegisterNode(heap.types());
    Node* node = NewNode(heap.m(), type, 1);
    heap.kept.push_back(node);
    auto* pages = static_cast<char*>(Allocate(heap.heap(), 8192));
    loam_store_pointer(heap.m(), node, reinterpret_cast<void**>(&node->left),
                       pages + 16);
    heap.Collect();
    EXPECT_EQ(static_cast<void*>(node->left), pages + 16);
  };
  store(options);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  options.check.forbid_foreign_references = 1;
  EXPECT_DEATH(store(options), "refers to an address outside the heap");
}

// ---- Limits and threads

TEST(PagesTest, CountAgainstHeapLimit) {
  loam_options options = TestOptions();
  options.heap_limit = 16 * kMiB;
  TestHeap heap(options);
  void* pages = nullptr;
  EXPECT_EQ(loam_pages_allocate(heap.heap(), 32 * kMiB, 1, &pages),
            LOAM_OUT_OF_MEMORY);
  EXPECT_THAT(LastError(), HasSubstr("loam_pages_allocate: out of memory"));
  EXPECT_EQ(loam_pages_allocate(heap.heap(), SIZE_MAX, 1, &pages),
            LOAM_OUT_OF_MEMORY);
  EXPECT_EQ(pages, nullptr);
  pages = Allocate(heap.heap(), 12 * kMiB);
  EXPECT_EQ(loam_alloc_bytes(heap.m(), 8 * kMiB), nullptr);
  EXPECT_EQ(loam_pages_free(heap.heap(), pages), LOAM_OK);
  EXPECT_NE(loam_alloc_bytes(heap.m(), 8 * kMiB), nullptr);
  // Free pages elsewhere make room.
  heap.Collect();
  pages = Allocate(heap.heap(), 12 * kMiB);
  heap.ExpectSound();
}

TEST(PagesTest, AFixedHeapHasTheRest) {
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = 8 * kMiB;
  TestHeap heap(options);
  void* const pages = Allocate(heap.heap(), 6 * kMiB);
  EXPECT_EQ(loam_alloc_bytes(heap.m(), 4 * kMiB), nullptr);
  for (int i = 0; i < 20; i++) {
    EXPECT_NE(loam_alloc_bytes(heap.m(), 1 * kMiB), nullptr);
  }
  EXPECT_EQ(loam_pages_free(heap.heap(), pages), LOAM_OK);
  EXPECT_NE(loam_alloc_bytes(heap.m(), 4 * kMiB), nullptr);
}

TEST(PagesTest, AnyThreadMayAllocateAndFree) {
  TestHeap heap;
  void* mine = Allocate(heap.heap(), 10000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {  // not attached
      for (int i = 0; i < 300; i++) {
        void* pages = Allocate(heap.heap(), 1 + 5000 * (i % 7), 8192 << i % 4);
        memset(pages, 1, 1);
        EXPECT_EQ(loam_pages_free(heap.heap(), pages), LOAM_OK);
      }
    });
  }
  for (int i = 0; i < 20; i++) {
    loam_alloc_bytes(heap.m(), 100000);
    heap.Collect();
  }
  for (std::thread& thread : threads) thread.join();
  std::thread([&] {
    EXPECT_EQ(loam_pages_free(heap.heap(), mine), LOAM_OK);
  }).join();
  EXPECT_EQ(heap.Stats().manual_bytes, 0u);
  heap.ExpectSound();
}

TEST(PagesTest, GoWithTheHeap) {
  TestHeap heap;
  memset(Allocate(heap.heap(), kMiB), 1, kMiB);
}

TEST(PagesTest, OfAClassAreFreedWithIt) {
  TestHeap heap;
  {
    loam::Pages pages;
    ASSERT_TRUE(pages.Allocate(heap.heap(), kMiB, 1 << 16).ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.base()) % (1 << 16), 0u);
    EXPECT_EQ(heap.Stats().manual_bytes, kMiB);
  }
  EXPECT_EQ(heap.Stats().manual_bytes, 0u);
  loam::Pages none;
  EXPECT_FALSE(none.Allocate(heap.heap(), 0).ok());
  EXPECT_EQ(none.base(), nullptr);
}

// ---- Misuse

TEST(PagesTest, MisuseIsNamed) {
  TestHeap heap;
  void* pages = nullptr;
  const auto expect = [](loam_status status, const char* message) {
    EXPECT_EQ(status, LOAM_INVALID_ARGUMENT);
    EXPECT_THAT(LastError(), HasSubstr(message));
  };
  expect(loam_pages_allocate(nullptr, 1, 1, &pages),
         "loam_pages_allocate: heap: is NULL");
  expect(loam_pages_allocate(heap.heap(), 1, 1, nullptr),
         "loam_pages_allocate: pages: is NULL");
  expect(loam_pages_allocate(heap.heap(), 0, 1, &pages),
         "loam_pages_allocate: bytes: is 0");
  for (const size_t alignment :
       {size_t{0}, size_t{3}, size_t{24576}, 2 * LOAM_PAGES_ALIGNMENT_MAX}) {
    expect(loam_pages_allocate(heap.heap(), 1, alignment, &pages),
           "loam_pages_allocate: alignment: is not a power of two");
  }
  EXPECT_EQ(pages, nullptr);
  expect(loam_pages_free(nullptr, &heap), "loam_pages_free: heap: is NULL");
  expect(loam_pages_free(heap.heap(), nullptr),
         "loam_pages_free: pages: is NULL");
  const char* const what =
      "loam_pages_free: pages: is not what loam_pages_allocate gave";
  expect(loam_pages_free(heap.heap(), &heap), what);
  expect(loam_pages_free(heap.heap(), loam_alloc_bytes(heap.m(), 8192)), what);
  pages = Allocate(heap.heap(), 20000);
  expect(loam_pages_free(heap.heap(), static_cast<char*>(pages) + 8192), what);
  EXPECT_EQ(loam_pages_free(heap.heap(), pages), LOAM_OK);
  expect(loam_pages_free(heap.heap(), pages), what);
}

}  // namespace
}  // namespace loam_test
