// Garbage of power-law sizes, dropped in between objects that live on.

#ifndef LOAM_BENCHMARKS_WORKLOADS_GARBAGE_H_
#define LOAM_BENCHMARKS_WORKLOADS_GARBAGE_H_

#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"

namespace benchmarks {

struct Garbage {
  size_t count;
};

}  // namespace benchmarks

PEER_ARRAY_LAYOUT(benchmarks::Garbage, peer::Member<benchmarks::Garbage>);

namespace benchmarks {

// Makes an array that is dead at once, of 8 words times 2^k with probability
// 2^-k, up to 4,096 words. Returns how many words.
inline size_t DropGarbage(const peer::Thread& thread,
                          const peer::Type<Garbage>& type, Random* random) {
  const uint64_t bits = random->Next() | (uint64_t{1} << 9);
  const size_t words = size_t{8} << __builtin_ctzll(bits);
  Garbage* const garbage = type.NewArray(thread, words);
  garbage->count = words;
  peer::Elements(garbage)[words / 2].Set(thread, garbage, garbage);
  peer::Free(garbage);
  return words;
}

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_WORKLOADS_GARBAGE_H_
