#include "runtime/specials/finalizer_queue.h"

#include "runtime/base/clock.h"
#include "runtime/base/embedder_call.h"

namespace loam {

bool FinalizerQueue::Add(size_t count) {
  const bool was_empty = size_ == 0;
  size_ += count;
  return was_empty;
}

void FinalizerQueue::Wake() {
  const MutexLock lock(&runner_mutex_);
  ready_.NotifyAll();
  // A lambda does not inherit the lock, as the analysis sees it.
  const auto wake = wake_;
  void* data = wake_data_;
  if (wake == nullptr) return;
  EmbedderCall("the finalizers-ready callback", [&] { wake(data); });
}

void FinalizerQueue::Push(Special* first, Special* last, size_t count) {
  bool was_empty;
  {
    const SpinLockHolder lock(&lock_);
    (tail_ == nullptr ? head_ : tail_->next) = first;
    tail_ = last;
    was_empty = Add(count);
  }
  if (was_empty) Wake();
}

Special* FinalizerQueue::Pop() {
  const SpinLockHolder lock(&lock_);
  Special* first = head_;
  if (first == nullptr) return nullptr;
  head_ = first->next;
  if (head_ == nullptr) tail_ = nullptr;
  size_--;
  return first;
}

bool FinalizerQueue::AddWaiting(WaitingCells* cells, size_t count) {
  const SpinLockHolder lock(&lock_);
  if (cells->waiting_count == 0) {
    cells->next = waiting_;
    waiting_ = cells;
  }
  cells->waiting_count += count;
  return Add(count);
}

Span* FinalizerQueue::FirstWaiting() {
  const SpinLockHolder lock(&lock_);
  return waiting_ == nullptr ? nullptr : waiting_->span;
}

void FinalizerQueue::TakeWaiting(WaitingCells* cells) {
  const SpinLockHolder lock(&lock_);
  size_--;
  if (--cells->waiting_count > 0) return;
  WaitingCells** link = &waiting_;
  while (*link != cells) link = &(*link)->next;
  *link = cells->next;
}

size_t FinalizerQueue::size() {
  const SpinLockHolder lock(&lock_);
  return size_;
}

bool FinalizerQueue::WaitUntilReady() {
  const MutexLock lock(&runner_mutex_);
  while (size() == 0 && !stop_waiting_) ready_.Wait(&runner_mutex_);
  return !stop_waiting_;
}

bool FinalizerQueue::WaitFor(uint64_t nanoseconds) {
  const uint64_t end = NowNanoseconds() + nanoseconds;
  const MutexLock lock(&runner_mutex_);
  while (!stop_waiting_ && NowNanoseconds() < end) {
    ready_.WaitUntil(&runner_mutex_, end);
  }
  return !stop_waiting_;
}

void FinalizerQueue::StopWaiting() {
  const MutexLock lock(&runner_mutex_);
  stop_waiting_ = true;
  ready_.NotifyAll();
}

void FinalizerQueue::AllowWaiting() {
  const MutexLock lock(&runner_mutex_);
  stop_waiting_ = false;
}

void FinalizerQueue::SetWake(void (*wake)(void* data), void* data) {
  const MutexLock lock(&runner_mutex_);
  wake_ = wake;
  wake_data_ = data;
}

}  // namespace loam
