#include "runtime/thread_pool.h"

#include <algorithm>
#include <new>

#include "runtime/base/bits.h"
#include "runtime/base/clock.h"
#include "runtime/base/thread.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t kBytes = AlignUp(sizeof(ThreadPool), kOsPageBytes);

}  // namespace

bool ThreadPool::IsLater(const Entry& a, const Entry& b) {
  return a.due_ns != b.due_ns ? a.due_ns > b.due_ns : a.number > b.number;
}

ThreadPool* ThreadPool::Create(uint32_t threads) {
  const uintptr_t memory = os::Allocate(kBytes);
  if (memory == 0) return nullptr;
  auto* pool = new (reinterpret_cast<void*>(memory)) ThreadPool;
  for (; pool->thread_count_ < threads; pool->thread_count_++) {
    if (!StartThread(&pool->threads_[pool->thread_count_], "loam pool", &Main,
                     pool)) {
      Destroy(pool);
      return nullptr;
    }
  }
  return pool;
}

void ThreadPool::Destroy(ThreadPool* pool) {
  pool->~ThreadPool();
  os::Release(reinterpret_cast<uintptr_t>(pool), kBytes);
}

ThreadPool::~ThreadPool() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  for (uint32_t i = 0; i < thread_count_; i++) {
    pthread_join(threads_[i], nullptr);
  }
}

bool ThreadPool::Post(Task task, void* argument, uint64_t delay_ns) {
  const uint64_t now_ns = NowNanoseconds();
  MutexLock lock(&mutex_);
  if (count_ == kCapacity || ending_) return false;
  queue_[count_++] = {now_ns + std::min(delay_ns, UINT64_MAX - now_ns),
                      posted_++, task, argument};
  std::push_heap(queue_, queue_ + count_, &IsLater);
  changed_.NotifyAll();
  return true;
}

void* ThreadPool::Main(void* pool) {
  static_cast<ThreadPool*>(pool)->Run();
  return nullptr;
}

void ThreadPool::Run() {
  MutexLock lock(&mutex_);
  for (;;) {
    if (count_ == 0) {
      if (ending_) return;
      changed_.Wait(&mutex_);
    } else if (ending_ || queue_[0].due_ns <= NowNanoseconds()) {
      std::pop_heap(queue_, queue_ + count_, &IsLater);
      const Entry entry = queue_[--count_];
      mutex_.Unlock();
      entry.task(entry.argument);
      mutex_.Lock();
    } else {
      changed_.WaitUntil(&mutex_, queue_[0].due_ns);
    }
  }
}

}  // namespace loam
