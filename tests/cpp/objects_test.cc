// Allocating and constructing objects, members, trailing arrays, finalizers.

#include "tests/cpp/test_heap.h"

struct Counted {
  explicit Counted(int start) : count(start) {}
  loam::Member<Counted> next;  // not named above: zero, as New found it
  int count = 0;
};
LOAM_LAYOUT(Counted, next);

struct WithDefaults {
  int answer = 42;
  loam::Member<Pair> pair;
};
LOAM_LAYOUT(WithDefaults, pair);

struct PairArray {
  size_t size;
};
LOAM_ARRAY_LAYOUT(PairArray, loam::Member<Pair>);

struct Entry {
  loam::ValueMember<SmallValue> key;
  loam::Member<Pair> value;
  uint64_t hash;
};
LOAM_LAYOUT(Entry, key, value);

struct Table {
  explicit Table(size_t capacity) : capacity(capacity) {}
  size_t capacity;
  loam::Member<Pair> newest;
};
LOAM_ARRAY_LAYOUT(Table, Entry, newest);

struct Text {
  size_t size;
};
LOAM_ARRAY_LAYOUT(Text, char);

namespace {

class ObjectsTest : public TestHeap {};
LOAM_TEST_BOTH_WAYS(ObjectsTest);

TEST_P(ObjectsTest, AFreshObjectIsZero) {
  loam::Local<Pair> pair(m_, m_.New(pair_));
  ASSERT_NE(pair, nullptr);
  EXPECT_EQ(pair->car.get(), SmallValue());
  EXPECT_EQ(pair->next, nullptr);
  EXPECT_EQ(pair->weight, 0.0);
}

TEST_P(ObjectsTest, AnAggregateIsMadeFromItsMembers) {
  loam::Local<Pair> tail(m_,
                         m_.New(pair_, SmallValue::Integer(1), nullptr, 0.5));
  loam::Local<Pair> head(m_, m_.New(pair_, SmallValue::Integer(2), tail, 2.5));
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->car.get().integer(), 2);
  EXPECT_EQ(head->weight, 2.5);
  EXPECT_EQ(head->next, tail);
  EXPECT_EQ(head->next->car.get().integer(), 1);
  tail = nullptr;
  EXPECT_EQ(LiveObjects(), 2u);
}

TEST_P(ObjectsTest, ConstructorsRun) {
  loam::Type<Counted> counted;
  loam::Type<WithDefaults> with_defaults;
  ASSERT_TRUE(heap_.Register(&counted).ok());
  ASSERT_TRUE(heap_.Register(&with_defaults).ok());
  loam::Local<Counted> seven(m_, m_.New(counted, 7));
  ASSERT_NE(seven, nullptr);
  EXPECT_EQ(seven->count, 7);
  EXPECT_EQ(seven->next, nullptr);
  loam::Local<WithDefaults> defaults(m_, m_.New(with_defaults));
  ASSERT_NE(defaults, nullptr);
  EXPECT_EQ(defaults->answer, 42);
  EXPECT_EQ(defaults->pair, nullptr);
}

TEST_P(ObjectsTest, AListIsKeptByItsHeadAndFreedWithIt) {
  constexpr int kLength = 200;
  loam::Local<Pair> head(m_);
  for (int i = 0; i < kLength; i++) {
    Pair* const pair = m_.New(pair_);
    ASSERT_NE(pair, nullptr);
    pair->car.Set(m_, pair, SmallValue::Integer(i));
    pair->next.Set(m_, pair, head);
    head = pair;
  }
  EXPECT_EQ(LiveObjects(), uint64_t{kLength});
  int expected = kLength;
  for (Pair* pair = head; pair != nullptr; pair = pair->next) {
    ASSERT_EQ(pair->car.get().integer(), --expected);
  }
  EXPECT_EQ(expected, 0);
  head = nullptr;
  EXPECT_EQ(LiveObjects(), 0u);
}

TEST_P(ObjectsTest, TrailingArraysOfReferences) {
  constexpr size_t kSize = 50;
  loam::Type<PairArray> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<PairArray> array(m_, m_.NewArray(type, kSize, kSize));
  ASSERT_NE(array, nullptr);
  ASSERT_EQ(array->size, kSize);
  for (auto& element : loam::Elements(array.get(), kSize)) {
    ASSERT_EQ(element, nullptr);
    element.Set(m_, array, m_.New(pair_));
  }
  EXPECT_EQ(LiveObjects(), kSize + 1);
  loam::Elements(array.get(), kSize)[7].Set(m_, array, nullptr);
  EXPECT_EQ(LiveObjects(), kSize);
}

TEST_P(ObjectsTest, TrailingArraysOfRecords) {
  constexpr size_t kCapacity = 16;
  loam::Type<Table> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<Table> table(m_, m_.NewArray(type, kCapacity, kCapacity));
  ASSERT_NE(table, nullptr);
  const auto entries = loam::Elements(table.get(), table->capacity);
  for (size_t i = 0; i < entries.size(); i++) {
    Entry& entry = entries[i];
    entry.key.Set(m_, table, SmallValue::Integer(static_cast<int64_t>(i)));
    table->newest.Set(m_, table, m_.New(pair_));
    entry.value.Set(m_, table, table->newest);
    entry.hash = i * i;
  }
  EXPECT_EQ(LiveObjects(), kCapacity + 1);
  EXPECT_EQ(entries[9].key.get().integer(), 9);
  EXPECT_EQ(entries[9].hash, 81u);
  EXPECT_EQ(entries[15].value.get(), table->newest);
}

TEST_P(ObjectsTest, TrailingArraysOfData) {
  loam::Type<Text> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<Text> text(m_, m_.NewArray(type, 100000, size_t{100000}));
  ASSERT_NE(text, nullptr);
  for (char& c : loam::Elements(text.get(), text->size)) c = 'x';
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(loam::Elements(text.get(), text->size).back(), 'x');
}

TEST_P(ObjectsTest, OutOfMemoryIsNullEvenWithAConstructor) {
  loam::Type<Table> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  EXPECT_EQ(m_.NewArray(type, SIZE_MAX / 8, size_t{1}), nullptr);
}

int closed_total = 0;
void Close(loam::Mutator m, Pair* pair) {
  closed_total += static_cast<int>(pair->car.get().integer());
  m.Safepoint();
}

TEST_P(ObjectsTest, FinalizersGetTheirObject) {
  closed_total = 0;
  {
    loam::Local<Pair> pair(
        m_, m_.New(pair_, SmallValue::Integer(31), nullptr, 0.0));
    ASSERT_TRUE(m_.SetFinalizer<&Close>(pair.get()).ok());
    ASSERT_TRUE(m_.Collect().ok());
    size_t ran = 1;
    ASSERT_EQ(loam_finalizers_run(m_, 0, &ran, nullptr), LOAM_OK);
    EXPECT_EQ(ran, 0u);
  }
  ASSERT_TRUE(m_.Collect().ok());
  size_t ran = 0;
  ASSERT_EQ(loam_finalizers_run(m_, 0, &ran, nullptr), LOAM_OK);
  EXPECT_EQ(ran, 1u);
  EXPECT_EQ(closed_total, 31);
}

TEST_P(ObjectsTest, SharedTypeSets) {
  loam_type_set* types = nullptr;
  ASSERT_EQ(loam_type_set_create(&types), LOAM_OK);
  loam::Type<Pair> shared;
  ASSERT_TRUE(shared.Register(types).ok());
  loam::Options options;
  options.types = types;
  {
    loam::Heap heaps[2];
    for (loam::Heap& heap : heaps) {
      ASSERT_TRUE(heap.Create(options).ok());
      loam::ScopedMutator m;
      ASSERT_TRUE(m.Attach(heap).ok());
      loam::Local<Pair> pair(m, m.New(shared));
      EXPECT_EQ(loam_type_of(heap, pair.get()), shared);
    }
  }
  EXPECT_EQ(loam_type_set_destroy(types), LOAM_OK);
}

// A store past the store functions is what checking finds.
TEST(CheckingDeathTest, ARawStoreIsNamed) {
  const auto store_raw = [] {
    loam::Options options;
    options.check.check_stores = 1;
    loam::Heap heap;
    loam::Type<Pair> type;
    loam::ScopedMutator m;
    if (!heap.Create(options).ok() || !heap.Register(&type).ok() ||
        !m.Attach(heap).ok()) {
      return;
    }
    loam::Local<Pair> head(m, m.New(type));
    (void)m.Collect();
    Pair* const target = m.New(type);
    memcpy(static_cast<void*>(&head->next), &target, sizeof(target));
    (void)m.Collect();
  };
  EXPECT_DEATH(store_raw(), "Pair.*next|next.*Pair");
}

}  // namespace
