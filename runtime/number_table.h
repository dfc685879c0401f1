// Numbers things from 1 on in the order in which they are first asked for: a
// hash table in memory from the OS, for the time that a file is written.

#ifndef LOAM_RUNTIME_NUMBER_TABLE_H_
#define LOAM_RUNTIME_NUMBER_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/os_array.h"

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

  // Whether the thing has a number.
  bool Has(const Key& key) const {
    return !entries_.empty() && entries_[PlaceOf(key, entries_)].number != 0;
  }
  // The thing's number, and whether it is new; 0 when out of memory.
  uint64_t Number(const Key& key, bool* is_new) {
    *is_new = false;
    if (2 * count_ >= entries_.size() && !Grow()) return 0;
    Entry& entry = entries_[PlaceOf(key, entries_)];
    if (entry.number == 0) {
      entry = {key, ++count_};
      *is_new = true;
    }
    return entry.number;
  }

 private:
  struct Entry {
    Key key;
    uint64_t number;  // 0: free
  };

  static size_t PlaceOf(const Key& key, const OsArray<Entry>& entries) {
    uint64_t hash = (key.first ^ key.kind << 56) * 0x9e3779b97f4a7c15;
    hash = (hash ^ hash >> 32 ^ key.second) * 0x9e3779b97f4a7c15;
    for (size_t i = hash >> 32;; i++) {
      const size_t place = i & (entries.size() - 1);
      const Entry& entry = entries[place];
      if (entry.number == 0 || entry.key == key) return place;
    }
  }
  bool Grow() {
    constexpr size_t kFirstEntries = 1024;
    OsArray<Entry> grown;
    if (!grown.Extend(std::max(kFirstEntries, 2 * entries_.size()))) {
      return false;
    }
    for (const Entry& entry : entries_) {
      if (entry.number != 0) grown[PlaceOf(entry.key, grown)] = entry;
    }
    entries_.Swap(&grown);
    return true;
  }

  OsArray<Entry> entries_;  // a power of two of them, or none
  size_t count_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_NUMBER_TABLE_H_
