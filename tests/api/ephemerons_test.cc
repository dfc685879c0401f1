// Ephemerons that depend on each other: chains in any order, several keys and
// values to a record, and no memory for looking them up.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

enum class Order { kForward, kBackward, kRandom };
constexpr const char* kOrderNames[] = {"forward", "backward", "random"};

struct Record {
  loam_word key;
  loam_word other_key;
  loam_word value;
  loam_word other_value;
};

// How a record says that `key` keeps `value` alive.
struct Layout {
  const char* name;
  std::vector<loam_field> fields;
  bool has_other_key, has_other_value;
};
const Layout kLayouts[] = {
    {"pair",
     {{"key", 0, 1, LOAM_EPHEMERON_KEY},
      {"value", 16, 1, LOAM_EPHEMERON_VALUE}},
     false,
     false},
    {"two_keys",
     {{"keys", 0, 2, LOAM_EPHEMERON_KEY},
      {"value", 16, 1, LOAM_EPHEMERON_VALUE}},
     true,
     false},
    {"two_values",
     {{"key", 0, 1, LOAM_EPHEMERON_KEY},
      {"values", 16, 2, LOAM_EPHEMERON_VALUE}},
     false,
     true},
};

enum class Memory { kEnough, kNone };

class EphemeronsTest
    : public testing::TestWithParam<std::tuple<size_t, Order, size_t, Memory>> {
 protected:
  const Layout& layout() const { return kLayouts[std::get<0>(GetParam())]; }
  Order order() const { return std::get<1>(GetParam()); }
  // Of a key: those of 8 bytes share what is looked up.
  size_t key_bytes() const { return std::get<2>(GetParam()); }
  Memory memory() const { return std::get<3>(GetParam()); }

  void SetUp() override {
    std::vector<loam_field> fields = layout().fields;
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "records";
    info.element_size = sizeof(Record);
    info.element_fields = fields.data();
    info.element_field_count = fields.size();
    ASSERT_EQ(loam_type_register(heap_.types(), &info, &records_type_),
              LOAM_OK);
    key_type_ =
        RegisterType(heap_.types(), "key", key_bytes(), {}, LOAM_TYPE_HOT);
  }

  void Store(loam_word* slot, void* object) {
    loam_store_weak(heap_.m(), records_, slot,
                    reinterpret_cast<loam_word>(object));
  }

  // Records in which each of the objects keeps the next alive.
  void MakeChain(const std::vector<void*>& keys) {
    const size_t count = keys.size() - 1;
    records_ =
        static_cast<Record*>(loam_alloc_array(heap_.m(), records_type_, count));
    ASSERT_NE(records_, nullptr);
    places_.resize(count);
    std::iota(places_.begin(), places_.end(), 0);
    if (order() == Order::kBackward) {
      std::reverse(places_.begin(), places_.end());
    } else if (order() == Order::kRandom) {
      std::shuffle(places_.begin(), places_.end(), std::mt19937_64(7));
    }
    for (size_t i = 0; i < count; i++) {
      Record& record = records_[places_[i]];
      Store(&record.key, keys[i]);
      // The first object, which is rooted while the chain is.
      if (layout().has_other_key) Store(&record.other_key, keys[0]);
      Store(&record.value, keys[i + 1]);
      if (layout().has_other_value) Store(&record.other_value, keys[i + 1]);
    }
  }

  TestHeap heap_;
  const loam_type* records_type_ = nullptr;
  const loam_type* key_type_ = nullptr;
  Record* records_ = nullptr;
  std::vector<size_t> places_;
};

TEST_P(EphemeronsTest, AChainLivesFromItsFirstKeyOn) {
  // Without memory for the index each pass may find no more than one more.
  const size_t count = memory() == Memory::kEnough ? 20000 : 300;
  std::vector<void*>& keys = heap_.kept;
  for (size_t i = 0; i <= count; i++) {
    keys.push_back(loam_alloc(heap_.m(), key_type_));
    ASSERT_NE(keys.back(), nullptr);
  }
  ASSERT_NO_FATAL_FAILURE(MakeChain(keys));
  const std::vector<void*> all = keys;
  uint64_t limit = 0;
  if (memory() == Memory::kNone) {
    keys.push_back(records_);
    heap_.Collect();
    loam_heap_release_memory(heap_.heap());
    limit = heap_.Stats().committed_bytes;
    ASSERT_EQ(loam_heap_set_heap_limit(heap_.heap(), limit), LOAM_OK);
  }
  keys = {all[0], records_};
  heap_.Collect();
  if (memory() == Memory::kNone) {
    // It would have taken memory: without a limit the same collection does.
    const uint64_t peak = heap_.Stats().peak_committed_bytes;
    ASSERT_GE(peak, limit);
    ASSERT_EQ(loam_heap_set_heap_limit(heap_.heap(), 0), LOAM_OK);
    heap_.Collect();
    EXPECT_GT(heap_.Stats().peak_committed_bytes, peak);
    ASSERT_EQ(loam_heap_set_heap_limit(heap_.heap(), limit), LOAM_OK);
  }
  EXPECT_EQ(heap_.Stats().live_objects, all.size() + 1);
  for (size_t i = 0; i < count; i++) {
    const Record& record = records_[places_[i]];
    ASSERT_EQ(record.key, reinterpret_cast<loam_word>(all[i])) << i;
    ASSERT_EQ(record.value, reinterpret_cast<loam_word>(all[i + 1])) << i;
  }
  // From the middle on: what comes before is dead. (With two keys everything
  // is: the first object is a key of all.)
  const size_t middle = count / 2;
  keys = {all[middle], records_};
  heap_.Collect();
  const bool all_die = layout().has_other_key;
  EXPECT_EQ(heap_.Stats().live_objects, all_die ? 2 : all.size() - middle + 1);
  for (size_t i = 0; i < count; i++) {
    const Record& record = records_[places_[i]];
    const bool lives = i >= middle && !all_die;
    ASSERT_EQ(record.key != 0, lives) << i;
    ASSERT_EQ(record.value != 0, lives) << i;
    ASSERT_EQ(record.other_value != 0, lives && layout().has_other_value) << i;
  }
  keys.clear();
  heap_.Collect();
  EXPECT_EQ(heap_.Stats().live_objects, 0u);
  heap_.ExpectSound();
}

INSTANTIATE_TEST_SUITE_P(
    All, EphemeronsTest,
    testing::Combine(testing::Values(0, 1, 2),
                     testing::Values(Order::kForward, Order::kBackward,
                                     Order::kRandom),
                     testing::Values(8, 16, 48),
                     testing::Values(Memory::kEnough, Memory::kNone)),
    [](const auto& info) {
      return std::string(kLayouts[std::get<0>(info.param)].name) + "_" +
             kOrderNames[static_cast<size_t>(std::get<1>(info.param))] + "_" +
             std::to_string(std::get<2>(info.param)) +
             (std::get<3>(info.param) == Memory::kNone ? "_without_memory"
                                                       : "");
    });

// Objects that each are an ephemeron of their own, found one after the other:
// the value of each refers to the next, and then to that one's key.
TEST(EphemeronObjectsTest, EachIsFoundBeforeItsKey) {
  constexpr size_t kCount = 10000;
  TestHeap heap;
  heap.kept = {nullptr};
  void* next = nullptr;
  void* next_key = nullptr;
  for (size_t i = 0; i < kCount; i++) {
    // Rooted by way of `kept`, all of them.
    void* slots = loam_alloc_slots(heap.m(), 2);
    heap.kept.push_back(slots);
    auto* words = static_cast<loam_word*>(slots);
    loam_store_value(heap.m(), slots, &words[0],
                     reinterpret_cast<loam_word>(next));
    loam_store_value(heap.m(), slots, &words[1],
                     reinterpret_cast<loam_word>(next_key));
    next_key = loam_alloc_bytes(heap.m(), 40);
    heap.kept.push_back(next_key);
    next = loam_ephemeron_new(heap.m(), reinterpret_cast<loam_word>(next_key),
                              reinterpret_cast<loam_word>(slots));
    heap.kept.push_back(next);
  }
  heap.kept = {next, next_key};
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 3 * kCount);
  EXPECT_NE(loam_ephemeron_value(heap.m(), next), 0u);
  heap.kept = {next};
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 1u);
  EXPECT_EQ(loam_ephemeron_key(heap.m(), next), 0u);
  EXPECT_EQ(loam_ephemeron_value(heap.m(), next), 0u);
}

// Against a map of the test's own, over many collections.
TEST(WeakMapTest, AgreesWithAMap) {
  TestHeap heap;
  std::mt19937_64 random(20261122);
  void* map = loam_weak_map_new(heap.m());
  std::vector<void*> keys(2000, nullptr);
  std::vector<uint64_t> values(keys.size(), 0);  // 0: no entry
  const auto update_roots = [&] {
    heap.kept.assign(1, map);
    for (void* key : keys) heap.kept.push_back(key);
  };
  update_roots();
  for (int i = 0; i < 200000; i++) {
    const size_t k = random() % keys.size();
    const auto word = reinterpret_cast<loam_word>(keys[k]);
    loam_word value = 0;
    switch (random() % 4) {
      case 0:
        if (keys[k] == nullptr) {
          keys[k] = loam_alloc_bytes(heap.m(), 16 + random() % 64);
          update_roots();
        } else if (random() % 2 == 0) {
          keys[k] = nullptr;
          values[k] = 0;
          update_roots();
        }
        break;
      case 1:
        if (keys[k] == nullptr) break;
        // An odd number refers to nothing.
        values[k] = random() | 1;
        ASSERT_EQ(loam_weak_map_set(heap.m(), map, word, values[k]), LOAM_OK);
        break;
      case 2:
        if (keys[k] == nullptr) break;
        ASSERT_EQ(loam_weak_map_get(heap.m(), map, word, &value) == LOAM_OK,
                  values[k] != 0);
        ASSERT_EQ(value, values[k]);
        break;
      default:
        if (keys[k] == nullptr || random() % 4 != 0) break;
        ASSERT_EQ(loam_weak_map_remove(heap.m(), map, word) == LOAM_OK,
                  values[k] != 0);
        values[k] = 0;
    }
    if (i % 5000 != 0) continue;
    heap.Collect();
    size_t entries = 0;
    for (const uint64_t v : values) entries += v != 0 ? 1 : 0;
    ASSERT_EQ(loam_weak_map_count(heap.m(), map), entries);
  }
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
