// A million objects with finalizers, and a thousand chains of twenty: each runs
// once, in order where that is promised, and nothing is freed before.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class FinalizersScaleTest : public testing::TestWithParam<loam_finalizer_mode> {
 protected:
  // Freed memory is overwritten.
  static loam_options Options() {
    loam_options options = TestOptions();
    options.check.poison = 1;
    return options;
  }

  // Notes that the finalizer of object `number` runs as the `order`th.
  static void Record(loam_mutator*, void* object, void* data) {
    auto* self = static_cast<FinalizersScaleTest*>(data);
    const auto* node = static_cast<const Node*>(object);
    if (node->number >= self->order_.size()) {
      self->garbled_++;
      return;
    }
    if (self->order_[node->number] != 0) self->twice_++;
    self->order_[node->number] = ++self->ran_;
    // What it refers to is still as it was.
    if (node->left != nullptr && node->left->number != node->number + 1) {
      self->garbled_++;
    }
  }
  void Set(Node* node) {
    ASSERT_EQ(loam_finalizer_set(heap_.m(), node, Record, this, GetParam()),
              LOAM_OK)
        << loam_last_error();
  }
  void RunAll() {
    size_t waiting = 1;
    while (waiting > 0) {
      ASSERT_EQ(loam_finalizers_run(heap_.m(), 10000, nullptr, &waiting),
                LOAM_OK);
    }
  }
  void ExpectEachOnce() {
    EXPECT_EQ(ran_, order_.size());
    EXPECT_EQ(twice_, 0u);
    EXPECT_EQ(garbled_, 0u);
    heap_.Collect();
    EXPECT_EQ(heap_.Stats().live_objects, 0u);
    EXPECT_EQ(heap_.Stats().finalizers_set, 0u);
  }

  TestHeap heap_{Options()};
  const loam_type* type_ = RegisterNode(heap_.types());
  std::vector<uint64_t> order_;  // by object, from 1; 0: has not run
  uint64_t ran_ = 0;
  uint64_t twice_ = 0;
  uint64_t garbled_ = 0;
};

TEST_P(FinalizersScaleTest, AMillionIndependentObjects) {
  constexpr uint64_t kObjects = 1'000'000;
  order_.resize(kObjects);
  for (uint64_t i = 0; i < kObjects; i++) {
    ASSERT_NO_FATAL_FAILURE(Set(NewNode(heap_.m(), type_, i)));
    if (i % 100'000 == 0) RunAll();
  }
  heap_.Collect();
  RunAll();
  ExpectEachOnce();
}

TEST_P(FinalizersScaleTest, AThousandChainsOfTwenty) {
  constexpr uint64_t kChains = 1000;
  constexpr uint64_t kLinks = 20;
  order_.resize(kChains * kLinks);
  heap_.kept.assign(kChains, nullptr);
  for (uint64_t i = kLinks; i-- > 0;) {
    for (uint64_t chain = 0; chain < kChains; chain++) {
      Node* node = NewNode(heap_.m(), type_, chain * kLinks + i);
      loam_store_pointer(heap_.m(), node, &node->left, heap_.kept[chain]);
      heap_.kept[chain] = node;
      ASSERT_NO_FATAL_FAILURE(Set(node));
    }
  }
  heap_.kept.clear();
  const bool is_ordered = GetParam() == LOAM_FINALIZER_ORDERED;
  for (uint64_t cycle = 0; cycle < kLinks; cycle++) {
    heap_.Collect();
    RunAll();
    // One link of each chain, from its head; or all of them at once.
    ASSERT_EQ(ran_, is_ordered ? (cycle + 1) * kChains : kChains * kLinks);
  }
  for (uint64_t i = 0; i + 1 < order_.size(); i++) {
    if (i % kLinks == kLinks - 1) continue;
    // Registered from the tails on: newest first is from the heads on, too.
    ASSERT_LT(order_[i], order_[i + 1]) << i;
  }
  ExpectEachOnce();
}

INSTANTIATE_TEST_SUITE_P(Modes, FinalizersScaleTest,
                         testing::Values(LOAM_FINALIZER_ORDERED,
                                         LOAM_FINALIZER_UNORDERED),
                         [](const auto& info) {
                           return info.param == LOAM_FINALIZER_ORDERED
                                      ? "Ordered"
                                      : "Unordered";
                         });

}  // namespace
}  // namespace loam_test
