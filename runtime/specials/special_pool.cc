#include "runtime/specials/special_pool.h"

#include <algorithm>
#include <bit>

namespace loam {

SpecialPool::SpecialPool(PersistentAllocator* persistent, Counter* bytes_in_use)
    : bytes_in_use_(bytes_in_use),
      pool32_(persistent),
      pool48_(persistent),
      pool64_(persistent),
      pool112_(persistent),
      handle_pool_(persistent),
      waiting_pool_(persistent),
      index_pool_(persistent) {}

template <typename Call>
auto SpecialPool::WithPool(size_t bytes, Call&& call) {
  static_assert(SpecialBytes(Special::kMaxHeight, true) <= 112);
  if (bytes <= 32) return call(pool32_);
  if (bytes <= 48) return call(pool48_);
  if (bytes <= 64) return call(pool64_);
  return call(pool112_);
}

Special* SpecialPool::Take(bool has_extra) {
  MutexLock lock(&mutex_);
  // xorshift (G. Marsaglia, 2003). Three bits for each further link.
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  const size_t height =
      std::min<size_t>(1 + std::countr_zero(random_state_ | 1ULL << 63) / 3,
                       Special::kMaxHeight);
  const size_t bytes = SpecialBytes(height, has_extra);
  auto* special = WithPool(bytes, [&](auto& pool) {
    auto* record = pool.Take();
    if (record != nullptr) bytes_in_use_->Add(sizeof(*record));
    return reinterpret_cast<Special*>(record);
  });
  if (special == nullptr) return nullptr;
  special->height = height;
  special->has_extra = has_extra;
  special->is_unordered = false;
  return special;
}

void SpecialPool::Give(Special* special) {
  MutexLock lock(&mutex_);
  const size_t bytes = SpecialBytes(special->height, special->has_extra);
  WithPool(bytes, [&](auto& pool) {
    using Type = std::remove_pointer_t<decltype(pool.Take())>;
    bytes_in_use_->Subtract(sizeof(Type));
    pool.Give(reinterpret_cast<Type*>(special));
  });
}

SpecialIndex* SpecialPool::TakeIndex() {
  MutexLock lock(&mutex_);
  SpecialIndex* index = index_pool_.Take();
  if (index == nullptr) return nullptr;
  bytes_in_use_->Add(sizeof(*index));
  *index = {};
  return index;
}

void SpecialPool::GiveIndex(SpecialIndex* index) {
  if (index == nullptr) return;
  MutexLock lock(&mutex_);
  bytes_in_use_->Subtract(sizeof(*index));
  index_pool_.Give(index);
}

WeakHandle* SpecialPool::TakeHandle(uintptr_t address, bool is_long,
                                    const void* owner) {
  MutexLock lock(&mutex_);
  WeakHandle* handle = handle_pool_.Take();
  if (handle == nullptr) return nullptr;
  bytes_in_use_->Add(sizeof(*handle));
  handle->address.store(address, std::memory_order_relaxed);
  handle->references.store(1, std::memory_order_relaxed);
  handle->watch_state.store(WatchState::kWaiting, std::memory_order_relaxed);
  handle->is_long = is_long;
  handle->owner = owner;
  return handle;
}

void SpecialPool::GiveHandle(WeakHandle* handle) {
  MutexLock lock(&mutex_);
  bytes_in_use_->Subtract(sizeof(*handle));
  handle->owner = nullptr;
  handle_pool_.Give(handle);
}

WaitingCells* SpecialPool::TakeWaiting(Span* span) {
  MutexLock lock(&mutex_);
  WaitingCells* cells = waiting_pool_.Take();
  if (cells == nullptr) return nullptr;
  bytes_in_use_->Add(sizeof(*cells));
  *cells = {};
  cells->span = span;
  return cells;
}

void SpecialPool::GiveWaiting(WaitingCells* cells) {
  MutexLock lock(&mutex_);
  bytes_in_use_->Subtract(sizeof(*cells));
  waiting_pool_.Give(cells);
}

}  // namespace loam
