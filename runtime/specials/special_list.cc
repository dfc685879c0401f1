#include "runtime/specials/special_list.h"

#include <algorithm>

namespace loam {
namespace {

bool HasKey(const Special* special, const SpecialKey& key) {
  return special != nullptr && special->address == key.address &&
         special->kind == key.kind;
}

}  // namespace

template <typename Before>
size_t SpecialList::FindPlace(Before&& before, Place* place) {
  size_t steps = 0;
  Special* last = nullptr;
  for (size_t l = levels(); l-- > 0;) {
    for (;;) {
      Special* next = *LinkAfter(last, l);
      if (next == nullptr) break;
      steps++;
      if (!before(*next)) break;
      last = next;
    }
    place->last[l] = last;
  }
  return steps;
}

void SpecialList::ForgetFinger() {
  if (span_->special_index != nullptr) span_->special_index->last = nullptr;
}

SpecialIndex* SpecialList::TakeIndexIfEmpty() {
  if (!is_empty()) return nullptr;
  SpecialIndex* index = span_->special_index;
  span_->special_index = nullptr;
  return index;
}

Special* SpecialList::FindFrom(const SpecialKey& key, size_t* steps) {
  Place place;
  const size_t looked_at = FindPlace(
      [&](const Special& special) { return IsBefore(special, key); }, &place);
  if (steps != nullptr) *steps = looked_at;
  return *LinkAfter(place.last[0], 0);
}

Special* SpecialList::Find(const SpecialKey& key) {
  Special* special = FindFrom(key);
  return HasKey(special, key) ? special : nullptr;
}

bool SpecialList::Insert(Special* special, PerKey per_key, size_t* steps) {
  const SpecialKey key = {uintptr_t{special->address}, special->kind};
  // Behind equal ones.
  const auto before = [&](const Special& other) {
    return other.address < key.address ||
           (other.address == key.address && other.kind <= key.kind);
  };
  SpecialIndex* index = span_->special_index;
  Place place;
  size_t looked_at = 0;
  Special* last = index != nullptr ? index->last : nullptr;
  if (last != nullptr && before(*last) &&
      (last->next == nullptr || !before(*last->next))) {
    place.last[0] = last;
    std::copy_n(index->before, SpecialIndex::kLevels, place.last + 1);
    looked_at = 1;
  } else {
    looked_at = FindPlace(before, &place);
  }
  if (steps != nullptr) *steps = looked_at;
  if (per_key == PerKey::kOne && HasKey(place.last[0], key)) return false;
  for (size_t l = 0; l < special->height; l++) {
    Special** link = LinkAfter(place.last[l], l);
    *special->link(l) = *link;
    *link = special;
    place.last[l] = special;
  }
  if (index != nullptr) {
    index->last = special;
    std::copy_n(place.last + 1, SpecialIndex::kLevels, index->before);
  }
  return true;
}

Special* SpecialList::Remove(const SpecialKey& key) {
  Place place;
  FindPlace([&](const Special& special) { return IsBefore(special, key); },
            &place);
  Special* found = *LinkAfter(place.last[0], 0);
  if (!HasKey(found, key)) return nullptr;
  // On each of its levels it is the next one too.
  for (size_t l = 0; l < found->height; l++) {
    *LinkAfter(place.last[l], l) = *found->link(l);
  }
  ForgetFinger();
  return found;
}

}  // namespace loam
