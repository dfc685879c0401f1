#include "runtime/specials/finalizer_queue.h"

#include "runtime/base/embedder_call.h"

namespace loam {

FinalizerQueue::Wake FinalizerQueue::Add(size_t count) {
  Wake wake;
  if (size_ == 0) wake = {true, wake_.function, wake_.data};
  size_ += count;
  return wake;
}

void FinalizerQueue::Call(const Wake& wake) {
  if (!wake.is_due) return;
  {
    const MutexLock lock(&runner_mutex_);
    ready_.NotifyAll();
  }
  if (wake.function == nullptr) return;
  EmbedderCall("the finalizers-ready callback",
               [&] { wake.function(wake.data); });
}

void FinalizerQueue::Push(Special* first, size_t count) {
  Special* last = first;
  while (last->next != nullptr) last = last->next;
  Wake wake;
  {
    const SpinLockHolder lock(&lock_);
    (tail_ == nullptr ? head_ : tail_->next) = first;
    tail_ = last;
    wake = Add(count);
  }
  Call(wake);
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

FinalizerQueue::Wake FinalizerQueue::AddWaiting(WaitingCells* cells,
                                                size_t count) {
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
  const SpinLockHolder lock(&lock_);
  wake_ = {false, wake, data};
}

}  // namespace loam
