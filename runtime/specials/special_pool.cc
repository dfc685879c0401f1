#include "runtime/specials/special_pool.h"

#include <algorithm>
#include <bit>

namespace loam {

SpecialPool::SpecialPool(PersistentAllocator* persistent, Counter* bytes_in_use)
    : bytes_in_use_(bytes_in_use),
      pool1_(persistent),
      pool3_(persistent),
      pool5_(persistent),
      pool8_(persistent),
      index_pool_(persistent) {}

template <typename Call>
auto SpecialPool::WithPool(size_t height, Call&& call) {
  static_assert(SpecialBytes(1) <= 32 && SpecialBytes(3) <= 48 &&
                SpecialBytes(5) <= 64 && SpecialBytes(8) <= 96 &&
                Special::kMaxHeight == 8);
  if (height == 1) return call(pool1_);
  if (height <= 3) return call(pool3_);
  if (height <= 5) return call(pool5_);
  return call(pool8_);
}

Special* SpecialPool::Take() {
  MutexLock lock(&mutex_);
  // xorshift (G. Marsaglia, 2003). Three bits for each further link.
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  const size_t height =
      std::min<size_t>(1 + std::countr_zero(random_state_ | 1ULL << 63) / 3,
                       Special::kMaxHeight);
  auto* special = WithPool(height, [&](auto& pool) {
    auto* record = pool.Take();
    if (record != nullptr) bytes_in_use_->Add(sizeof(*record));
    return reinterpret_cast<Special*>(record);
  });
  if (special != nullptr) special->height = height;
  return special;
}

void SpecialPool::Give(Special* special) {
  MutexLock lock(&mutex_);
  WithPool(special->height, [&](auto& pool) {
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

}  // namespace loam
