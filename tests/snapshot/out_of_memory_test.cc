// What a snapshot's tables do when the OS gives no memory.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/heap_tracer.h"
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

// A word that there is no room for, wherever it is that the room ends: what
// follows it is ignored.
TEST(OutOfMemoryTest, ARootTableEndsWithIt) {
  constexpr uintptr_t kTarget = 64;
  for (size_t words_before = 0; words_before < 20'000; words_before += 500) {
    RootTable roots;
    roots.EnterPart("before");
    for (size_t i = 0; i < words_before; i++) {
      const std::string name = "root " + std::to_string(i);
      roots.EnterRoot("provider", i % 2 == 0 ? name.c_str() : nullptr);
      ASSERT_TRUE(roots.AddWord(kTarget));
    }
    const NoMemory no_memory;
    bool has_failed = false;
    for (size_t i = 0; i < 20'000; i++) {
      roots.EnterRoot("frame", "f");
      roots.EnterPart("first");
      const bool added = roots.AddWord(kTarget);
      if (added && has_failed) return ADD_FAILURE();
      has_failed = has_failed || !added;
      roots.EnterPart("second");
      (void)roots.AddWord(0);
    }
    if (!has_failed) return ADD_FAILURE();
  }
}

}  // namespace
}  // namespace loam
