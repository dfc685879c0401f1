// What the tests with threads share: durations, threads with mutators, random
// numbers, nodes that know their content.

#ifndef LOAM_TESTS_THREADS_THREAD_TEST_H_
#define LOAM_TESTS_THREADS_THREAD_TEST_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/random.h"
#include "tests/support/sanitized.h"

namespace loam_test {

// LOAM_TEST_SECONDS, or `seconds`; a whole test takes about as long.
inline double TestSeconds(double seconds) {
  const char* given = getenv("LOAM_TEST_SECONDS");
  return given != nullptr ? atof(given) : seconds;
}

// LOAM_TEST_SEED, or a fresh one; printed, since what went wrong may depend on
// it, though the threads' timing matters as much.
inline uint64_t TestSeed() {
  const char* given = getenv("LOAM_TEST_SEED");
  const uint64_t seed =
      given != nullptr
          ? strtoull(given, nullptr, 10)
          : static_cast<uint64_t>(
                std::chrono::steady_clock::now().time_since_epoch().count());
  printf("LOAM_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  fflush(stdout);
  return seed;
}

// True until the time is up.
class Deadline {
 public:
  explicit Deadline(double seconds)
      : end_(std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                 std::chrono::duration<double>(seconds))) {}
  bool Running() const { return std::chrono::steady_clock::now() < end_; }

 private:
  const std::chrono::steady_clock::time_point end_;
};

// Runs fn(mutator, i) on `count` threads, each attached to the heap, while the
// calling thread's mutator is in native state.
inline void RunThreads(const TestHeap& heap, int count,
                       const std::function<void(loam_mutator*, int)>& fn) {
  loam_enter_native(heap.m());
  std::vector<std::thread> threads;
  for (int i = 0; i < count; i++) {
    threads.emplace_back([&heap, &fn, i] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "worker", &m), LOAM_OK)
          << loam_last_error();
      fn(m, i);
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK) << loam_last_error();
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
}

// A list of `length` nodes whose numbers follow from `seed`, built behind a
// frame; NULL when out of memory.
inline Node* MakeList(loam_mutator* m, const loam_type* type, size_t length,
                      uint64_t seed) {
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  Node* head = nullptr;
  for (size_t i = 0; i < length; i++) {
    head = NewNode(m, type, Mix(seed + i));
    if (head == nullptr) break;
    loam_store_pointer_init(m, head, &head->left,
                            reinterpret_cast<Node*>(f.slots[0]));
    f.slots[0] = reinterpret_cast<loam_word>(head);
  }
  LOAM_FRAME_END(f);
  return head;
}

// Whether `head` is such a list.
inline bool IsList(const Node* head, size_t length, uint64_t seed) {
  for (size_t i = length; i-- > 0; head = head->left) {
    if (head == nullptr || head->number != Mix(seed + i)) return false;
  }
  return head == nullptr;
}

}  // namespace loam_test

#endif  // LOAM_TESTS_THREADS_THREAD_TEST_H_
