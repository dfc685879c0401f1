// A random graph of loam objects of every kind, and a plain model of it that
// says which words refer where and what each word is called.

#ifndef LOAM_TESTS_SNAPSHOT_RANDOM_GRAPH_H_
#define LOAM_TESTS_SNAPSHOT_RANDOM_GRAPH_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/base/test_random.h"

namespace loam_test {

// How a reference is named: by a field, by an index, or by both.
struct ModelName {
  std::string field;
  size_t index = LOAM_NO_INDEX;

  bool operator==(const ModelName&) const = default;
};

struct ModelSlot {
  size_t offset;  // in bytes
  bool is_value;
  ModelName name;
  // The same name as an edge of a snapshot: its type, and name or index.
  std::string edge;
  size_t target = SIZE_MAX;  // which object; SIZE_MAX: none
};

struct ModelObject {
  char* address;
  std::string type;  // its name; "bytes" and so on without one
  const loam_type* loam_type_of_it;
  bool has_trace_callback = false;
  std::vector<ModelSlot> slots;
};

class RandomGraph {
 public:
  // Makes `count` objects that the roots reach: heap.kept, which holds
  // `root_count` of them. Everything else has died.
  RandomGraph(TestHeap* heap, size_t count, size_t root_count) : heap_(heap) {
    RegisterTypes();
    heap->kept.clear();
    objects.reserve(count);
    for (size_t i = 0; i < count; i++) {
      objects.push_back(NewObject());
      heap->kept.push_back(objects.back().address);
      // Garbage between them, so that not every cell is an object.
      if (random_.OneIn(4)) (void)NewObject();
    }
    for (size_t i = 0; i < root_count; i++) roots.push_back(i);
    Connect();
    heap->kept.clear();
    for (const size_t root : roots) heap->kept.push_back(objects[root].address);
    heap->Collect();
  }

  std::vector<ModelObject> objects;
  std::vector<size_t> roots;

  // The seed, for SCOPED_TRACE.
  std::string Describe() const { return random_.Describe(); }

  static constexpr size_t kUnreached = std::numeric_limits<size_t>::max();
  // How many references a shortest path from a root to each object has, the
  // root's own included.
  std::vector<size_t> Distances() const {
    std::vector<size_t> distances(objects.size(), kUnreached);
    std::vector<size_t> queue;
    const auto reach = [&](size_t i, size_t distance) {
      if (distances[i] != kUnreached) return;
      distances[i] = distance;
      queue.push_back(i);
    };
    for (const size_t root : roots) reach(root, 1);
    for (size_t next = 0; next < queue.size(); next++) {
      const size_t from = queue[next];
      for (const ModelSlot& slot : objects[from].slots) {
        if (slot.target != SIZE_MAX) reach(slot.target, distances[from] + 1);
      }
    }
    return distances;
  }

 private:
  static void TraceCounted(loam_visitor* visitor, void* object, size_t) {
    const auto* words = static_cast<loam_word*>(object);
    loam_visit_pointer_range(visitor, words + 1, words[0]);
  }

  void RegisterTypes() {
    loam_type_set* set = heap_->types();
    node_ = RegisterNode(set, LOAM_TYPE_HOT);
    record_ = RegisterType(set, "record", 48,
                           {{"owner", 0, 1, LOAM_VALUE},
                            {"parts", 16, 3, LOAM_POINTER},
                            {nullptr, 40, 1, LOAM_VALUE}});
    vector_ = RegisterType(set, "vector", 16, {{"shape", 8, 1, LOAM_POINTER}},
                           0, 8, {{nullptr, 0, 1, LOAM_VALUE}});
    table_ = RegisterType(
        set, "table", 8, {}, 0, 24,
        {{"key", 0, 1, LOAM_POINTER}, {"value", 16, 1, LOAM_VALUE}});
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "counted";
    info.size = 64;
    info.trace = TraceCounted;
    EXPECT_EQ(loam_type_register(set, &info, &counted_), LOAM_OK);
  }

  ModelObject NewObject() {
    switch (random_.Below(8)) {
      case 0:
        return NewNode();
      case 1:
        return NewRecord();
      case 2:
        return NewVector();
      case 3:
        return NewTable();
      case 4:
        return NewSlots();
      case 5:
        return NewBitmap();
      case 6:
        return NewCounted();
      default:
        return NewBytes();
    }
  }
  static ModelObject Made(void* address, std::string name,
                          const loam_type* type = nullptr) {
    EXPECT_NE(address, nullptr);
    return {static_cast<char*>(address), std::move(name), type, false, {}};
  }
  ModelObject NewNode() {
    ModelObject object = Made(loam_alloc(heap_->m(), node_), "node", node_);
    object.slots = {{0, false, {"left"}, "property left"},
                    {8, false, {"right"}, "property right"}};
    return object;
  }
  ModelObject NewRecord() {
    ModelObject object =
        Made(loam_alloc(heap_->m(), record_), "record", record_);
    object.slots = {{0, true, {"owner"}, "property owner"},
                    {16, false, {"parts", 0}, "property parts[0]"},
                    {24, false, {"parts", 1}, "property parts[1]"},
                    {32, false, {"parts", 2}, "property parts[2]"},
                    {40, true, {"", 5}, "hidden 5"}};
    return object;
  }
  // Now and then one with a span of its own.
  size_t Length() { return random_.OneIn(5000) ? 6000 : random_.Between(0, 6); }
  ModelObject NewVector() {
    const size_t length = Length();
    ModelObject object =
        Made(loam_alloc_array(heap_->m(), vector_, length), "vector", vector_);
    object.slots = {{8, false, {"shape"}, "property shape"}};
    for (size_t i = 0; i < length; i++) {
      object.slots.push_back(
          {16 + 8 * i, true, {"", i}, "element " + std::to_string(i)});
    }
    return object;
  }
  ModelObject NewTable() {
    const size_t length = Length();
    ModelObject object =
        Made(loam_alloc_array(heap_->m(), table_, length), "table", table_);
    for (size_t i = 0; i < length; i++) {
      const std::string index = i < 1024 ? "[" + std::to_string(i) + "]" : "[]";
      object.slots.push_back(
          {8 + 24 * i, false, {"key", i}, "property " + index + ".key"});
      object.slots.push_back(
          {24 + 24 * i, true, {"value", i}, "property " + index + ".value"});
    }
    return object;
  }
  ModelObject NewSlots() {
    const size_t count = random_.Between(2, 9);
    ModelObject object = Made(loam_alloc_slots(heap_->m(), count), "slots");
    for (size_t i = 0; i < count; i++) {
      object.slots.push_back(
          {8 * i, true, {"", i}, "element " + std::to_string(i)});
    }
    return object;
  }
  ModelObject NewBitmap() {
    const uint64_t pointers[2] = {0b0101}, values[2] = {0b1000};
    const size_t bytes = random_.OneIn(100) ? 1000 : 48;
    ModelObject object =
        Made(loam_alloc_bitmap(heap_->m(), bytes, pointers, values),
             "object with a bitmap");
    object.slots = {{0, false, {"", 0}, "element 0"},
                    {16, false, {"", 2}, "element 2"},
                    {24, true, {"", 3}, "element 3"}};
    return object;
  }
  ModelObject NewCounted() {
    ModelObject object =
        Made(loam_alloc(heap_->m(), counted_), "counted", counted_);
    object.has_trace_callback = true;
    const size_t count = random_.Between(0, 7);
    *reinterpret_cast<loam_word*>(object.address) = count;
    for (size_t i = 0; i < count; i++) {
      object.slots.push_back(
          {8 + 8 * i, false, {"", i}, "element " + std::to_string(i)});
    }
    return object;
  }
  ModelObject NewBytes() {
    return Made(loam_alloc_bytes(heap_->m(), random_.Between(16, 300)),
                "bytes");
  }

  void Store(ModelObject* from, ModelSlot* slot, size_t target) {
    slot->target = target;
    char* word = from->address + slot->offset;
    // Into the middle now and then.
    char* address = objects[target].address + 8 * random_.Below(2);
    if (slot->is_value) {
      loam_store_value(heap_->m(), from->address, word,
                       reinterpret_cast<loam_word>(address));
    } else {
      loam_store_pointer(heap_->m(), from->address, word, address);
    }
  }
  // Every object but the first ones gets a reference from one before it; then
  // words that are left get one anywhere.
  void Connect() {
    struct FreeSlot {
      size_t object, slot;
    };
    std::vector<FreeSlot> free;
    for (size_t i = 0; i < objects.size(); i++) {
      if (i >= roots.size()) {
        if (free.empty()) {
          roots.push_back(i);  // Nobody has room for it.
        } else {
          // Mostly somebody recent, so that paths are long.
          const size_t choice =
              random_.OneIn(10)
                  ? random_.Below(free.size())
                  : free.size() - 1 -
                        random_.Below(std::min<size_t>(free.size(), 4));
          const FreeSlot from = free[choice];
          free[choice] = free.back();
          free.pop_back();
          Store(&objects[from.object], &objects[from.object].slots[from.slot],
                i);
        }
      }
      for (size_t s = 0; s < objects[i].slots.size(); s++) {
        free.push_back({i, s});
      }
    }
    for (const FreeSlot& from : free) {
      if (random_.Below(10) < 6) continue;
      // Not far, or everything is near a root.
      const size_t lowest = from.object < 50 ? 0 : from.object - 50;
      const size_t target = random_.Between(
          lowest, std::min(objects.size() - 1, from.object + 50));
      Store(&objects[from.object], &objects[from.object].slots[from.slot],
            target);
    }
  }

  TestHeap* const heap_;
  loam::TestRandom random_;
  const loam_type *node_, *record_, *vector_, *table_, *counted_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SNAPSHOT_RANDOM_GRAPH_H_
