// What waits for a key: ephemeron records whose key has not been reached. When
// marking comes to a key, what waits for it is found at once, and so all
// records take linear time together, in whatever order they depend on each
// other (B. Hayes, "Ephemerons: a new finalization mechanism", OOPSLA 1997, has
// the idea; the index is what makes a chain of them cheap).
//
// A table beside each arena has a word for every 16 bytes, which is the least
// that a key takes, but for the smallest: what lies together in the heap lies
// together here, and nothing has to be hashed.
//
//   0                 nothing waits
//   an address        it alone waits
//   an entry * 2 + 1  the first of a list of entries
//
// Both the tables and the entries are committed where they are used, charged to
// a ledger, and given back at the end.
//
// Used by one thread at a time, while the world is stopped: the collector, or
// who follows the heap to show it (runtime/heap_tracer.h).

#ifndef LOAM_RUNTIME_GC_EPHEMERON_INDEX_H_
#define LOAM_RUNTIME_GC_EPHEMERON_INDEX_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class EphemeronIndex {
 public:
  EphemeronIndex(PageHeap* page_heap, MemoryLedger* ledger)
      : arenas_(page_heap->arena_map()),
        page_heap_(page_heap),
        ledger_(ledger) {}
  ~EphemeronIndex() { End(); }
  EphemeronIndex(const EphemeronIndex&) = delete;
  EphemeronIndex& operator=(const EphemeronIndex&) = delete;

  // `waiting` waits for the cell whose base is `key`, in a span of cells of
  // `cell_bytes`. False when out of memory: then marking has to look at all
  // records again.
  bool Add(uintptr_t key, size_t cell_bytes, uintptr_t waiting) {
    if (key / kBytesPerPage != last_page_ && !Commit(key)) return false;
    uintptr_t* word = &last_arena_->ephemeron_words.at(Index(last_arena_, key));
    if (*word == 0 && cell_bytes >= kBytesPerWord &&
        waiting >> kAddressBits == 0 && waiting % 2 == 0) {
      *word = waiting;
      waiting_++;
      return true;
    }
    return AddEntry(word, key, waiting);
  }

  // Calls visit(waiting) for all that waits for the cell at `key`; it waits no
  // longer. `visit` may add.
  template <typename Visit>
  void Take(uintptr_t key, Visit&& visit) {
    const Arena* arena =
        key - taken_base_ < kArenaBytes ? taken_arena_ : FindForTaking(key);
    if (arena == nullptr || !arena->has_ephemeron_words) return;
    uintptr_t* word = &arena->ephemeron_words.at(Index(arena, key));
    const uintptr_t content = *word;
    if (content == 0) return;
    if (content % 2 == 0) {
      *word = 0;
      waiting_--;
      visit(content);
      return;
    }
    uint32_t taken = Unlink(word, key);
    while (taken != 0) {
      const Entry entry = entries_.at(taken);
      entries_.at(taken).next = free_;
      free_ = taken;
      waiting_--;
      taken = entry.next;
      visit(entry.waiting);
    }
  }

  // How much waits now.
  size_t waiting() const { return waiting_; }

  // Forgets everything and gives the memory back.
  void End();

 private:
  struct Entry {
    uintptr_t waiting;
    uint32_t next;      // of its list, or of the free ones; 0: none
    uint32_t key_bits;  // the lowest of the key's address: cells may be smaller
  };
  // As many as fit into the address space of a small machine.
  static constexpr uint32_t kMaxEntries = uint32_t{1} << 27;
  static constexpr size_t kBytesPerWord = 16;
  // Of the heap, for a page of words.
  static constexpr size_t kBytesPerPage =
      kOsPageBytes / kWordBytes * kBytesPerWord;

  static size_t Index(const Arena* arena, uintptr_t key) {
    return (key - arena->base) / kBytesPerWord;
  }
  const Arena* FindForTaking(uintptr_t key) {
    const Arena* arena = arenas_.Find(key);
    if (arena != nullptr) {
      taken_arena_ = arena;
      taken_base_ = arena->base;
    }
    return arena;
  }
  // Makes the page of the key's word writable, the last one.
  bool Commit(uintptr_t key);
  bool AddEntry(uintptr_t* word, uintptr_t key, uintptr_t waiting);
  uint32_t NewEntry();
  // Takes the entries of a key off the list at `word`; the first of them, or 0.
  uint32_t Unlink(uintptr_t* word, uintptr_t key);

  const ArenaMap& arenas_;
  PageHeap* const page_heap_;
  MemoryLedger* const ledger_;
  SparseTable<Entry> entries_;  // [1, entry_count_]
  bool has_entries_ = false;
  uint32_t entry_count_ = 0;
  uint32_t free_ = 0;
  size_t waiting_ = 0;
  // The page of words committed last.
  const Arena* last_arena_ = nullptr;
  uintptr_t last_page_ = UINTPTR_MAX;
  // Where a key was looked for last.
  const Arena* taken_arena_ = nullptr;
  uintptr_t taken_base_ = UINTPTR_MAX;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_EPHEMERON_INDEX_H_
