// Weak members, globals, handles and maps, pins, cleanups; what types and
// finalizers have besides.

#include <algorithm>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "api/loam_weak.hpp"
#include "tests/cpp/test_heap.h"

struct Watcher {
  loam::Member<Watcher> next;
  loam::WeakMember<Pair> pointer;
  loam::WeakValueMember<SmallValue> value;
};
LOAM_LAYOUT(Watcher, next, pointer, value);

struct WatcherArray {
  size_t size;
};
LOAM_ARRAY_LAYOUT(WatcherArray, loam::WeakMember<Pair>);

struct Association {
  loam::EphemeronKey<SmallValue> key;
  loam::EphemeronValue<SmallValue> value;
};
LOAM_LAYOUT(Association, key, value);

struct AssociationTable {
  size_t size;
};
LOAM_ARRAY_LAYOUT(AssociationTable, Association);

struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  loam::Member<Pair> pair;
  int number;
  static void Dispose(Descriptor* dead) { disposed += dead->number; }
  static inline int disposed = 0;
};
LOAM_LAYOUT(Descriptor, pair);

namespace {

constexpr auto& kWatcher = loam::Layout<Watcher>::kFields;
static_assert(kWatcher[1].kind == LOAM_WEAK_POINTER);
static_assert(kWatcher[2].kind == LOAM_WEAK_VALUE);
constexpr auto& kAssociation = loam::Layout<Association>::kFields;
static_assert(kAssociation[0].kind == LOAM_EPHEMERON_KEY);
static_assert(kAssociation[1].kind == LOAM_EPHEMERON_VALUE);
static_assert(sizeof(Watcher) == 24);
static_assert(std::is_trivially_default_constructible_v<Watcher>);
static_assert(!std::is_copy_constructible_v<loam::WeakMember<Pair>>);
static_assert(!std::is_assignable_v<loam::WeakMember<Pair>&, Pair*>);
// They do not read like a pointer: that needs the object.
static_assert(!std::is_convertible_v<loam::WeakMember<Pair>&, Pair*>);
static_assert(!std::is_copy_constructible_v<loam::WeakHandle<Pair>>);
static_assert(!std::is_copy_constructible_v<loam::Pin>);
static_assert(!std::is_copy_constructible_v<loam::Cleanup>);
static_assert(!std::is_default_constructible_v<loam::WeakMap<>>);

class WeakTest : public TestHeap {
 protected:
  size_t RunFinalizers() {
    size_t ran = 0;
    EXPECT_EQ(loam_finalizers_run(m_, 0, &ran, nullptr), LOAM_OK);
    return ran;
  }
};
LOAM_TEST_BOTH_WAYS(WeakTest);

TEST_P(WeakTest, AWeakMemberIsClearedWhenItsTargetDies) {
  loam::Type<Watcher> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<Watcher> watcher(m_, m_.New(type));
  EXPECT_EQ(watcher->pointer.Get(m_, watcher), nullptr);
  {
    loam::Local<Pair> pair(m_, m_.New(pair_));
    watcher->pointer.Set(m_, watcher, pair);
    watcher->value.Set(m_, watcher, SmallValue::Reference(pair));
    EXPECT_EQ(LiveObjects(), 2u);
    EXPECT_EQ(watcher->pointer.Get(m_, watcher), pair);
    EXPECT_EQ(watcher->value.Get(m_, watcher).reference<Pair>(), pair);
  }
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(watcher->pointer.Get(m_, watcher), nullptr);
  EXPECT_EQ(watcher->value.Get(m_, watcher), SmallValue());
  watcher->value.Set(m_, watcher, SmallValue::Integer(7));  // never dies
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(watcher->value.Get(m_, watcher).integer(), 7);
}

TEST_P(WeakTest, ArraysOfWeakMembers) {
  constexpr size_t kSize = 40;
  loam::Type<WatcherArray> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<WatcherArray> array(m_, m_.NewArray(type, kSize, kSize));
  loam::Local<Pair> kept(m_);
  for (size_t i = 0; i < kSize; i++) {
    loam::Local<Pair> pair(m_, m_.New(pair_));
    loam::Elements(array.get(), kSize)[i].Set(m_, array, pair);
    if (i % 4 != 0) continue;
    pair->next.Set(m_, pair, kept);
    kept = pair;
  }
  EXPECT_EQ(LiveObjects(), kSize / 4 + 1);
  size_t i = 0;
  for (auto& element : loam::Elements(array.get(), kSize)) {
    EXPECT_EQ(element.Get(m_, array) != nullptr, i++ % 4 == 0);
  }
}

TEST_P(WeakTest, AnEphemeronsValueLivesWithItsKey) {
  loam::Type<AssociationTable> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<AssociationTable> table(m_, m_.NewArray(type, 2, size_t{2}));
  const auto at = [&](size_t i) -> Association& {
    return loam::Elements(table.get(), 2)[i];
  };
  loam::Local<Pair> key(m_, m_.New(pair_));
  {
    loam::Local<Pair> forgotten(m_, m_.New(pair_));
    // A value that refers to its key does not keep it.
    const auto to_forgotten = SmallValue::Reference(forgotten);
    at(1).key.Set(m_, table, to_forgotten);
    loam::Local<Pair> value(m_, m_.New(pair_, to_forgotten, nullptr, 0.0));
    at(1).value.Set(m_, table, SmallValue::Reference(value));
    Pair* const other = m_.New(pair_, SmallValue::Integer(11), nullptr, 0.0);
    at(0).value.Set(m_, table, SmallValue::Reference(other));
    at(0).key.Set(m_, table, SmallValue::Reference(key));
  }
  EXPECT_EQ(LiveObjects(), 3u);
  EXPECT_EQ(at(0).value.Get(m_, table).reference<Pair>()->car.get().integer(),
            11);
  EXPECT_EQ(at(1).key.Get(m_, table), SmallValue());
  EXPECT_EQ(at(1).value.Get(m_, table), SmallValue());
  key = nullptr;
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(at(0).value.Get(m_, table), SmallValue());
}

TEST_P(WeakTest, AWeakGlobalKeepsNothing) {
  loam::WeakGlobal<Pair> global;
  loam::WeakGlobalValue<SmallValue> value;
  loam::Local<Pair> pair(m_, m_.New(pair_));
  ASSERT_TRUE(global.Create(heap_, pair).ok());
  ASSERT_TRUE(value.Create(heap_, SmallValue::Reference(pair)).ok());
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(global.get(), pair);
  pair = nullptr;
  EXPECT_EQ(LiveObjects(), 0u);
  EXPECT_EQ(global.get(), nullptr);
  EXPECT_EQ(value.get(), SmallValue());
  pair = m_.New(pair_);
  global.Set(m_, pair);
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(global, pair);
}

TEST_P(WeakTest, HandlesOfAnObjectAreEqual) {
  loam::Local<Pair> pair(m_, m_.New(pair_));
  loam::Local<Pair> other(m_, m_.New(pair_));
  loam::WeakHandle<Pair> first, second, third, empty;
  EXPECT_EQ(empty.Get(m_), nullptr);
  ASSERT_TRUE(first.Create(m_, pair).ok());
  ASSERT_TRUE(second.Create(m_, pair).ok());
  ASSERT_TRUE(third.Create(m_, other).ok());
  EXPECT_TRUE(first == second);
  EXPECT_FALSE(first == third);
  EXPECT_EQ(heap_.Stats().weak_handles, 2u);
  pair = nullptr;
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(first.Get(m_), nullptr);
  EXPECT_EQ(second.Get(m_), nullptr);
  EXPECT_EQ(third.Get(m_), other);
  // The same handle for another object.
  ASSERT_TRUE(first.Create(m_, other).ok());
  EXPECT_TRUE(first == third);
  EXPECT_EQ(first.Get(m_), other);
}

TEST_P(WeakTest, HandlesEndWithTheirScope) {
  loam::Local<Pair> pair(m_, m_.New(pair_));
  for (int i = 0; i < 100; i++) {
    loam::WeakHandle<Pair> handle;
    ASSERT_TRUE(handle.Create(m_, pair).ok());
    EXPECT_EQ(heap_.Stats().weak_handles, 1u);
  }
  EXPECT_EQ(heap_.Stats().weak_handles, 0u);
}

TEST_P(WeakTest, AHandleAndAPinMayEndOnAnotherThread) {
  loam::Local<Pair> pair(m_, m_.New(pair_));
  std::optional<loam::WeakHandle<Pair>> handle(std::in_place);
  std::optional<loam::Pin> pin(std::in_place);
  ASSERT_TRUE(handle->Create(m_, pair).ok());
  ASSERT_TRUE(pin->Create(m_, pair).ok());
  std::thread thread([&] {
    loam::ScopedMutator m;
    ASSERT_TRUE(m.Attach(heap_, "other").ok());
    EXPECT_NE(handle->Get(m), nullptr);
    handle.reset();
    pin.reset();
  });
  {
    const loam::Native native(m_);
    thread.join();
  }
  EXPECT_EQ(heap_.Stats().weak_handles, 0u);
  EXPECT_EQ(heap_.Stats().pinned_objects, 0u);
}

TEST_P(WeakTest, PinsKeepAliveAndNest) {
  loam::WeakHandle<Pair> handle;
  Pair* pair = m_.New(pair_);
  ASSERT_TRUE(handle.Create(m_, pair).ok());
  {
    loam::Pin outer;
    ASSERT_TRUE(outer.Create(m_, pair).ok());
    {
      loam::Pin inner;
      ASSERT_TRUE(inner.Create(m_, pair).ok());
      EXPECT_EQ(LiveObjects(), 1u);
    }
    EXPECT_EQ(LiveObjects(), 1u);
    const loam::Native native(m_);
    pair->weight = 2.5;  // native code may
  }
  EXPECT_EQ(LiveObjects(), 0u);
  EXPECT_EQ(handle.Get(m_), nullptr);
}

TEST_P(WeakTest, APinOfNothingSaysSo) {
  loam::Pin pin;
  int outside = 0;
  const loam::Status status = pin.Create(m_, &outside);
  EXPECT_EQ(status.code(), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(heap_.Stats().pinned_objects, 0u);
}

// ---- Weak maps

using NumberMap = loam::WeakMap<SmallValue, SmallValue>;

TEST_P(WeakTest, AMapsEntriesGoWithTheirKeys) {
  constexpr int kCount = 60;
  loam::Local<NumberMap> map(m_, NumberMap::New(m_));
  ASSERT_NE(map, nullptr);
  loam::Local<Pair> kept(m_);
  for (int i = 0; i < kCount; i++) {
    loam::Local<Pair> key(m_, m_.New(pair_));
    const auto word = SmallValue::Reference(key);
    ASSERT_TRUE(map->Set(m_, word, SmallValue::Integer(i)).ok());
    EXPECT_EQ(map->Get(m_, word), SmallValue::Integer(i));
    if (i % 3 != 0) continue;
    key->next.Set(m_, key, kept);
    kept = key;
  }
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(map->Count(m_), size_t{kCount / 3});
  int expected = 0;
  map->Walk(m_, [&](SmallValue, SmallValue value) {
    EXPECT_EQ(value.integer(), expected);
    expected += 3;
  });
  EXPECT_EQ(expected, kCount);
  const auto newest = SmallValue::Reference(kept);
  EXPECT_EQ(map->Get(m_, newest), SmallValue::Integer(kCount - 3));
  EXPECT_TRUE(map->Remove(m_, newest));
  EXPECT_FALSE(map->Remove(m_, newest));
  EXPECT_EQ(map->Get(m_, newest), std::nullopt);
  EXPECT_EQ(map->Set(m_, SmallValue(), newest).code(), LOAM_INVALID_ARGUMENT);
}

TEST_P(WeakTest, AMapsValueMayReferToItsKey) {
  loam::Local<NumberMap> map(m_, NumberMap::New(m_));
  loam::Local<Pair> key(m_, m_.New(pair_));
  const auto word = SmallValue::Reference(key);
  Pair* const value = m_.New(pair_, word, nullptr, 0.0);
  ASSERT_TRUE(map->Set(m_, word, SmallValue::Reference(value)).ok());
  const uint64_t live = LiveObjects();
  const SmallValue found = map->Get(m_, word).value_or(SmallValue());
  ASSERT_NE(found, SmallValue());
  EXPECT_EQ(found.reference<Pair>()->car.get(), word);
  key = nullptr;
  EXPECT_EQ(LiveObjects(), live - 2);
  EXPECT_EQ(map->Count(m_), 0u);
}

// ---- Cleanups, finalizers, dispose

int64_t cleaned = 0;
void Clean(loam::Mutator, SmallValue value) { cleaned += value.integer(); }

TEST_P(WeakTest, CleanupsGetTheirValue) {
  cleaned = 0;
  loam::Local<Pair> pair(m_, m_.New(pair_));
  for (int i = 1; i <= 3; i++) {
    const auto value = SmallValue::Integer(i);
    ASSERT_TRUE(loam::AddCleanup<&Clean>(m_, pair, value).ok());
  }
  loam_cleanup stopped;
  ASSERT_TRUE(
      loam::AddCleanup<&Clean>(m_, pair, SmallValue::Integer(100), &stopped)
          .ok());
  EXPECT_EQ(loam_cleanup_stop(m_, &stopped), LOAM_OK);
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(RunFinalizers(), 0u);
  pair = nullptr;
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(RunFinalizers(), 3u);
  EXPECT_EQ(cleaned, 6);
}

struct Owner {
  std::vector<double> weights;
};
void Forget(loam::Mutator m, SmallValue value, Owner* owner) {
  m.Safepoint();
  owner->weights.push_back(value.reference<Pair>()->weight);
}

TEST_P(WeakTest, AScopedCleanupIsCalledOffWithItsScope) {
  Owner owner;
  loam::Local<Pair> pair(m_, m_.New(pair_));
  loam::Cleanup runs;
  const auto add = [&](loam::Cleanup* cleanup, double weight) {
    Pair* const value = m_.New(pair_, SmallValue(), nullptr, double{weight});
    const loam::Status status = cleanup->Add<&Forget>(
        m_, pair.get(), SmallValue::Reference(value), &owner);
    ASSERT_TRUE(status.ok()) << status.message();
  };
  add(&runs, 1.0);
  {
    loam::Cleanup called_off, released;
    add(&called_off, 2.0);
    add(&released, 3.0);
    released.Release();
  }
  EXPECT_EQ(LiveObjects(), 3u);  // the pair, and what two cleanups keep
  pair = nullptr;
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(RunFinalizers(), 2u);
  std::sort(owner.weights.begin(), owner.weights.end());
  EXPECT_EQ(owner.weights, (std::vector<double>{1.0, 3.0}));
  EXPECT_EQ(runs.Stop().code(), LOAM_NOT_FOUND);
  EXPECT_EQ(LiveObjects(), 0u);
}

int finalized = 0;
void Finalize(loam::Mutator, Pair*) { finalized++; }

TEST_P(WeakTest, UnorderedFinalizersOfACycleRun) {
  finalized = 0;
  {
    loam::Local<Pair> first(m_, m_.New(pair_));
    loam::Local<Pair> second(m_, m_.New(pair_));
    first->next.Set(m_, first, second);
    second->next.Set(m_, second, first);
    for (Pair* pair : {first.get(), second.get()}) {
      ASSERT_TRUE(
          m_.SetFinalizer<&Finalize>(pair, LOAM_FINALIZER_UNORDERED).ok());
    }
  }
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(RunFinalizers(), 2u);
  EXPECT_EQ(finalized, 2);
}

TEST_P(WeakTest, ALongHandleFindsWhatAFinalizerKeeps) {
  loam::WeakHandle<Pair> short_one, long_one;
  {
    loam::Local<Pair> pair(m_, m_.New(pair_));
    ASSERT_TRUE(m_.SetFinalizer<&Finalize>(pair.get()).ok());
    ASSERT_TRUE(short_one.Create(m_, pair).ok());
    ASSERT_TRUE(long_one.Create(m_, pair, LOAM_WEAK_LONG).ok());
  }
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(short_one.Get(m_), nullptr);
  EXPECT_NE(long_one.Get(m_), nullptr);
  EXPECT_EQ(RunFinalizers(), 1u);
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(long_one.Get(m_), nullptr);
}

TEST_P(WeakTest, DisposeIsCalledForEachDeadObject) {
  Descriptor::disposed = 0;
  loam::Type<Descriptor> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<Descriptor> kept(m_, m_.New(type, 1));
  for (int i = 0; i < 50; i++) ASSERT_NE(m_.New(type, 2), nullptr);
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(Descriptor::disposed, 100);
  EXPECT_EQ(kept->number, 1);
  kept = nullptr;
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(Descriptor::disposed, 101);
}

TEST_P(WeakTest, QueuedDisposeWaits) {
  Descriptor::disposed = 0;
  loam::Type<Descriptor> type;
  ASSERT_TRUE(heap_.Register(&type, LOAM_TYPE_DISPOSE_QUEUED).ok());
  for (int i = 0; i < 50; i++) ASSERT_NE(m_.New(type, 2), nullptr);
  ASSERT_TRUE(m_.Collect().ok());
  EXPECT_EQ(Descriptor::disposed, 0);
  EXPECT_EQ(RunFinalizers(), 50u);
  EXPECT_EQ(Descriptor::disposed, 100);
}

}  // namespace
