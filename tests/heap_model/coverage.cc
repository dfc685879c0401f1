#include "tests/heap_model/coverage.h"

#include <cinttypes>

namespace loam_test {
namespace {

constexpr const char* kTexts[] = {
#define LOAM_TEST_TEXT(name, text) text,
    LOAM_TEST_COVERAGE(LOAM_TEST_TEXT)
#undef LOAM_TEST_TEXT
};

}  // namespace

void Coverage::Print(FILE* out) const {
  for (size_t i = 0; i < counts_.size(); i++) {
    fprintf(out, "  %-44s %12" PRIu64 "\n", kTexts[i], counts_[i]);
  }
}

std::string Coverage::Missing() const {
  std::string missing;
  for (size_t i = 0; i < counts_.size(); i++) {
    if (counts_[i] == 0) missing += std::string(kTexts[i]) + "\n";
  }
  return missing;
}

}  // namespace loam_test
