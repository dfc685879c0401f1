// Locals, handles, globals, fibers, native sections.

#include <thread>
#include <vector>

#include "tests/cpp/test_heap.h"

namespace {

class RootsTest : public TestHeap {};
LOAM_TEST_BOTH_WAYS(RootsTest);

TEST_P(RootsTest, ALocalRootsWhatItHoldsNow) {
  loam::Local<Pair> outer(m_, m_.New(pair_));
  {
    loam::Local<Pair> inner(m_, m_.New(pair_));
    EXPECT_EQ(LiveObjects(), 2u);
    outer = inner;
    EXPECT_EQ(LiveObjects(), 1u);
    inner = m_.New(pair_);
    EXPECT_EQ(LiveObjects(), 2u);
  }
  EXPECT_EQ(LiveObjects(), 1u);
  outer = nullptr;
  EXPECT_EQ(LiveObjects(), 0u);
}

TEST_P(RootsTest, ALocalValueRootsOnlyReferences) {
  loam::LocalValue<SmallValue> value(m_, SmallValue::Reference(m_.New(pair_)));
  EXPECT_EQ(LiveObjects(), 1u);
  value.get().reference<Pair>()->weight = 1.5;
  value = SmallValue::Integer(1 << 20);
  EXPECT_EQ(LiveObjects(), 0u);
  EXPECT_EQ(value.get().integer(), 1 << 20);
}

Pair* MakeTree(loam::Mutator m, const loam::Type<Pair>& type, int depth) {
  if (depth == 0) return m.New(type);
  loam::Local<Pair> left(m, MakeTree(m, type, depth - 1));
  loam::Local<Pair> right(m, MakeTree(m, type, depth - 1));
  return m.New(type, SmallValue::Reference(left), right, 0.0);
}

TEST_P(RootsTest, LocalsInRecursion) {
  loam::Local<Pair> tree(m_, MakeTree(m_, pair_, 7));
  EXPECT_EQ(LiveObjects(), 255u);
}

TEST_P(RootsTest, HandlesLiveUntilTheirScopeCloses) {
  loam::HandleScope outer(m_);
  const loam::Handle<Pair> kept = outer.New(m_.New(pair_));
  ASSERT_TRUE(kept.valid());
  {
    loam::HandleScope inner(m_);
    std::vector<loam::Handle<Pair>> many;
    for (int i = 0; i < 300; i++) many.push_back(inner.New(m_.New(pair_)));
    loam::ValueHandle<SmallValue> value =
        inner.NewValue(SmallValue::Reference(m_.New(pair_)));
    ASSERT_TRUE(value.valid());
    EXPECT_EQ(LiveObjects(), 302u);
    for (auto& handle : many) ASSERT_EQ(handle->weight, 0.0);
    many[0].Set(kept);
    value.Set(SmallValue::Integer(3));
    EXPECT_EQ(LiveObjects(), 300u);
    EXPECT_EQ(value.get().integer(), 3);
  }
  EXPECT_EQ(LiveObjects(), 1u);
}

TEST_P(RootsTest, GlobalsRootAcrossThreads) {
  loam::Global<Pair> global;
  loam::GlobalValue<SmallValue> value;
  ASSERT_TRUE(value.Create(heap_, SmallValue::Integer(4)).ok());
  {
    loam::Local<Pair> pair(m_, m_.New(pair_));
    ASSERT_TRUE(global.Create(heap_, pair).ok());
  }
  EXPECT_EQ(LiveObjects(), 1u);
  // A thread that blocks says so, or nobody could collect.
  loam::Native native(m_);
  std::thread([&] {
    loam::ScopedMutator m;
    ASSERT_TRUE(m.Attach(heap_).ok());
    global.Set(m, m.New(pair_, SmallValue::Integer(9), nullptr, 0.0));
    EXPECT_TRUE(m.Collect().ok());
    EXPECT_EQ(heap_.Stats().live_objects, 1u);
  }).join();
  EXPECT_EQ(global->car.get().integer(), 9);
  EXPECT_EQ(value.get().integer(), 4);
}

TEST_P(RootsTest, AFiberHasItsOwnLocals) {
  loam::Fiber fiber;
  ASSERT_TRUE(fiber.Create(heap_).ok());
  loam::Local<Pair> own(m_, m_.New(pair_));
  fiber.SwitchTo(m_);
  {
    loam::Local<Pair> on_fiber(m_, m_.New(pair_));
    // Away and back: what the fiber holds stays, whichever is current.
    loam_fiber_switch(m_, nullptr);
    EXPECT_EQ(LiveObjects(), 2u);
    fiber.SwitchTo(m_);
    EXPECT_EQ(LiveObjects(), 2u);
  }
  EXPECT_EQ(LiveObjects(), 1u);
  loam_fiber_switch(m_, nullptr);
}

TEST_P(RootsTest, StatusesSayWhatWasWrong) {
  loam::ScopedMutator second;
  const loam::Status status = second.Attach(heap_);
  EXPECT_EQ(status.code(), LOAM_WRONG_STATE);
  EXPECT_STRNE(status.message(), "");
  EXPECT_STREQ(loam::Status(LOAM_OK).message(), "");
}

#if defined(__cpp_exceptions)
int DepthAtThrow(loam::Mutator m, const loam::Type<Pair>& type, int depth) {
  loam::HandleScope scope(m);
  loam::Local<Pair> local(m, m.New(type));
  (void)scope.New(m.New(type));
  if (depth == 0) throw 17;
  return DepthAtThrow(m, type, depth - 1);
}

TEST_P(RootsTest, AnExceptionUnwindsLocalsAndHandles) {
  loam::Local<Pair> kept(m_, m_.New(pair_));
  int caught = 0;
  try {
    DepthAtThrow(m_, pair_, 20);
  } catch (int thrown) {
    caught = thrown;
  }
  EXPECT_EQ(caught, 17);
  EXPECT_EQ(LiveObjects(), 1u);
}
#endif

TEST(OwnersDeathTest, AHeapThatIsDestroyedTooEarly) {
  const auto destroy = [] {
    loam::ScopedMutator m;
    loam::Heap heap;
    if (heap.Create().ok()) (void)m.Attach(heap);
  };
  EXPECT_DEATH(destroy(), "destroying a heap: .*mutator");
}

}  // namespace
