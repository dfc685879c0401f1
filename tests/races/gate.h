// A gate at a race point (runtime/base/race_hooks.h), for tests that make an
// interleaving happen: the first thread that comes by is held until the gate is
// opened; later ones pass.
//
// Gates at several points may exist at a time, one to a point.

#ifndef LOAM_TESTS_RACES_GATE_H_
#define LOAM_TESTS_RACES_GATE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "gtest/gtest.h"
#include "runtime/base/race_hooks.h"

namespace loam {

// For what must not happen.
constexpr auto kLongEnoughToGoWrong = std::chrono::milliseconds(50);

#ifdef LOAM_RACE_HOOKS

class Gate {
 public:
  explicit Gate(RacePoint point) : point_(point) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(At(point), nullptr);
    At(point) = this;
    count++;
    race_hook.store(&Gate::Hook, std::memory_order_release);
  }
  // Opens it, and returns when nobody is in it.
  ~Gate() {
    std::unique_lock lock(mutex);
    At(point_) = nullptr;
    if (--count == 0) race_hook.store(nullptr, std::memory_order_release);
    is_open_ = true;
    changed.notify_all();
    changed.wait(lock, [this] { return !is_holding_; });
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void WaitUntilReached() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_reached_; });
  }
  void Open() {
    const std::lock_guard lock(mutex);
    is_open_ = true;
    changed.notify_all();
  }

  // In scope, gates do not hold the calling thread.
  class PassScope {
   public:
    PassScope() { passes = true; }
    ~PassScope() { passes = false; }
    PassScope(const PassScope&) = delete;
    PassScope& operator=(const PassScope&) = delete;
  };

 private:
  static Gate*& At(RacePoint point) {
    return gates[static_cast<size_t>(point)];
  }
  static void Hook(RacePoint point) {
    if (passes) return;
    std::unique_lock lock(mutex);
    Gate* gate = At(point);
    if (gate == nullptr || gate->is_reached_ || gate->is_open_) return;
    gate->is_reached_ = true;
    gate->is_holding_ = true;
    changed.notify_all();
    changed.wait(lock, [gate] { return gate->is_open_; });
    gate->is_holding_ = false;
    changed.notify_all();
  }

  // Of all gates, so that one can go while threads come by.
  static inline std::mutex mutex;
  static inline std::condition_variable changed;
  static inline Gate* gates[static_cast<size_t>(RacePoint::kCount)] = {};
  static inline size_t count = 0;
  static inline thread_local bool passes = false;

  const RacePoint point_;
  bool is_reached_ = false;
  bool is_holding_ = false;
  bool is_open_ = false;
};

#endif  // LOAM_RACE_HOOKS

}  // namespace loam

#endif  // LOAM_TESTS_RACES_GATE_H_
