#include "runtime/specials/special_list.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/specials/special_pool.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kMany = 100000;

// Of which there is one for each address.
SpecialKind Kind(size_t n) {
  constexpr SpecialKind kKinds[] = {
      SpecialKind::kFinalizer, SpecialKind::kWeakHandle,
      SpecialKind::kLongWeakHandle, SpecialKind::kPin};
  return kKinds[n];
}
// Of the same order as keys.
uint64_t Number(const SpecialKey& key) {
  return uint64_t{key.address} << 8 | static_cast<uint64_t>(key.kind);
}

class SpecialListTest : public testing::Test {
 protected:
  ~SpecialListTest() override {
    list().Filter([&](Special* special) {
      pool_.Give(special);
      return false;
    });
    pool_.GiveIndex(list().TakeIndexIfEmpty());
    EXPECT_EQ(bytes_.Get(), 0);
  }

  SpecialList list() { return SpecialList(&span_); }

  // How many records were looked at; SIZE_MAX if there is one already.
  size_t Insert(uintptr_t address, SpecialKind kind = SpecialKind::kFinalizer,
                void* data = nullptr, uint64_t serial = 0) {
    Special* special = pool_.Take(kind == SpecialKind::kCleanup);
    special->address = address;
    special->kind = kind;
    special->finalizer.data = data;
    if (special->has_extra) *special->extra() = {serial, 0};
    if (list().NeedsIndexFor(*special)) list().GiveIndex(pool_.TakeIndex());
    size_t steps;
    if (list().Insert(special, &steps)) return steps;
    pool_.Give(special);
    return SIZE_MAX;
  }
  bool Remove(const SpecialKey& key) {
    Special* special = list().Remove(key);
    if (special == nullptr) return false;
    EXPECT_EQ(Number(KeyOf(*special)), Number(key));
    pool_.Give(special);
    pool_.GiveIndex(list().TakeIndexIfEmpty());
    return true;
  }

  // Every level is in order, and has exactly the records that are so high.
  void Check() const {
    std::vector<const Special*> all;
    for (const Special* s = span_.specials; s != nullptr; s = s->next) {
      if (!all.empty()) {
        ASSERT_LE(Number(KeyOf(*all.back())), Number(KeyOf(*s)));
      }
      all.push_back(s);
    }
    for (size_t level = 1; level < Special::kMaxHeight; level++) {
      Special* next = span_.special_index != nullptr
                          ? span_.special_index->first[level - 1]
                          : nullptr;
      for (const Special* s : all) {
        if (s->height <= level) continue;
        ASSERT_EQ(s, next);
        next = *next->link(level);
      }
      ASSERT_EQ(next, nullptr);
    }
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  Counter bytes_;
  SpecialPool pool_{&persistent_, &bytes_};
  Span span_ = {};
};

TEST_F(SpecialListTest, OneInEightRecordsIsTaller) {
  size_t by_height[Special::kMaxHeight + 1] = {};
  for (size_t i = 0; i < kMany; i++) {
    Special* special = pool_.Take();
    ASSERT_GE(special->height, 1);
    ASSERT_LE(special->height, Special::kMaxHeight);
    by_height[special->height]++;
    pool_.Give(special);
  }
  EXPECT_NEAR(static_cast<double>(by_height[1]), 0.875 * kMany, kMany * 0.01);
  EXPECT_NEAR(static_cast<double>(by_height[2]), 0.109 * kMany, kMany * 0.01);
}

TEST_F(SpecialListTest, InOrderOfAddressesEachTakesConstantTime) {
  size_t steps = 0;
  for (size_t i = 0; i < kMany; i++) {
    const size_t one = Insert(4096 + i * 8);
    ASSERT_NE(one, SIZE_MAX);
    // Before the first tall one there is no index.
    if (i > 100) {
      ASSERT_EQ(one, 1);
    }
    steps += one;
  }
  EXPECT_LT(steps, kMany + 10000);
  ASSERT_NO_FATAL_FAILURE(Check());
}

class InsertionOrderTest : public SpecialListTest,
                           public testing::WithParamInterface<const char*> {};

TEST_P(InsertionOrderTest, TakesLogarithmicTime) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  std::vector<uintptr_t> addresses(kMany);
  std::iota(addresses.begin(), addresses.end(), 1000);
  const std::string order = GetParam();
  if (order == "Descending") {
    std::reverse(addresses.begin(), addresses.end());
  } else if (order == "Random") {
    for (size_t i = kMany; i > 1; i--) {
      std::swap(addresses[i - 1], addresses[random.Below(i)]);
    }
  } else {  // from both ends
    for (size_t i = 1; i < kMany; i += 2) {
      addresses[i] = 1000 + kMany * 2 - i;
    }
  }
  size_t sum = 0;
  size_t most = 0;
  for (const uintptr_t address : addresses) {
    const size_t steps = Insert(address);
    ASSERT_NE(steps, SIZE_MAX);
    sum += steps;
    most = std::max(most, steps);
  }
  ASSERT_NO_FATAL_FAILURE(Check());
  size_t found_sum = 0;
  for (const uintptr_t address : addresses) {
    size_t steps;
    const Special* found =
        list().Find({address, SpecialKind::kFinalizer}, &steps);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->address, address);
    found_sum += steps;
    most = std::max(most, steps);
  }
  printf("%s: %.1f records looked at to insert, %.1f to find, at most %zu\n",
         GetParam(), static_cast<double>(sum) / kMany,
         static_cast<double>(found_sum) / kMany, most);
  // log8(100,000) is 5.5 levels of 8 each.
  EXPECT_LE(sum, kMany * 60);
  EXPECT_LE(found_sum, kMany * 60);
  EXPECT_LE(most, 400);
}

INSTANTIATE_TEST_SUITE_P(Orders, InsertionOrderTest,
                         testing::Values("Descending", "Random", "BothEnds"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

TEST_F(SpecialListTest, OneForEachKey) {
  constexpr SpecialKind kCleanup = SpecialKind::kCleanup;
  for (uintptr_t i = 0; i < 1000; i++) {
    const uintptr_t address = i % 100;
    const uint64_t serial = 1 + i / 100;
    ASSERT_NE(Insert(address, kCleanup, nullptr, serial), SIZE_MAX);
    ASSERT_EQ(Insert(address, kCleanup, nullptr, serial), SIZE_MAX);
    ASSERT_EQ(Insert(address, kCleanup, nullptr, 1), SIZE_MAX);
    if (serial > 1) continue;
    ASSERT_NE(Insert(address, SpecialKind::kPin), SIZE_MAX);
    ASSERT_EQ(Insert(address, SpecialKind::kPin), SIZE_MAX);
  }
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_TRUE(Remove({50, kCleanup, 5}));
  EXPECT_FALSE(Remove({50, kCleanup, 5}));
  EXPECT_EQ(list().Find({50, kCleanup, 5}), nullptr);
  EXPECT_NE(list().Find({50, kCleanup, 4}), nullptr);
  EXPECT_NE(Insert(50, kCleanup, nullptr, 5), SIZE_MAX);
  ASSERT_NO_FATAL_FAILURE(Check());
}

// A sweep in which nothing dies leaves the finger where it is.
TEST_F(SpecialListTest, FilterThatKeepsAllChangesNothing) {
  for (uintptr_t address = 0; address < 1000; address++) Insert(address);
  list().Filter([](const Special*) { return true; });
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_EQ(Insert(1000), 1);
  // The finger's record goes.
  list().Filter([&](Special* special) {
    if (special->address != 1000) return true;
    pool_.Give(special);
    return false;
  });
  EXPECT_GT(Insert(1001), 1);
  ASSERT_NO_FATAL_FAILURE(Check());
}

TEST_F(SpecialListTest, RandomOperationsAgreeWithAMap) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  std::map<uint64_t, size_t> model;
  size_t serial = 0;
  for (int i = 0; i < 200000; i++) {
    const SpecialKey key = {random.Below(3000), Kind(random.Below(4))};
    // It grows, and shrinks again.
    switch (random.Below(i / 20000 % 2 == 0 ? 5 : 3)) {
      case 0:
        ASSERT_EQ(Remove(key), model.erase(Number(key)) != 0);
        break;
      case 1: {
        const Special* found = list().Find(key);
        const auto it = model.find(Number(key));
        ASSERT_EQ(found != nullptr, it != model.end());
        if (found != nullptr) {
          ASSERT_EQ(reinterpret_cast<size_t>(found->finalizer.data),
                    it->second);
        }
        break;
      }
      default: {
        const size_t steps =
            Insert(key.address, key.kind, reinterpret_cast<void*>(++serial));
        ASSERT_EQ(steps != SIZE_MAX, model.emplace(Number(key), serial).second);
      }
    }
    if (!random.OneIn(20000)) continue;
    // Part of them goes, as when a span is swept.
    const size_t period = 1 + random.Below(3);
    auto it = model.begin();
    list().Filter([&](Special* special) {
      EXPECT_EQ(reinterpret_cast<size_t>(special->finalizer.data), it->second);
      if (special->address % period != 0) {
        ++it;
        return true;
      }
      it = model.erase(it);
      pool_.Give(special);
      return false;
    });
    pool_.GiveIndex(list().TakeIndexIfEmpty());
    EXPECT_EQ(it, model.end());
    ASSERT_NO_FATAL_FAILURE(Check());
  }
  ASSERT_NO_FATAL_FAILURE(Check());
}

}  // namespace
}  // namespace loam
