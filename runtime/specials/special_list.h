// The specials of one span, in order: a skip list (W. Pugh, "Skip lists: a
// probabilistic alternative to balanced trees", 1990), whose upper levels begin
// in an index that only lists with a tall record have.
//
//   index->first[1]  ------------------------> C ----------------> NULL
//   index->first[0]  ----------> B ----------> C ----------------> NULL
//   span->specials   ---> A ---> B ---> . ---> C ---> . ---> . --> NULL
//
// To find, to insert and to remove a record takes logarithmic time; to insert
// one behind the one that went in last takes constant time, since objects get
// their specials mostly in the order of their addresses. The index keeps that
// place, the finger.
//
// A view of the span, made where it is needed. Everything under the span's
// specials_lock.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_LIST_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_LIST_H_

#include <cstddef>

#include "runtime/heap/span.h"
#include "runtime/specials/special.h"

namespace loam {

struct SpecialIndex {
  static constexpr size_t kLevels = Special::kMaxHeight - 1;
  // The first record of each level but the lowest.
  Special* first[kLevels];
  // The finger: the record that went in last, if it is still there, and the
  // last record of each upper level at or before it, NULL: none.
  Special* last;
  Special* before[kLevels];
};

class SpecialList {
 public:
  explicit SpecialList(Span* span) : span_(span) {}

  bool is_empty() const { return span_->specials == nullptr; }
  // Whether `special` can go in only when the list has an index.
  bool NeedsIndexFor(const Special& special) const {
    return special.height > 1 && span_->special_index == nullptr;
  }
  // A zeroed one. It stays until TakeIndex.
  void GiveIndex(SpecialIndex* index) { span_->special_index = index; }
  // When the list is empty: its index, to be freed; NULL if it has none.
  SpecialIndex* TakeIndexIfEmpty();

  // The record with this key, or NULL. Both write how many they looked at.
  Special* Find(const SpecialKey& key, size_t* steps = nullptr);
  // False if there is one with the same key.
  bool Insert(Special* special, size_t* steps = nullptr);
  // NULL if there is none.
  Special* Remove(const SpecialKey& key);

  // Calls keep(special) for all in order; those for which it returns false are
  // no longer in the list, and the callee's, from then on.
  template <typename Keep>
  void Filter(Keep&& keep);

 private:
  struct Place {
    // The last record of each level that is before it; NULL: none.
    Special* last[Special::kMaxHeight] = {};
  };

  size_t levels() const {
    return span_->special_index != nullptr ? Special::kMaxHeight : 1;
  }
  // The link of a level that follows `special`, or begins the level.
  Special** LinkAfter(Special* special, size_t level) {
    if (special != nullptr) return special->link(level);
    return level == 0 ? &span_->specials
                      : &span_->special_index->first[level - 1];
  }
  // Where a record with this key is or would be. Returns how many records it
  // looked at.
  size_t FindPlace(const SpecialKey& key, Place* place);
  // The record there, if it has the key.
  Special* At(const Place& place, const SpecialKey& key);
  void ForgetFinger();

  Span* const span_;
};

template <typename Keep>
void SpecialList::Filter(Keep&& keep) {
  const size_t level_count = levels();
  Place end;
  // Most records stay, with the links that they have: those are not written.
  const auto link_at_end = [&](size_t level, Special* special) {
    Special** link = LinkAfter(end.last[level], level);
    if (*link != special) *link = special;
  };
  bool is_changed = false;
  Special* next = span_->specials;
  while (next != nullptr) {
    Special* special = next;
    next = special->next;
    const size_t height = special->height;
    if (!keep(special)) {
      is_changed = true;
      continue;
    }
    for (size_t l = 0; l < height; l++) {
      link_at_end(l, special);
      end.last[l] = special;
    }
  }
  if (!is_changed) return;
  for (size_t l = 0; l < level_count; l++) link_at_end(l, nullptr);
  ForgetFinger();
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_LIST_H_
