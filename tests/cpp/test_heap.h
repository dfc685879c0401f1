// What the tests of loam.hpp share: objects, and a fixture that runs each test
// on an ordinary heap and on one that collects at every allocation and checks
// everything.
#ifndef LOAM_TESTS_CPP_TEST_HEAP_H_
#define LOAM_TESTS_CPP_TEST_HEAP_H_

#include <cstdint>

#include "api/loam.hpp"
#include "gtest/gtest.h"

// A value of a small language: an integer or a reference, told apart by the
// lowest bit. As a class of its own, since embedders will have one.
class SmallValue {
 public:
  SmallValue() = default;
  static SmallValue Integer(int64_t n) {
    return SmallValue((static_cast<uint64_t>(n) << 1) | 1);
  }
  static SmallValue Reference(const void* object) {
    return SmallValue(reinterpret_cast<uint64_t>(object));
  }
  int64_t integer() const { return static_cast<int64_t>(bits_) >> 1; }
  template <typename T>
  T* reference() const {
    return reinterpret_cast<T*>(bits_);
  }
  friend bool operator==(SmallValue, SmallValue) = default;

 private:
  explicit SmallValue(uint64_t bits) : bits_(bits) {}
  uint64_t bits_ = 0;
};

struct Pair {
  loam::ValueMember<SmallValue> car;
  loam::Member<Pair> next;
  double weight;
};
LOAM_LAYOUT(Pair, car, next);

enum class Checking { kOff, kEverything };

class TestHeap : public testing::TestWithParam<Checking> {
 protected:
  void SetUp() override {
    loam::Options options;
    options.encoding.kind = LOAM_ENCODING_LOW_TAG;
    options.encoding.low_tag_mask = 1;
    options.encoding.low_tag_references = 1;  // tag 0
    if (GetParam() == Checking::kEverything) {
      options.check.stress_interval = 1;
      options.check.verify_marking = 1;
      options.check.check_stores = 1;
      options.check.poison = 1;
    }
    const loam::Status created = heap_.Create(options);
    ASSERT_TRUE(created.ok()) << created.message();
    const loam::Status registered = heap_.Register(&pair_);
    ASSERT_TRUE(registered.ok()) << registered.message();
    const loam::Status attached = m_.Attach(heap_, "test");
    ASSERT_TRUE(attached.ok()) << attached.message();
  }

  // Objects that are reachable now.
  uint64_t LiveObjects() {
    const loam::Status status = m_.Collect();
    EXPECT_TRUE(status.ok()) << status.message();
    return heap_.Stats().live_objects;
  }

  loam::Heap heap_;
  loam::Type<Pair> pair_;
  loam::ScopedMutator m_;
};

#define LOAM_TEST_BOTH_WAYS(Suite)                                            \
  INSTANTIATE_TEST_SUITE_P(                                                   \
      Checked, Suite, testing::Values(Checking::kOff, Checking::kEverything), \
      [](const auto& param_info) {                                            \
        return param_info.param == Checking::kOff ? "Plain" : "Everything";   \
      })

#endif  // LOAM_TESTS_CPP_TEST_HEAP_H_
