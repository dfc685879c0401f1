#include "runtime/base/mutex.h"

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr int kThreads = 4;

// Runs body(thread number) on all threads at once.
template <typename Body>
void OnThreads(Body body) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; i++) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

TEST(MutexTest, ExcludesOthers) {
  constexpr int kRounds = 20'000;
  Mutex<LockRank::kPageHeap> mutex;
  uint64_t count = 0;  // Guarded by the mutex: the thread sanitizer watches.
  OnThreads([&](int) {
    for (int i = 0; i < kRounds; i++) {
      const MutexLock lock(&mutex);
      count++;
    }
  });
  EXPECT_EQ(count, kThreads * kRounds);
}

TEST(MutexTest, ZeroedMemoryIsUnlocked) {
  alignas(Mutex<LockRank::kPageHeap>) char
      memory[sizeof(Mutex<LockRank::kPageHeap>)];
  memset(memory, 0, sizeof(memory));
  auto* mutex = reinterpret_cast<Mutex<LockRank::kPageHeap>*>(memory);
  mutex->Lock();
  mutex->Unlock();
  alignas(SpinLock) char spin_memory[sizeof(SpinLock)];
  memset(spin_memory, 0, sizeof(spin_memory));
  auto* spin_lock = reinterpret_cast<SpinLock*>(spin_memory);
  spin_lock->Lock();
  spin_lock->Unlock();
}

TEST(MutexTest, RisingRanksAreFine) {
  Mutex<LockRank::kSafepoints> first;
  Mutex<LockRank::kPageHeap> second;
  Mutex<LockRank::kErrorMessage> last;
  for (int i = 0; i < 2; i++) {
    const MutexLock lock_first(&first);
    const MutexLock lock_second(&second);
    const MutexLock lock_last(&last);
  }
  // Not held any more: an earlier rank may be taken now.
  const MutexLock lock(&first);
}

TEST(MutexTest, RanksAreHeldByThreads) {
  Mutex<LockRank::kPageHeap> later;
  Mutex<LockRank::kSafepoints> earlier;
  const MutexLock lock(&later);
  std::thread other([&] { const MutexLock lock_other(&earlier); });
  other.join();
}

void LockForEver(Mutex<LockRank::kPageHeap>* mutex)
    LOAM_NO_THREAD_SAFETY_ANALYSIS {
  mutex->Lock();
}

TEST(MutexTest, ResetAfterForkUnlocks) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer keeps a record of its own";
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "the thread sanitizer keeps a record of its own";
#endif
#endif
  Mutex<LockRank::kPageHeap> mutex;
  // As if a fork had left its thread behind.
  std::thread other(LockForEver, &mutex);
  other.join();
  mutex.ResetAfterFork();
  const MutexLock lock(&mutex);
}

#ifndef NDEBUG
TEST(MutexDeathTest, EarlierRankIsFatal) {
  Mutex<LockRank::kPageHeap> later;
  Mutex<LockRank::kSafepoints> earlier;
  EXPECT_DEATH(
      {
        const MutexLock lock_later(&later);
        const MutexLock lock_earlier(&earlier);
      },
      "lock of rank " +
          std::to_string(static_cast<int>(LockRank::kSafepoints)) +
          " taken while holding ranks 0x");
}

TEST(MutexDeathTest, SameRankIsFatal) {
  Mutex<LockRank::kPageHeap> a;
  Mutex<LockRank::kPageHeap> b;
  EXPECT_DEATH(
      {
        const MutexLock lock_a(&a);
        const MutexLock lock_b(&b);
      },
      "taken while holding ranks");
}

TEST(MutexDeathTest, RankStillHeldAfterAnotherIsReleased) {
  Mutex<LockRank::kTypeSet> middle;
  Mutex<LockRank::kPageHeap> later;
  Mutex<LockRank::kSafepoints> earlier;
  EXPECT_DEATH(
      {
        const MutexLock lock_middle(&middle);
        {
          const MutexLock lock_later(&later);
        }
        const MutexLock lock_earlier(&earlier);
      },
      "taken while holding ranks");
}
#endif

TEST(ConditionVariableTest, HandsOverAndBack) {
  constexpr int kRounds = 2'000;
  Mutex<LockRank::kSafepoints> mutex;
  ConditionVariable changed;
  int turn = 0;
  int64_t sum = 0;
  OnThreads([&](int me) {
    for (int i = 0; i < kRounds; i++) {
      const MutexLock lock(&mutex);
      while (turn % kThreads != me) changed.Wait(&mutex);
      sum = sum * 3 % 1'000'003 + me;
      turn++;
      changed.NotifyAll();
    }
  });
  EXPECT_EQ(turn, kRounds * kThreads);
  int64_t expected = 0;
  for (int i = 0; i < turn; i++) {
    expected = expected * 3 % 1'000'003 + i % kThreads;
  }
  EXPECT_EQ(sum, expected);
}

TEST(SpinLockTest, ExcludesOthers) {
  constexpr int kRounds = 20'000;
  SpinLock lock;
  uint64_t first = 0;
  uint64_t second = 0;
  bool torn = false;
  OnThreads([&](int) {
    for (int i = 0; i < kRounds; i++) {
      const SpinLockHolder holder(&lock);
      if (first != second) torn = true;
      first++;
      second++;
    }
  });
  EXPECT_FALSE(torn);
  EXPECT_EQ(first, kThreads * kRounds);
}

TEST(SpinLockTest, WaitsWhileAnotherHoldsItForLong) {
  SpinLock lock;
  bool released = false;
  lock.Lock();
  std::thread other([&] {
    const SpinLockHolder holder(&lock);
    EXPECT_TRUE(released);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  released = true;
  lock.Unlock();
  other.join();
}

}  // namespace
}  // namespace loam
