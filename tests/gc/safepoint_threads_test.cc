// Safepoints of several heaps and threads at once.

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/gc/safepoint.h"
#include "tests/base/test_random.h"
#include "tests/gc/test_mutator.h"

namespace loam {
namespace {

void WaitFor(const std::atomic<bool>& flag) {
  while (!flag.load()) std::this_thread::yield();
}

void StopAndStart(Safepoints* heap, TestMutator* self) {
  ASSERT_TRUE(heap->StopTheWorld(self->get(), nullptr, nullptr));
  heap->StartTheWorld();
  Safepoints::ResumeSelf(self->get());
}

// A thread that polls in one heap parks in the other, too.
TEST(SafepointThreadsTest, PollOfOneHeapServesTheOther) {
  Safepoints busy;
  Safepoints idle;
  TestMutator self;
  ASSERT_TRUE(idle.Attach(self.get()));
  std::atomic<bool> running{false};
  std::atomic<bool> end{false};
  std::atomic<uint64_t> polls{0};
  TestMutator in_busy;
  TestMutator in_idle;
  std::thread other([&] {
    ASSERT_TRUE(busy.Attach(in_busy.get()));
    ASSERT_TRUE(idle.Attach(in_idle.get()));
    running = true;
    while (!end) {
      in_busy.Poll();  // Never the other's word.
      polls++;
    }
    busy.Detach(in_busy.get());
    idle.Detach(in_idle.get());
  });
  WaitFor(running);
  ASSERT_TRUE(idle.StopTheWorld(self.get(), nullptr, nullptr));
  // Its state may be running for a moment: that is how it finds out that it
  // must step back.
  const uint64_t polls_when_stopped = polls;
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(polls, polls_when_stopped);
  idle.StartTheWorld();
  Safepoints::ResumeSelf(self.get());
  end = true;
  other.join();
  idle.Detach(self.get());
}

// While a thread waits for one heap to start again, another may stop the other
// heap that it runs in.
TEST(SafepointThreadsTest, WaitingForOneHeapDoesNotHoldUpTheOther) {
  Safepoints first;
  Safepoints second;
  TestMutator stopper_of_first;
  ASSERT_TRUE(first.Attach(stopper_of_first.get()));
  std::atomic<bool> running{false};
  std::atomic<bool> end{false};
  TestMutator a;
  TestMutator b;
  std::thread in_both([&] {
    ASSERT_TRUE(first.Attach(a.get()));
    ASSERT_TRUE(second.Attach(b.get()));
    running = true;
    while (!end) a.Poll();
    first.Detach(a.get());
    second.Detach(b.get());
  });
  WaitFor(running);
  ASSERT_TRUE(first.StopTheWorld(stopper_of_first.get(), nullptr, nullptr));
  std::thread stopper_of_second([&] {
    TestMutator m;
    ASSERT_TRUE(second.Attach(m.get()));
    for (int i = 0; i < 100; i++) StopAndStart(&second, &m);
    second.Detach(m.get());
  });
  stopper_of_second.join();  // Although the first is stopped.
  first.StartTheWorld();
  Safepoints::ResumeSelf(stopper_of_first.get());
  end = true;
  in_both.join();
  first.Detach(stopper_of_first.get());
}

TEST(SafepointThreadsTest, TwoThreadsStopEachOthersHeaps) {
  constexpr int kRounds = 3000;
  Safepoints heaps[2];
  uint64_t stops[2] = {};  // Changed while the heap is stopped.
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (size_t t = 0; t < 2; t++) {
    threads.emplace_back([&, t] {
      TestMutator mutators[2];
      for (size_t h = 0; h < 2; h++) {
        ASSERT_TRUE(heaps[h].Attach(mutators[h].get()));
      }
      ready++;
      while (ready.load() < 2) {
        mutators[0].Poll();
        mutators[1].Poll();
      }
      for (int i = 0; i < kRounds; i++) {
        // Mostly the two stop different heaps, and sometimes the same.
        const size_t h = i % 7 == 0 ? i / 7 % 2 : t;
        ASSERT_TRUE(heaps[h].StopTheWorld(mutators[h].get(), nullptr, nullptr));
        stops[h]++;
        heaps[h].StartTheWorld();
        Safepoints::ResumeSelf(mutators[h].get());
      }
      for (size_t h = 0; h < 2; h++) heaps[h].Detach(mutators[h].get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stops[0] + stops[1], 2 * kRounds);
}

TEST(SafepointThreadsTest, NativeMutatorIsHandedOver) {
  Safepoints heap;
  TestMutator m;
  std::atomic<bool> handed_over{false};
  std::atomic<bool> done{false};
  std::thread first([&] {
    ASSERT_TRUE(heap.Attach(m.get()));
    Safepoints::EnterNative(m.get());
    handed_over = true;
    WaitFor(done);
    EXPECT_EQ(ThreadContext::Current()->Find(&heap), nullptr);
  });
  std::thread second([&] {
    WaitFor(handed_over);
    EXPECT_EQ(ThreadContext::Current()->Find(&heap), nullptr);
    ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
    EXPECT_EQ(ThreadContext::Current()->Find(&heap), m.get());
    EXPECT_EQ(m.state(), MutatorState::kRunning);
    done = true;
    Safepoints::EnterNative(m.get());
  });
  first.join();
  second.join();
  // Both threads are gone.
  ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
  heap.Detach(m.get());
}

// One mutator goes round while another thread stops the world.
TEST(SafepointThreadsTest, HandingOverWhileTheWorldStops) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 3000;
  Safepoints heap;
  TestMutator shared;
  ASSERT_TRUE(heap.Attach(shared.get()));
  Safepoints::EnterNative(shared.get());
  std::atomic<int> turn{0};
  std::atomic<bool> end{false};
  uint64_t work = 0;  // Done by whoever has the mutator, running.
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      TestMutator own;  // The thread has another, which must not be confused.
      ASSERT_TRUE(heap.Attach(own.get()));
      while (turn.load() < kRounds) {
        own.Poll();
        if (turn.load() % kThreads != t) {
          std::this_thread::yield();
          continue;
        }
        ASSERT_TRUE(Safepoints::LeaveNative(shared.get()));
        work++;
        shared.Poll();
        work++;
        Safepoints::EnterNative(shared.get());
        turn++;
      }
      heap.Detach(own.get());
    });
  }
  std::thread stopper([&] {
    TestMutator self;
    ASSERT_TRUE(heap.Attach(self.get()));
    while (!end) {
      ASSERT_TRUE(heap.StopTheWorld(self.get(), nullptr, nullptr));
      const uint64_t before = work;
      std::this_thread::yield();
      EXPECT_EQ(work, before);
      heap.StartTheWorld();
      Safepoints::ResumeSelf(self.get());
    }
    heap.Detach(self.get());
  });
  for (std::thread& thread : threads) thread.join();
  end = true;
  stopper.join();
  EXPECT_GE(work, 2 * kRounds);
  ASSERT_TRUE(Safepoints::LeaveNative(shared.get()));
  heap.Detach(shared.get());
}

// A heap, and memory that its running mutators write and its stopper reads: the
// thread sanitizer sees every access that no stop has ordered.
constexpr size_t kThreads = 4;
struct Heap {
  Safepoints safepoints;
  // Per thread, by its running mutator only; odd while it is in the middle of
  // a change, which is never at a poll.
  std::array<uint64_t, kThreads> data = {};
  std::array<std::atomic<bool>, kThreads> inside = {};
  uint64_t stops = 0;
};

class Worker {
 public:
  Worker(std::array<Heap, 2>* heaps, size_t thread, const TestRandom& seed)
      : heaps_(*heaps), thread_(thread), random_(seed, thread) {}

  void Run(std::chrono::steady_clock::time_point end) {
    for (size_t h = 0; h < 2; h++) Attach(h);
    while (std::chrono::steady_clock::now() < end && errors_ == 0) {
      for (int i = 0; i < 50; i++) Step();
    }
    for (size_t h = 0; h < 2; h++) {
      if (attached_[h]) Detach(h);
    }
  }
  int errors() const { return errors_; }

 private:
  void Step() {
    const size_t h = random_.Below(2);
    if (!attached_[h]) {
      if (random_.OneIn(4)) Attach(h);
      return;
    }
    const size_t choice = random_.Below(100);
    if (choice < 60) {
      Work(h);
    } else if (choice < 80) {
      mutators_[h]->Poll();
    } else if (choice < 92) {
      Safepoints::EnterNative(mutators_[h]->get());
      if (random_.OneIn(3)) std::this_thread::yield();
      // Work in the other heap goes on meanwhile.
      if (attached_[1 - h]) {
        Work(1 - h);
        mutators_[1 - h]->Poll();
      }
      if (!Safepoints::LeaveNative(mutators_[h]->get())) errors_++;
    } else if (choice < 97) {
      Stop(h);
    } else {
      Detach(h);
    }
  }

  // A new mutator each time, as the layers above have it.
  void Attach(size_t h) {
    mutators_[h] = std::make_unique<TestMutator>();
    if (!heaps_[h].safepoints.Attach(mutators_[h]->get())) errors_++;
    attached_[h] = true;
  }
  void Detach(size_t h) {
    heaps_[h].safepoints.Detach(mutators_[h]->get());
    attached_[h] = false;
  }
  void Work(size_t h) {
    Heap& heap = heaps_[h];
    heap.inside[thread_].store(true, std::memory_order_relaxed);
    heap.data[thread_]++;
    if (random_.OneIn(50)) std::this_thread::yield();
    heap.data[thread_]++;
    heap.inside[thread_].store(false, std::memory_order_relaxed);
  }
  void Stop(size_t h) {
    Heap& heap = heaps_[h];
    bool (*wanted)(void*) = nullptr;
    if (random_.OneIn(4)) wanted = [](void*) { return false; };
    if (heap.safepoints.StopTheWorld(mutators_[h]->get(), wanted, nullptr)) {
      heap.stops++;
      for (size_t t = 0; t < kThreads; t++) {
        if (heap.inside[t].load(std::memory_order_relaxed)) errors_++;
        if (heap.data[t] % 2 != 0) errors_++;
      }
      if (random_.OneIn(5)) std::this_thread::yield();
      if (random_.OneIn(10)) {
        if (!heap.safepoints.StopTheWorld(mutators_[h]->get(), nullptr,
                                          nullptr)) {
          errors_++;
        }
        heap.safepoints.StartTheWorld();
      }
      for (const std::atomic<bool>& inside : heap.inside) {
        if (inside.load(std::memory_order_relaxed)) errors_++;
      }
      heap.safepoints.StartTheWorld();
    }
    Safepoints::ResumeSelf(mutators_[h]->get());
  }

  std::array<Heap, 2>& heaps_;
  const size_t thread_;
  TestRandom random_;
  std::array<std::unique_ptr<TestMutator>, 2> mutators_;
  std::array<bool, 2> attached_ = {};
  int errors_ = 0;
};

TEST(SafepointThreadsTest, RandomStress) {
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  std::array<Heap, 2> heaps;
  std::atomic<int> errors{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      Worker worker(&heaps, t, seed);
      worker.Run(end);
      errors += worker.errors();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors.load(), 0);
  for (const Heap& heap : heaps) {
    EXPECT_GT(heap.stops, 100);
    EXPECT_EQ(heap.safepoints.mutator_count(), 0);
  }
}

}  // namespace
}  // namespace loam
