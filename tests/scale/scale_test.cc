// What many types, many mutators and many heaps cost.

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "gtest/gtest.h"
#include "tests/support/count_threads.h"
#include "tests/support/resident_memory.h"

namespace loam_test {
namespace {

constexpr size_t kMiB = 1 << 20;

size_t CountLines(const char* path) {
  FILE* in = fopen(path, "r");
  size_t lines = 0;
  for (int c = fgetc(in); c != EOF; c = fgetc(in)) lines += c == '\n';
  fclose(in);
  return lines;
}

const loam_type* Register(loam_type_set* set, const char* name, size_t size,
                          loam_word_kind kind) {
  const loam_field field = {"reference", 0, 1, kind};
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = name;
  info.size = size;
  info.fields = &field;
  info.field_count = 1;
  const loam_type* type = nullptr;
  EXPECT_EQ(loam_type_register(set, &info, &type), LOAM_OK)
      << loam_last_error();
  return type;
}

TEST(Scale, FiveThousandTypesOnSixteenMutators) {
  constexpr int kTypes = 5000;
  constexpr int kMutators = 16;
  constexpr int kRounds = 6;
  const size_t before = ResidentBytes();
  loam_options options;
  loam_options_init(&options);
  loam_heap* heap = nullptr;
  ASSERT_EQ(loam_heap_create(&options, &heap), LOAM_OK);
  std::vector<const loam_type*> types;
  for (int i = 0; i < kTypes; i++) {
    types.push_back(Register(loam_heap_types(heap),
                             ("type " + std::to_string(i)).c_str(),
                             16 + 8 * (i % 20), LOAM_POINTER));
  }
  std::vector<std::thread> threads;
  std::vector<size_t> largest(kMutators, 0);
  for (int t = 0; t < kMutators; t++) {
    threads.emplace_back([&, t] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap, "mutator", &m), LOAM_OK);
      LOAM_FRAME(m, kept, 8, LOAM_POINTER);
      for (int round = 0; round < kRounds; round++) {
        for (int i = 0; i < kTypes; i++) {
          // Every type a little; a few, that differ between the threads, enough
          // to earn typed spans.
          const int count = i % 500 == t ? 3000 : 3;
          for (int k = 0; k < count; k++) {
            void* object = loam_alloc(m, types[i]);
            ASSERT_NE(object, nullptr);
            if (k == 0) kept.slots[i % 8] = reinterpret_cast<loam_word>(object);
          }
        }
        largest[t] = std::max(largest[t], ResidentBytes());
      }
      LOAM_FRAME_END(kept);
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
    });
  }
  for (std::thread& thread : threads) thread.join();
  size_t resident = 0;
  for (const size_t each : largest) resident = std::max(resident, each);
  loam_stats stats = {};
  stats.struct_size = sizeof(stats);
  ASSERT_EQ(loam_heap_stats(heap, &stats), LOAM_OK);
  printf(
      "%d types x %d mutators: %.1f MiB resident, %.1f MiB committed (%.1f "
      "MiB metadata), %llu cycles, %llu types with typed spans\n",
      kTypes, kMutators, static_cast<double>(resident - before) / kMiB,
      static_cast<double>(stats.peak_committed_bytes) / kMiB,
      static_cast<double>(stats.metadata_bytes) / kMiB,
      static_cast<unsigned long long>(stats.cycles),
      static_cast<unsigned long long>(stats.types_with_typed_spans));
  EXPECT_GT(stats.cycles, 0u);
  EXPECT_GT(stats.types_with_typed_spans, 0u);
  EXPECT_LE(resident - before, 64 * kMiB);
  ASSERT_EQ(loam_heap_destroy(heap), LOAM_OK);
}

// A list of values, one link per object, checked to its end.
void BuildAndCheckLists(loam_heap* heap, const loam_type* link,
                        loam_word (*encode)(void*),
                        void* (*decode)(loam_word)) {
  loam_mutator* m = nullptr;
  ASSERT_EQ(loam_mutator_attach(heap, "lists", &m), LOAM_OK);
  for (int round = 0; round < 20; round++) {
    LOAM_FRAME(m, f, 1, LOAM_VALUE);
    constexpr int kLinks = 20000;
    for (int i = 0; i < kLinks; i++) {
      auto* object = static_cast<loam_word*>(loam_alloc(m, link));
      ASSERT_NE(object, nullptr);
      loam_store_value_init(m, object, &object[0], f.slots[0]);
      object[1] = i;
      f.slots[0] = encode(object);
    }
    ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
    int expected = kLinks;
    for (auto* at = static_cast<loam_word*>(decode(f.slots[0])); at != nullptr;
         at = static_cast<loam_word*>(decode(at[0]))) {
      ASSERT_EQ(at[1], static_cast<loam_word>(--expected));
    }
    ASSERT_EQ(expected, 0);
    LOAM_FRAME_END(f);
  }
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
}

TEST(Scale, TwoHeapsWithDifferentEncodingsOnDifferentThreads) {
  loam_options tagged;
  loam_options_init(&tagged);
  tagged.name = "tagged";
  tagged.encoding.kind = LOAM_ENCODING_LOW_TAG;
  tagged.encoding.low_tag_mask = 7;
  tagged.encoding.low_tag_references = uint64_t{1} << 5;
  loam_options boxed;
  loam_options_init(&boxed);
  boxed.name = "boxed";
  boxed.encoding.kind = LOAM_ENCODING_NANBOX;
  boxed.encoding.nanbox_shift = 48;
  boxed.encoding.nanbox_first_tag = 0xfffc;
  boxed.encoding.nanbox_last_tag = 0xfffd;
  boxed.encoding.nanbox_payload_mask = 0xffffffffffff;
  loam_heap* tagged_heap = nullptr;
  loam_heap* boxed_heap = nullptr;
  ASSERT_EQ(loam_heap_create(&tagged, &tagged_heap), LOAM_OK);
  ASSERT_EQ(loam_heap_create(&boxed, &boxed_heap), LOAM_OK);
  std::thread one([&] {
    BuildAndCheckLists(
        tagged_heap,
        Register(loam_heap_types(tagged_heap), "link", 16, LOAM_VALUE),
        [](void* p) { return reinterpret_cast<loam_word>(p) | 5; },
        [](loam_word w) {
          return reinterpret_cast<void*>((w & 7) == 5 ? w - 5 : 0);
        });
  });
  std::thread other([&] {
    BuildAndCheckLists(
        boxed_heap,
        Register(loam_heap_types(boxed_heap), "link", 16, LOAM_VALUE),
        [](void* p) {
          return reinterpret_cast<loam_word>(p) | (loam_word{0xfffc} << 48);
        },
        [](loam_word w) { return reinterpret_cast<void*>(w << 16 >> 16); });
  });
  one.join();
  other.join();
  ASSERT_EQ(loam_heap_destroy(tagged_heap), LOAM_OK);
  ASSERT_EQ(loam_heap_destroy(boxed_heap), LOAM_OK);
}

TEST(Scale, AThousandHeapsSharingATypeSet) {
  constexpr size_t kHeaps = 1000;
  loam_type_set* set = nullptr;
  ASSERT_EQ(loam_type_set_create(&set), LOAM_OK);
  const loam_type* type = Register(set, "pair", 32, LOAM_POINTER);
  const size_t resident = ResidentBytes();
  const size_t mappings = CountLines("/proc/self/maps");
  const size_t threads = CountThreads();
  std::vector<loam_heap*> heaps(kHeaps);
  std::vector<loam_mutator*> mutators(kHeaps);
  loam_options options;
  loam_options_init(&options);
  options.types = set;
  for (size_t i = 0; i < kHeaps; i++) {
    ASSERT_EQ(loam_heap_create(&options, &heaps[i]), LOAM_OK)
        << loam_last_error();
    ASSERT_EQ(loam_mutator_attach(heaps[i], "idle", &mutators[i]), LOAM_OK);
    for (size_t k = 0; k < 100; k++) {
      ASSERT_NE(loam_alloc(mutators[i], type), nullptr);
      ASSERT_NE(loam_alloc_bytes(mutators[i], k * 10), nullptr);
      ASSERT_NE(loam_alloc_slots(mutators[i], k % 10), nullptr);
    }
    if (i % 2 == 0) {
      ASSERT_EQ(loam_collect(mutators[i], LOAM_COLLECT_FULL), LOAM_OK);
    }
  }
  const size_t each = (ResidentBytes() - resident) / kHeaps;
  printf("%zu heaps: %zu KiB resident each, %zu threads more\n", kHeaps,
         each >> 10, CountThreads() - threads);
  EXPECT_LE(each, size_t{256} << 10);
  EXPECT_EQ(CountThreads(), threads);
  for (size_t i = 0; i < kHeaps; i++) {
    ASSERT_EQ(loam_mutator_detach(mutators[i]), LOAM_OK);
    ASSERT_EQ(loam_heap_destroy(heaps[i]), LOAM_OK);
  }
  // Nothing left: what remains is this test's own.
  EXPECT_LE(CountLines("/proc/self/maps"), mappings + 2);
  EXPECT_LE(ResidentBytes(), resident + 2 * kMiB);
  EXPECT_EQ(loam_type_set_destroy(set), LOAM_OK);
}

}  // namespace
}  // namespace loam_test
