#include "runtime/gc/ephemeron_index.h"

namespace loam {
namespace {

constexpr size_t kListShift = 7;
constexpr size_t kListsPerArena = kArenaBytes >> kListShift;

size_t ListIndex(const Arena* arena, uintptr_t key) {
  return (key - arena->base) >> kListShift;
}

}  // namespace

uint32_t* EphemeronIndex::ListOf(uintptr_t key) const {
  const Arena* arena = page_heap_->arena_map().Find(key);
  return arena == nullptr || !arena->has_ephemeron_lists
             ? nullptr
             : &arena->ephemeron_lists.at(ListIndex(arena, key));
}

uint32_t EphemeronIndex::NewEntry() {
  if (free_ != 0) {
    const uint32_t entry = free_;
    free_ = entries_.at(entry).next;
    return entry;
  }
  if (!has_entries_) {
    has_entries_ = entries_.Reserve(ledger_, kMaxEntries);
    if (!has_entries_) return 0;
  }
  if (entry_count_ + 1 == kMaxEntries ||
      entries_.EnsureCommitted(entry_count_ + 1) == nullptr) {
    return 0;
  }
  return ++entry_count_;
}

bool EphemeronIndex::Add(uintptr_t key, uintptr_t record) {
  Arena* arena = page_heap_->arena_map().Find(key);
  if (!arena->has_ephemeron_lists) {
    if (!arena->ephemeron_lists.Reserve(ledger_, kListsPerArena)) return false;
    arena->has_ephemeron_lists = true;
  }
  uint32_t* list =
      arena->ephemeron_lists.EnsureCommitted(ListIndex(arena, key));
  const uint32_t entry = list == nullptr ? 0 : NewEntry();
  if (entry == 0) return false;
  entries_.at(entry) = {key, record, *list};
  *list = entry;
  return true;
}

uint32_t EphemeronIndex::Unlink(uintptr_t key) {
  uint32_t* link = ListOf(key);
  uint32_t taken = 0;
  if (link == nullptr || *link == 0) return 0;
  while (*link != 0) {
    Entry& entry = entries_.at(*link);
    if (entry.key != key) {
      link = &entry.next;
      continue;
    }
    const uint32_t found = *link;
    *link = entry.next;
    entry.next = taken;
    taken = found;
  }
  return taken;
}

void EphemeronIndex::End() {
  if (!has_entries_) return;
  page_heap_->ForEachArena([](Arena* arena) {
    if (!arena->has_ephemeron_lists) return;
    arena->ephemeron_lists.Release();
    arena->has_ephemeron_lists = false;
  });
  entries_.Release();
  has_entries_ = false;
  entry_count_ = 0;
  free_ = 0;
}

}  // namespace loam
