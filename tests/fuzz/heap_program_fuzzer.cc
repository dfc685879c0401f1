// Programs of the heap model, step by step from the fuzzer's bytes: whatever
// the order of allocations, stores, roots and collections, loam and the plain
// graph must agree.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/heap_model/coverage.h"
#include "tests/heap_model/program.h"
#include "tests/support/random.h"

// libFuzzer calls it by this name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return -1;  // Not worth keeping.
  constexpr size_t kSteps = 300;
  const uint64_t seed = bytes[0];
  loam_test::Coverage coverage;
  loam_test::Program program(seed, loam_test::Random(seed, bytes + 1, size - 1),
                             kSteps, &coverage);
  const std::string failure = program.Run();
  if (failure.empty()) return 0;
  fprintf(stderr, "%s\n", failure.c_str());
  abort();
}
