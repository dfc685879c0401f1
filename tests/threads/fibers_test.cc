// Fibers that are run by whatever thread comes along: a fiber's frames are
// pushed on one thread, read on a second and popped on a third.

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <mutex>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr int kThreads = 5;
constexpr int kFibers = 12;

struct Frame {
  loam_frame frame;
  loam_word slot;
  uint64_t seed;
  size_t length;
};

// A coroutine: frames in memory of its own.
struct Coroutine {
  loam_fiber* fiber = nullptr;
  loam_global* owner = nullptr;  // of half of them
  std::vector<std::unique_ptr<Frame>> frames;
};

const loam_frame_map kMap = {1, LOAM_POINTER, nullptr, "coroutine"};

TEST(FibersTest, MoveBetweenThreads) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  std::mutex mutex;
  std::deque<std::unique_ptr<Coroutine>> ready;
  for (int i = 0; i < kFibers; i++) {
    auto c = std::make_unique<Coroutine>();
    void* owner = nullptr;
    if (i % 2 == 0) {
      owner = loam_alloc_bytes(heap.m(), 32);
      ASSERT_EQ(
          loam_global_create(heap.heap(), LOAM_POINTER,
                             reinterpret_cast<loam_word>(owner), &c->owner),
          LOAM_OK);
    }
    ASSERT_EQ(loam_fiber_create(heap.heap(), owner, &c->fiber), LOAM_OK);
    ready.push_back(std::move(c));
  }
  const Deadline deadline(TestSeconds(kSanitized ? 1.5 : 1));
  std::atomic<uint64_t> switches = 0;
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    Random random(seed + static_cast<uint64_t>(t));
    while (deadline.Running()) {
      std::unique_ptr<Coroutine> c;
      {
        std::lock_guard<std::mutex> lock(mutex);
        if (!ready.empty()) {
          c = std::move(ready.front());
          ready.pop_front();
        }
      }
      if (c == nullptr) {
        loam_safepoint(m);
        continue;
      }
      loam_fiber_switch(m, c->fiber);
      ASSERT_EQ(loam_fiber_current(m), c->fiber);
      for (const auto& frame : c->frames) {
        ASSERT_TRUE(IsList(reinterpret_cast<Node*>(frame->slot), frame->length,
                           frame->seed));
      }
      for (size_t steps = random.Below(6); steps > 0; steps--) {
        if (c->frames.size() < 8 && random.OneIn(2)) {
          auto frame = std::make_unique<Frame>();
          loam_frame_push(m, &frame->frame, &kMap);
          frame->length = random.Below(100);
          frame->seed = random.Next();
          frame->slot = reinterpret_cast<loam_word>(
              MakeList(m, type, frame->length, frame->seed));
          c->frames.push_back(std::move(frame));
        } else if (!c->frames.empty()) {
          loam_frame_pop(&c->frames.back()->frame);
          c->frames.pop_back();
        }
      }
      if (random.OneIn(50)) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
      loam_fiber_switch(m, nullptr);
      switches.fetch_add(1);
      std::lock_guard<std::mutex> lock(mutex);
      ready.push_back(std::move(c));
    }
  });
  EXPECT_GT(switches.load(), 100u);
  // Abandoned ones go with their owners, the others are roots until destroyed.
  for (auto& c : ready) {
    if (c->owner != nullptr) {
      ASSERT_EQ(loam_global_destroy(c->owner), LOAM_OK);
    } else {
      ASSERT_EQ(loam_fiber_destroy(c->fiber), LOAM_OK);
    }
  }
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
}

}  // namespace
}  // namespace loam_test
