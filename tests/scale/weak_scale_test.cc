// Marking takes time in proportion to what there is to mark, also where
// ephemerons and weak maps lead from one object to the next: four times as many
// may take eight times as long, and not sixteen, as by a pass for each.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

constexpr size_t kCount = 200'000;
constexpr double kLimit = 8;

// The quickest of several: what else the machine does takes only more.
uint64_t MarkNanoseconds(const TestHeap& heap, uint64_t objects) {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  for (int i = 0; i < 15; i++) {
    const uint64_t before = heap.Stats().total_mark_ns;
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, objects);
    least = std::min(least, heap.Stats().total_mark_ns - before);
  }
  return least;
}

template <typename Mark>
void ExpectInProportion(Mark mark) {
  const uint64_t few = mark(kCount);
  const uint64_t many = mark(4 * kCount);
  const double ratio = static_cast<double>(many) / static_cast<double>(few);
  printf("%.2f ms, four times as many %.2f ms: %.1f times as long\n",
         static_cast<double>(few) / 1e6, static_cast<double>(many) / 1e6,
         ratio);
  EXPECT_LE(ratio, kLimit);
}

// A pass over the records in their order finds one more of them each time.
TEST(WeakScaleTest, ABackwardChainOfEphemerons) {
  struct Record {
    loam_word key;
    loam_word value;
  };
  ExpectInProportion([](size_t count) {
    TestHeap heap;
    const loam_type* type =
        RegisterType(heap.types(), "records", 0, {}, 0, sizeof(Record),
                     {LOAM_FIELD(Record, key, LOAM_EPHEMERON_KEY),
                      LOAM_FIELD(Record, value, LOAM_EPHEMERON_VALUE)});
    const loam_type* key = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    auto* records =
        static_cast<Record*>(loam_alloc_array(heap.m(), type, count));
    heap.kept = {records};
    // The first key is in the last record. For now all are kept.
    heap.kept.push_back(NewNode(heap.m(), key, 0));
    const auto object_word = [&](size_t i) {
      return reinterpret_cast<loam_word>(heap.kept[i]);
    };
    for (size_t i = 0; i < count; i++) {
      heap.kept.push_back(NewNode(heap.m(), key, i + 1));
      Record& record = records[count - 1 - i];
      loam_store_weak(heap.m(), records, &record.key, object_word(i + 1));
      loam_store_weak(heap.m(), records, &record.value, object_word(i + 2));
    }
    heap.kept.resize(2);
    return MarkNanoseconds(heap, count + 2);
  });
}

// Each value is the key of the one before: keys are found in the order opposite
// to that in which they were set.
TEST(WeakScaleTest, ABackwardChainInAWeakMap) {
  ExpectInProportion([](size_t count) {
    TestHeap heap;
    const loam_type* key = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    void* map = loam_weak_map_new(heap.m());
    heap.kept = {map};
    heap.kept.push_back(NewNode(heap.m(), key, 0));
    for (size_t i = 0; i < count; i++) {
      void* next = NewNode(heap.m(), key, i + 1);
      void* last = heap.kept[1];
      heap.kept[1] = next;
      EXPECT_EQ(
          loam_weak_map_set(heap.m(), map, reinterpret_cast<loam_word>(next),
                            reinterpret_cast<loam_word>(last)),
          LOAM_OK);
    }
    heap.Collect();
    EXPECT_EQ(loam_weak_map_count(heap.m(), map), count);
    // The map, and what it consists of.
    const uint64_t own = heap.Stats().live_objects - (count + 1);
    EXPECT_LE(own, 3u);
    return MarkNanoseconds(heap, count + 1 + own);
  });
}

// Many maps, each of which has a key that only the one before it has as a
// value.
TEST(WeakScaleTest, AChainThroughManyWeakMaps) {
  ExpectInProportion([](size_t count) {
    const size_t maps = count / 50;
    TestHeap heap;
    const loam_type* key = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    heap.kept = {NewNode(heap.m(), key, 0)};
    for (size_t i = 0; i < maps; i++) {
      void* map = loam_weak_map_new(heap.m());
      heap.kept.push_back(map);
      void* next = NewNode(heap.m(), key, i + 1);
      void* last = heap.kept[0];
      heap.kept[0] = next;
      EXPECT_EQ(
          loam_weak_map_set(heap.m(), map, reinterpret_cast<loam_word>(next),
                            reinterpret_cast<loam_word>(last)),
          LOAM_OK);
    }
    heap.Collect();
    const uint64_t objects = heap.Stats().live_objects;
    EXPECT_GE(objects, 2 * maps + 1);
    return MarkNanoseconds(heap, objects);
  });
}

}  // namespace
}  // namespace loam_test
