// A thread, with a mutator, that runs what is queued when objects have died.
//
//   none --Start--> running --Stop, or the heap's end--> none
//
// While nothing is queued it waits in native state, so it holds up nobody.

#ifndef LOAM_RUNTIME_FINALIZER_RUNNER_H_
#define LOAM_RUNTIME_FINALIZER_RUNNER_H_

#include <pthread.h>

#include "runtime/base/mutex.h"
#include "runtime/base/status.h"

namespace loam {

class Runtime;
struct Mutator;

class FinalizerRunner {
 public:
  explicit FinalizerRunner(Runtime* runtime) : runtime_(runtime) {}
  FinalizerRunner(const FinalizerRunner&) = delete;
  FinalizerRunner& operator=(const FinalizerRunner&) = delete;

  // kWrongState, kOutOfMemory.
  Status Start() LOAM_EXCLUDES(mutex_);
  // Waits for the call that the thread is at. kWrongState if there is none.
  Status Stop() LOAM_EXCLUDES(mutex_);

  // In the child, whose parent has the thread.
  void ResetAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS;

 private:
  static void* ThreadMain(void* runner);
  void RunThread();

  Runtime* const runtime_;
  Mutex<LockRank::kFinalizerRunner> mutex_;
  bool has_thread_ LOAM_GUARDED_BY(mutex_) = false;
  pthread_t thread_ LOAM_GUARDED_BY(mutex_) = {};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_FINALIZER_RUNNER_H_
