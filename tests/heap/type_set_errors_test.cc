// What TypeSet refuses: every message names the call, the argument and the
// type.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/type_set.h"

namespace loam {
namespace {

void Trace(loam_visitor*, void*, size_t) {}

constexpr FieldInfo kValueField = {"value", 0, 1, WordKind::kValue};
constexpr uint8_t kValueKinds[] = {1, 1};

TypeInfo Named(size_t size) {
  TypeInfo info;
  info.name = "pair";
  info.size = size;
  return info;
}

class TypeSetErrorsTest : public testing::Test {
 protected:
  void SetUp() override {
    set_ = TypeSet::Create(0, 16);
    ASSERT_NE(set_, nullptr);
  }
  void TearDown() override {
    ErrorMessage message;
    EXPECT_EQ(set_->Destroy(&message), Status::kOk);
  }

  // Refused with this status, and a message that names `argument`, and all
  // else in `parts`.
  void ExpectError(const TypeInfo& info, Status expected,
                   const std::string& argument,
                   const std::vector<std::string>& parts = {}) {
    const Type* type = nullptr;
    ErrorMessage message;
    EXPECT_EQ(set_->Register(info, &type, &message), expected);
    EXPECT_EQ(type, nullptr);
    const std::string text = message.text;
    EXPECT_EQ(text.find("loam_type_register: " + argument + ":"), 0) << text;
    EXPECT_NE(text.find("'pair'"), std::string::npos) << text;
    for (const std::string& part : parts) {
      EXPECT_NE(text.find(part), std::string::npos)
          << "no '" << part << "' in: " << text;
    }
  }
  // The same for a type of 32 bytes with these fields.
  void ExpectFieldError(const std::vector<FieldInfo>& fields, Status expected,
                        const std::string& argument,
                        const std::vector<std::string>& parts) {
    TypeInfo info = Named(32);
    info.fields = fields.data();
    info.field_count = fields.size();
    ExpectError(info, expected, argument, parts);
    info.size = 8;
    info.fields = nullptr;
    info.field_count = 0;
    info.element_size = 32;
    info.element_fields = fields.data();
    info.element_field_count = fields.size();
    std::string element_argument = argument;
    element_argument.replace(0, std::string("info.").size(), "info.element_");
    ExpectError(info, expected, element_argument, parts);
  }

  TypeSet* set_ = nullptr;
};

TEST_F(TypeSetErrorsTest, NoBytes) {
  ExpectError(Named(0), Status::kInvalidArgument, "info.size",
              {"has no bytes"});
}

TEST_F(TypeSetErrorsTest, TooLarge) {
  ExpectError(Named((size_t{1} << 30) + 1), Status::kInvalidArgument,
              "info.size", {"larger than 1 GiB"});
  TypeInfo info = Named(8);
  info.element_size = SIZE_MAX;
  ExpectError(info, Status::kInvalidArgument, "info.element_size",
              {"larger than 1 GiB"});
}

TEST_F(TypeSetErrorsTest, Alignment) {
  for (const size_t alignment : {size_t{3}, size_t{24}, size_t{8192}}) {
    TypeInfo info = Named(64);
    info.alignment = alignment;
    ExpectError(info, Status::kInvalidArgument, "info.alignment",
                {std::to_string(alignment), "power of two up to 4096"});
  }
}

TEST_F(TypeSetErrorsTest, OneDescriptionOnly) {
  TypeInfo info = Named(16);
  info.fields = &kValueField;
  info.field_count = 1;
  info.word_kinds = kValueKinds;
  ExpectError(info, Status::kInvalidArgument, "info", {"only one of"});
  info.word_kinds = nullptr;
  info.trace = Trace;
  ExpectError(info, Status::kInvalidArgument, "info", {"only one of"});
  info = Named(16);
  info.word_kinds = kValueKinds;
  info.trace = Trace;
  ExpectError(info, Status::kInvalidArgument, "info", {"only one of"});
  info = Named(16);
  info.trace = Trace;
  info.element_size = 8;
  info.element_fields = &kValueField;
  info.element_field_count = 1;
  ExpectError(info, Status::kInvalidArgument, "info", {"only one of"});
}

TEST_F(TypeSetErrorsTest, NullWithACount) {
  TypeInfo info = Named(16);
  info.field_count = 1;
  ExpectError(info, Status::kInvalidArgument, "info.fields", {"NULL"});
  info = Named(16);
  info.element_size = 8;
  info.element_field_count = 2;
  ExpectError(info, Status::kInvalidArgument, "info.element_fields", {"NULL"});
}

TEST_F(TypeSetErrorsTest, FieldOutsideTheType) {
  ExpectFieldError(
      {{"a", 0, 1, WordKind::kValue}, {"far", 24, 2, WordKind::kValue}},
      Status::kInvalidArgument, "info.fields[1]",
      {"'far'", "offset 24", "count 2", "32 bytes", "past"});
  ExpectFieldError({{"far", 32, 1, WordKind::kPointer}},
                   Status::kInvalidArgument, "info.fields[0]", {"past"});
  ExpectFieldError({{"wraps", 0xfffffff8, 0xffffffff, WordKind::kPointer}},
                   Status::kInvalidArgument, "info.fields[0]", {"past"});
}

TEST_F(TypeSetErrorsTest, FieldOffWordBoundaries) {
  ExpectFieldError({{"odd", 4, 1, WordKind::kValue}}, Status::kInvalidArgument,
                   "info.fields[0]", {"'odd'", "not a multiple of 8"});
}

TEST_F(TypeSetErrorsTest, FieldWithoutWords) {
  ExpectFieldError({{"none", 8, 0, WordKind::kValue}}, Status::kInvalidArgument,
                   "info.fields[0]", {"'none'", "names no words"});
}

TEST_F(TypeSetErrorsTest, OverlappingFields) {
  for (const WordKind kind :
       {WordKind::kValue, WordKind::kPointer, WordKind::kAmbiguous}) {
    ExpectFieldError({{"a", 0, 1, WordKind::kData},
                      {"b", 0, 2, WordKind::kValue},
                      {"c", 8, 1, kind}},
                     Status::kInvalidArgument, "info.fields[2]",
                     {"'c'", "overlaps"});
    ExpectFieldError({{"b", 8, 1, kind}, {"c", 0, 4, WordKind::kPointer}},
                     Status::kInvalidArgument, "info.fields[1]",
                     {"'c'", "overlaps"});
  }
}

TEST_F(TypeSetErrorsTest, EphemeronWordsComeTogether) {
  ExpectFieldError({{"key", 0, 1, WordKind::kEphemeronKey}},
                   Status::kInvalidArgument, "info.fields",
                   {"keys, but no values"});
  ExpectFieldError({{"value", 0, 1, WordKind::kEphemeronValue}},
                   Status::kInvalidArgument, "info.fields",
                   {"values, but no keys"});
}

TEST_F(TypeSetErrorsTest, UnknownKind) {
  ExpectFieldError({{"what", 0, 1, static_cast<WordKind>(8)}},
                   Status::kInvalidArgument, "info.fields[0].kind",
                   {"'what'", "there is no kind 8"});
}

TEST_F(TypeSetErrorsTest, ElementsWithReferencesAreWholeWords) {
  TypeInfo info = Named(12);
  info.element_size = 8;
  info.element_fields = &kValueField;
  info.element_field_count = 1;
  ExpectError(info, Status::kInvalidArgument, "info.size", {"multiples of 8"});
  info.size = 16;
  info.element_size = 12;
  ExpectError(info, Status::kInvalidArgument, "info.element_size",
              {"multiples of 8"});
}

TEST_F(TypeSetErrorsTest, UnnamedFieldsAndTypesAreAccepted) {
  const FieldInfo field = {nullptr, 0, 1, WordKind::kValue};
  TypeInfo info;
  info.size = 8;
  info.fields = &field;
  info.field_count = 1;
  const Type* type = nullptr;
  ErrorMessage message;
  ASSERT_EQ(set_->Register(info, &type, &message), Status::kOk);
  EXPECT_STREQ(type->fields[0].name, "");
}

}  // namespace
}  // namespace loam
