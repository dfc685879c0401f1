#include "runtime/gc/mark_pool.h"

#include <cstring>

#include "runtime/base/fatal.h"
#include "runtime/base/spin.h"

namespace loam {
namespace {

void Copy(const MarkBatch& from, MarkBatch* to) {
  to->count = from.count;
  to->region_count = from.region_count;
  memcpy(to->words, from.words, from.count * sizeof(from.words[0]));
  memcpy(to->regions, from.regions,
         from.region_count * sizeof(from.regions[0]));
}

}  // namespace

void MarkPool::Begin(uint32_t markers) {
  LOAM_CHECK(markers <= kMaxMarkers, "%u markers", markers);
  MutexLock lock(&mutex_);
  LOAM_CHECK(count_ == 0 && waiting_ == 0,
             "marking begins with work or markers in the pool");
  markers_ = markers;
  complete_ = false;
  Publish();
}

bool MarkPool::Join() {
  MutexLock lock(&mutex_);
  if (complete_) return false;
  markers_++;
  LOAM_DCHECK(markers_ <= kMaxMarkers);
  return true;
}

void MarkPool::Publish() {
  wanted_.store(static_cast<int32_t>(waiting_) - static_cast<int32_t>(count_),
                std::memory_order_relaxed);
  take_again_.store(count_ > 0 || complete_, std::memory_order_relaxed);
}

bool MarkPool::Give(const MarkBatch& batch) {
  MutexLock lock(&mutex_);
  if (count_ >= waiting_) return false;
  Copy(batch, &batches_[count_++]);
  Publish();
  changed_.NotifyAll();
  return true;
}

bool MarkPool::Take(MarkBatch* batch) {
  mutex_.Lock();
  waiting_++;
  if (waiting_ == markers_ && count_ == 0) {
    complete_ = true;
    changed_.NotifyAll();
  }
  Publish();
  if (count_ == 0 && !complete_) {
    mutex_.Unlock();
    Spinner spinner;
    while (!take_again_.load(std::memory_order_relaxed) && spinner.Spin()) {
    }
    mutex_.Lock();
  }
  while (count_ == 0 && !complete_) changed_.Wait(&mutex_);
  waiting_--;
  const bool taken = count_ > 0;
  if (taken) Copy(batches_[--count_], batch);
  Publish();
  mutex_.Unlock();
  return taken;
}

}  // namespace loam
