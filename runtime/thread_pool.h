// Threads that several heaps share: a platform (base/platform.h) ready made.
//
// Tasks wait in one queue, ordered by the time at which they are due and then
// by that at which they were posted. The queue has a fixed capacity: a heap
// has few tasks at a time.

#ifndef LOAM_RUNTIME_THREAD_POOL_H_
#define LOAM_RUNTIME_THREAD_POOL_H_

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/base/platform.h"

namespace loam {

class ThreadPool {
 public:
  static constexpr uint32_t kMaxThreads = 64;

  // In memory of its own. NULL if there is no memory, or not so many threads.
  static ThreadPool* Create(uint32_t threads);
  // Runs what is still in the queue, due or not, and ends the threads. Nobody
  // posts any more.
  static void Destroy(ThreadPool* pool);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // False if the queue is full. Any thread.
  bool Post(Task task, void* argument, uint64_t delay_ns) LOAM_EXCLUDES(mutex_);

  // Heaps that post here.
  void AddUser() { users_.fetch_add(1, std::memory_order_relaxed); }
  void RemoveUser() { users_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t users() const { return users_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    uint64_t due_ns;
    uint64_t number;
    Task task;
    void* argument;
  };
  static constexpr size_t kCapacity = 2000;

  ThreadPool() = default;
  ~ThreadPool();

  static void* Main(void* pool);
  void Run() LOAM_EXCLUDES(mutex_);
  static bool IsLater(const Entry& a, const Entry& b);

  std::atomic<uint32_t> users_{0};  // relaxed: whoever asks has ordered it
  uint32_t thread_count_ = 0;       // constant after Create
  pthread_t threads_[kMaxThreads] = {};

  Mutex<LockRank::kThreadPool> mutex_;
  ConditionVariable changed_;  // queue_ or ending_
  bool ending_ LOAM_GUARDED_BY(mutex_) = false;
  uint64_t posted_ LOAM_GUARDED_BY(mutex_) = 0;
  size_t count_ LOAM_GUARDED_BY(mutex_) = 0;
  Entry queue_[kCapacity] LOAM_GUARDED_BY(mutex_);  // a heap, earliest first
};

}  // namespace loam

#endif  // LOAM_RUNTIME_THREAD_POOL_H_
