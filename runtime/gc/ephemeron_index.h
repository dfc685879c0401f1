// Ephemeron records whose key has not been reached, by key: when marking comes
// to a key, its records are found at once, and so all of them take linear time
// together, in whatever order they depend on each other (B. Hayes, "Ephemerons:
// a new finalization mechanism", OOPSLA 1997, has the idea; the index is what
// makes a chain of them cheap).
//
// A table beside each arena has a list for every 128 bytes: what lies together
// in the heap lies together here, and nothing has to be hashed. Both the tables
// and the entries are committed where they are used, charged to the heap, and
// given back when marking is over.
//
// Collector only, one thread.

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
      : page_heap_(page_heap), ledger_(ledger) {}
  ~EphemeronIndex() { End(); }
  EphemeronIndex(const EphemeronIndex&) = delete;
  EphemeronIndex& operator=(const EphemeronIndex&) = delete;

  // `key` is the base of a cell. False when out of memory: then marking has to
  // look at all records again.
  bool Add(uintptr_t key, uintptr_t record);

  // Calls visit(record) for each record that waits for the cell at `key`; they
  // wait no longer. `visit` may add.
  template <typename Visit>
  void Take(uintptr_t key, Visit&& visit) {
    if (entry_count_ == 0) return;
    uint32_t taken = Unlink(key);
    while (taken != 0) {
      const Entry entry = entries_.at(taken);
      entries_.at(taken).next = free_;
      free_ = taken;
      taken = entry.next;
      visit(entry.record);
    }
  }

  // Forgets everything and gives the memory back.
  void End();

 private:
  struct Entry {
    uintptr_t key;
    uintptr_t record;
    uint32_t next;  // of its list, or of the free ones; 0: none
  };
  // As many as fit into the address space of a small machine.
  static constexpr uint32_t kMaxEntries = uint32_t{1} << 27;

  // The list of a key; NULL if its table does not exist.
  uint32_t* ListOf(uintptr_t key) const;
  // Takes the entries of a key off its list; the first of them, or 0.
  uint32_t Unlink(uintptr_t key);
  uint32_t NewEntry();

  PageHeap* const page_heap_;
  MemoryLedger* const ledger_;
  SparseTable<Entry> entries_;  // [1, entry_count_]
  bool has_entries_ = false;
  uint32_t entry_count_ = 0;
  uint32_t free_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_EPHEMERON_INDEX_H_
