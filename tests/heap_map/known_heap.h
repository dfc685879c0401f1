// A heap whose content is known, for tests of its map: every kind of span, two
// arenas, free and released pages.

#ifndef LOAM_TESTS_HEAP_MAP_KNOWN_HEAP_H_
#define LOAM_TESTS_HEAP_MAP_KNOWN_HEAP_H_

#include <cstring>
#include <vector>

#include "tests/api/test_heap.h"

namespace loam_test {

// What no page may take for its own text; the end is no UTF-8.
inline constexpr char kHostileName[] =
    "</script><b>\"\\'&amp;\xe2\x80\xa8\xe2\x80\xa9\n<!-- \xc3\xa9 \xff\xc0";

class KnownHeap : public TestHeap {
 public:
  static constexpr size_t kNodes = 5000;
  static constexpr size_t kHostile = 100;
  static constexpr size_t kRare = 3;
  static constexpr size_t kLeaves = 7;
  static constexpr size_t kResources = 4;
  static constexpr size_t kByteCells = 256;  // of 64 bytes: two pages
  static constexpr size_t kSlotCells = 10;
  static constexpr size_t kBitmapCells = 5;
  static constexpr size_t kSmallLargeBytes = 100 << 10;
  // Longer than the rest of an arena, whatever is in it: ends in the next.
  static constexpr size_t kHugeBytes = 66 << 20;

  explicit KnownHeap(const loam_options& options = TestOptions())
      : TestHeap(options) {
    node = RegisterNode(types(), LOAM_TYPE_HOT);
    hostile = RegisterType(types(), kHostileName, 24,
                           {{"link", 0, 1, LOAM_POINTER}}, LOAM_TYPE_HOT);
    rare = RegisterType(types(), "rare", 40, {{"link", 0, 1, LOAM_POINTER}});
    leaf = RegisterType(types(), "leaf", 16);
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "resource";
    info.size = 24;
    info.dispose = [](void*, size_t) {};
    EXPECT_EQ(loam_type_register(types(), &info, &resource), LOAM_OK);
    // Something to free: one object of 10 MiB, below everything else.
    void* hole = loam_alloc_bytes(m(), 10 << 20);
    EXPECT_NE(hole, nullptr);
    kept = {hole};
    for (size_t i = 0; i < kNodes; i++) Keep(loam_alloc(m(), node));
    for (size_t i = 0; i < kHostile; i++) Keep(loam_alloc(m(), hostile));
    for (size_t i = 0; i < kRare; i++) Keep(loam_alloc(m(), rare));
    for (size_t i = 0; i < kLeaves; i++) Keep(loam_alloc(m(), leaf));
    for (size_t i = 0; i < kResources; i++) Keep(loam_alloc(m(), resource));
    for (size_t i = 0; i < kByteCells; i++) Keep(loam_alloc_bytes(m(), 64));
    for (size_t i = 0; i < kSlotCells; i++) Keep(loam_alloc_slots(m(), 4));
    const uint64_t first_word = 1;
    for (size_t i = 0; i < kBitmapCells; i++) {
      Keep(loam_alloc_bitmap(m(), 48, &first_word, nullptr));
    }
    large = Keep(loam_alloc_bytes(m(), kSmallLargeBytes));
    huge = Keep(loam_alloc_bytes_unzeroed(m(), kHugeBytes));
    kept.erase(kept.begin());
    Collect();
    loam_heap_release_memory(heap());
    // And again, so that some pages are free and committed.
    kept.push_back(loam_alloc_bytes(m(), 3 << 20));
    EXPECT_NE(kept.back(), nullptr);
    kept.pop_back();
    Collect();
  }

  // Starts a collection without sweeping all that it has marked.
  void CollectByTrigger() const {
    const uint64_t cycles = Stats().cycles;
    while (Stats().cycles == cycles) {
      ASSERT_NE(loam_alloc_slots(m(), 200), nullptr);
    }
  }

  const loam_type *node, *hostile, *rare, *leaf, *resource;
  void *large, *huge;

 private:
  void* Keep(void* object) {
    EXPECT_NE(object, nullptr);
    kept.push_back(object);
    return object;
  }
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MAP_KNOWN_HEAP_H_
