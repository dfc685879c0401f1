#include "runtime/specials/finalizer_queue.h"

#include "runtime/base/embedder_call.h"

namespace loam {

FinalizerQueue::Wake FinalizerQueue::Add(size_t count) {
  const bool was_empty = size_ == 0;
  size_ += count;
  if (!was_empty) return {};
  ready_.NotifyAll();
  return wake_;
}

void FinalizerQueue::Call(const Wake& wake) {
  if (wake.function == nullptr) return;
  EmbedderCall("the finalizers-ready callback",
               [&] { wake.function(wake.data); });
}

void FinalizerQueue::Push(Special* first, size_t count) {
  Special* last = first;
  while (last->next != nullptr) last = last->next;
  Wake wake;
  {
    MutexLock lock(&mutex_);
    (tail_ == nullptr ? head_ : tail_->next) = first;
    tail_ = last;
    wake = Add(count);
  }
  Call(wake);
}

Special* FinalizerQueue::Pop() {
  MutexLock lock(&mutex_);
  Special* first = head_;
  if (first == nullptr) return nullptr;
  head_ = first->next;
  if (head_ == nullptr) tail_ = nullptr;
  size_--;
  return first;
}

FinalizerQueue::Wake FinalizerQueue::AddWaiting(WaitingCells* cells,
                                                size_t count) {
  MutexLock lock(&mutex_);
  if (cells->waiting_count == 0) {
    cells->next = waiting_;
    waiting_ = cells;
  }
  cells->waiting_count += count;
  return Add(count);
}

Span* FinalizerQueue::FirstWaiting() {
  MutexLock lock(&mutex_);
  return waiting_ == nullptr ? nullptr : waiting_->span;
}

void FinalizerQueue::TakeWaiting(WaitingCells* cells) {
  MutexLock lock(&mutex_);
  size_--;
  if (--cells->waiting_count > 0) return;
  WaitingCells** link = &waiting_;
  while (*link != cells) link = &(*link)->next;
  *link = cells->next;
}

size_t FinalizerQueue::size() {
  MutexLock lock(&mutex_);
  return size_;
}

bool FinalizerQueue::WaitUntilReady() {
  MutexLock lock(&mutex_);
  while (size_ == 0 && !stop_waiting_) ready_.Wait(&mutex_);
  return !stop_waiting_;
}

void FinalizerQueue::StopWaiting() {
  MutexLock lock(&mutex_);
  stop_waiting_ = true;
  ready_.NotifyAll();
}

void FinalizerQueue::AllowWaiting() {
  MutexLock lock(&mutex_);
  stop_waiting_ = false;
}

void FinalizerQueue::SetWake(void (*wake)(void* data), void* data) {
  MutexLock lock(&mutex_);
  wake_ = {wake, data};
}

}  // namespace loam
