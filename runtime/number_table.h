// Numbers things from 1 on in the order in which they are first asked for: a
// hash table in memory from the OS, for the time that a file is written.

#ifndef LOAM_RUNTIME_NUMBER_TABLE_H_
#define LOAM_RUNTIME_NUMBER_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/os_memory.h"

namespace loam {

class NumberTable {
 public:
  // What two things have in common that are the same.
  struct Key {
    uint64_t kind;
    uint64_t first;
    uint64_t second;

    bool operator==(const Key&) const = default;
  };

  NumberTable() = default;
  ~NumberTable() { Release(entries_, capacity_); }
  NumberTable(const NumberTable&) = delete;
  NumberTable& operator=(const NumberTable&) = delete;

  // Whether the thing has a number.
  bool Has(const Key& key) const {
    return capacity_ != 0 && Place(entries_, capacity_, key)->number != 0;
  }
  // The thing's number, and whether it is new; 0 when out of memory.
  uint64_t Number(const Key& key, bool* is_new) {
    *is_new = false;
    if (2 * count_ >= capacity_ && !Grow()) return 0;
    Entry* entry = Place(entries_, capacity_, key);
    if (entry->number == 0) {
      *entry = {key, ++count_};
      *is_new = true;
    }
    return entry->number;
  }

 private:
  struct Entry {
    Key key;
    uint64_t number;  // 0: free
  };
  static constexpr size_t kFirstCapacity = 1024;

  static Entry* Place(Entry* entries, size_t capacity, const Key& key) {
    uint64_t hash = (key.first ^ key.kind << 56) * 0x9e3779b97f4a7c15;
    hash = (hash ^ hash >> 32 ^ key.second) * 0x9e3779b97f4a7c15;
    for (size_t i = hash >> 32;; i++) {
      Entry* entry = &entries[i & (capacity - 1)];
      if (entry->number == 0 || entry->key == key) return entry;
    }
  }
  static void Release(Entry* entries, size_t capacity) {
    if (capacity == 0) return;
    os::Release(reinterpret_cast<uintptr_t>(entries), capacity * sizeof(Entry));
  }
  bool Grow() {
    const size_t capacity = capacity_ == 0 ? kFirstCapacity : 2 * capacity_;
    auto* entries =
        reinterpret_cast<Entry*>(os::Allocate(capacity * sizeof(Entry)));
    if (entries == nullptr) return false;
    for (size_t i = 0; i < capacity_; i++) {
      if (entries_[i].number == 0) continue;
      *Place(entries, capacity, entries_[i].key) = entries_[i];
    }
    Release(entries_, capacity_);
    entries_ = entries;
    capacity_ = capacity;
    return true;
  }

  Entry* entries_ = nullptr;
  size_t capacity_ = 0;  // a power of two, or 0
  size_t count_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_NUMBER_TABLE_H_
