// A mutex with a rank, and a condition variable for it.
//
// A Mutex in zeroed memory is a valid unlocked mutex, so that it can be part of
// tables that the OS hands out zeroed.

#ifndef LOAM_RUNTIME_BASE_MUTEX_H_
#define LOAM_RUNTIME_BASE_MUTEX_H_

#include <pthread.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "runtime/base/lock_rank.h"
#include "runtime/base/thread_annotations.h"

namespace loam {

// Fatal if this thread holds a lock of this rank or a later one (debug builds).
void NoteLockAcquired(LockRank rank);
void NoteLockReleased(LockRank rank);

template <LockRank kRank>
class LOAM_CAPABILITY("mutex") Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() LOAM_ACQUIRE() {
#ifndef NDEBUG
    NoteLockAcquired(kRank);
#endif
    pthread_mutex_lock(&mutex_);
  }
  void Unlock() LOAM_RELEASE() {
    pthread_mutex_unlock(&mutex_);
#ifndef NDEBUG
    NoteLockReleased(kRank);
#endif
  }

  // Around a fork, which one thread prepares in several heaps: their locks are
  // held together, in no order of ranks. That is safe, since the heaps' worlds
  // are stopped and whoever holds one of these locks otherwise needs nothing
  // else of them.
  void LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
    pthread_mutex_lock(&mutex_);
  }
  void UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
    pthread_mutex_unlock(&mutex_);
  }
  // In the child of a fork: forgets the state of the parent's other threads.
  void ResetAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
    mutex_ = PTHREAD_MUTEX_INITIALIZER;
  }

 private:
  friend class ConditionVariable;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

template <LockRank kRank>
class LOAM_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex<kRank>* mutex) LOAM_ACQUIRE(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() LOAM_RELEASE() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex<kRank>* const mutex_;
};

class ConditionVariable {
 public:
  constexpr ConditionVariable() = default;
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;

  // Spurious wake-ups happen: callers loop on their condition.
  template <LockRank kRank>
  void Wait(Mutex<kRank>* mutex) LOAM_REQUIRES(mutex) {
    pthread_cond_wait(&condition_, &mutex->mutex_);
  }
  // The same, at most until a time of NowNanoseconds.
  template <LockRank kRank>
  void WaitUntil(Mutex<kRank>* mutex, uint64_t time_ns) LOAM_REQUIRES(mutex) {
    constexpr uint64_t kSecond = 1'000'000'000;
    timespec time;
    time.tv_sec = static_cast<time_t>(time_ns / kSecond);
    time.tv_nsec = static_cast<long>(time_ns % kSecond);  // NOLINT: its type
    pthread_cond_clockwait(&condition_, &mutex->mutex_, CLOCK_MONOTONIC, &time);
  }
  void NotifyAll() { pthread_cond_broadcast(&condition_); }
  void ResetAfterFork() { condition_ = PTHREAD_COND_INITIALIZER; }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

// One byte, for structures that exist by the hundred thousand and are locked
// for a few instructions at a time. Zeroed memory is a valid unlocked lock.
class LOAM_CAPABILITY("mutex") SpinLock {
 public:
  constexpr SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void Lock() LOAM_ACQUIRE() {
    // Acquire pairs with the release in Unlock.
    if (locked_.exchange(true, std::memory_order_acquire)) LockSlow();
  }
  void Unlock() LOAM_RELEASE() {
    locked_.store(false, std::memory_order_release);
  }

 private:
  void LockSlow();

  std::atomic<bool> locked_{false};
};

class LOAM_SCOPED_CAPABILITY SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) LOAM_ACQUIRE(lock) : lock_(lock) {
    lock_->Lock();
  }
  ~SpinLockHolder() LOAM_RELEASE() { lock_->Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* const lock_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_MUTEX_H_
