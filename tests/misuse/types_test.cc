// Layouts that cannot be: each is refused with a message that says where.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "api/loam.h"

namespace loam_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void Trace(loam_visitor*, void*, size_t) {}
void Dispose(void*, size_t) {}

// A number that C may put where C++ must not.
loam_word_kind Kind(int number) {
  loam_word_kind kind;
  memcpy(&kind, &number, sizeof(kind));
  return kind;
}

// Fields for the tables below, each wrong in one way for a type of 32 bytes.
constexpr loam_field kGood = {"good", 8, 1, LOAM_VALUE};
constexpr loam_field kUnaligned = {"wrong", 4, 1, LOAM_VALUE};
constexpr loam_field kPastTheEnd = {"wrong", 24, 2, LOAM_POINTER};
constexpr loam_field kFarPastTheEnd = {"wrong", 0xfffffff8u, 1, LOAM_VALUE};
constexpr loam_field kHuge = {"wrong", 8, 0xffffffffu, LOAM_VALUE};
constexpr loam_field kEmpty = {"wrong", 8, 0, LOAM_VALUE};
const loam_field kNoKind = {"wrong", 8, 1, Kind(8)};
const loam_field kNegative = {"wrong", 8, 1, Kind(-1)};
constexpr loam_field kOverlapping[] = {{"first", 8, 2, LOAM_VALUE},
                                       {"wrong", 16, 1, LOAM_POINTER}};
constexpr loam_field kKey = {"wrong", 8, 1, LOAM_EPHEMERON_KEY};
constexpr loam_field kValue = {"wrong", 8, 1, LOAM_EPHEMERON_VALUE};
constexpr uint8_t kKinds[] = {LOAM_VALUE, LOAM_DATA, 99, LOAM_DATA};

void OneField(loam_type_info* info, const loam_field* field) {
  info->fields = field;
  info->field_count = 1;
}
void OneElementField(loam_type_info* info, const loam_field* field) {
  info->element_size = 32;
  info->element_fields = field;
  info->element_field_count = 1;
}

struct BadType {
  const char* name;
  void (*spoil)(loam_type_info* info);
  loam_status status;
  const char* in_message;
};

const BadType kBadTypes[] = {
    {"struct_size", [](loam_type_info* t) { t->struct_size = 0; },
     LOAM_INVALID_ARGUMENT, "info.struct_size"},
    {"no_bytes", [](loam_type_info* t) { t->size = 0; }, LOAM_INVALID_ARGUMENT,
     "info.size"},
    {"huge", [](loam_type_info* t) { t->size = SIZE_MAX; },
     LOAM_INVALID_ARGUMENT, "info.size"},
    {"huge_element", [](loam_type_info* t) { t->element_size = SIZE_MAX; },
     LOAM_INVALID_ARGUMENT, "info.element_size"},
    {"alignment_no_power", [](loam_type_info* t) { t->alignment = 24; },
     LOAM_INVALID_ARGUMENT, "info.alignment"},
    {"alignment_large", [](loam_type_info* t) { t->alignment = 8192; },
     LOAM_INVALID_ARGUMENT, "info.alignment"},
    {"flags", [](loam_type_info* t) { t->flags = 1u << 20; },
     LOAM_INVALID_ARGUMENT, "info.flags"},
    {"flags_internal", [](loam_type_info* t) { t->flags = 1u << 31; },
     LOAM_INVALID_ARGUMENT, "info.flags"},
    {"null_fields", [](loam_type_info* t) { t->field_count = 1; },
     LOAM_INVALID_ARGUMENT, "info.fields"},
    {"null_element_fields",
     [](loam_type_info* t) {
       t->element_size = 8;
       t->element_field_count = 1;
     },
     LOAM_INVALID_ARGUMENT, "info.element_fields"},
    {"element_fields_without_elements",
     [](loam_type_info* t) {
       t->element_fields = &kGood;
       t->element_field_count = 1;
     },
     LOAM_INVALID_ARGUMENT, "element_fields"},
    {"two_descriptions",
     [](loam_type_info* t) {
       OneField(t, &kGood);
       t->trace = Trace;
     },
     LOAM_INVALID_ARGUMENT, "only one of"},
    {"kinds_and_fields",
     [](loam_type_info* t) {
       OneField(t, &kGood);
       t->word_kinds = kKinds;
     },
     LOAM_INVALID_ARGUMENT, "only one of"},
    {"trace_and_element_fields",
     [](loam_type_info* t) {
       OneElementField(t, &kGood);
       t->trace = Trace;
     },
     LOAM_INVALID_ARGUMENT, "only one of"},
    {"unaligned", [](loam_type_info* t) { OneField(t, &kUnaligned); },
     LOAM_INVALID_ARGUMENT, "info.fields[0]"},
    {"past_the_end", [](loam_type_info* t) { OneField(t, &kPastTheEnd); },
     LOAM_INVALID_ARGUMENT, "info.fields[0]"},
    {"far_past_the_end",
     [](loam_type_info* t) { OneField(t, &kFarPastTheEnd); },
     LOAM_INVALID_ARGUMENT, "info.fields[0]"},
    {"huge_count", [](loam_type_info* t) { OneField(t, &kHuge); },
     LOAM_INVALID_ARGUMENT, "info.fields[0]"},
    {"no_words", [](loam_type_info* t) { OneField(t, &kEmpty); },
     LOAM_INVALID_ARGUMENT, "info.fields[0]"},
    {"no_kind", [](loam_type_info* t) { OneField(t, &kNoKind); },
     LOAM_INVALID_ARGUMENT, "info.fields[0].kind"},
    {"negative_kind", [](loam_type_info* t) { OneField(t, &kNegative); },
     LOAM_INVALID_ARGUMENT, "info.fields[0].kind"},
    {"overlapping",
     [](loam_type_info* t) {
       t->fields = kOverlapping;
       t->field_count = 2;
     },
     LOAM_INVALID_ARGUMENT, "info.fields[1]"},
    {"element_unaligned",
     [](loam_type_info* t) { OneElementField(t, &kUnaligned); },
     LOAM_INVALID_ARGUMENT, "info.element_fields[0]"},
    {"element_past_the_end",
     [](loam_type_info* t) { OneElementField(t, &kPastTheEnd); },
     LOAM_INVALID_ARGUMENT, "info.element_fields[0]"},
    {"element_size_odd",
     [](loam_type_info* t) {
       OneElementField(t, &kGood);
       t->element_size = 33;
     },
     LOAM_INVALID_ARGUMENT, "info.element_size"},
    {"prefix_size_odd",
     [](loam_type_info* t) {
       OneElementField(t, &kGood);
       t->size = 33;
     },
     LOAM_INVALID_ARGUMENT, "info.size"},
    {"word_kinds", [](loam_type_info* t) { t->word_kinds = kKinds; },
     LOAM_INVALID_ARGUMENT, "[2]"},
    {"key_without_value", [](loam_type_info* t) { OneField(t, &kKey); },
     LOAM_INVALID_ARGUMENT, "keys, but no values"},
    {"value_without_key", [](loam_type_info* t) { OneField(t, &kValue); },
     LOAM_INVALID_ARGUMENT, "values, but no keys"},
    {"element_key_without_value",
     [](loam_type_info* t) { OneElementField(t, &kKey); },
     LOAM_INVALID_ARGUMENT, "info.element_fields"},
    {"dispose_queued_without_dispose",
     [](loam_type_info* t) { t->flags = LOAM_TYPE_DISPOSE_QUEUED; },
     LOAM_INVALID_ARGUMENT, "info.flags"},
    {"dispose_queued_with_trace",
     [](loam_type_info* t) {
       t->flags = LOAM_TYPE_DISPOSE_QUEUED;
       t->dispose = Dispose;
       t->trace = Trace;
     },
     LOAM_INVALID_ARGUMENT, "info.flags"},
};

class BadTypeTest : public testing::TestWithParam<BadType> {
 protected:
  void SetUp() override { ASSERT_EQ(loam_type_set_create(&set_), LOAM_OK); }
  void TearDown() override { EXPECT_EQ(loam_type_set_destroy(set_), LOAM_OK); }
  loam_type_set* set_ = nullptr;
};

TEST_P(BadTypeTest, IsRefused) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "spoilt";
  info.size = 32;
  GetParam().spoil(&info);
  const loam_type* type = nullptr;
  EXPECT_EQ(loam_type_register(set_, &info, &type), GetParam().status)
      << loam_last_error();
  EXPECT_EQ(type, nullptr);
  EXPECT_THAT(
      std::string(loam_last_error()),
      AllOf(HasSubstr("loam_type_register"), HasSubstr(GetParam().in_message)));
  // The set is as good as before.
  loam_type_info good = LOAM_TYPE_INFO_INIT;
  good.size = 32;
  EXPECT_EQ(loam_type_register(set_, &good, &type), LOAM_OK);
}

INSTANTIATE_TEST_SUITE_P(All, BadTypeTest, testing::ValuesIn(kBadTypes),
                         [](const auto& info) { return info.param.name; });

TEST(BadTypeCallTest, NullsAreNamed) {
  loam_type_set* set;
  ASSERT_EQ(loam_type_set_create(&set), LOAM_OK);
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.size = 8;
  const loam_type* type;
  EXPECT_EQ(loam_type_register(nullptr, &info, &type), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_type_register: set"));
  EXPECT_EQ(loam_type_register(set, nullptr, &type), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_type_register: info"));
  EXPECT_EQ(loam_type_register(set, &info, nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_type_register: type"));
  EXPECT_EQ(loam_type_set_destroy(set), LOAM_OK);
}

}  // namespace
}  // namespace loam_test
