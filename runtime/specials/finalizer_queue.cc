#include "runtime/specials/finalizer_queue.h"

#include "runtime/base/embedder_call.h"

namespace loam {

void FinalizerQueue::Push(Special* finalizer) {
  void (*wake)(void* data) = nullptr;
  void* wake_data = nullptr;
  {
    MutexLock lock(&mutex_);
    finalizer->next = nullptr;
    if (tail_ == nullptr) {
      head_ = finalizer;
      wake = wake_;
      wake_data = wake_data_;
    } else {
      tail_->next = finalizer;
    }
    tail_ = finalizer;
    size_++;
  }
  if (wake != nullptr) {
    EmbedderCall("the finalizers-ready callback", [&] { wake(wake_data); });
  }
}

Special* FinalizerQueue::Pop() {
  MutexLock lock(&mutex_);
  Special* finalizer = head_;
  if (finalizer == nullptr) return nullptr;
  head_ = finalizer->next;
  if (head_ == nullptr) tail_ = nullptr;
  size_--;
  return finalizer;
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
