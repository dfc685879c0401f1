// Texts, each once, numbered from 0 on in the order in which they came.

#ifndef LOAM_RUNTIME_STRING_TABLE_H_
#define LOAM_RUNTIME_STRING_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/os_array.h"

namespace loam {

class StringTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The number of a text, which is copied when it is new. kNone when out of
  // memory.
  uint32_t NumberOf(std::string_view text);

  // Whether there has been no memory for some text.
  bool is_out_of_memory() const { return is_out_of_memory_; }

  size_t size() const { return entries_.size(); }
  std::string_view operator[](size_t i) const {
    return {&text_[entries_[i].offset], entries_[i].length};
  }

 private:
  struct Entry {
    uint64_t offset;  // in text_
    uint32_t length;
    uint32_t hash;
  };

  uint32_t FindOrAdd(std::string_view text);
  bool Add(std::string_view text, uint32_t hash);
  bool GrowPlaces();
  // Where in places_ an entry is, or would be.
  size_t FindPlace(std::string_view text, uint32_t hash) const;

  OsArray<char> text_;
  OsArray<Entry> entries_;
  // A hash table with linear probing, at most half full: 0, or the number of an
  // entry plus one. Its size is a power of two.
  OsArray<uint32_t> places_;
  bool is_out_of_memory_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_STRING_TABLE_H_
