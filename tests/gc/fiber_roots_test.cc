// The fibers of a RootSet: root stacks that live and die with an owner object.

#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/gc/root_set.h"
#include "tests/gc/recording_visitor.h"

namespace loam {
namespace {

using Words = std::vector<uintptr_t>;

void Provide(loam_visitor* visitor, void* data) {
  visitor->VisitPointer(*static_cast<uintptr_t*>(data));
}

class FiberRootsTest : public testing::Test {
 protected:
  // A fiber with one handle.
  Fiber* Add(uintptr_t owner, uintptr_t word) {
    Fiber* fiber = roots_.AddFiber(owner);
    EXPECT_NE(fiber, nullptr);
    EXPECT_NE(fiber->stack.NewHandle(&roots_, word,
                                     static_cast<uintptr_t>(WordKind::kValue)),
              nullptr);
    return fiber;
  }

  // One cycle, in which these owners are reachable, and every owner that a
  // visited handle names; the words visited.
  Words Cycle(std::set<uintptr_t> reachable) {
    RecordingVisitor visitor;
    roots_.VisitHeapRoots(&visitor);
    const auto is_reachable = [&](uintptr_t owner) {
      for (const uintptr_t word : visitor.words()) reachable.insert(word);
      return reachable.count(owner) == 1;
    };
    while (roots_.VisitReachableFibers(&visitor, is_reachable)) {
    }
    roots_.RemoveUnvisitedFibers();
    return visitor.sorted_words();
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  RootSet roots_{&persistent_};
  MutatorRoots mutator_;
};

TEST_F(FiberRootsTest, WithoutOwnerUntilDestroyed) {
  Fiber* fiber = Add(0, 1);
  Add(0, 2);
  for (int i = 0; i < 3; i++) EXPECT_EQ(Cycle({}), (Words{1, 2}));
  roots_.RemoveFiber(fiber);
  EXPECT_EQ(Cycle({}), (Words{2}));
}

TEST_F(FiberRootsTest, LivesAndDiesWithItsOwner) {
  Add(100, 1);
  Add(200, 2);
  EXPECT_EQ(Cycle({100, 200}), (Words{1, 2}));
  EXPECT_EQ(Cycle({200}), (Words{2}));
  EXPECT_EQ(Cycle({100, 200}), (Words{2})) << "the first is gone for good";
  EXPECT_EQ(Cycle({}), (Words{}));
  EXPECT_EQ(Cycle({100, 200}), (Words{}));
}

TEST_F(FiberRootsTest, StackOfOneKeepsTheOwnerOfAnother) {
  Add(300, 400);
  Add(200, 300);
  Add(100, 200);
  EXPECT_EQ(Cycle({100}), (Words{200, 300, 400}));
  EXPECT_EQ(Cycle({200}), (Words{300, 400}));
  // A cycle of owners that nothing else reaches.
  Add(400, 200);
  EXPECT_EQ(Cycle({}), (Words{}));
}

TEST_F(FiberRootsTest, CurrentFiberIsScannedAndItsOwnerARoot) {
  Fiber* fiber = Add(100, 1);
  fiber->current_on.store(&mutator_);
  mutator_.current_fiber = fiber;
  EXPECT_EQ(Cycle({}), (Words{1})) << "although nothing else reaches its owner";
  RecordingVisitor visitor;
  roots_.VisitMutatorRoots(mutator_, &visitor);
  EXPECT_EQ(visitor.visited(),
            (std::vector<Visited>{{WordKind::kPointer, 100}}));
  EXPECT_EQ(visitor.root(0), "owner of the current fiber");
  mutator_.current_fiber = nullptr;
  fiber->current_on.store(nullptr);
  EXPECT_EQ(Cycle({}), (Words{}));
}

TEST_F(FiberRootsTest, EachIsVisitedOncePerCycle) {
  Fiber* fiber = Add(100, 1);
  fiber->current_on.store(&mutator_);
  Add(0, 2);
  Add(2, 3);
  EXPECT_EQ(Cycle({100}), (Words{1, 2, 3}));
}

TEST_F(FiberRootsTest, ProvidersBelongToTheFiber) {
  uintptr_t word = 7;
  Fiber* fiber = Add(100, 1);
  ASSERT_NE(roots_.AddProvider(Provide, &word, "vm", &fiber->providers),
            nullptr);
  EXPECT_EQ(Cycle({100}), (Words{1, 7}));
  EXPECT_EQ(Cycle({}), (Words{}));
  // Its records are free again, and it took its provider with it.
  Fiber* other = Add(100, 2);
  EXPECT_EQ(other->providers, nullptr);
  EXPECT_EQ(Cycle({100}), (Words{2}));
}

TEST_F(FiberRootsTest, MemoryIsReused) {
  std::vector<uintptr_t> owners;
  for (uintptr_t i = 1; i <= 50; i++) {
    Fiber* fiber = roots_.AddFiber(i);
    ASSERT_NE(fiber, nullptr);
    for (int h = 0; h < 300; h++) {
      ASSERT_NE(fiber->stack.NewHandle(
                    &roots_, 1000, static_cast<uintptr_t>(WordKind::kValue)),
                nullptr);
    }
  }
  EXPECT_EQ(Cycle({}), (Words{}));
  const uint64_t committed = ledger_.committed();
  for (int round = 0; round < 10; round++) {
    for (uintptr_t i = 1; i <= 50; i++) {
      Fiber* fiber = roots_.AddFiber(i);
      ASSERT_NE(fiber, nullptr);
      EXPECT_EQ(fiber->stack.frames, nullptr);
      EXPECT_EQ(fiber->current_on.load(), nullptr);
      for (int h = 0; h < 300; h++) {
        ASSERT_NE(fiber->stack.NewHandle(
                      &roots_, 1000, static_cast<uintptr_t>(WordKind::kValue)),
                  nullptr);
      }
    }
    EXPECT_EQ(Cycle({}), (Words{}));
  }
  EXPECT_EQ(ledger_.committed(), committed);
}

}  // namespace
}  // namespace loam
