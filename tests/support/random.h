// Random numbers: the same on every machine for a seed, or for given bytes.

#ifndef LOAM_TESTS_SUPPORT_RANDOM_H_
#define LOAM_TESTS_SUPPORT_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace loam_test {

// The finaliser of splitmix64: every bit of the result depends on every bit of
// the argument.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}
  // For fuzzers: each number is one of the bytes, so that a changed byte
  // changes one decision; then those of the seed.
  Random(uint64_t seed, const uint8_t* bytes, size_t count)
      : state_(Mix(seed)), bytes_(bytes), count_(count) {}

  uint64_t Next() {
    if (count_ == 0) return Mix(state_++);
    count_--;
    return *bytes_++;
  }
  // 0 to n - 1; n is small, so the bias does not matter.
  size_t Below(size_t n) { return static_cast<size_t>(Next() % n); }
  size_t Between(size_t first, size_t last) {
    return first + Below(last - first + 1);
  }
  bool OneIn(size_t n) { return Below(n) == 0; }
  bool Percent(unsigned chance) { return Below(100) < chance; }

 private:
  uint64_t state_;
  const uint8_t* bytes_ = nullptr;
  size_t count_ = 0;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SUPPORT_RANDOM_H_
