// What a snapshot's tables do when the OS gives no memory.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/string_table.h"
#include "tests/snapshot/no_memory.h"

namespace loam {
namespace {

using loam_test::NoMemory;

// Each time that the table has to grow, it cannot at first.
TEST(OutOfMemoryTest, AStringTableGoesOnAfterIt) {
  constexpr size_t kTexts = 20'000;
  StringTable table;
  size_t refused = 0;
  for (size_t i = 0; i < kTexts; i++) {
    const std::string text = "text " + std::to_string(i);
    uint32_t number;
    {
      const NoMemory no_memory;
      number = table.NumberOf(text);
    }
    if (number == StringTable::kNone) {
      refused++;
      number = table.NumberOf(text);
    }
    ASSERT_EQ(number, i);
  }
  EXPECT_GE(refused, 5u);
  for (size_t i = 0; i < kTexts; i++) {
    ASSERT_EQ(table.NumberOf("text " + std::to_string(i)), i);
  }
}

}  // namespace
}  // namespace loam
