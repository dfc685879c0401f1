// What an allocation promises: alignment, zeroed memory, sizes, identity.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

size_t AlignmentOf(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return address & -address;
}

// ---- Alignment --------------------------------------------------------------

TEST(AllocationTest, SixteenBytesAndMoreAreAlignedToSixteen) {
  TestHeap heap;
  const loam_type* array = RegisterType(heap.types(), "array", 0, {}, 0, 8,
                                        {{"v", 0, 1, LOAM_VALUE}});
  for (size_t size = 1; size < 5000; size += size < 300 ? 1 : 37) {
    const size_t least = size >= 16 ? 16 : 8;
    const size_t words = (size + 7) / 8;
    const size_t words_least = words >= 2 ? 16 : 8;
    for (int i = 0; i < 3; i++) {
      if (size >= 16) {
        ASSERT_GE(AlignmentOf(loam_alloc_bytes(heap.m(), size)), least) << size;
      }
      ASSERT_GE(AlignmentOf(loam_alloc_slots(heap.m(), words)), words_least);
      ASSERT_GE(AlignmentOf(loam_alloc_array(heap.m(), array, words)), least);
      ASSERT_GE(AlignmentOf(loam_alloc_ambiguous(heap.m(), words)), least);
      ASSERT_GE(
          AlignmentOf(loam_alloc_bitmap(heap.m(), size, nullptr, nullptr)),
          least)
          << size;
      loam_type_info info = LOAM_TYPE_INFO_INIT;
      info.size = size;
      info.flags = i == 0 ? LOAM_TYPE_HOT : 0;
      const loam_type* type;
      ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
      ASSERT_GE(AlignmentOf(loam_alloc(heap.m(), type)), least) << size;
    }
  }
}

// Tiny objects are packed: aligned as far as a C object of their size could
// ask.
TEST(AllocationTest, TinyBytesAreAlignedToTheirSize) {
  TestHeap heap;
  for (int i = 0; i < 100; i++) {
    for (const size_t size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15}) {
      const size_t natural = size & -size;
      ASSERT_GE(AlignmentOf(loam_alloc_bytes(heap.m(), size)),
                std::min<size_t>(natural, 8));
    }
  }
}

TEST(AllocationTest, TypesAreAlignedAsTheyAsk) {
  TestHeap heap;
  for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    for (const size_t size : {1, 8, 24, 100, 700, 4096, 5000, 40000}) {
      for (const uint32_t flags : {uint32_t{0}, uint32_t{LOAM_TYPE_HOT}}) {
        for (const size_t element_size : {0, 12}) {
          loam_type_info info = LOAM_TYPE_INFO_INIT;
          info.size = size;
          info.alignment = alignment;
          info.flags = flags;
          info.element_size = element_size;
          const loam_type* type;
          ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
          for (size_t i = 0; i < 5; i++) {
            void* p = element_size == 0
                          ? loam_alloc(heap.m(), type)
                          : loam_alloc_array(heap.m(), type, i * 7);
            ASSERT_NE(p, nullptr);
            ASSERT_GE(AlignmentOf(p), alignment) << size << " bytes";
          }
        }
      }
    }
  }
}

// ---- Zeroed memory ----------------------------------------------------------

// Every kind of allocation, by number.
constexpr int kKinds = 11;
void* Allocate(TestHeap* heap, const std::vector<const loam_type*>& types,
               int kind, size_t n) {
  loam_mutator* m = heap->m();
  switch (kind) {
    case 0:
      return loam_alloc_bytes(m, n);
    case 1:
      return loam_alloc_slots(m, n / 8);
    case 2:
      return loam_alloc_bitmap(m, n, nullptr, nullptr);
    case 3:
      return loam_alloc_ambiguous(m, n / 8);
    case 4:
    case 5:
    case 6:
      return loam_alloc(m, types[static_cast<size_t>(kind - 4)]);
    case 7:
      return loam_alloc_array(m, types[3], n / 24);
    case 8:
      return loam_try_alloc_bytes(m, n);
    case 9: {
      void* many[5] = {};
      return loam_alloc_many(m, types[0], 5, many) == 0 ? nullptr : many[4];
    }
    default:
      return loam_resize_bytes(m, nullptr, 0, n);
  }
}

TEST(AllocationTest, MemoryIsZeroedWhateverWasThereBefore) {
  TestHeap heap;
  const std::vector<const loam_type*> types = {
      RegisterNode(heap.types(), LOAM_TYPE_HOT),
      RegisterType(heap.types(), "noscan", 300),
      RegisterType(heap.types(), "rare", 96, {{"p", 0, 3, LOAM_POINTER}}),
      RegisterType(heap.types(), "table", 8, {}, 0, 24,
                   {{"v", 0, 1, LOAM_VALUE}})};
  uint64_t checked = 0;
  for (int round = 0; round < 30; round++) {
    for (int i = 0; i < 4000; i++) {
      const int kind = i % kKinds;
      const size_t n = i % 997 == 0 ? 150000 : 1 + (i * 7919) % 700;
      auto* p = static_cast<unsigned char*>(Allocate(&heap, types, kind, n));
      if (p == nullptr) continue;
      // Tiny objects have neighbours; a large bitmap object its bitmaps.
      const size_t size = (n < 16 && (kind == 0 || kind == 8 || kind == 10)) ||
                                  (n > 512 && kind == 2)
                              ? n
                              : loam_object_size(heap.heap(), p);
      ASSERT_TRUE(p[0] == 0 && memcmp(p, p + 1, size - 1) == 0)
          << "kind " << kind << ", " << n << " bytes";
      checked += size;
      // Garbage, with nobody to see it: no object is kept over a safepoint.
      memset(p, 0x5a, size);
      if (kind == 4 || kind == 6 || kind == 7 || kind == 1 || kind == 9) {
        memset(p, 0x5b, size);
      }
    }
  }
  EXPECT_GT(heap.Stats().cycles, 3u);
  EXPECT_GT(checked, 1u << 20);
}

// ---- Sizes and identity -----------------------------------------------------

TEST(AllocationTest, ObjectsHaveRoomForWhatWasAsked) {
  TestHeap heap;
  for (size_t n = 0; n < 200000; n = n * 5 / 4 + 1) {
    void* p = loam_alloc_bytes(heap.m(), n);
    const size_t size = loam_object_size(heap.heap(), p);
    EXPECT_GE(size, n);
    // About an eighth for rounding, a page for large objects.
    EXPECT_LE(size, n + n / 6 + (n > 32768 ? 8192 : 16)) << n;
  }
}

// loam_object_size says what the embedder may write; the bits that say where an
// untyped object's references are must not be among it.
TEST(AllocationTest, AllBytesOfABitmapObjectAreTheEmbedders) {
  TestHeap heap;
  for (const size_t size : {100, 512, 520, 600, 5000, 32000, 100000}) {
    std::vector<uint64_t> pointers(size / 512 + 1);
    pointers[0] = 1;
    auto* object = static_cast<char*>(
        loam_alloc_bitmap(heap.m(), size, pointers.data(), nullptr));
    heap.kept = {object};
    void* target = loam_alloc_bytes(heap.m(), 48);
    loam_store_pointer(heap.m(), object, object, target);
    memset(object + 8, 0, loam_object_size(heap.heap(), object) - 8);
    heap.Collect();
    EXPECT_TRUE(loam_is_live_object(heap.heap(), target)) << size;
    EXPECT_EQ(heap.Stats().live_objects, 2u) << size;
  }
}

TEST(AllocationTest, EveryAddressInsideFindsItsObject) {
  TestHeap heap;
  const loam_type* node = RegisterNode(heap.types());
  const loam_type* table = RegisterType(heap.types(), "table", 8, {}, 0, 24,
                                        {{"v", 0, 1, LOAM_VALUE}});
  const std::pair<void*, const loam_type*> objects[] = {
      {loam_alloc(heap.m(), node), node},
      {loam_alloc_array(heap.m(), table, 7), table},
      {loam_alloc_array(heap.m(), table, 9000), table},
      {loam_alloc_slots(heap.m(), 9), nullptr},
      {loam_alloc_bytes(heap.m(), 77), nullptr},
      {loam_alloc_ambiguous(heap.m(), 10), nullptr},
      {loam_alloc_bitmap(heap.m(), 100, nullptr, nullptr), nullptr},
      {loam_alloc_bitmap(heap.m(), 1000, nullptr, nullptr), nullptr},
      {loam_alloc_bitmap(heap.m(), 100000, nullptr, nullptr), nullptr},
      {loam_alloc_ambiguous(heap.m(), 10000), nullptr},
  };
  for (const auto& [object, type] : objects) {
    ASSERT_NE(object, nullptr);
    const size_t size = loam_object_size(heap.heap(), object);
    for (size_t i = 0; i < size; i += size > 5000 ? 501 : 1) {
      const void* interior = static_cast<char*>(object) + i;
      ASSERT_EQ(loam_object_base(heap.heap(), interior), object);
      ASSERT_EQ(loam_object_size(heap.heap(), interior), size);
      ASSERT_EQ(loam_type_of(heap.heap(), interior), type);
      ASSERT_TRUE(loam_is_live_object(heap.heap(), interior));
    }
  }
}

TEST(AllocationTest, AddressesOutsideFindNothing) {
  TestHeap heap;
  TestHeap other;
  void* in_other = loam_alloc_bytes(other.m(), 100);
  int local = 0;
  static int global;
  void* dead = loam_alloc_bytes(heap.m(), 100000);
  heap.Collect();
  for (const void* p : std::initializer_list<const void*>{
           nullptr, &local, &global, in_other, dead,
           reinterpret_cast<void*>(UINTPTR_MAX),
           reinterpret_cast<void*>(uintptr_t{1} << 47),
           reinterpret_cast<void*>(uintptr_t{1} << 63)}) {
    EXPECT_EQ(loam_object_base(heap.heap(), p), nullptr) << p;
    EXPECT_EQ(loam_object_size(heap.heap(), p), 0u) << p;
    EXPECT_EQ(loam_type_of(heap.heap(), p), nullptr) << p;
    EXPECT_FALSE(loam_is_live_object(heap.heap(), p)) << p;
  }
}

// A reference to the end of an array without elements keeps it.
TEST(AllocationTest, TheAddressPastAnEmptyTailBelongsToItsObject) {
  TestHeap heap;
  for (size_t prefix = 0; prefix <= 70000; prefix = prefix * 3 / 2 + 8) {
    const size_t size = prefix / 8 * 8;
    const loam_type* type = RegisterType(heap.types(), "tail", size, {}, 0, 8,
                                         {{"v", 0, 1, LOAM_VALUE}});
    void* object = loam_alloc_array(heap.m(), type, 0);
    void* neighbour = loam_alloc_array(heap.m(), type, 0);
    (void)neighbour;
    ASSERT_NE(object, nullptr);
    void* end = static_cast<char*>(object) + size;
    EXPECT_EQ(loam_object_base(heap.heap(), end), object) << size;
    heap.kept = {end};
    heap.Collect();
    EXPECT_TRUE(loam_is_live_object(heap.heap(), object)) << size;
    EXPECT_EQ(heap.Stats().live_objects, 1u);
  }
}

TEST(AllocationTest, UserPointersComeBack) {
  TestHeap heap;
  int mine = 0;
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  char name[] = "copied";
  info.name = name;
  info.size = 40;
  info.user = &mine;
  const loam_type* type;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  name[0] = 'X';
  EXPECT_STREQ(loam_type_name(type), "copied");
  EXPECT_EQ(
      loam_type_user(loam_type_of(heap.heap(), loam_alloc(heap.m(), type))),
      &mine);
}

// ---- Resizing ---------------------------------------------------------------

TEST(AllocationTest, ResizingKeepsTheContentAndZeroesTheRest) {
  TestHeap heap;
  std::vector<unsigned char> expected;
  unsigned char* buffer = nullptr;
  size_t in_place = 0;
  size_t size = 0;
  for (const size_t next :
       {5,   9,   15,   16,   20, 30,    31,    32, 100, 50,    60,
        112, 113, 1000, 2000, 20, 40000, 41000, 3,  14,  90000, 1}) {
    heap.kept = {buffer};
    auto* resized = static_cast<unsigned char*>(
        loam_resize_bytes(heap.m(), buffer, size, next));
    ASSERT_NE(resized, nullptr);
    in_place += resized == buffer;
    buffer = resized;
    expected.resize(next);
    ASSERT_EQ(memcmp(buffer, expected.data(), next), 0) << next;
    for (size_t i = 0; i < next; i++) {
      expected[i] = buffer[i] = static_cast<unsigned char>(i * 31 + next);
    }
    size = next;
  }
  EXPECT_GT(in_place, 5u);
}

// ---- Several at once, and without collecting --------------------------------

TEST(AllocationTest, ManyAtOnce) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  std::set<void*> all;
  for (const size_t count : {0, 1, 2, 100, 5000}) {
    std::vector<void*> out(count + 1, &heap);
    ASSERT_EQ(loam_alloc_many(heap.m(), type, count, out.data()), count);
    EXPECT_EQ(out[count], &heap);
    for (size_t i = 0; i < count; i++) {
      heap.kept.push_back(out[i]);
      ASSERT_TRUE(all.insert(out[i]).second);
      ASSERT_EQ(loam_object_base(heap.heap(), out[i]), out[i]);
    }
  }
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, all.size());
}

// Batches may come to lie so that each of them finds a cell for its first
// object, which alone may collect, and none for another.
TEST(AllocationTest, BatchesCollectInTime) {
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 4 << 20;
  for (const size_t before : {0, 1, 16, 63}) {
    TestHeap heap(options);
    const loam_type* type = RegisterType(
        heap.types(), "cell", 256, {{"p", 0, 1, LOAM_POINTER}}, LOAM_TYPE_HOT);
    for (size_t i = 0; i < before; i++) {
      ASSERT_NE(loam_alloc(heap.m(), type), nullptr);
    }
    void* batch[64];
    for (int i = 0; i < 4096; i++) {  // 64 MiB
      ASSERT_EQ(loam_alloc_many(heap.m(), type, 64, batch), 64);
    }
    EXPECT_GE(heap.Stats().cycles, 14) << before << " before";
  }
}

// Of any content, but never of the collector's business.
TEST(AllocationTest, UnzeroedBytesAreBytes) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{100}, size_t{32768}, size_t{32769},
        size_t{1} << 20, (size_t{4} << 20) + 5}) {
    SCOPED_TRACE(size);
    void* victim = loam_alloc_bytes(m, 64);
    heap.kept.assign(1, loam_alloc_bytes_unzeroed(m, size));
    ASSERT_NE(heap.kept[0], nullptr);
    auto* bytes = static_cast<unsigned char*>(heap.kept[0]);
    EXPECT_EQ(loam_type_of(heap.heap(), bytes), nullptr);
    std::memset(bytes, 0xee, size);
    if (size >= sizeof(victim)) std::memcpy(bytes, &victim, sizeof(victim));
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, 1u);
    for (size_t i = sizeof(victim); i < size; i++) ASSERT_EQ(bytes[i], 0xee);
    // Zeroed objects in the same memory are zero all the same.
    heap.kept.clear();
    heap.Collect();
    auto* words = static_cast<loam_word*>(loam_alloc_slots(m, size / 8 + 1));
    for (size_t i = 0; i <= size / 8; i++) ASSERT_EQ(words[i], 0u);
  }
  heap.kept.clear();
  EXPECT_EQ(loam_alloc_bytes_unzeroed(m, SIZE_MAX), nullptr);
}

TEST(AllocationTest, TryFormsNeverCollect) {
  loam_options options = TestOptions();
  options.heap_limit = 4 << 20;
  options.minimum_heap_bytes = 1 << 20;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  size_t served = 0;
  for (int i = 0; i < 20000; i++) {
    served += loam_try_alloc(heap.m(), type) != nullptr;
    served += loam_try_alloc_bytes(heap.m(), 100) != nullptr;
    served += loam_try_alloc_slots(heap.m(), 100) != nullptr;
  }
  EXPECT_GT(served, 1000u);
  EXPECT_LT(served, 60000u);
  EXPECT_EQ(heap.Stats().cycles, 0u);
  // What collects makes room for what does not.
  EXPECT_NE(loam_alloc(heap.m(), type), nullptr);
  EXPECT_NE(loam_try_alloc_bytes(heap.m(), 100), nullptr);
}

TEST(AllocationTest, ImmortalObjectsAreRoots) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  std::vector<Node*> immortals;
  for (uint64_t i = 0; i < 1000; i++) {
    auto* node = static_cast<Node*>(loam_alloc_immortal(heap.m(), type));
    ASSERT_NE(node, nullptr);
    node->number = i;
    loam_store_pointer(heap.m(), node, &node->left,
                       NewNode(heap.m(), type, i * 2));
    immortals.push_back(node);
  }
  heap.Collect();
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 2000u);
  for (uint64_t i = 0; i < 1000; i++) {
    EXPECT_EQ(immortals[i]->number, i);
    EXPECT_EQ(immortals[i]->left->number, i * 2);
  }
}

// ---- Walking ----------------------------------------------------------------

TEST(WalkTest, VisitsWhatThereIs) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  std::map<void*, const loam_type*> expected;
  for (int i = 0; i < 1000; i++) {
    void* objects[] = {loam_alloc(heap.m(), type),
                       loam_alloc_bytes(heap.m(), 16 + i),
                       loam_alloc_slots(heap.m(), 1 + i % 50)};
    expected[objects[0]] = type;
    expected[objects[1]] = nullptr;
    expected[objects[2]] = nullptr;
    heap.kept.insert(heap.kept.end(), objects, objects + 3);
  }
  expected[heap.kept.emplace_back(loam_alloc_bytes(heap.m(), 1 << 20))] =
      nullptr;
  // The dead that were not collected yet are seen too; then they are gone.
  (void)loam_alloc_bytes(heap.m(), 500);
  std::map<void*, const loam_type*> seen;
  const auto visit = [](void* object, size_t size, const loam_type* t,
                        void* data) {
    EXPECT_GT(size, 0u);
    auto* all = static_cast<std::map<void*, const loam_type*>*>(data);
    EXPECT_TRUE(all->emplace(object, t).second) << object;
    return 1;
  };
  ASSERT_EQ(loam_heap_walk(heap.m(), visit, &seen), LOAM_OK);
  EXPECT_EQ(seen.size(), expected.size() + 1);
  heap.Collect();
  seen.clear();
  ASSERT_EQ(loam_heap_walk(heap.m(), visit, &seen), LOAM_OK);
  EXPECT_EQ(seen, expected);
  // Zero ends it.
  int calls = 0;
  ASSERT_EQ(loam_heap_walk(
                heap.m(),
                [](void*, size_t, const loam_type*, void* data) {
                  return ++*static_cast<int*>(data) < 5 ? 1 : 0;
                },
                &calls),
            LOAM_OK);
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace loam_test
