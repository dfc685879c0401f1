#include "runtime/sweep/central_span_list.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint32_t kGeneration = 8;
constexpr uint32_t kNext = kGeneration + 2;

class CentralSpanListTest : public testing::Test {
 protected:
  // Everything of an allocation's view, in order: the span, and whether it was
  // swept.
  struct Taken {
    Span* span;
    bool is_swept;

    bool operator==(const Taken&) const = default;
  };
  std::vector<Taken> TakeAllForAllocation(uint32_t generation) {
    std::vector<Taken> taken;
    bool is_swept = false;
    while (Span* span = list_.TakeForAllocation(generation, &is_swept)) {
      EXPECT_EQ(span->list_id, SpanListId::kNone);
      taken.push_back({span, is_swept});
    }
    EXPECT_FALSE(is_swept);
    return taken;
  }
  std::vector<Span*> TakeAllForSweeping(uint32_t generation) {
    std::vector<Span*> taken;
    while (Span* span = list_.TakeForSweeping(generation)) {
      EXPECT_EQ(span->list_id, SpanListId::kNone);
      EXPECT_EQ(span->next, nullptr);
      EXPECT_EQ(span->previous, nullptr);
      taken.push_back(span);
    }
    return taken;
  }

  CentralSpanList list_;
  std::array<Span, 8> spans_ = {};
};

TEST_F(CentralSpanListTest, EmptyListHasNothing) {
  bool is_swept = true;
  EXPECT_EQ(list_.TakeForAllocation(kGeneration, &is_swept), nullptr);
  EXPECT_EQ(list_.TakeForSweeping(kGeneration), nullptr);
  EXPECT_FALSE(list_.HasUnswept(kGeneration));
}

TEST_F(CentralSpanListTest, SweptPartialSpansAreForAllocation) {
  list_.PushSwept({&spans_[0], /*full=*/false}, kGeneration);
  list_.PushSwept({&spans_[1], /*full=*/true}, kGeneration);
  EXPECT_NE(spans_[0].list_id, SpanListId::kNone);
  EXPECT_FALSE(list_.HasUnswept(kGeneration));
  EXPECT_EQ(list_.TakeForSweeping(kGeneration), nullptr);
  EXPECT_EQ(TakeAllForAllocation(kGeneration),
            (std::vector<Taken>{{&spans_[0], true}}))
      << "full and swept is of no use to anybody";
}

TEST_F(CentralSpanListTest, RolesSwapWithTheGeneration) {
  list_.PushSwept({&spans_[0], /*full=*/false}, kGeneration);
  list_.PushSwept({&spans_[1], /*full=*/true}, kGeneration);
  EXPECT_TRUE(list_.HasUnswept(kNext));
  // The best first: partial, then full.
  EXPECT_EQ(TakeAllForSweeping(kNext),
            (std::vector<Span*>{&spans_[0], &spans_[1]}));
  EXPECT_FALSE(list_.HasUnswept(kNext));
  // Swept in the new generation: in the other sets.
  list_.PushSwept({&spans_[0], /*full=*/true}, kNext);
  EXPECT_FALSE(list_.HasUnswept(kNext));
  EXPECT_TRUE(list_.HasUnswept(kNext + 2));
  EXPECT_EQ(TakeAllForSweeping(kNext + 2), (std::vector<Span*>{&spans_[0]}));
}

TEST_F(CentralSpanListTest, AllocationTakesTheBestFirst) {
  list_.PushSwept({&spans_[0], /*full=*/true}, kGeneration);
  list_.PushSwept({&spans_[1], /*full=*/false}, kGeneration);
  list_.PushSwept({&spans_[2], /*full=*/false}, kNext);
  list_.PushSwept({&spans_[3], /*full=*/true}, kNext);
  EXPECT_EQ(TakeAllForAllocation(kNext),
            (std::vector<Taken>{
                {&spans_[2], true}, {&spans_[1], false}, {&spans_[0], false}}));
}

TEST_F(CentralSpanListTest, RemoveFromAnywhere) {
  // From the front, the middle, the end, and the only one.
  for (const size_t gone : {0, 1, 2, 3, 4}) {
    for (const bool full : {false, true}) {
      for (size_t i = 0; i < 5; i++) {
        list_.PushSwept({&spans_[i], full}, kGeneration);
      }
      list_.Remove(&spans_[gone]);
      EXPECT_EQ(spans_[gone].list_id, SpanListId::kNone);
      EXPECT_EQ(spans_[gone].next, nullptr);
      EXPECT_EQ(spans_[gone].previous, nullptr);
      list_.Remove(&spans_[gone]);  // On no list: harmless.
      const std::vector<Span*> rest = TakeAllForSweeping(kNext);
      EXPECT_EQ(rest.size(), 4);
      for (const Span* span : rest) EXPECT_NE(span, &spans_[gone]);
    }
  }
  list_.PushSwept({&spans_[0], false}, kGeneration);
  list_.Remove(&spans_[0]);
  EXPECT_FALSE(list_.HasUnswept(kNext));
}

TEST_F(CentralSpanListTest, RemoveTouchesOnlyItsOwnSet) {
  list_.PushSwept({&spans_[0], false}, kGeneration);
  list_.PushSwept({&spans_[1], true}, kGeneration);
  list_.PushSwept({&spans_[2], false}, kNext);
  list_.PushSwept({&spans_[3], true}, kNext);
  list_.Remove(&spans_[1]);
  list_.Remove(&spans_[2]);
  EXPECT_EQ(TakeAllForSweeping(kNext), (std::vector<Span*>{&spans_[0]}));
  EXPECT_EQ(TakeAllForSweeping(kNext + 2), (std::vector<Span*>{&spans_[3]}));
}

#ifndef NDEBUG
TEST_F(CentralSpanListTest, OneListAtATime) {
  list_.PushSwept({&spans_[0], false}, kGeneration);
  EXPECT_DEATH(list_.PushSwept({&spans_[0], true}, kGeneration),
               "check failed");
}
#endif

}  // namespace
}  // namespace loam
