#include "runtime/gc/ephemeron_index.h"

namespace loam {

bool EphemeronIndex::Commit(uintptr_t key) {
  Arena* arena = arenas_.Find(key);
  if (!arena->has_ephemeron_words) {
    if (!arena->ephemeron_words.Reserve(ledger_, kArenaBytes / kBytesPerWord)) {
      return false;
    }
    arena->has_ephemeron_words = true;
  }
  if (arena->ephemeron_words.EnsureCommitted(Index(arena, key)) == nullptr) {
    return false;
  }
  last_arena_ = arena;
  last_page_ = key / kBytesPerPage;
  return true;
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

bool EphemeronIndex::AddEntry(uintptr_t* word, uintptr_t key,
                              uintptr_t waiting) {
  if (*word != 0 && *word % 2 == 0) {
    // One has waited alone, for this key: no other cell begins here.
    const uint32_t alone = NewEntry();
    if (alone == 0) return false;
    entries_.at(alone) = {*word, 0, static_cast<uint32_t>(key)};
    *word = uintptr_t{alone} * 2 + 1;
  }
  const uint32_t entry = NewEntry();
  if (entry == 0) return false;
  entries_.at(entry) = {waiting, static_cast<uint32_t>(*word / 2),
                        static_cast<uint32_t>(key)};
  *word = uintptr_t{entry} * 2 + 1;
  waiting_++;
  return true;
}

uint32_t EphemeronIndex::Unlink(uintptr_t* word, uintptr_t key) {
  auto first = static_cast<uint32_t>(*word / 2);
  uint32_t* link = &first;
  uint32_t taken = 0;
  while (*link != 0) {
    Entry& entry = entries_.at(*link);
    if (entry.key_bits != static_cast<uint32_t>(key)) {
      link = &entry.next;
      continue;
    }
    const uint32_t found = *link;
    *link = entry.next;
    entry.next = taken;
    taken = found;
  }
  *word = first == 0 ? 0 : uintptr_t{first} * 2 + 1;
  return taken;
}

void EphemeronIndex::End() {
  page_heap_->ForEachArena([](Arena* arena) {
    if (!arena->has_ephemeron_words) return;
    arena->ephemeron_words.Release();
    arena->has_ephemeron_words = false;
  });
  if (has_entries_) entries_.Release();
  has_entries_ = false;
  entry_count_ = 0;
  free_ = 0;
  waiting_ = 0;
  last_page_ = UINTPTR_MAX;
}

}  // namespace loam
