// Arenas: 64 MiB of aligned address space (kArenaBytes), each with metadata
// outside the heap.
// The arena map finds an arena, and so a span, from any address.

#ifndef LOAM_RUNTIME_HEAP_ARENA_H_
#define LOAM_RUNTIME_HEAP_ARENA_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/heap_constants.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_chunk.h"
#include "runtime/heap/span.h"

namespace loam {

struct Arena {
  uintptr_t base;
  // The span that each page belongs to, NULL for free pages. Stored with
  // release by the page heap, read with acquire anywhere, or relaxed by a
  // marker, which the stop has synchronised.
  std::atomic<Span*> spans[kPagesPerArena];
  // Bit p: page p is the first of a span in use. Relaxed: set by whoever makes
  // the span, cleared under the page heap's lock; read while no spans come and
  // go.
  std::atomic<uint64_t> page_in_use[kPagesPerArena / kBitsPerWord];
  // Bit p: the span that starts at page p has specials; set and cleared under
  // that span's specials lock, with relaxed atomics, and read when stopped.
  std::atomic<uint64_t> page_specials[kPagesPerArena / kBitsPerWord];
  // Bit p: marking has come to an object with weak or ephemeron words in the
  // span that starts at page p. Relaxed; markers only, see gc/weak_words.h.
  std::atomic<uint64_t> page_weak[kPagesPerArena / kBitsPerWord];
  // Guarded by the page heap's lock.
  PageChunk chunks[kChunksPerArena];
  // Bytes from here to the arena's end have never been handed out, and are
  // zero. Handing out lowest addresses first makes that worth knowing. Only
  // rises, by compare-and-swap, since pages come out of mutators' caches
  // without a lock. Relaxed: whoever hands a page out again got it through the
  // page heap's lock from whoever freed it, and so sees what was stored when it
  // was handed out before.
  std::atomic<uintptr_t> zeroed_base;
  // For each page of a manual span, that span. Reserved when the arena gets its
  // first. Guarded by the page heap's lock.
  SparseTable<Span*> manual_spans;
  bool has_manual_spans;
  // While ephemerons are resolved; see gc/ephemeron_index.h. Collector only.
  SparseTable<uint32_t> ephemeron_lists;
  bool has_ephemeron_lists;
  // Checking only, NULL otherwise: a word for every word of the arena, what
  // went through the store functions; and a bit for every word, the verifier's
  // marks. Written by their owners, see gc/.
  uint64_t* store_shadow;
  uint64_t* verify_bits;

  // Of an address in this or any arena: they are aligned to their size.
  static constexpr size_t PageIndex(uintptr_t address) {
    return (address >> kPageShift) % kPagesPerArena;
  }
  static constexpr size_t ChunkIndex(uintptr_t address) {
    return PageIndex(address) / kPagesPerChunk;
  }
};

// Two levels: 48 address bits = 10 bits of directory + 12 bits of table + 26
// bits inside the arena. Tables are made when an arena needs them. In a build
// with few address bits the directory has one entry, which is one level.
class ArenaMap {
 public:
  static constexpr size_t kIndexBits = kAddressBits - kArenaShift;

  explicit ArenaMap(PersistentAllocator* persistent)
      : persistent_(persistent) {}

  // Makes room for the arenas of [base, base + bytes). False when out of
  // memory. Guarded by the page heap's lock.
  bool Prepare(uintptr_t base, size_t bytes);
  // Publishes an arena. Guarded by the page heap's lock.
  void Insert(Arena* arena);

  // The arena of an address, or NULL. Any thread.
  Arena* Find(uintptr_t address) const {
    if (address >> kAddressBits != 0) return nullptr;
    const size_t index = address >> kArenaShift;
    const Table* table =
        directory_[index / kTableEntries].load(std::memory_order_acquire);
    return table == nullptr ? nullptr
                            : table->arenas[index % kTableEntries].load(
                                  std::memory_order_acquire);
  }

  // If [lowest, highest) lies within one table: that table, indexed by
  // TableIndex; otherwise NULL.
  const std::atomic<Arena*>* SingleTable(uintptr_t lowest,
                                         uintptr_t highest) const {
    const size_t first = lowest >> (kArenaShift + kTableBits);
    if (lowest >= highest || highest >> kAddressBits != 0 ||
        (highest - 1) >> (kArenaShift + kTableBits) != first) {
      return nullptr;
    }
    const Table* table = directory_[first].load(std::memory_order_acquire);
    return table == nullptr ? nullptr : table->arenas;
  }
  static constexpr size_t TableIndex(uintptr_t address) {
    return (address >> kArenaShift) % kTableEntries;
  }

  // The span in use that an address lies in, or NULL. Any thread; what it finds
  // stays valid only while something keeps an object of the span alive, or the
  // world stopped.
  Span* FindSpan(uintptr_t address) const {
    const Arena* arena = Find(address);
    return arena == nullptr ? nullptr
                            : arena->spans[Arena::PageIndex(address)].load(
                                  std::memory_order_acquire);
  }

 private:
  // Twelve, or more where arenas are small: the directory is part of every
  // heap.
  static constexpr size_t kTableBits = !kHasUserAddressBits ? kIndexBits
                                       : kIndexBits > 22    ? 14
                                                            : 12;
  static constexpr size_t kTableEntries = size_t{1} << kTableBits;
  static constexpr size_t kDirectoryEntries = size_t{1}
                                              << (kIndexBits - kTableBits);

  struct Table {
    std::atomic<Arena*> arenas[kTableEntries];
  };

  PersistentAllocator* const persistent_;
  // Release when stored, after what they point to is complete.
  std::atomic<Table*> directory_[kDirectoryEntries] = {};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_ARENA_H_
