#include "runtime/background.h"

#include <algorithm>
#include <new>

#include "runtime/base/clock.h"
#include "runtime/base/thread.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {

// From a task to the heap, if that still exists. In memory of its own.
struct Background::Link {
  Mutex<LockRank::kBackgroundLink> mutex;
  ConditionVariable left;                                   // inside has fallen
  Background* background LOAM_GUARDED_BY(mutex) = nullptr;  // NULL: ended
  size_t owners LOAM_GUARDED_BY(mutex) = 1;  // the heap, and tasks to come
  size_t inside LOAM_GUARDED_BY(mutex) = 0;  // tasks that use `background`

  static void Release(Link* link) {
    bool is_last;
    {
      MutexLock lock(&link->mutex);
      is_last = --link->owners == 0;
    }
    if (!is_last) return;
    link->~Link();
    os::Release(reinterpret_cast<uintptr_t>(link), kOsPageBytes);
  }
};

Background::~Background() {
  Link* link;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
    link = link_;
    link_ = nullptr;
  }
  // Nobody changes these any more.
  bool has_thread;
  pthread_t thread;
  {
    MutexLock lock(&mutex_);
    has_thread = has_thread_;
    thread = thread_;
  }
  if (has_thread) pthread_join(thread, nullptr);
  if (link == nullptr) return;
  {
    MutexLock lock(&link->mutex);
    link->background = nullptr;
    while (link->inside > 0) link->left.Wait(&link->mutex);
  }
  Link::Release(link);
}

void Background::Add(BackgroundJob* job) {
  MutexLock lock(&mutex_);
  LOAM_CHECK(count_ < kMaxJobs, "%zu jobs in the background", count_ + 1);
  entries_[count_++].job = job;
}

void Background::WakeIfParked(const BackgroundJob* job, uint64_t time_ns) {
  if (!enabled_) return;
  MutexLock lock(&mutex_);
  for (Entry& entry : entries_) {
    if (entry.job != job) continue;
    if (running_ == &entry) {
      entry.woken_ns = std::min(entry.woken_ns, time_ns);
    } else if (entry.due_ns == BackgroundJob::kParked &&
               EnsureRunner(time_ns)) {
      entry.due_ns = time_ns;
    }
  }
}

Background::Entry* Background::Earliest() {
  return std::min_element(
      entries_, entries_ + count_,
      [](const Entry& a, const Entry& b) { return a.due_ns < b.due_ns; });
}

void Background::Run(Entry* entry) {
  entry->due_ns = BackgroundJob::kParked;
  entry->woken_ns = BackgroundJob::kParked;
  running_ = entry;
  mutex_.Unlock();
  uint64_t next_ns;
  {
    MutexLock lock(&work_mutex_);
    next_ns = entry->job->Work();
  }
  entry->job->Report();
  mutex_.Lock();
  running_ = nullptr;
  entry->due_ns = next_ns == BackgroundJob::kParked ? entry->woken_ns : next_ns;
}

bool Background::RunDue() {
  if (ending_) return false;
  Entry* entry = Earliest();
  if (entry->due_ns > NowNanoseconds()) return false;
  Run(entry);
  return true;
}

bool Background::EnsureRunner(uint64_t time_ns) {
  if (ending_) return false;
  return platform_.exists() ? EnsureTask(time_ns) : EnsureThread(time_ns);
}

// ---- A thread of the heap's own ---------------------------------------------

bool Background::EnsureThread(uint64_t time_ns) {
  if (!has_thread_) {
    has_thread_ = StartThread(&thread_, "loam background", &ThreadMain, this);
  } else if (time_ns < sleeping_until_ns_) {
    changed_.NotifyAll();
  }
  return has_thread_;
}

void* Background::ThreadMain(void* background) {
  static_cast<Background*>(background)->RunThread();
  return nullptr;
}

void Background::RunThread() {
  const ScopedFatalContext context(fatal_context_);
  MutexLock lock(&mutex_);
  while (!ending_) {
    if (RunDue()) continue;
    sleeping_until_ns_ = Earliest()->due_ns;
    if (ending_) break;
    if (sleeping_until_ns_ == BackgroundJob::kParked) {
      changed_.Wait(&mutex_);
    } else {
      changed_.WaitUntil(&mutex_, sleeping_until_ns_);
    }
    sleeping_until_ns_ = 0;
  }
}

// ---- Tasks on the embedder's platform ---------------------------------------

bool Background::EnsureTask(uint64_t time_ns) {
  if (posted_ns_ <= time_ns) return true;
  if (link_ == nullptr) {
    const uintptr_t memory = os::Allocate(kOsPageBytes);
    if (memory == 0) return false;
    link_ = new (reinterpret_cast<void*>(memory)) Link;
    MutexLock lock(&link_->mutex);
    link_->background = this;
  }
  {
    MutexLock lock(&link_->mutex);
    link_->owners++;
  }
  const uint64_t now_ns = NowNanoseconds();
  if (!platform_.Post(&RunTask, link_,
                      time_ns > now_ns ? time_ns - now_ns : 0)) {
    Link::Release(link_);
    return false;
  }
  posted_ns_ = time_ns;
  return true;
}

void Background::RunTask(void* argument) {
  auto* link = static_cast<Link*>(argument);
  Background* background;
  {
    MutexLock lock(&link->mutex);
    background = link->background;
    if (background != nullptr) link->inside++;
  }
  if (background != nullptr) {
    const ScopedFatalContext context(background->fatal_context_);
    {
      MutexLock lock(&background->mutex_);
      // Some task has come; others may be on their way.
      background->posted_ns_ = BackgroundJob::kParked;
      // Another one that is at work will see what is due.
      if (background->running_ == nullptr) {
        while (background->RunDue()) {
        }
        const uint64_t next_ns = background->Earliest()->due_ns;
        if (next_ns != BackgroundJob::kParked) {
          (void)background->EnsureRunner(next_ns);
        }
      }
    }
    MutexLock lock(&link->mutex);
    link->inside--;
    link->left.NotifyAll();
  }
  Link::Release(link);
}

void Background::ResetAfterFork() {
  changed_.ResetAfterFork();
  has_thread_ = false;
  sleeping_until_ns_ = 0;
  running_ = nullptr;
  // Tasks that refer to it will never run here.
  link_ = nullptr;
  posted_ns_ = BackgroundJob::kParked;
  // A job that was about to report counts as parked.
}

}  // namespace loam
