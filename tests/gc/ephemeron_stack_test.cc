// Ephemerons when the mark stack is full: what is marked then is not pushed,
// and may be a key for which records wait.

#include <gtest/gtest.h>

#include <cstdio>
#include <vector>

#include "api/loam.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

struct Record {
  uintptr_t key;
  uintptr_t value;
};

class EphemeronStackTest : public testing::Test {
 protected:
  // As many words as fit into a page of the OS.
  static constexpr size_t kStackBytes = 4096;

  EphemeronStackTest() {
    RuntimeOptions options;
    std::snprintf(options.name, sizeof(options.name), "small stack");
    options.max_mark_stack_bytes = kStackBytes;
    options.check.verify_marking = true;
    ErrorMessage message;
    Runtime* runtime = nullptr;
    EXPECT_EQ(Runtime::Create(options, &runtime, &message), Status::kOk)
        << message.text;
    heap_ = reinterpret_cast<loam_heap*>(runtime);
    EXPECT_EQ(loam_mutator_attach(heap_, "main", &m_), LOAM_OK);
    static constexpr loam_field kFields[] = {
        {"key", offsetof(Record, key), 1, LOAM_EPHEMERON_KEY},
        {"value", offsetof(Record, value), 1, LOAM_EPHEMERON_VALUE}};
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "records";
    info.element_size = sizeof(Record);
    info.element_fields = kFields;
    info.element_field_count = 2;
    EXPECT_EQ(loam_type_register(loam_heap_types(heap_), &info, &records_type_),
              LOAM_OK);
    EXPECT_EQ(loam_root_add(heap_, &records_, LOAM_POINTER, "records", &root_),
              LOAM_OK);
    EXPECT_EQ(loam_root_add(heap_, &key_, LOAM_POINTER, "key", &key_root_),
              LOAM_OK);
  }
  ~EphemeronStackTest() override {
    EXPECT_EQ(loam_mutator_detach(m_), LOAM_OK);
    ErrorMessage message;
    EXPECT_EQ(reinterpret_cast<Runtime*>(heap_)->Destroy(&message),
              Status::kOk);
  }

  uintptr_t NewBytes() const {
    return reinterpret_cast<uintptr_t>(loam_alloc_bytes(m_, 16));
  }
  void Store(uintptr_t* slot, uintptr_t object) const {
    loam_store_weak(m_, records_, slot, object);
  }

  loam_heap* heap_ = nullptr;
  loam_mutator* m_ = nullptr;
  const loam_type* records_type_ = nullptr;
  Record* records_ = nullptr;
  void* key_ = nullptr;
  loam_root* root_ = nullptr;
  loam_root* key_root_ = nullptr;
};

// The first half of the records waits for the values of the second.
TEST_F(EphemeronStackTest, AKeyThatDidNotFitOntoTheStackKeepsItsValues) {
  constexpr size_t kCount = 4 * kStackBytes / sizeof(uintptr_t);
  loam_gc_disable(m_);
  records_ =
      static_cast<Record*>(loam_alloc_array(m_, records_type_, 2 * kCount));
  ASSERT_NE(records_, nullptr);
  key_ = reinterpret_cast<void*>(NewBytes());
  for (size_t i = 0; i < kCount; i++) {
    const uintptr_t middle = NewBytes();
    Store(&records_[i].key, middle);
    Store(&records_[i].value, NewBytes());
    Store(&records_[kCount + i].key, reinterpret_cast<uintptr_t>(key_));
    Store(&records_[kCount + i].value, middle);
  }
  ASSERT_EQ(loam_gc_enable(m_), LOAM_OK);
  std::vector<Record> before(records_, records_ + 2 * kCount);
  ASSERT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK);
  loam_stats stats;
  stats.struct_size = sizeof(stats);
  ASSERT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
  EXPECT_EQ(stats.live_objects, 2 + 2 * kCount);
  for (size_t i = 0; i < 2 * kCount; i++) {
    ASSERT_EQ(records_[i].key, before[i].key) << i;
    ASSERT_EQ(records_[i].value, before[i].value) << i;
  }
  // Nor does the stack keep what is dead.
  key_ = nullptr;
  ASSERT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK);
  ASSERT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
  EXPECT_EQ(stats.live_objects, 1u);
}

}  // namespace
}  // namespace loam
