// Random numbers for tests, from one seed: that of the environment variable
// LOAM_TEST_SEED if it is set, another one at every run otherwise. A test that
// fails prints the seed with SCOPED_TRACE(random.Describe()).

#ifndef LOAM_TESTS_BASE_TEST_RANDOM_H_
#define LOAM_TESTS_BASE_TEST_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace loam {

class TestRandom {
 public:
  TestRandom() : TestRandom(SeedFromEnvironment()) {}
  // For the threads of a test: each a generator of its own, from one seed.
  TestRandom(const TestRandom& parent, uint64_t thread)
      : TestRandom(parent.seed_ + 0x9e3779b97f4a7c15 * (thread + 1)) {}

  uint64_t Next() { return engine_(); }
  // In [0, n); n is not 0.
  size_t Below(size_t n) { return static_cast<size_t>(engine_() % n); }
  // In [low, high].
  size_t Between(size_t low, size_t high) {
    return low + Below(high - low + 1);
  }
  // True once in n times.
  bool OneIn(size_t n) { return Below(n) == 0; }

  std::string Describe() const {
    return "LOAM_TEST_SEED=" + std::to_string(seed_);
  }

 private:
  explicit TestRandom(uint64_t seed) : seed_(seed), engine_(seed) {}

  static uint64_t SeedFromEnvironment() {
    if (const char* seed = std::getenv("LOAM_TEST_SEED")) {
      return std::strtoull(seed, nullptr, 0);
    }
    return std::random_device{}();
  }

  const uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace loam

#endif  // LOAM_TESTS_BASE_TEST_RANDOM_H_
