// What a heap does beside its mutators: jobs that work for a moment at a time,
// each of which says when it wants to go on.
//
//   a job:   parked --WakeIfParked--> due --its time has come--> running
//              ^                       ^                            |
//              +-----------------------+----- what Work returns ----+
//
// One job runs at a time. They run on a thread of the heap's own, which exists
// from the first time that a job is woken, or as tasks on the embedder's
// platform. Jobs are no mutators: no stop concerns them.
//
// With a platform a task may be on its way for as long as a job sleeps, and
// still be when the heap ends. So what tasks refer to is a record of its own
// (Link), which the last of the heap and its tasks gives back.

#ifndef LOAM_RUNTIME_BACKGROUND_H_
#define LOAM_RUNTIME_BACKGROUND_H_

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/base/platform.h"

namespace loam {

class BackgroundJob {
 public:
  static constexpr uint64_t kParked = UINT64_MAX;

  // Works for about a millisecond; when to go on, a time of NowNanoseconds, or
  // kParked: when it is woken. No fork happens meanwhile.
  virtual uint64_t Work() = 0;
  // Right after it, no lock held: may call the embedder.
  virtual void Report() {}

 protected:
  ~BackgroundJob() = default;
};

class Background {
 public:
  // With `enabled` false nothing ever runs.
  Background(bool enabled, const Platform& platform,
             const FatalContext* fatal_context)
      : enabled_(enabled), platform_(platform), fatal_context_(fatal_context) {}
  // Ends the thread. No job runs afterwards.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  bool enabled() const { return enabled_; }

  // Before any job is woken; the job outlives this.
  void Add(BackgroundJob* job);
  // The job is to run at `time_ns`, if it is parked, or running and about to
  // park. If there is no thread to be had it stays parked. Any thread.
  void WakeIfParked(const BackgroundJob* job, uint64_t time_ns)
      LOAM_EXCLUDES(mutex_);

  // Whoever holds it keeps jobs from working. No job waits for a stop, so it
  // may be taken while the world is stopped.
  Mutex<LockRank::kBackgroundWork>* work_mutex() { return &work_mutex_; }

  // No job is at work while a fork is prepared.
  void LockForFork() {
    work_mutex_.LockForFork();
    mutex_.LockForFork();
  }
  void UnlockAfterFork() {
    mutex_.UnlockAfterFork();
    work_mutex_.UnlockAfterFork();
  }
  // The thread, or the tasks, are the parent's. The child gets its own when a
  // job is woken.
  void ResetAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS;

 private:
  struct Entry {
    BackgroundJob* job = nullptr;
    uint64_t due_ns = BackgroundJob::kParked;
    uint64_t woken_ns = BackgroundJob::kParked;  // while it was running
  };
  struct Link;

  static void* ThreadMain(void* background);
  static void RunTask(void* link);
  void RunThread() LOAM_EXCLUDES(mutex_);

  Entry* Earliest() LOAM_REQUIRES(mutex_);
  // Runs a job, without the lock.
  void Run(Entry* entry) LOAM_REQUIRES(mutex_);
  // Runs what is due; false if that is nothing.
  bool RunDue() LOAM_REQUIRES(mutex_);
  // A thread or task will look at the jobs at `time_ns`. False if there is
  // none.
  bool EnsureRunner(uint64_t time_ns) LOAM_REQUIRES(mutex_);
  bool EnsureThread(uint64_t time_ns) LOAM_REQUIRES(mutex_);
  bool EnsureTask(uint64_t time_ns) LOAM_REQUIRES(mutex_);

  static constexpr size_t kMaxJobs = 4;

  const bool enabled_;
  const Platform platform_;
  const FatalContext* const fatal_context_;

  // Held while a job works.
  Mutex<LockRank::kBackgroundWork> work_mutex_;
  Mutex<LockRank::kBackground> mutex_;
  Entry entries_[kMaxJobs] LOAM_GUARDED_BY(mutex_);
  size_t count_ LOAM_GUARDED_BY(mutex_) = 0;
  Entry* running_ LOAM_GUARDED_BY(mutex_) = nullptr;
  bool ending_ LOAM_GUARDED_BY(mutex_) = false;
  ConditionVariable changed_;  // entries_, running_ or ending_

  // Without a platform.
  bool has_thread_ LOAM_GUARDED_BY(mutex_) = false;
  uint64_t sleeping_until_ns_ LOAM_GUARDED_BY(mutex_) = 0;  // 0: it is awake
  pthread_t thread_ LOAM_GUARDED_BY(mutex_) = {};

  // With one: made when needed.
  Link* link_ LOAM_GUARDED_BY(mutex_) = nullptr;
  // The earliest time at which a task will come.
  uint64_t posted_ns_ LOAM_GUARDED_BY(mutex_) = BackgroundJob::kParked;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BACKGROUND_H_
