// Random numbers that cost little and are the same everywhere, Go included:
// xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift
// generators, scrambled", 2016).

#ifndef LOAM_BENCHMARKS_SUPPORT_RANDOM_H_
#define LOAM_BENCHMARKS_SUPPORT_RANDOM_H_

#include <cstdint>

namespace benchmarks {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}

  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  // In [0, bound), for bounds up to 2^32.
  uint64_t Below(uint64_t bound) { return ((Next() >> 32) * bound) >> 32; }
  // The same, but low numbers more often: the lowest tenth gets 46 % of the
  // draws. It is the cube of a number that is not skewed.
  uint64_t SkewedBelow(uint64_t bound) {
    const uint64_t x = Next() >> 32;
    const uint64_t cube = (((x * x) >> 32) * x) >> 32;
    return (cube * bound) >> 32;
  }

 private:
  uint64_t state_;
};

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_SUPPORT_RANDOM_H_
