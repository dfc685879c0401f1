// A mutator as far as the safepoint machinery sees one.

#ifndef LOAM_TESTS_GC_TEST_MUTATOR_H_
#define LOAM_TESTS_GC_TEST_MUTATOR_H_

#include <atomic>
#include <cstdint>

#include "runtime/gc/safepoint.h"

namespace loam {

class TestMutator {
 public:
  explicit TestMutator(const char* name = "test") {
    state_.word = &word_;
    state_.name = name;
    state_.owner = this;
    state_.on_thread_end = [](SafepointState* m) {
      static_cast<TestMutator*>(m->owner)->thread_ended_ = true;
      Safepoints::EnterNative(m);
    };
  }
  TestMutator(const TestMutator&) = delete;
  TestMutator& operator=(const TestMutator&) = delete;

  // What inlined code does.
  void Poll() {
    if (word_.load(std::memory_order_relaxed) != 0) Safepoints::Poll(&state_);
  }

  MutatorState state() const { return state_.state.load(); }
  uint32_t word() const { return word_.load(); }
  void set_word_bits(uint32_t bits) { word_.fetch_or(bits); }
  bool thread_ended() const { return thread_ended_; }
  SafepointState* get() { return &state_; }

 private:
  std::atomic<uint32_t> word_{0};
  SafepointState state_;
  std::atomic<bool> thread_ended_{false};
};

}  // namespace loam

#endif  // LOAM_TESTS_GC_TEST_MUTATOR_H_
