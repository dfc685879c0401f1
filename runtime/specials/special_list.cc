#include "runtime/specials/special_list.h"

#include <algorithm>

namespace loam {

size_t SpecialList::FindPlace(const SpecialKey& key, Place* place) {
  size_t steps = 0;
  Special* last = nullptr;
  for (size_t l = levels(); l-- > 0;) {
    for (;;) {
      Special* next = *LinkAfter(last, l);
      if (next == nullptr) break;
      steps++;
      if (!IsBefore(*next, key)) break;
      last = next;
    }
    place->last[l] = last;
  }
  return steps;
}

Special* SpecialList::At(const Place& place, const SpecialKey& key) {
  Special* special = *LinkAfter(place.last[0], 0);
  return special != nullptr && HasKey(*special, key) ? special : nullptr;
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

Special* SpecialList::Find(const SpecialKey& key, size_t* steps) {
  Place place;
  const size_t looked_at = FindPlace(key, &place);
  if (steps != nullptr) *steps = looked_at;
  return At(place, key);
}

bool SpecialList::Insert(Special* special, size_t* steps) {
  const SpecialKey key = KeyOf(*special);
  SpecialIndex* index = span_->special_index;
  Place place;
  size_t looked_at = 1;
  Special* last = index != nullptr ? index->last : nullptr;
  if (last != nullptr && IsBefore(*last, key) &&
      (last->next == nullptr || !IsBefore(*last->next, key))) {
    place.last[0] = last;
    std::copy_n(index->before, SpecialIndex::kLevels, place.last + 1);
  } else {
    looked_at = FindPlace(key, &place);
  }
  if (steps != nullptr) *steps = looked_at;
  if (At(place, key) != nullptr) return false;
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
  FindPlace(key, &place);
  Special* found = At(place, key);
  if (found == nullptr) return nullptr;
  // On each of its levels it is the next one too.
  for (size_t l = 0; l < found->height; l++) {
    *LinkAfter(place.last[l], l) = *found->link(l);
  }
  ForgetFinger();
  return found;
}

}  // namespace loam
