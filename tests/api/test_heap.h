// What most whole-heap tests begin with: a heap, a mutator for this thread, and
// objects kept alive from ordinary memory.

#ifndef LOAM_TESTS_API_TEST_HEAP_H_
#define LOAM_TESTS_API_TEST_HEAP_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "api/loam.h"

namespace loam_test {

// The default options, without the container's memory limit.
inline loam_options TestOptions() {
  loam_options options;
  loam_options_init(&options);
  options.name = "test";
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  options.no_background = 1;  // Free pages stay where a test looks for them.
  return options;
}

// A heap with a mutator for the thread that makes it; both end with it.
class TestHeap {
 public:
  explicit TestHeap(const loam_options& options = TestOptions()) {
    EXPECT_EQ(loam_heap_create(&options, &heap_), LOAM_OK) << loam_last_error();
    EXPECT_EQ(loam_mutator_attach(heap_, "main", &m_), LOAM_OK)
        << loam_last_error();
    loam_root* root;
    EXPECT_EQ(loam_root_provider_add(heap_, Provide, this, "kept", &root),
              LOAM_OK);
  }
  ~TestHeap() {
    if (heap_ != nullptr) Destroy();
  }
  TestHeap(const TestHeap&) = delete;
  TestHeap& operator=(const TestHeap&) = delete;

  loam_heap* heap() const { return heap_; }
  loam_mutator* m() const { return m_; }
  loam_type_set* types() const { return loam_heap_types(heap_); }

  // Objects in this list are roots. Change it only while no other thread runs
  // in the heap.
  std::vector<void*> kept;

  // Ends both now; the destructor does not any more.
  void Destroy() {
    if (m_ != nullptr) Detach();
    EXPECT_EQ(loam_heap_destroy(heap_), LOAM_OK) << loam_last_error();
    heap_ = nullptr;
  }
  // Detaches now; the destructor does not any more.
  void Detach() {
    EXPECT_EQ(loam_mutator_detach(m_), LOAM_OK) << loam_last_error();
    m_ = nullptr;
  }

  void Collect() const {
    EXPECT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK)
        << loam_last_error();
  }
  loam_stats Stats() const {
    loam_stats stats;
    stats.struct_size = sizeof(stats);
    EXPECT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
    return stats;
  }
  void ExpectSound() const {
    const auto report = [](const char* line, void*) { ADD_FAILURE() << line; };
    EXPECT_EQ(loam_heap_check(m_, LOAM_CHECK_FULL, report, nullptr), LOAM_OK);
  }

 private:
  static void Provide(loam_visitor* visitor, void* data) {
    const auto* self = static_cast<TestHeap*>(data);
    loam_visit_pointer_range(visitor, self->kept.data(), self->kept.size());
  }

  loam_heap* heap_ = nullptr;
  loam_mutator* m_ = nullptr;
};

// A list of objects that are roots of this mutator while the list lives. For
// its own thread: what a heap's `kept` is where several run.
class ScopedRoots {
 public:
  ScopedRoots(loam_mutator* m, size_t count) : objects_(count) {
    EXPECT_EQ(loam_mutator_root_provider_add(m, Provide, this, "roots", &root_),
              LOAM_OK)
        << loam_last_error();
  }
  ~ScopedRoots() { EXPECT_EQ(loam_root_remove(root_), LOAM_OK); }
  ScopedRoots(const ScopedRoots&) = delete;
  ScopedRoots& operator=(const ScopedRoots&) = delete;

  size_t size() const { return objects_.size(); }
  void*& operator[](size_t i) { return objects_[i]; }

 private:
  static void Provide(loam_visitor* visitor, void* data) {
    const auto* self = static_cast<ScopedRoots*>(data);
    loam_visit_pointer_range(visitor, self->objects_.data(),
                             self->objects_.size());
  }

  std::vector<void*> objects_;
  loam_root* root_ = nullptr;
};

// A type with these fields.
inline const loam_type* RegisterType(
    loam_type_set* set, const char* name, size_t size,
    std::initializer_list<loam_field> fields = {}, uint32_t flags = 0,
    size_t element_size = 0,
    std::initializer_list<loam_field> element_fields = {}) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = name;
  info.size = size;
  info.fields = fields.size() == 0 ? nullptr : fields.begin();
  info.field_count = fields.size();
  info.element_size = element_size;
  info.element_fields =
      element_fields.size() == 0 ? nullptr : element_fields.begin();
  info.element_field_count = element_fields.size();
  info.flags = flags;
  const loam_type* type = nullptr;
  EXPECT_EQ(loam_type_register(set, &info, &type), LOAM_OK)
      << loam_last_error();
  return type;
}

// A record of two references and a number.
struct Node {
  Node* left;
  Node* right;
  uint64_t number;
};
inline const loam_type* RegisterNode(loam_type_set* set, uint32_t flags = 0) {
  return RegisterType(set, "node", sizeof(Node),
                      {LOAM_FIELD(Node, left, LOAM_POINTER),
                       LOAM_FIELD(Node, right, LOAM_POINTER)},
                      flags);
}
inline Node* NewNode(loam_mutator* m, const loam_type* type, uint64_t number) {
  auto* node = static_cast<Node*>(loam_alloc(m, type));
  if (node != nullptr) node->number = number;
  return node;
}

}  // namespace loam_test

#endif  // LOAM_TESTS_API_TEST_HEAP_H_
