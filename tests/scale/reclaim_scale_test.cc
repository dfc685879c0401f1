// A heap of a gibibyte, full but for a stretch of dead objects that nobody has
// swept: a large object goes there, and the heap does not grow.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/random.h"

namespace loam_test {
namespace {

using std::chrono::steady_clock;

constexpr size_t kKiB = 1 << 10;
constexpr size_t kMiB = 1 << 20;
// Charged to the heap for a moment, to have it collect.
constexpr int64_t kExternalBytes = int64_t{1} << 40;

// LOAM_TEST_MEBIBYTES, or a heap that is filled in some seconds.
size_t HeapBytes() {
  const char* given = getenv("LOAM_TEST_MEBIBYTES");
  return (given != nullptr ? strtoull(given, nullptr, 10) : 256) * kMiB;
}

double Milliseconds(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start)
      .count();
}

// What a part of the heap is made of. The two kinds of parts share no span
// class, so that none of their spans has objects of both.
struct Mixture {
  const loam_type* type;
  // Of bytes and slots.
  std::initializer_list<size_t> small_sizes;
  std::initializer_list<size_t> large_sizes;
};

// Fills the heap by kinds and sizes at random.
class Filler {
 public:
  Filler(TestHeap* heap, uint64_t seed) : heap_(*heap), random_(seed) {}

  // Until spans have grown by `bytes`. What is allocated stays alive, or nobody
  // refers to it.
  void Fill(const Mixture& mixture, size_t bytes, bool alive) {
    const uint64_t end = heap_.Stats().span_bytes + bytes;
    while (heap_.Stats().span_bytes < end) {
      // About as much of each size, and a quarter in large objects.
      const auto& sizes =
          random_.OneIn(100) ? mixture.large_sizes : mixture.small_sizes;
      const size_t size = sizes.begin()[random_.Below(sizes.size())];
      for (size_t n = 0; n == 0 || n * size < 32 * kKiB; n++) {
        void* const object = Allocate(mixture, size);
        ASSERT_NE(object, nullptr) << loam_last_error();
        if (alive) Keep(object);
      }
    }
  }

 private:
  static constexpr size_t kTableSlots = 200;  // in no mixture

  void* Allocate(const Mixture& mixture, size_t size) {
    loam_mutator* const m = heap_.m();
    switch (random_.Below(3)) {
      case 0:
        if (size < 300) return loam_alloc(m, mixture.type);
        [[fallthrough]];
      case 1:
        return loam_alloc_slots(m, size / 8);
      default:
        return loam_alloc_bytes_unzeroed(m, size);
    }
  }
  void Keep(void* object) {
    if (heap_.kept.empty() || used_ == kTableSlots) {
      heap_.kept.push_back(object);  // A root while there is no table.
      void* const table = loam_alloc_slots(heap_.m(), kTableSlots);
      ASSERT_NE(table, nullptr);
      heap_.kept.back() = table;
      used_ = 0;
    }
    auto* const table = static_cast<loam_word*>(heap_.kept.back());
    loam_store_value(heap_.m(), table, &table[used_++],
                     reinterpret_cast<loam_word>(object));
  }

  TestHeap& heap_;
  Random random_;
  size_t used_ = 0;
};

// A cycle because the heap has reached its trigger: it leaves sweeping to those
// who allocate.
void CollectWithoutSweeping(const TestHeap& heap) {
  const uint64_t before = heap.Stats().cycles;
  loam_external_adjust(heap.m(), kExternalBytes);
  while (heap.Stats().cycles == before) {
    ASSERT_NE(loam_alloc_bytes(heap.m(), 16), nullptr);
  }
  loam_external_adjust(heap.m(), -kExternalBytes);
}

TEST(ReclaimScaleTest, ALargeObjectGoesWhereDeadOnesWere) {
  const size_t heap_bytes = HeapBytes();
  const size_t object_bytes = heap_bytes * 100 / 1024;
  const char* const given_seed = getenv("LOAM_TEST_SEED");
  const uint64_t seed =
      given_seed != nullptr
          ? strtoull(given_seed, nullptr, 10)
          : static_cast<uint64_t>(
                steady_clock::now().time_since_epoch().count());
  printf("LOAM_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 4 * heap_bytes;  // Not by itself.
  options.profile_rate = 0;  // What is sampled may need memory of its own.
  TestHeap heap(options);
  const Mixture alive = {RegisterNode(heap.types(), LOAM_TYPE_HOT),
                         {16, 48, 96, 192, 640, 1280, 4096, 10'240},
                         {40 * kKiB, 700 * kKiB, 3 * kMiB}};
  const Mixture dying = {
      RegisterType(heap.types(), "dying", 144,
                   {{"references", 0, 9, LOAM_POINTER}}, LOAM_TYPE_HOT),
      {32, 64, 128, 256, 512, 1024, 3072, 8192, 32 * kKiB},
      {33 * kKiB, 100 * kKiB, 2 * kMiB}};
  Filler filler(&heap, seed);
  const auto start = steady_clock::now();
  filler.Fill(alive, (heap_bytes - object_bytes) / 2, true);
  // The runs at its ends may be in a cache of the other part's.
  filler.Fill(dying, object_bytes + 8 * kMiB, false);
  filler.Fill(alive, (heap_bytes - object_bytes) / 2, true);
  const double fill_ms = Milliseconds(start);
  ASSERT_EQ(heap.Stats().cycles, 0u);
  CollectWithoutSweeping(heap);
  const loam_stats before = heap.Stats();
  ASSERT_EQ(before.cycles, 1u);
  ASSERT_LT(before.free_page_bytes, object_bytes) << "it would fit anyway";

  const auto began = steady_clock::now();
  void* const object = loam_alloc_bytes_unzeroed(heap.m(), object_bytes);
  const double ms = Milliseconds(began);
  ASSERT_NE(object, nullptr);
  const loam_stats after = heap.Stats();
  EXPECT_LE(after.committed_bytes, before.committed_bytes);
  EXPECT_EQ(after.cycles, 1u);
  const auto freed_pages = static_cast<double>(
      (before.span_bytes + object_bytes - after.span_bytes) / 8192);
  printf(
      "%.0f MiB in %llu spans, filled in %.0f ms, collected in %.1f ms (%.1f "
      "MiB alive)\nan object of %.0f MiB in %.2f ms: %.0f MiB swept, %llu "
      "spans "
      "freed (%.0f pages, %.0f per ms); committed %.1f MiB before, %.1f "
      "after\n",
      static_cast<double>(before.span_bytes) / kMiB,
      static_cast<unsigned long long>(before.spans), fill_ms,
      static_cast<double>(before.last_pause_ns) / 1e6,
      static_cast<double>(before.live_bytes) / kMiB,
      static_cast<double>(object_bytes) / kMiB, ms,
      static_cast<double>(after.swept_bytes - before.swept_bytes) / kMiB,
      static_cast<unsigned long long>(after.freed_spans - before.freed_spans),
      freed_pages, freed_pages / ms,
      static_cast<double>(before.committed_bytes) / kMiB,
      static_cast<double>(after.committed_bytes) / kMiB);
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
