#include "runtime/object_set.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "runtime/string_table.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

// Arenas that are only addresses: the set looks at nothing in them.
class ObjectSetTest : public testing::Test {
 protected:
  ObjectSetTest() {
    for (const size_t place : {7, 3, 4}) {
      arenas_.push_back(static_cast<Arena*>(calloc(1, sizeof(Arena))));
      arenas_.back()->base = place * kArenaBytes;
    }
  }
  ~ObjectSetTest() override {
    for (Arena* arena : arenas_) free(arena);
  }
  ArenaSnapshot Arenas() const { return {arenas_.data(), arenas_.size()}; }

  std::vector<Arena*> arenas_;
};

TEST_F(ObjectSetTest, NumbersInTheOrderOfVisits) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  ObjectSet set;
  ASSERT_TRUE(set.Initialize(Arenas()));
  std::set<uintptr_t> expected;
  for (int i = 0; i < 20'000; i++) {
    const Arena* arena = arenas_[random.Below(arenas_.size())];
    // Half of them crowd, the others lie anywhere.
    const size_t bytes = random.OneIn(2) ? 50'000 : kArenaBytes;
    const uintptr_t cell = arena->base + random.Below(bytes) / 8 * 8;
    EXPECT_EQ(set.Contains(cell), expected.count(cell) == 1);
    EXPECT_EQ(set.Add(cell), expected.insert(cell).second);
  }
  for (const Arena* arena : arenas_) {
    for (const uintptr_t cell : {arena->base, arena->base + kArenaBytes - 8}) {
      set.Add(cell);
      expected.insert(cell);
    }
  }
  EXPECT_EQ(set.count(), expected.size());
  set.AssignNumbers();
  uint64_t number = 0;
  std::set<uint64_t> identities;
  uintptr_t last = 0;
  set.ForEach([&](uintptr_t cell) {
    EXPECT_EQ(expected.count(cell), 1u);
    EXPECT_EQ(set.NumberOf(cell), number);
    number++;
    identities.insert(set.IdentityOf(cell));
    EXPECT_TRUE(cell > last || cell % kArenaBytes == 0) << "not rising";
    last = cell;
  });
  EXPECT_EQ(number, expected.size());
  EXPECT_EQ(identities.size(), expected.size());
  EXPECT_GE(*identities.begin(), ObjectSet::kFirstIdentity);
}

TEST_F(ObjectSetTest, IdentitiesDoNotDependOnTheOthers) {
  ObjectSet few, many;
  ASSERT_TRUE(few.Initialize({arenas_.data(), 2}));
  ASSERT_TRUE(many.Initialize(Arenas()));
  const uintptr_t cell = arenas_[1]->base + 4096;
  few.Add(cell);
  many.Add(arenas_[1]->base);
  many.Add(cell);
  EXPECT_EQ(few.IdentityOf(cell), many.IdentityOf(cell));
}

TEST_F(ObjectSetTest, OfNoArenas) {
  ObjectSet set;
  ASSERT_TRUE(set.Initialize({}));
  set.AssignNumbers();
  EXPECT_EQ(set.count(), 0u);
  set.ForEach([](uintptr_t) { ADD_FAILURE(); });
}

TEST(StringTableTest, EachTextOnce) {
  StringTable table;
  std::vector<std::string> texts = {"", "a", std::string("a\0b", 3)};
  for (int i = 0; i < 10'000; i++) texts.push_back("text " + std::to_string(i));
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < texts.size(); i++) {
      ASSERT_EQ(table.NumberOf(texts[i]), i);
    }
  }
  ASSERT_EQ(table.size(), texts.size());
  for (size_t i = 0; i < texts.size(); i++) EXPECT_EQ(table[i], texts[i]);
}

}  // namespace
}  // namespace loam
