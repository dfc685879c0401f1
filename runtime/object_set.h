// A set of objects of one heap, which can number them: a bit for every word of
// the arenas, and counts of the bits before. Neither touches the objects.
//
// For as long as the world is stopped. Takes a sixty-fourth of the heap for the
// bits, of which only what lies beside objects of the set is backed by memory,
// and an eighth of that again for the counts, once there are numbers.

#ifndef LOAM_RUNTIME_OBJECT_SET_H_
#define LOAM_RUNTIME_OBJECT_SET_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/heap/arena_list.h"
#include "runtime/heap/metadata_allocator.h"

namespace loam {

class ObjectSet {
 public:
  ObjectSet() = default;
  ~ObjectSet();
  ObjectSet(const ObjectSet&) = delete;
  ObjectSet& operator=(const ObjectSet&) = delete;

  // Once, before anything else. False when out of memory.
  bool Initialize(const ArenaSnapshot& arenas);

  // `cell` is the base of an object. False if it was in.
  bool Add(uintptr_t cell) {
    ArenaObjects* arena = Find(cell);
    const size_t bit = BitOf(cell);
    if (TestBit(arena->bits, bit)) return false;
    SetBit(arena->bits, bit);
    count_++;
    return true;
  }
  bool Contains(uintptr_t cell) const {
    const ArenaObjects* arena = Find(cell);
    return arena != nullptr && TestBit(arena->bits, BitOf(cell));
  }
  uint64_t count() const { return count_; }

  // Numbers the objects from 0 on, in the order of ForEach. None may be added
  // after that.
  void AssignNumbers();
  // Of an object of the set.
  uint64_t NumberOf(uintptr_t cell) const {
    const ArenaObjects* arena = Find(cell);
    const size_t bit = BitOf(cell);
    const size_t group = bit / kGroupBits;
    uint64_t number = arena->numbers[group];
    for (size_t w = group * kGroupWords; w < bit / kBitsPerWord; w++) {
      number += PopCount(arena->bits[w]);
    }
    return number + PopCount(arena->bits[bit / kBitsPerWord] &
                             LowBits(bit % kBitsPerWord));
  }

  // A number that says which object of the heap it is: the same for as long as
  // the heap lives, at least kFirstIdentity, and below 2^32 in heaps of up to
  // 32 GiB.
  static constexpr uint64_t kFirstIdentity = kArenaBytes / kWordBytes;
  uint64_t IdentityOf(uintptr_t cell) const {
    return (Find(cell)->position + 1) * kFirstIdentity + BitOf(cell);
  }

  // Calls visit(cell) for every object: arenas in the order in which they came,
  // by rising address in each.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Arena* place : arenas_) {
      const ArenaObjects* arena = Find(place->base);
      for (size_t w = 0; w < kArenaWords; w++) {
        for (uint64_t bits = arena->bits[w]; bits != 0; bits &= bits - 1) {
          const size_t bit = w * kBitsPerWord + std::countr_zero(bits);
          visit(place->base + bit * kWordBytes);
        }
      }
    }
  }

 private:
  static constexpr size_t kArenaWords = kArenaBytes / kWordBytes / kBitsPerWord;
  // So many bits share a count.
  static constexpr size_t kGroupWords = 8;
  static constexpr size_t kGroupBits = kGroupWords * kBitsPerWord;

  struct ArenaObjects {
    uint64_t position;  // among the heap's arenas
    uint64_t bits[kArenaWords];
    uint64_t numbers[kArenaWords / kGroupWords];  // of the group's first object
  };

  static constexpr size_t BitOf(uintptr_t cell) {
    return cell % kArenaBytes / kWordBytes;
  }
  ArenaObjects* Find(uintptr_t address) const {
    return by_address_.at(address >> kArenaShift);
  }

  MemoryLedger ledger_;  // without a limit
  ArenaSnapshot arenas_;
  SparseTable<ArenaObjects*> by_address_;
  uint64_t count_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_OBJECT_SET_H_
