// What LOAM_LAYOUT says about types, and what the compiler refuses.

#include <cstddef>
#include <string_view>
#include <type_traits>

#include "tests/cpp/test_heap.h"

namespace shapes {

struct Mixed {
  char data[24];
  loam::Member<Mixed> first;
  loam::Member<Pair> many[3];
  uint64_t more_data;
  loam::ValueMember<SmallValue> last;
};

struct Point {
  double x, y;
};

struct Aligned {
  alignas(64) double line[8];
  loam::Member<Aligned> next;
};

}  // namespace shapes

LOAM_LAYOUT(shapes::Mixed, first, many, last);
LOAM_LAYOUT(shapes::Point);
LOAM_LAYOUT(shapes::Aligned, next);

namespace {

using shapes::Mixed;

// All of it is known while compiling.
constexpr auto& kMixed = loam::Layout<Mixed>::kFields;
static_assert(kMixed.size() == 3);
static_assert(std::string_view(kMixed[0].name) == "first");
static_assert(kMixed[0].offset == offsetof(Mixed, first));
static_assert(kMixed[0].count == 1);
static_assert(kMixed[0].kind == LOAM_POINTER);
static_assert(std::string_view(kMixed[1].name) == "many");
static_assert(kMixed[1].offset == offsetof(Mixed, many));
static_assert(kMixed[1].count == 3);
static_assert(kMixed[2].kind == LOAM_VALUE);
static_assert(std::string_view(loam::Layout<Mixed>::kName) == "shapes::Mixed");
static_assert(loam::Layout<shapes::Point>::kFields.empty());

// Members take the room of the word they hold.
static_assert(sizeof(Pair) == 24);
static_assert(std::is_trivially_default_constructible_v<Pair>);
static_assert(std::is_trivially_destructible_v<Pair>);

// A reference is not written past the store functions.
static_assert(!std::is_assignable_v<loam::Member<Pair>&, Pair*>);
static_assert(!std::is_assignable_v<loam::Member<Pair>&, loam::Member<Pair>&>);
static_assert(!std::is_copy_constructible_v<loam::Member<Pair>>);
static_assert(!std::is_assignable_v<loam::ValueMember<>&, loam_word>);
static_assert(!std::is_copy_assignable_v<Pair>);
// Nor one type's pointer into another's slot.
static_assert(!std::is_constructible_v<loam::Member<Pair>, Mixed*>);

// Scopes and owners stay where they are.
static_assert(!std::is_copy_constructible_v<loam::Local<Pair>>);
static_assert(!std::is_copy_constructible_v<loam::Heap>);
static_assert(!std::is_copy_constructible_v<loam::ScopedMutator>);
static_assert(!std::is_copy_constructible_v<loam::HandleScope>);
static_assert(!std::is_copy_constructible_v<loam::Global<Pair>>);
// And what is handed around is as small as a pointer.
static_assert(std::is_trivially_copyable_v<loam::Mutator>);
static_assert(sizeof(loam::Mutator) == sizeof(void*));
static_assert(sizeof(loam::Handle<Pair>) == sizeof(void*));

class LayoutTest : public TestHeap {};
LOAM_TEST_BOTH_WAYS(LayoutTest);

TEST_P(LayoutTest, EveryListedMemberKeepsItsTargetAlive) {
  loam::Type<Mixed> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<Mixed> mixed(m_, m_.New(type));
  ASSERT_NE(mixed, nullptr);
  mixed->first.Set(m_, mixed, m_.New(type));
  for (auto& slot : mixed->many) slot.Set(m_, mixed, m_.New(pair_));
  mixed->last.Set(m_, mixed, SmallValue::Reference(m_.New(pair_)));
  EXPECT_EQ(LiveObjects(), 6u);
  mixed->many[1].Set(m_, mixed, nullptr);
  mixed->last.Set(m_, mixed, SmallValue::Integer(5));
  EXPECT_EQ(LiveObjects(), 4u);
}

TEST_P(LayoutTest, ATypeWithoutReferences) {
  loam::Type<shapes::Point> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<shapes::Point> point(m_, m_.New(type, 1.5, 2.5));
  ASSERT_NE(point, nullptr);
  EXPECT_EQ(LiveObjects(), 1u);
  EXPECT_EQ(point->x + point->y, 4.0);
}

TEST_P(LayoutTest, AlignmentIsKept) {
  loam::Type<shapes::Aligned> type;
  ASSERT_TRUE(heap_.Register(&type).ok());
  loam::Local<shapes::Aligned> list(m_);
  for (int i = 0; i < 20; i++) {
    shapes::Aligned* const node = m_.New(type);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(node) % 64, 0u);
    node->next.Set(m_, node, list);
    list = node;
  }
  EXPECT_EQ(LiveObjects(), 20u);
}

TEST_P(LayoutTest, TheTypeKnowsItsNameAndUser) {
  int user = 0;
  loam::Type<Mixed> type;
  ASSERT_TRUE(heap_.Register(&type, LOAM_TYPE_HOT, &user).ok());
  loam::Local<Mixed> mixed(m_, m_.New(type));
  const loam_type* found = loam_type_of(heap_, mixed.get());
  EXPECT_EQ(found, type);
  EXPECT_STREQ(loam_type_name(found), "shapes::Mixed");
  EXPECT_EQ(loam_type_user(found), &user);
}

TEST_P(LayoutTest, RegisteringReportsWhatIsWrong) {
  loam::Type<Pair> again;
  const loam::Status status = heap_.Register(&again, 1u << 31);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), LOAM_INVALID_ARGUMENT);
  EXPECT_NE(std::string_view(status.message()).find("flags"),
            std::string_view::npos)
      << status.message();
}

}  // namespace
