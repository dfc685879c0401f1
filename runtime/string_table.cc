#include "runtime/string_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace loam {
namespace {

// FNV-1a.
uint32_t Hash(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  return hash;
}

}  // namespace

size_t StringTable::FindPlace(std::string_view text, uint32_t hash) const {
  const size_t mask = places_.size() - 1;
  size_t place = hash & mask;
  for (; places_[place] != 0; place = (place + 1) & mask) {
    const size_t i = places_[place] - 1;
    if (entries_[i].hash == hash && (*this)[i] == text) break;
  }
  return place;
}

bool StringTable::GrowPlaces() {
  constexpr size_t kFirstPlaces = 1024;
  const size_t size =
      std::max(kFirstPlaces, std::bit_ceil(2 * entries_.size() + 1));
  // The old ones stay until there are new ones: memory may run out, and later
  // be there again.
  OsArray<uint32_t> places;
  if (!places.Extend(size)) return false;
  for (size_t i = 0; i < entries_.size(); i++) {
    size_t place = entries_[i].hash & (size - 1);
    while (places[place] != 0) place = (place + 1) & (size - 1);
    places[place] = static_cast<uint32_t>(i + 1);
  }
  places_.Swap(&places);
  return true;
}

bool StringTable::Add(std::string_view text, uint32_t hash) {
  const size_t offset = text_.size();
  // One more, so that there is an address even if the text is empty.
  if (!text_.Extend(text.size() + 1)) return false;
  memcpy(&text_[offset], text.data(), text.size());
  return entries_.Add({offset, static_cast<uint32_t>(text.size()), hash});
}

uint32_t StringTable::NumberOf(std::string_view text) {
  const uint32_t number = FindOrAdd(text);
  if (number == kNone) is_out_of_memory_ = true;
  return number;
}

uint32_t StringTable::FindOrAdd(std::string_view text) {
  if (2 * entries_.size() >= places_.size() && !GrowPlaces()) return kNone;
  const uint32_t hash = Hash(text);
  const size_t place = FindPlace(text, hash);
  if (places_[place] == 0) {
    if (!Add(text, hash)) return kNone;
    places_[place] = static_cast<uint32_t>(entries_.size());
  }
  return places_[place] - 1;
}

}  // namespace loam
