// An array that grows in memory from the OS: for tables that somebody who looks
// at a heap needs for a moment. No heap is charged for it, so that one that has
// reached its limit can be looked at.

#ifndef LOAM_RUNTIME_OS_ARRAY_H_
#define LOAM_RUNTIME_OS_ARRAY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {

template <typename T>
class OsArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  OsArray() = default;
  ~OsArray() { Release(); }
  OsArray(const OsArray&) = delete;
  OsArray& operator=(const OsArray&) = delete;

  // False when out of memory.
  bool Add(const T& item) {
    if (size_ == capacity_ && !Reserve(size_ + 1)) return false;
    items_[size_++] = item;
    return true;
  }
  // Adds zeroed items. False when out of memory.
  bool Extend(size_t count) {
    if (!Reserve(size_ + count)) return false;
    size_ += count;
    return true;
  }
  void Swap(OsArray* other) {
    std::swap(items_, other->items_);
    std::swap(size_, other->size_);
    std::swap(capacity_, other->capacity_);
    std::swap(bytes_, other->bytes_);
  }
  void Release() {
    if (capacity_ != 0) {
      os::Release(reinterpret_cast<uintptr_t>(items_), bytes_);
    }
    items_ = nullptr;
    size_ = capacity_ = bytes_ = 0;
  }

  T& operator[](size_t i) { return items_[i]; }
  const T& operator[](size_t i) const { return items_[i]; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + size_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  static constexpr size_t kFirstBytes = 64 << 10;

  bool Reserve(size_t count) {
    if (count <= capacity_) return true;
    const size_t wanted =
        std::max({kFirstBytes, 2 * bytes_, count * kItemSize});
    const size_t bytes = AlignUp(wanted, kOsPageBytes);
    const uintptr_t memory = os::Allocate(bytes);
    if (memory == 0) return false;
    auto* items = reinterpret_cast<T*>(memory);
    const size_t size = size_;
    if (size != 0) memcpy(items, items_, size * kItemSize);
    Release();
    items_ = items;
    size_ = size;
    bytes_ = bytes;
    capacity_ = bytes / kItemSize;
    return true;
  }

  static constexpr size_t kItemSize = sizeof(T);  // NOLINT: may be a pointer

  T* items_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
  size_t bytes_ = 0;  // of the memory; beyond size_ it is zero
};

}  // namespace loam

#endif  // LOAM_RUNTIME_OS_ARRAY_H_
