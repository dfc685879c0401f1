// Bad arguments that are answered by a status: which one, and that the message
// names the call and the argument.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string LastError() { return loam_last_error(); }

// A number that C may put where C++ must not.
template <typename Enum>
void Overwrite(Enum* value, int number) {
  memcpy(value, &number, sizeof(*value));
}

// ---- Heap options -----------------------------------------------------------

struct BadOptions {
  const char* name;
  void (*spoil)(loam_options* options);
  loam_status status;
  const char* in_message;
};

const BadOptions kBadOptions[] = {
    {"struct_size", [](loam_options* o) { o->struct_size--; },
     LOAM_INVALID_ARGUMENT, "options.struct_size"},
    {"abi_version", [](loam_options* o) { o->abi_version++; },
     LOAM_ABI_MISMATCH, "options.abi_version"},
    {"abi_layout", [](loam_options* o) { o->abi_layout ^= 1; },
     LOAM_ABI_MISMATCH, "abi_layout"},
    {"encoding_kind", [](loam_options* o) { Overwrite(&o->encoding.kind, 77); },
     LOAM_INVALID_ARGUMENT, "options.encoding.kind"},
    {"low_tag_mask_hole",
     [](loam_options* o) {
       o->encoding.kind = LOAM_ENCODING_LOW_TAG;
       o->encoding.low_tag_mask = 5;
     },
     LOAM_INVALID_ARGUMENT, "encoding.low_tag_mask"},
    {"low_tag_mask_large",
     [](loam_options* o) {
       o->encoding.kind = LOAM_ENCODING_LOW_TAG;
       o->encoding.low_tag_mask = 127;
     },
     LOAM_INVALID_ARGUMENT, "encoding.low_tag_mask"},
    {"nanbox_shift",
     [](loam_options* o) {
       o->encoding.kind = LOAM_ENCODING_NANBOX;
       o->encoding.nanbox_shift = 64;
       o->encoding.nanbox_payload_mask = 1;
     },
     LOAM_INVALID_ARGUMENT, "encoding.nanbox_shift"},
    {"nanbox_tags",
     [](loam_options* o) {
       o->encoding.kind = LOAM_ENCODING_NANBOX;
       o->encoding.nanbox_first_tag = 2;
       o->encoding.nanbox_last_tag = 1;
       o->encoding.nanbox_payload_mask = 1;
     },
     LOAM_INVALID_ARGUMENT, "first_tag"},
    {"nanbox_payload",
     [](loam_options* o) { o->encoding.kind = LOAM_ENCODING_NANBOX; },
     LOAM_INVALID_ARGUMENT, "encoding.nanbox_payload_mask"},
    {"decode_null",
     [](loam_options* o) { o->encoding.kind = LOAM_ENCODING_CALLBACK; },
     LOAM_INVALID_ARGUMENT, "encoding.decode"},
    {"decode_of_zero",
     [](loam_options* o) {
       o->encoding.kind = LOAM_ENCODING_CALLBACK;
       o->encoding.decode = [](loam_word word) -> uintptr_t {
         return word + 8;
       };
     },
     LOAM_INVALID_ARGUMENT, "encoding.decode"},
    {"policy", [](loam_options* o) { Overwrite(&o->policy, 9); },
     LOAM_INVALID_ARGUMENT, "options.policy"},
    {"fixed_without_size",
     [](loam_options* o) { o->policy = LOAM_POLICY_FIXED; },
     LOAM_INVALID_ARGUMENT, "fixed_heap_size"},
    {"heap_limit_small", [](loam_options* o) { o->heap_limit = 4096; },
     LOAM_INVALID_ARGUMENT, "heap_limit"},
    {"stress_probability",
     [](loam_options* o) { o->check.stress_probability = 1.5; },
     LOAM_INVALID_ARGUMENT, "stress_probability"},
    {"stress_probability_negative",
     [](loam_options* o) { o->check.stress_probability = -0.1; },
     LOAM_INVALID_ARGUMENT, "stress_probability"},
    {"raw_stores_checked",
     [](loam_options* o) {
       o->raw_stores = 1;
       o->check.check_stores = 1;
     },
     LOAM_INVALID_ARGUMENT, "check_stores"},
    {"arena_hint", [](loam_options* o) { o->arena_hint = uintptr_t{1} << 60; },
     LOAM_INVALID_ARGUMENT, "arena_hint"},
    {"trace", [](loam_options* o) { o->trace = 6; }, LOAM_INVALID_ARGUMENT,
     "options.trace"},
    {"workers", [](loam_options* o) { o->workers = 16; }, LOAM_INVALID_ARGUMENT,
     "options.workers must be at most 15"},
    {"platform",
     [](loam_options* o) {
       static const loam_platform platform = {};
       o->platform = &platform;
     },
     LOAM_INVALID_ARGUMENT, "options.platform"},
    {"platform_without_post",
     [](loam_options* o) {
       static loam_platform platform;
       loam_platform_init(&platform);
       o->platform = &platform;
     },
     LOAM_INVALID_ARGUMENT, "options.platform: has no function"},
    {"profile_rate",
     [](loam_options* o) { o->profile_rate = LOAM_PROFILE_RATE_MAX + 1; },
     LOAM_INVALID_ARGUMENT, "options.profile_rate"},
    {"profile_describe",
     [](loam_options* o) {
       o->profile.frames = [](loam_mutator*, loam_profile_frame*, size_t,
                              void*) -> size_t { return 0; };
     },
     LOAM_INVALID_ARGUMENT, "options.profile.describe"},
    {"profile_stacks",
     [](loam_options* o) {
       o->profile.stacks = static_cast<loam_profile_stacks>(2);
     },
     LOAM_INVALID_ARGUMENT, "options.profile.stacks"},
};

class BadOptionsTest : public testing::TestWithParam<BadOptions> {};

TEST_P(BadOptionsTest, AreRefused) {
  loam_options options = TestOptions();
  GetParam().spoil(&options);
  loam_heap* heap = nullptr;
  EXPECT_EQ(loam_heap_create(&options, &heap), GetParam().status);
  EXPECT_EQ(heap, nullptr);
  EXPECT_THAT(LastError(), AllOf(HasSubstr("loam_heap_create"),
                                 HasSubstr(GetParam().in_message)));
}

INSTANTIATE_TEST_SUITE_P(All, BadOptionsTest, testing::ValuesIn(kBadOptions),
                         [](const auto& info) { return info.param.name; });

TEST(HeapArgumentsTest, NullsAreNamed) {
  loam_options options = TestOptions();
  loam_heap* heap = nullptr;
  EXPECT_EQ(loam_heap_create(nullptr, &heap), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_create: options"));
  EXPECT_EQ(loam_heap_create(&options, nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_create: heap"));
  EXPECT_EQ(loam_heap_destroy(nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_destroy: heap"));
}

// ---- Environment variables --------------------------------------------------

struct BadVariable {
  const char* name;
  const char* value;
};
const BadVariable kBadVariables[] = {
    {"LOAM_GC_PERCENT", "fast"},
    {"LOAM_GC_PERCENT", "100001"},
    {"LOAM_WORKERS", "16"},
    {"LOAM_HUGE_PAGES", "yes"},
    {"LOAM_TRACE", "everything"},
    {"LOAM_MINIMUM_HEAP", "-1"},
    {"LOAM_MINIMUM_HEAP", "4X"},
    {"LOAM_FIXED_HEAP", "M"},
    {"LOAM_FIXED_HEAP", "1"},
    {"LOAM_HEAP_LIMIT", "12 M"},
    {"LOAM_HEAP_LIMIT", "0"},
    {"LOAM_HEAP_LIMIT", "99999999T"},
    {"LOAM_MEMORY_LIMIT", "all"},
    {"LOAM_STRESS", "often"},
    {"LOAM_STRESS", "5000000000"},
    {"LOAM_STRESS_PROBABILITY", "2"},
    {"LOAM_STRESS_PROBABILITY", "0.5x"},
    {"LOAM_STRESS_PROBABILITY", "nan"},
    {"LOAM_STRESS_SEED", "seed"},
    {"LOAM_POISON", "yes"},
    {"LOAM_VERIFY", "2"},
    {"LOAM_CHECK_STORES", "on"},
    {"LOAM_CHECK_THREADS", "true"},
    {"LOAM_CHECK_FOREIGN", "x"},
    {"LOAM_ABORT_ON_MISUSE", "01"},
};

class BadVariableTest : public testing::TestWithParam<BadVariable> {};

TEST_P(BadVariableTest, IsNamed) {
  ASSERT_EQ(setenv(GetParam().name, GetParam().value, 1), 0);
  loam_options options = TestOptions();
  loam_heap* heap = nullptr;
  EXPECT_EQ(loam_heap_create(&options, &heap), LOAM_INVALID_ARGUMENT)
      << GetParam().name << "=" << GetParam().value;
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_create"));
  // Values in the right form but out of range are told by the option's name.
  if (LastError().find("options.") == std::string::npos) {
    EXPECT_THAT(LastError(),
                AllOf(HasSubstr(GetParam().name), HasSubstr(GetParam().value)));
  }
  unsetenv(GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(All, BadVariableTest,
                         testing::ValuesIn(kBadVariables));

// ---- Setters ----------------------------------------------------------------

TEST(SetterTest, BadValuesAreRefused) {
  TestHeap heap;
  EXPECT_EQ(loam_heap_set_fixed_size(heap.heap(), 8 << 20), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_set_fixed_size: heap"));
  EXPECT_EQ(loam_heap_set_gc_percent(nullptr, 50), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_heap_set_heap_limit(nullptr, 50), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_heap_set_memory_limit(nullptr, 50), LOAM_INVALID_ARGUMENT);
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = 4 << 20;
  TestHeap fixed(options);
  EXPECT_EQ(loam_heap_set_fixed_size(fixed.heap(), 4096),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_set_fixed_size: bytes"));
}

TEST(SetterTest, StructSizesAreChecked) {
  TestHeap heap;
  loam_stats stats;
  stats.struct_size = 8;
  EXPECT_EQ(loam_heap_stats(heap.heap(), &stats), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_stats: stats->struct_size"));
  EXPECT_EQ(loam_heap_stats(heap.heap(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_heap_stats(nullptr, &stats), LOAM_INVALID_ARGUMENT);
  loam_jit_info info;
  info.struct_size = 8;
  EXPECT_EQ(loam_jit_info_get(&info), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("struct_size"));
  EXPECT_EQ(loam_jit_info_get(nullptr), LOAM_INVALID_ARGUMENT);
}

TEST(HeapMapArgumentsTest, AreChecked) {
  TestHeap heap;
  EXPECT_EQ(loam_heap_map_write(heap.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_map_write: path: is NULL"));
  EXPECT_STREQ(loam_status_name(LOAM_IO_ERROR), "LOAM_IO_ERROR");
}

// ---- Sizes ------------------------------------------------------------------

// NULL is out of memory and nothing else; a size that cannot be is that.
TEST(SizeTest, OverflowIsOutOfMemory) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* bytes =
      RegisterType(heap.types(), "tail of bytes", 8, {}, 0, 1);
  const loam_type* bare = RegisterType(heap.types(), "bare", 0, {}, 0, 1);
  const loam_type* records = RegisterType(heap.types(), "records", 16, {}, 0,
                                          24, {{"value", 0, 1, LOAM_VALUE}});
  const auto expect_refused = [&](const char* what, void* result) {
    EXPECT_EQ(result, nullptr) << what;
    EXPECT_THAT(std::string(loam_heap_last_error(heap.heap())),
                HasSubstr("out of memory"))
        << what;
    EXPECT_NE(LastError(), "") << what;
    // Nothing has become of it: the next message is a new one.
    (void)loam_heap_set_fixed_size(heap.heap(), 0);
  };
  for (const size_t n : {SIZE_MAX,         SIZE_MAX - 1,    SIZE_MAX - 7,
                         SIZE_MAX - 8,     SIZE_MAX - 9,    SIZE_MAX - 15,
                         SIZE_MAX - 16,    SIZE_MAX - 23,   SIZE_MAX - 24,
                         SIZE_MAX - 4096,  SIZE_MAX - 8192, SIZE_MAX / 2,
                         SIZE_MAX / 2 + 1, SIZE_MAX / 4,    SIZE_MAX / 8,
                         SIZE_MAX / 8 + 1, SIZE_MAX / 24,   SIZE_MAX / 24 + 1,
                         size_t{1} << 60,  size_t{1} << 47}) {
    SCOPED_TRACE(n);
    expect_refused("bytes", loam_alloc_bytes(m, n));
    expect_refused("try bytes", loam_try_alloc_bytes(m, n));
    expect_refused("slots", loam_alloc_slots(m, n));
    expect_refused("try slots", loam_try_alloc_slots(m, n));
    expect_refused("bitmap", loam_alloc_bitmap(m, n, nullptr, nullptr));
    expect_refused("ambiguous", loam_alloc_ambiguous(m, n));
    expect_refused("records", loam_alloc_array(m, records, n));
    expect_refused("try records", loam_try_alloc_array(m, records, n));
    expect_refused("tail of bytes", loam_alloc_array(m, bytes, n));
    expect_refused("try tail of bytes", loam_try_alloc_array(m, bytes, n));
    expect_refused("bare", loam_alloc_array(m, bare, n));
    expect_refused("resize", loam_resize_bytes(m, nullptr, 0, n));
    void* buffer = loam_alloc_bytes(m, 100);
    heap.kept = {buffer};
    expect_refused("resize", loam_resize_bytes(m, buffer, 100, n));
  }
  heap.ExpectSound();
  EXPECT_NE(loam_alloc_bytes(m, 10), nullptr);
}

// ---- Roots, handles, fibers -------------------------------------------------

TEST(RootArgumentsTest, AreChecked) {
  TestHeap heap;
  loam_word words[2] = {};
  loam_root* root = nullptr;
  EXPECT_EQ(loam_root_add(nullptr, words, LOAM_VALUE, nullptr, &root),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_add: heap"));
  EXPECT_EQ(loam_root_add(heap.heap(), nullptr, LOAM_VALUE, nullptr, &root),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_add: slot"));
  EXPECT_EQ(loam_root_add(heap.heap(), words, LOAM_VALUE, nullptr, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_add: root"));
  EXPECT_EQ(loam_root_add(heap.heap(), reinterpret_cast<char*>(words) + 4,
                          LOAM_VALUE, nullptr, &root),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_add: slot"));
  for (const loam_word_kind kind :
       {LOAM_DATA, LOAM_EPHEMERON_KEY, LOAM_EPHEMERON_VALUE}) {
    EXPECT_EQ(loam_root_add(heap.heap(), words, kind, nullptr, &root),
              LOAM_INVALID_ARGUMENT);
    EXPECT_THAT(LastError(), HasSubstr("loam_root_add: kind"));
  }
  void* object = loam_alloc_slots(heap.m(), 4);
  heap.kept = {object};
  EXPECT_EQ(loam_root_add(heap.heap(), object, LOAM_VALUE, nullptr, &root),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("outside"));
  EXPECT_EQ(
      loam_root_add_range(heap.heap(), nullptr, 2, LOAM_VALUE, nullptr, &root),
      LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_add_range"));
  EXPECT_EQ(
      loam_root_provider_add(heap.heap(), nullptr, nullptr, nullptr, &root),
      LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_provider_add: fn"));
  EXPECT_EQ(loam_mutator_root_provider_add(heap.m(), nullptr, nullptr, nullptr,
                                           &root),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_root_remove(nullptr), LOAM_INVALID_ARGUMENT);
  ASSERT_EQ(loam_root_add(heap.heap(), words, LOAM_VALUE, nullptr, &root),
            LOAM_OK);
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
  EXPECT_EQ(loam_root_remove(root), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_root_remove: root"));
}

TEST(RootArgumentsTest, GlobalsAndFibersAreChecked) {
  TestHeap heap;
  loam_global* global = nullptr;
  EXPECT_EQ(loam_global_create(heap.heap(), LOAM_DATA, 0, &global),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_global_create: kind"));
  EXPECT_EQ(loam_global_create(heap.heap(), LOAM_AMBIGUOUS, 0, &global),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_global_create(heap.heap(), LOAM_VALUE, 0, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_global_destroy(nullptr), LOAM_INVALID_ARGUMENT);
  ASSERT_EQ(loam_global_create(heap.heap(), LOAM_VALUE, 0, &global), LOAM_OK);
  EXPECT_EQ(loam_global_destroy(global), LOAM_OK);
  EXPECT_EQ(loam_global_destroy(global), LOAM_INVALID_ARGUMENT);

  loam_fiber* fiber = nullptr;
  int outside = 0;
  EXPECT_EQ(loam_fiber_create(heap.heap(), &outside, &fiber),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_fiber_create: owner"));
  EXPECT_EQ(loam_fiber_create(heap.heap(), nullptr, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_fiber_destroy(nullptr), LOAM_INVALID_ARGUMENT);
  ASSERT_EQ(loam_fiber_create(heap.heap(), nullptr, &fiber), LOAM_OK);
  loam_fiber_switch(heap.m(), fiber);
  EXPECT_EQ(loam_fiber_destroy(fiber), LOAM_WRONG_STATE);
  EXPECT_EQ(loam_mutator_detach(heap.m()), LOAM_WRONG_STATE);
  EXPECT_THAT(LastError(), HasSubstr("fiber"));
  loam_fiber_switch(heap.m(), nullptr);
  EXPECT_EQ(loam_fiber_destroy(fiber), LOAM_OK);
  EXPECT_EQ(loam_fiber_destroy(fiber), LOAM_INVALID_ARGUMENT);
}

TEST(CheckArgumentsTest, LevelsThatDoNotExistAreRefused) {
  TestHeap heap;
  EXPECT_EQ(loam_heap_check(heap.m(), static_cast<loam_check_level>(7), nullptr,
                            nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(LastError(), HasSubstr("loam_heap_check: level"));
}

}  // namespace
}  // namespace loam_test
