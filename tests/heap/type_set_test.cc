#include "runtime/heap/type_set.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint32_t kFirstCursor = 1000;
constexpr uint32_t kCursorBytes = 16;

void Trace(loam_visitor*, void*, size_t) {}

class TypeSetTest : public testing::Test {
 protected:
  void SetUp() override {
    set_ = TypeSet::Create(kFirstCursor, kCursorBytes);
    ASSERT_NE(set_, nullptr);
  }
  void TearDown() override {
    ErrorMessage message;
    EXPECT_EQ(set_->Destroy(&message), Status::kOk) << message.text;
  }

  // The type, or NULL and error_.
  const Type* Register(const TypeInfo& info) {
    const Type* type = nullptr;
    ErrorMessage message;
    const Status status = set_->Register(info, &type, &message);
    error_ = message.text;
    EXPECT_EQ(status == Status::kOk, type != nullptr);
    EXPECT_EQ(status == Status::kOk, error_.empty());
    return type;
  }
  // The prefix's fields are `fields`.
  const Type* Register(size_t size, const std::vector<FieldInfo>& fields) {
    TypeInfo info;
    info.name = "record";
    info.size = size;
    info.fields = fields.data();
    info.field_count = fields.size();
    return Register(info);
  }

  TypeSet* set_ = nullptr;
  std::string error_;
};

TEST_F(TypeSetTest, MasksOfSmallRecords) {
  const Type* type = Register(40, {{"car", 0, 1, WordKind::kValue},
                                   {"hash", 8, 1, WordKind::kData},
                                   {"next", 16, 2, WordKind::kPointer},
                                   {"cdr", 32, 1, WordKind::kValue}});
  ASSERT_NE(type, nullptr) << error_;
  EXPECT_EQ(type->scan, ScanKind::kMasks);
  EXPECT_EQ(type->value_mask, 0b10001);
  EXPECT_EQ(type->pointer_mask, 0b01100);
  EXPECT_STREQ(type->name, "record");
  EXPECT_EQ(type->size, 40);
  EXPECT_EQ(type->alignment, 8);
  EXPECT_EQ(type->cell_bytes, 48);
  EXPECT_TRUE(type->is_fixed_size());
  EXPECT_TRUE(type->has_references());
  EXPECT_EQ(type->set, set_);
  EXPECT_TRUE(set_->Contains(type));
}

TEST_F(TypeSetTest, AllSixtyFourWordsFitTheMasks) {
  const Type* type = Register(512, {{"all", 0, 64, WordKind::kPointer}});
  ASSERT_NE(type, nullptr) << error_;
  EXPECT_EQ(type->scan, ScanKind::kMasks);
  EXPECT_EQ(type->pointer_mask, UINT64_MAX);
  EXPECT_EQ(type->value_mask, 0);
  // One more does not.
  type = Register(520, {{"all", 0, 65, WordKind::kPointer}});
  ASSERT_NE(type, nullptr) << error_;
  EXPECT_EQ(type->scan, ScanKind::kLayout);
  EXPECT_EQ(type->prefix.words, 65);
  EXPECT_EQ(CountSet(type->prefix.pointers, 0, 65), 65);
}

TEST_F(TypeSetTest, ScanKindFollowsFromTheLayout) {
  EXPECT_EQ(Register(64, {})->scan, ScanKind::kNoscan);
  EXPECT_EQ(Register(64, {{"d", 0, 8, WordKind::kData}})->scan,
            ScanKind::kNoscan);
  EXPECT_EQ(Register(64, {{"a", 0, 1, WordKind::kAmbiguous}})->scan,
            ScanKind::kLayout);
  TypeInfo traced;
  traced.size = 24;
  traced.trace = Trace;
  EXPECT_EQ(Register(traced)->scan, ScanKind::kCallback);
  const FieldInfo element = {"item", 0, 1, WordKind::kValue};
  TypeInfo array;
  array.name = "array";
  array.element_size = 8;
  array.element_fields = &element;
  array.element_field_count = 1;
  const Type* type = Register(array);
  ASSERT_NE(type, nullptr) << error_;
  EXPECT_EQ(type->scan, ScanKind::kLayout);
  EXPECT_FALSE(type->is_fixed_size());
  EXPECT_EQ(type->cell_bytes, 1) << "no typed spans";
}

TEST_F(TypeSetTest, WordKindsSayTheSameAsFields) {
  const uint8_t kinds[] = {
      static_cast<uint8_t>(WordKind::kData),
      static_cast<uint8_t>(WordKind::kPointer),
      static_cast<uint8_t>(WordKind::kValue),
      static_cast<uint8_t>(WordKind::kValue),
  };
  TypeInfo info;
  info.size = 32;
  info.word_kinds = kinds;
  const Type* type = Register(info);
  ASSERT_NE(type, nullptr) << error_;
  EXPECT_EQ(type->pointer_mask, 0b0010);
  EXPECT_EQ(type->value_mask, 0b1100);
  EXPECT_STREQ(type->name, "unnamed");
}

TEST_F(TypeSetTest, CellBytesAndAlignment) {
  struct Case {
    size_t size;
    size_t alignment;
    uint32_t cell_bytes;
    size_t resulting_alignment;
  };
  const Case cases[] = {
      {1, 0, 8, 8},
      {8, 0, 8, 8},
      {8, 16, 16, 16},
      {9, 0, 16, 8},
      {24, 8, 32, 8},
      {33, 64, 64, 64},
      {100, 4096, 4096, 4096},
      {32768, 0, 32768, 8},
      {32769, 0, 1, 8},
      {1, 1, 8, 8},
      {32768, 4096, 32768, 4096},
  };
  for (const Case& c : cases) {
    TypeInfo info;
    info.size = c.size;
    info.alignment = c.alignment;
    const Type* type = Register(info);
    ASSERT_NE(type, nullptr) << error_;
    EXPECT_EQ(type->cell_bytes, c.cell_bytes) << c.size;
    EXPECT_EQ(type->alignment, c.resulting_alignment) << c.size;
  }
}

TEST_F(TypeSetTest, InfoIsCopied) {
  char name[] = "before";
  char field_name[] = "field";
  FieldInfo field = {field_name, 8, 1, WordKind::kValue};
  TypeInfo info;
  info.name = name;
  info.size = 16;
  info.fields = &field;
  info.field_count = 1;
  int user = 0;
  info.user = &user;
  info.flags = kTypeHot;
  const Type* type = Register(info);
  ASSERT_NE(type, nullptr) << error_;
  name[0] = 'X';
  field_name[0] = 'X';
  field.offset = 0;
  EXPECT_STREQ(type->name, "before");
  EXPECT_STREQ(type->fields[0].name, "field");
  EXPECT_EQ(type->fields[0].offset, 8);
  EXPECT_EQ(type->user, &user);
  EXPECT_EQ(type->flags, kTypeHot);
}

TEST_F(TypeSetTest, InternalTypes) {
  const Type* ambiguous = set_->internal_type(TypeSet::kAmbiguousWords);
  ASSERT_NE(ambiguous, nullptr);
  EXPECT_EQ(ambiguous->scan, ScanKind::kLayout);
  EXPECT_EQ(ambiguous->element_size, 8);
  EXPECT_TRUE(TestBit(ambiguous->element.ambiguous, 0));
  EXPECT_NE(ambiguous->flags & kTypeInternal, 0);
  EXPECT_EQ(set_->internal_type(TypeSet::kCellBitmap)->scan,
            ScanKind::kCellBitmap);
  EXPECT_TRUE(set_->Contains(ambiguous));
}

TEST_F(TypeSetTest, SetsAreSeparate) {
  TypeSet* other = TypeSet::Create(kFirstCursor, kCursorBytes);
  ASSERT_NE(other, nullptr);
  const Type* type = Register(16, {});
  EXPECT_FALSE(other->Contains(type));
  ErrorMessage message;
  EXPECT_EQ(other->Destroy(&message), Status::kOk);
}

TEST_F(TypeSetTest, DestroyWaitsForItsHeaps) {
  set_->AddUser();
  set_->AddUser();
  set_->RemoveUser();
  ErrorMessage message;
  EXPECT_EQ(set_->Destroy(&message), Status::kWrongState);
  EXPECT_STREQ(message.text,
               "loam_type_set_destroy: set: 1 heaps still use it");
  set_->RemoveUser();
}

TEST_F(TypeSetTest, FiveThousandTypes) {
  std::vector<const Type*> types;
  for (uint32_t i = 0; i < 5000; i++) {
    const std::string name = "type" + std::to_string(i);
    const std::string field_name = "field" + std::to_string(i);
    const FieldInfo field = {
        field_name.c_str(), i % 100 * 8, 1,
        i % 2 == 0 ? WordKind::kValue : WordKind::kPointer};
    TypeInfo info;
    info.name = name.c_str();
    info.size = 800;
    info.fields = &field;
    info.field_count = 1;
    types.push_back(Register(info));
    ASSERT_NE(types.back(), nullptr) << error_;
  }
  for (uint32_t i = 0; i < types.size(); i++) {
    const Type* type = types[i];
    EXPECT_EQ(type->index, i);
    EXPECT_EQ(type->cursor_offset, kFirstCursor + i * kCursorBytes);
    EXPECT_EQ(type->name, "type" + std::to_string(i));
    EXPECT_EQ(type->fields[0].name, "field" + std::to_string(i));
    const uint64_t* map =
        i % 2 == 0 ? type->prefix.values : type->prefix.pointers;
    ASSERT_NE(map, nullptr);
    EXPECT_TRUE(TestBit(map, i % 100));
    EXPECT_EQ(CountSet(map, 0, 100), 1);
  }
}

TEST_F(TypeSetTest, RejectedTypesTakeNoIndex) {
  EXPECT_EQ(Register(16, {{"x", 8, 2, WordKind::kValue}}), nullptr);
  const Type* type = Register(16, {});
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->index, 0);
  EXPECT_EQ(type->cursor_offset, kFirstCursor);
}

}  // namespace
}  // namespace loam
