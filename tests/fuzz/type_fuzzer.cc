// Types with any layout, possible or not: registration either refuses them with
// a message, or their objects keep alive exactly what their slots refer to.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "api/loam.h"
#include "tests/support/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace loam_test {
namespace {

constexpr size_t kMaxFields = 4;
constexpr size_t kElements = 5;

#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, \
              #condition, loam_last_error());                         \
      abort();                                                        \
    }                                                                 \
  } while (0)

// Mostly small and aligned; at times anything.
uint32_t Number(Random* random) {
  const uint32_t number = static_cast<uint32_t>(random->Next());
  switch (random->Below(8)) {
    case 0:
      return number;
    case 1:
      return UINT32_MAX - number;
    default:
      return number % 16 * 8;
  }
}

struct GivenFields {
  loam_field fields[kMaxFields];
  size_t count;
};

GivenFields Fields(Random* random) {
  GivenFields given = {};
  given.count = random->Below(kMaxFields + 1);
  for (size_t i = 0; i < given.count; i++) {
    given.fields[i] = {random->Percent(50) ? "field" : nullptr, Number(random),
                       random->OneIn(4) ? Number(random) : 1,
                       static_cast<loam_word_kind>(random->Below(10))};
  }
  return given;
}

// The offsets of slots that hold plain addresses.
std::vector<size_t> PointerOffsets(const loam_type_info& info,
                                   const GivenFields& fields,
                                   const GivenFields& element_fields,
                                   size_t elements) {
  std::vector<size_t> offsets;
  const auto add = [&](const GivenFields& given, size_t base) {
    for (size_t i = 0; i < given.count; i++) {
      const loam_field& field = given.fields[i];
      if (field.kind != LOAM_POINTER) continue;
      for (size_t w = 0; w < field.count; w++) {
        offsets.push_back(base + field.offset + w * sizeof(loam_word));
      }
    }
  };
  add(fields, 0);
  for (size_t e = 0; e < elements; e++) {
    add(element_fields, info.size + e * info.element_size);
  }
  return offsets;
}

void RegisterAndUse(loam_heap* heap, loam_mutator* m, Random* random) {
  const GivenFields fields = Fields(random);
  const GivenFields element_fields = Fields(random);
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "fuzzed";
  info.size = Number(random);
  info.alignment = random->OneIn(4) ? Number(random) : 0;
  info.fields = fields.fields;
  info.field_count = fields.count;
  info.element_size = random->Percent(50) ? Number(random) : 0;
  if (info.element_size != 0 || random->OneIn(8)) {
    info.element_fields = element_fields.fields;
    info.element_field_count = element_fields.count;
  }
  info.flags = random->OneIn(4) ? LOAM_TYPE_HOT : 0;
  const loam_type* type = nullptr;
  if (loam_type_register(loam_heap_types(heap), &info, &type) != LOAM_OK) {
    REQUIRE(loam_last_error()[0] != '\0' && type == nullptr);
    return;
  }
  const size_t elements = info.element_size == 0 ? 0 : kElements;
  if (info.size + elements * info.element_size > (1 << 20)) return;

  LOAM_FRAME(m, f, 2, LOAM_POINTER);
  auto* object = static_cast<char*>(loam_alloc_array(m, type, elements));
  REQUIRE(object != nullptr);
  f.slots[0] = reinterpret_cast<loam_word>(object);
  REQUIRE(loam_type_of(heap, object) == type);
  REQUIRE(info.alignment == 0 || f.slots[0] % info.alignment == 0);
  const std::vector<size_t> slots =
      PointerOffsets(info, fields, element_fields, elements);
  for (const size_t offset : slots) {
    auto* target = static_cast<loam_word*>(loam_alloc_bytes(m, 64));
    REQUIRE(target != nullptr);
    *target = offset;
    loam_store_pointer(m, object, object + offset, target);
  }
  REQUIRE(loam_collect(m, LOAM_COLLECT_FULL) == LOAM_OK);
  for (const size_t offset : slots) {
    loam_word* target;
    memcpy(&target, object + offset, sizeof(target));
    REQUIRE(loam_is_live_object(heap, target) != 0 && *target == offset);
  }
  LOAM_FRAME_END(f);
  REQUIRE(loam_collect(m, LOAM_COLLECT_FULL) == LOAM_OK);
  loam_stats stats;
  stats.struct_size = sizeof(stats);
  REQUIRE(loam_heap_stats(heap, &stats) == LOAM_OK);
  REQUIRE(stats.live_objects == 0);
}

}  // namespace
}  // namespace loam_test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  loam_options options;
  loam_options_init(&options);
  options.name = "fuzzed";
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  options.check.check_stores = 1;
  options.check.poison = 1;
  loam_heap* heap = nullptr;
  REQUIRE(loam_heap_create(&options, &heap) == LOAM_OK);
  loam_mutator* m = nullptr;
  REQUIRE(loam_mutator_attach(heap, "fuzzer", &m) == LOAM_OK);
  loam_test::Random random(0, bytes, size);
  for (int types = 0; types < 8; types++) {
    loam_test::RegisterAndUse(heap, m, &random);
  }
  REQUIRE(loam_mutator_detach(m) == LOAM_OK);
  REQUIRE(loam_heap_destroy(heap) == LOAM_OK);
  return 0;
}
