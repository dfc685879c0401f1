#include "runtime/gc/root_stack.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/gc/root_set.h"
#include "tests/base/test_random.h"
#include "tests/gc/recording_visitor.h"

namespace loam {
namespace {

constexpr auto kValue = static_cast<uintptr_t>(WordKind::kValue);
constexpr auto kPointer = static_cast<uintptr_t>(WordKind::kPointer);
constexpr auto kAmbiguous = static_cast<uintptr_t>(WordKind::kAmbiguous);

class RootStackTest : public testing::Test {
 protected:
  void TearDown() override { stack_.Release(&roots_); }

  HandleSlot* New(uintptr_t word, uintptr_t kind = kValue) {
    HandleSlot* slot = stack_.NewHandle(&roots_, word, kind);
    EXPECT_NE(slot, nullptr);
    return slot;
  }
  void NewMany(uintptr_t first, size_t count) {
    for (size_t i = 0; i < count; i++) New(first + i);
  }
  // All words found, sorted.
  std::vector<uintptr_t> Words() const {
    RecordingVisitor visitor;
    stack_.Visit(&visitor);
    return visitor.sorted_words();
  }
  static std::vector<uintptr_t> Range(uintptr_t first, size_t count) {
    std::vector<uintptr_t> words;
    words.reserve(count);
    for (size_t i = 0; i < count; i++) words.push_back(first + i);
    return words;
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  RootSet roots_{&persistent_};
  RootStack stack_;
};

TEST_F(RootStackTest, EmptyStackHasNoRootsAndNoMemory) {
  EXPECT_TRUE(Words().empty());
  EXPECT_EQ(ledger_.committed(), 0);
}

TEST_F(RootStackTest, FramesThatRunInACircleAreNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const FrameMap map = {0, static_cast<uint8_t>(kPointer), nullptr,
                        "forgetful"};
  for (const size_t length : {1, 2, 3, 10}) {
    for (size_t lead = 0; lead < 3; lead++) {
      std::vector<Frame> frames(lead + length);
      for (size_t i = 0; i < frames.size(); i++) {
        frames[i].map = &map;
        frames[i].previous =
            i + 1 < frames.size() ? &frames[i + 1] : &frames[lead];
      }
      stack_.frames = frames.data();
      EXPECT_DEATH(Words(), "run in a circle at .*'forgetful'")
          << lead << " before a circle of " << length;
    }
  }
  stack_.frames = nullptr;
}

TEST_F(RootStackTest, HandlesAreVisitedByKind) {
  New(1, kValue);
  New(2, kPointer);
  HandleSlot* third = New(3, kAmbiguous);
  New(4, static_cast<uintptr_t>(WordKind::kData));
  RecordingVisitor visitor;
  stack_.Visit(&visitor);
  EXPECT_EQ(visitor.visited(),
            (std::vector<Visited>{{WordKind::kValue, 1},
                                  {WordKind::kPointer, 2},
                                  {WordKind::kAmbiguous, 3}}));
  EXPECT_EQ(visitor.root(0), "handle");
  third->word = 33;  // Handles are set in place.
  EXPECT_EQ(Words(), (std::vector<uintptr_t>{1, 2, 33}));
}

TEST_F(RootStackTest, HandlesAcrossBlockBoundaries) {
  for (const size_t count :
       {HandleBlock::kSlots - 1, HandleBlock::kSlots, HandleBlock::kSlots + 1,
        2 * HandleBlock::kSlots, 5 * HandleBlock::kSlots + 3}) {
    SCOPED_TRACE(count);
    const HandlePosition start = stack_.handle_position();
    NewMany(1000, count);
    EXPECT_EQ(Words(), Range(1000, count));
    stack_.RestoreHandles(start);
    EXPECT_TRUE(Words().empty());
  }
}

TEST_F(RootStackTest, HandlesDoNotMove) {
  HandleSlot* first = New(1);
  NewMany(10, 1000);
  EXPECT_EQ(first->word, 1);
  first->word = 5;
  EXPECT_EQ(Words().front(), 5);
}

TEST_F(RootStackTest, ScopesClose) {
  // Scopes that begin before, at and behind the boundary of a block.
  for (const size_t outer :
       {size_t{0}, size_t{1}, HandleBlock::kSlots - 1, HandleBlock::kSlots,
        HandleBlock::kSlots + 1, 2 * HandleBlock::kSlots}) {
    for (const size_t inner : {size_t{0}, size_t{1}, HandleBlock::kSlots,
                               3 * HandleBlock::kSlots + 1}) {
      SCOPED_TRACE(testing::Message() << outer << " and " << inner);
      const HandlePosition start = stack_.handle_position();
      NewMany(1000, outer);
      const HandlePosition scope = stack_.handle_position();
      NewMany(5000, inner);
      EXPECT_EQ(Words().size(), outer + inner);
      stack_.RestoreHandles(scope);
      EXPECT_EQ(Words(), Range(1000, outer));
      NewMany(1000 + outer, 3);
      EXPECT_EQ(Words(), Range(1000, outer + 3));
      stack_.RestoreHandles(start);
      EXPECT_TRUE(Words().empty());
    }
  }
}

TEST_F(RootStackTest, BlocksAreKeptForReuse) {
  const HandlePosition start = stack_.handle_position();
  NewMany(1000, 1000);
  const uint64_t committed = ledger_.committed();
  for (int i = 0; i < 100; i++) {
    stack_.RestoreHandles(start);
    NewMany(1000, 1000);
  }
  EXPECT_EQ(ledger_.committed(), committed);
  stack_.Release(&roots_);
  EXPECT_TRUE(Words().empty());
  RootStack other;
  for (uintptr_t i = 0; i < 1000; i++) {
    ASSERT_NE(other.NewHandle(&roots_, i + 1, kValue), nullptr);
  }
  EXPECT_EQ(ledger_.committed(), committed) << "given back to the set";
  other.Release(&roots_);
}

struct ThreeSlots {
  Frame frame;
  uintptr_t slots[3];
};

TEST_F(RootStackTest, FramesAreVisitedByTheirMaps) {
  const FrameMap uniform = {3, static_cast<uint32_t>(kValue), nullptr, "f"};
  const uint8_t kinds[] = {static_cast<uint8_t>(kPointer), 0,
                           static_cast<uint8_t>(kAmbiguous)};
  const FrameMap mixed = {3, 0, kinds, "g"};
  ThreeSlots outer = {{nullptr, &uniform, &stack_}, {1, 2, 3}};
  ThreeSlots inner = {{&outer.frame, &mixed, &stack_}, {4, 5, 6}};
  stack_.frames = &inner.frame;
  New(7);
  RecordingVisitor visitor;
  stack_.Visit(&visitor);
  EXPECT_EQ(visitor.visited(), (std::vector<Visited>{{WordKind::kPointer, 4},
                                                     {WordKind::kAmbiguous, 6},
                                                     {WordKind::kValue, 1},
                                                     {WordKind::kValue, 2},
                                                     {WordKind::kValue, 3},
                                                     {WordKind::kValue, 7}}));
  EXPECT_EQ(visitor.root(0), "frame g");
  EXPECT_EQ(visitor.root(2), "frame f");
  EXPECT_EQ(visitor.root(5), "handle");
  stack_.frames = &outer.frame;  // Popped.
  EXPECT_EQ(Words(), (std::vector<uintptr_t>{1, 2, 3, 7}));
  outer.slots[1] = 0;
  EXPECT_EQ(Words(), (std::vector<uintptr_t>{1, 3, 7}));
}

// An unwind point is the frames and the handles as they were.
TEST_F(RootStackTest, UnwindingPassesOverInnerScopes) {
  const FrameMap map = {3, static_cast<uint32_t>(kValue), nullptr, "f"};
  ThreeSlots outer = {{nullptr, &map, &stack_}, {1, 2, 3}};
  stack_.frames = &outer.frame;
  NewMany(100, 5);
  Frame* const frames = stack_.frames;
  const HandlePosition position = stack_.handle_position();
  const std::vector<uintptr_t> before = Words();
  {
    ThreeSlots inner[3];
    for (ThreeSlots& frame : inner) {
      frame = {{stack_.frames, &map, &stack_}, {11, 12, 13}};
      stack_.frames = &frame.frame;
      NewMany(200, 100);  // Each in a scope that is never closed.
    }
    EXPECT_EQ(Words().size(), before.size() + size_t{3} * 103);
    stack_.frames = frames;
    stack_.RestoreHandles(position);
  }
  EXPECT_EQ(Words(), before);
}

TEST_F(RootStackTest, OutOfMemoryLeavesWhatThereIs) {
  NewMany(1000, HandleBlock::kSlots);
  ledger_.set_limit(ledger_.committed());
  uintptr_t count = HandleBlock::kSlots;
  while (stack_.NewHandle(&roots_, 1000 + count, kValue) != nullptr) count++;
  EXPECT_EQ(count % HandleBlock::kSlots, 0);
  EXPECT_EQ(Words(), Range(1000, count));
  ledger_.set_limit(UINT64_MAX);
  New(1000 + count);
  EXPECT_EQ(Words(), Range(1000, count + 1));
}

TEST_F(RootStackTest, RandomScopesAgreeWithAVector) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  struct Scope {
    HandlePosition position;
    size_t count;
  };
  std::vector<uintptr_t> model;
  std::vector<Scope> scopes;
  for (int i = 0; i < 3000 && !HasFailure(); i++) {
    SCOPED_TRACE(i);
    const size_t choice = random.Below(10);
    if (choice < 5) {
      for (size_t n = random.Below(90); n > 0; n--) {
        model.push_back(random.Next() | 1);
        New(model.back());
      }
    } else if (choice < 8) {
      scopes.push_back({stack_.handle_position(), model.size()});
    } else if (!scopes.empty()) {
      // To any enclosing scope, as unwinding does.
      const size_t depth =
          random.OneIn(4) ? random.Below(scopes.size()) : scopes.size() - 1;
      stack_.RestoreHandles(scopes[depth].position);
      model.resize(scopes[depth].count);
      scopes.resize(depth);
    }
    if (model.size() > 3000 && !scopes.empty()) {
      stack_.RestoreHandles(scopes[0].position);
      model.resize(scopes[0].count);
      scopes.clear();
    }
    if (i % 10 == 0) {
      std::vector<uintptr_t> sorted = model;
      std::sort(sorted.begin(), sorted.end());
      ASSERT_EQ(Words(), sorted);
    }
  }
}

}  // namespace
}  // namespace loam
