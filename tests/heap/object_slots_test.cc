#include "runtime/heap/object_slots.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/type_set.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

void Trace(loam_visitor*, void*, size_t) {}

struct Slot {
  WordKind kind;
  uintptr_t address;

  bool operator==(const Slot&) const = default;
  bool operator<(const Slot& other) const {
    return std::tie(address, kind) < std::tie(other.address, other.kind);
  }
};
void PrintTo(const Slot& slot, std::ostream* out) {
  *out << "kind " << static_cast<int>(slot.kind) << " at " << slot.address;
}
using Slots = std::vector<Slot>;

Slots Sorted(Slots slots) {
  std::sort(slots.begin(), slots.end());
  return slots;
}

class ObjectSlotsTest : public testing::Test {
 protected:
  void SetUp() override {
    set_ = TypeSet::Create(0, 16);
    ASSERT_NE(set_, nullptr);
    memset(page_, 0, sizeof(page_));
  }
  void TearDown() override {
    ErrorMessage message;
    EXPECT_EQ(set_->Destroy(&message), Status::kOk);
  }

  // A type with these kinds in the words of its prefix and elements.
  const Type* Register(const std::vector<WordKind>& prefix,
                       const std::vector<WordKind>& element = {}) {
    const std::vector<FieldInfo> fields = Fields(prefix);
    const std::vector<FieldInfo> element_fields = Fields(element);
    TypeInfo info;
    info.name = "test";
    info.size = prefix.size() * kWordBytes;
    info.fields = fields.data();
    info.field_count = fields.size();
    info.element_size = element.size() * kWordBytes;
    info.element_fields = element_fields.data();
    info.element_field_count = element_fields.size();
    return Register(info);
  }
  const Type* Register(const TypeInfo& info) {
    const Type* type = nullptr;
    ErrorMessage message;
    EXPECT_EQ(set_->Register(info, &type, &message), Status::kOk)
        << message.text;
    return type;
  }
  static std::vector<FieldInfo> Fields(const std::vector<WordKind>& kinds) {
    std::vector<FieldInfo> fields;
    fields.reserve(kinds.size());
    for (size_t i = 0; i < kinds.size(); i++) {
      fields.push_back(
          {"", static_cast<uint32_t>(i * kWordBytes), 1, kinds[i]});
    }
    return fields;
  }

  // A span of one page over page_.
  const Span& MakeSpan(SpanKind kind, ScanKind scan, size_t cell_bytes,
                       const Type* type) {
    Span& span = span_;
    span.base = reinterpret_cast<uintptr_t>(page_);
    span.kind = kind;
    span.scan = scan;
    span.page_count = 1;
    span.cell_bytes = cell_bytes;
    span.cell_count = static_cast<uint32_t>(kPageBytes / cell_bytes);
    span.type = type;
    return span;
  }
  static Slots SlotsOf(const Span& span, uintptr_t cell) {
    Slots slots;
    const Type* callback = ForEachSlot(
        span, cell,
        [&](WordKind kind, uintptr_t slot) { slots.push_back({kind, slot}); });
    EXPECT_EQ(callback, nullptr);
    return Sorted(slots);
  }

  TypeSet* set_ = nullptr;
  Span span_ = {};
  alignas(kPageBytes) unsigned char page_[kPageBytes];
};

TEST_F(ObjectSlotsTest, NoscanHasNone) {
  const Span& span =
      MakeSpan(SpanKind::kNoscan, ScanKind::kNoscan, 64, nullptr);
  EXPECT_TRUE(SlotsOf(span, span.base).empty());
}

TEST_F(ObjectSlotsTest, ValuesAreEveryWord) {
  const Span& span = MakeSpan(SpanKind::kSlots, ScanKind::kValues, 48, nullptr);
  const uintptr_t cell = span.base + 96;
  const Slots slots = SlotsOf(span, cell);
  ASSERT_EQ(slots.size(), 6);
  for (size_t i = 0; i < 6; i++) {
    EXPECT_EQ(slots[i], (Slot{WordKind::kValue, cell + i * 8}));
  }
}

TEST_F(ObjectSlotsTest, TypedCells) {
  const Type* type =
      Register({WordKind::kValue, WordKind::kData, WordKind::kPointer});
  const Span& span = MakeSpan(SpanKind::kTyped, type->scan, 32, type);
  const uintptr_t cell = span.base + 64;
  EXPECT_EQ(SlotsOf(span, cell),
            (Slots{{WordKind::kValue, cell}, {WordKind::kPointer, cell + 16}}));
}

TEST_F(ObjectSlotsTest, HeadedCellsAskTheirTypeWord) {
  const Type* pair = Register({WordKind::kValue, WordKind::kPointer});
  const Type* array = Register({WordKind::kData}, {WordKind::kPointer});
  const Span& span =
      MakeSpan(SpanKind::kHeaded, ScanKind::kHeaded, 48, nullptr);
  const uintptr_t first = span.base;
  const uintptr_t second = span.base + 48;
  const uintptr_t third = span.base + 96;
  *span.TypeWord(first) = pair;
  *span.TypeWord(second) = array;
  EXPECT_EQ(SlotsOf(span, first), (Slots{{WordKind::kValue, first},
                                         {WordKind::kPointer, first + 8}}));
  EXPECT_EQ(SlotsOf(span, second), (Slots{{WordKind::kPointer, second + 8},
                                          {WordKind::kPointer, second + 16},
                                          {WordKind::kPointer, second + 24},
                                          {WordKind::kPointer, second + 32}}))
      << "not the type word";
  EXPECT_TRUE(SlotsOf(span, third).empty()) << "not set up yet";
}

TEST_F(ObjectSlotsTest, CallbackTypesAreHandedBack) {
  TypeInfo info;
  info.size = 24;
  info.trace = Trace;
  const Type* type = Register(info);
  const Span& span =
      MakeSpan(SpanKind::kHeaded, ScanKind::kHeaded, 32, nullptr);
  *span.TypeWord(span.base) = type;
  EXPECT_EQ(
      ForEachSlot(span, span.base, [](WordKind, uintptr_t) { ADD_FAILURE(); }),
      type);
}

TEST_F(ObjectSlotsTest, SpanBitmaps) {
  const Span& span =
      MakeSpan(SpanKind::kBitmap, ScanKind::kBitmap, 144, nullptr);
  const size_t index = 7;  // Words 126 to 143: across a word of the bitmap.
  const uintptr_t cell = span.CellAddress(index);
  const size_t first = index * 144 / kWordBytes;
  SetBit(span.PointerBitmap(), first - 1);  // The neighbours'.
  SetBit(span.ValueBitmap(), first + 18);
  SetBit(span.PointerBitmap(), first);
  SetBit(span.PointerBitmap(), first + 3);
  SetBit(span.ValueBitmap(), first + 2);
  SetBit(span.ValueBitmap(), first + 17);
  EXPECT_EQ(SlotsOf(span, cell), (Slots{{WordKind::kPointer, cell},
                                        {WordKind::kValue, cell + 16},
                                        {WordKind::kPointer, cell + 24},
                                        {WordKind::kValue, cell + 136}}));
}

TEST_F(ObjectSlotsTest, CellBitmaps) {
  const Span& span =
      MakeSpan(SpanKind::kHeaded, ScanKind::kHeaded, 1024, nullptr);
  const uintptr_t cell = span.base + 1024;
  *span.TypeWord(cell) = set_->internal_type(TypeSet::kCellBitmap);
  const uintptr_t end = cell + span.object_bytes();
  const CellBitmaps bitmaps = CellBitmapsOf(cell, end);
  // 127 words but for two bitmaps of two words each.
  ASSERT_EQ(bitmaps.words, 123);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bitmaps.pointers),
            cell + 123 * kWordBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bitmaps.values + 2), end);
  SetBit(bitmaps.pointers, 0);
  SetBit(bitmaps.pointers, 122);
  SetBit(bitmaps.values, 64);
  EXPECT_EQ(SlotsOf(span, cell), (Slots{{WordKind::kPointer, cell},
                                        {WordKind::kValue, cell + 512},
                                        {WordKind::kPointer, cell + 976}}));
}

TEST_F(ObjectSlotsTest, MappedSlotsAreDescendingPerKind) {
  const Type* type = Register({WordKind::kValue, WordKind::kPointer,
                               WordKind::kValue, WordKind::kPointer});
  std::vector<uintptr_t> order;
  ForEachMappedSlot(type->prefix, 1000, 0, 4,
                    [&](WordKind, uintptr_t slot) { order.push_back(slot); });
  EXPECT_EQ(order, (std::vector<uintptr_t>{1024, 1008, 1016, 1000}));
}

// What a layout says of word `index` of an object of `words` words.
WordKind KindOfWord(const std::vector<WordKind>& prefix,
                    const std::vector<WordKind>& element, size_t index,
                    size_t words) {
  if (index < prefix.size()) return prefix[index];
  if (element.empty()) return WordKind::kData;
  const size_t whole = (words - prefix.size()) / element.size();
  const size_t in_elements = index - prefix.size();
  if (in_elements / element.size() >= whole) return WordKind::kData;
  return element[in_elements % element.size()];
}

std::vector<WordKind> RandomKinds(TestRandom* random, size_t words) {
  constexpr WordKind kKinds[] = {WordKind::kData, WordKind::kValue,
                                 WordKind::kPointer, WordKind::kAmbiguous};
  const size_t kinds = random->Between(1, 4);
  std::vector<WordKind> result(words);
  for (WordKind& kind : result) kind = kKinds[random->Below(kinds)];
  return result;
}

TEST_F(ObjectSlotsTest, RandomLayoutsAgreeWithWordByWord) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 300 && !HasFailure(); round++) {
    const bool long_prefix = random.OneIn(3);
    std::vector<WordKind> prefix =
        RandomKinds(&random, random.Between(0, long_prefix ? 200 : 10));
    const std::vector<WordKind> element =
        RandomKinds(&random, random.Below(random.OneIn(4) ? 150 : 6));
    if (prefix.empty() && element.empty()) prefix = {WordKind::kValue};
    const Type* type = Register(prefix, element);
    // Elements, and some words too few for one more.
    const size_t words =
        prefix.size() + (element.empty() ? random.Below(3)
                                         : random.Below(20) * element.size() +
                                               random.Below(element.size()));
    const uintptr_t object = 0x10000;
    const uintptr_t end = object + words * kWordBytes;
    for (int range = 0; range < 10; range++) {
      size_t from = range == 0 ? 0 : random.Below(words + 1);
      size_t to = range == 0 ? words : random.Below(words + 1);
      if (from > to) std::swap(from, to);
      SCOPED_TRACE(testing::Message()
                   << "prefix " << prefix.size() << " element "
                   << element.size() << " words " << words << " [" << from
                   << ", " << to << ")");
      Slots expected;
      for (size_t i = from; i < to; i++) {
        const WordKind kind = KindOfWord(prefix, element, i, words);
        if (kind == WordKind::kData) continue;
        expected.push_back({kind, object + i * kWordBytes});
      }
      Slots found;
      ForEachLayoutSlot(*type, object, end, object + from * kWordBytes,
                        object + to * kWordBytes,
                        [&](WordKind kind, uintptr_t slot) {
                          found.push_back({kind, slot});
                        });
      ASSERT_EQ(Sorted(found), expected);
    }
  }
}

TEST_F(ObjectSlotsTest, FieldsAreFoundByOffset) {
  const FieldInfo fields[] = {{"head", 0, 1, WordKind::kValue},
                              {"items", 16, 3, WordKind::kValue}};
  const FieldInfo element_fields[] = {{"key", 0, 1, WordKind::kValue},
                                      {nullptr, 8, 1, WordKind::kValue}};
  TypeInfo info;
  info.size = 40;
  info.fields = fields;
  info.field_count = 2;
  info.element_size = 16;
  info.element_fields = element_fields;
  info.element_field_count = 2;
  const Type* type = Register(info);
  EXPECT_STREQ(FindField(*type, 0).name, "head");
  EXPECT_STREQ(FindField(*type, 8).name, "");
  EXPECT_STREQ(FindField(*type, 32).name, "items");
  EXPECT_FALSE(FindField(*type, 32).in_element);
  const FieldPosition key = FindField(*type, 40 + 3 * 16);
  EXPECT_STREQ(key.name, "key");
  EXPECT_TRUE(key.in_element);
  EXPECT_EQ(key.element_index, 3);
  EXPECT_EQ(key.offset, 0);
  const FieldPosition unnamed = FindField(*type, 40 + 8);
  EXPECT_STREQ(unnamed.name, "");
  EXPECT_EQ(unnamed.element_index, 0);
  EXPECT_EQ(unnamed.offset, 8);
}

}  // namespace
}  // namespace loam
