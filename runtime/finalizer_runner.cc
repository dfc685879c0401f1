#include "runtime/finalizer_runner.h"

#include "runtime/base/thread.h"
#include "runtime/runtime.h"

namespace loam {

Status FinalizerRunner::Start() {
  const MutexLock lock(&mutex_);
  if (has_thread_) return Status::kWrongState;
  runtime_->specials()->finalizer_queue()->AllowWaiting();
  has_thread_ = StartThread(&thread_, "loam finalizers", &ThreadMain, this);
  return has_thread_ ? Status::kOk : Status::kOutOfMemory;
}

Status FinalizerRunner::Stop() {
  const MutexLock lock(&mutex_);
  if (!has_thread_) return Status::kWrongState;
  runtime_->specials()->finalizer_queue()->StopWaiting();
  pthread_join(thread_, nullptr);
  has_thread_ = false;
  return Status::kOk;
}

void FinalizerRunner::ResetAfterFork() {
  mutex_.ResetAfterFork();
  has_thread_ = false;
}

void* FinalizerRunner::ThreadMain(void* runner) {
  static_cast<FinalizerRunner*>(runner)->RunThread();
  return nullptr;
}

void FinalizerRunner::RunThread() {
  FinalizerQueue* queue = runtime_->specials()->finalizer_queue();
  // When there is no memory for a mutator, there may be later.
  constexpr uint64_t kRetryNanoseconds = 10'000'000;
  bool has_told = false;
  Mutator* m = nullptr;
  while (queue->WaitUntilReady()) {
    ErrorMessage message;
    if (m == nullptr) {
      if (runtime_->Attach("finalizer runner", &m, &message) != Status::kOk) {
        if (!has_told) runtime_->Log(message.text);
        has_told = true;
        if (!queue->WaitFor(kRetryNanoseconds)) return;
        continue;
      }
    } else if (runtime_->LeaveNative(m, &message) != Status::kOk) {
      FatalBug("the finalizer runner: %s", message.text);
    }
    // One at a time, so that Stop need not wait for many.
    runtime_->RunFinalizers(m, 1);
    runtime_->EnterNative(m);
  }
  if (m == nullptr) return;
  ErrorMessage message;
  if (runtime_->LeaveNative(m, &message) != Status::kOk ||
      runtime_->Detach(m, &message) != Status::kOk) {
    FatalBug("the finalizer runner: %s", message.text);
  }
}

Status Runtime::StartFinalizerRunner(ErrorMessage* message) {
  const Status status = finalizer_runner_.Start();
  if (status == Status::kWrongState) {
    message->Format("loam_finalizers_start_runner: heap: '%s' has one already",
                    options_.name);
  } else if (status != Status::kOk) {
    message->Format("loam_finalizers_start_runner: no thread to be had");
  }
  return status;
}

Status Runtime::StopFinalizerRunner(ErrorMessage* message) {
  // The thread may be waiting for this one to reach a safepoint.
  Mutator* m = Current();
  if (m != nullptr) EnterNative(m);
  const Status status = finalizer_runner_.Stop();
  if (m != nullptr) {
    const Status left = LeaveNative(m, message);
    if (left != Status::kOk) return left;
  }
  if (status != Status::kOk) {
    message->Format("loam_finalizers_stop_runner: heap: '%s' has none",
                    options_.name);
  }
  return status;
}

}  // namespace loam
