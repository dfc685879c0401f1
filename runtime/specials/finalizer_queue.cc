#include "runtime/specials/finalizer_queue.h"

#include "runtime/base/embedder_call.h"

namespace loam {

void FinalizerQueue::Push(Special* first, size_t count) {
  Special* last = first;
  while (last->next != nullptr) last = last->next;
  void (*wake)(void* data) = nullptr;
  void* wake_data = nullptr;
  {
    MutexLock lock(&mutex_);
    if (tail_ == nullptr) {
      head_ = first;
      wake = wake_;
      wake_data = wake_data_;
    } else {
      tail_->next = first;
    }
    tail_ = last;
    size_ += count;
  }
  if (wake != nullptr) {
    EmbedderCall("the finalizers-ready callback", [&] { wake(wake_data); });
  }
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

size_t FinalizerQueue::size() {
  MutexLock lock(&mutex_);
  return size_;
}

void FinalizerQueue::SetWake(void (*wake)(void* data), void* data) {
  MutexLock lock(&mutex_);
  wake_ = wake;
  wake_data_ = data;
}

}  // namespace loam
