// loam_find_path, and the class behind it for every object of a large graph.

#include "runtime/retaining_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/stopped_world.h"
#include "tests/snapshot/random_graph.h"

namespace loam_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Step {
  std::string from;  // a root, or ""
  const void* from_object;
  const void* slot;
  std::string field;
  size_t index;
  const void* to;
};

class FindPathTest : public testing::Test {
 protected:
  static int Record(const loam_path_step* step, void* data) {
    Step recorded = {"",          step->from,  step->slot,
                     step->field, step->index, step->to};
    if (step->root_kind != nullptr) {
      recorded.from = std::string(step->root_thread) + "/" + step->root_kind +
                      "/" + step->root_name;
    }
    static_cast<std::vector<Step>*>(data)->push_back(recorded);
    return 1;
  }
  static std::vector<Step> Find(const TestHeap& heap, const void* object) {
    std::vector<Step> steps;
    EXPECT_EQ(loam_find_path(heap.m(), object, Record, &steps), LOAM_OK)
        << loam_last_error();
    return steps;
  }
};

// Every object of a graph of 100,000 has a path; each step of it is a reference
// that is there, and there is no shorter one.
TEST(RetainingPathsTest, EveryObjectOfARandomGraph) {
  constexpr size_t kObjects = 100'000;
  TestHeap heap;
  const RandomGraph graph(&heap, kObjects, 100);
  SCOPED_TRACE(graph.Describe());
  std::unordered_map<uintptr_t, size_t> by_address;
  for (size_t i = 0; i < kObjects; i++) {
    by_address[reinterpret_cast<uintptr_t>(graph.objects[i].address)] = i;
  }
  const std::vector<size_t> distances = graph.Distances();

  auto* runtime = reinterpret_cast<loam::Runtime*>(heap.heap());
  auto* mutator = reinterpret_cast<loam::Mutator*>(heap.m());
  const loam::StoppedWorld stopped(runtime, mutator);
  loam::RetainingPaths paths(runtime->page_heap(), runtime->options().encoding);
  ASSERT_TRUE(paths.Build(runtime->cycle()));
  EXPECT_EQ(paths.reached_objects(), kObjects);

  size_t steps = 0;
  size_t longest = 0;
  // The message of a failed step; many are made.
  const auto expect = [&](bool holds, const char* what, size_t object) {
    if (!holds) ADD_FAILURE() << what << " in the path to object " << object;
    return holds;
  };
  for (size_t i = 0; i < kObjects && !testing::Test::HasFailure(); i++) {
    const auto cell = reinterpret_cast<uintptr_t>(graph.objects[i].address);
    ASSERT_TRUE(paths.Find(cell)) << i;
    ASSERT_EQ(paths.length(), distances[i]) << i;
    longest = std::max(longest, paths.length());
    uintptr_t at = 0;
    for (size_t s = 0; s < paths.length(); s++, steps++) {
      const loam::PathStep step = paths.Step(s);
      const size_t to = by_address.at(step.to);
      expect(step.to_type != nullptr
                 ? graph.objects[to].type == step.to_type->name
                 : graph.objects[to].loam_type_of_it == nullptr,
             "wrong type", i);
      if (s == 0) {
        expect(step.root_kind == std::string("provider") &&
                   step.root_name == std::string("kept") && step.from == 0,
               "wrong root", i);
        expect(reinterpret_cast<uintptr_t>(heap.kept.at(step.name.index)) ==
                   step.to,
               "not that root", i);
      } else {
        expect(step.root_kind == nullptr && step.from == at, "a gap", i);
        const ModelObject& from = graph.objects[by_address.at(step.from)];
        const ModelName name = {step.name.field, step.name.index};
        bool is_there = false;
        for (const ModelSlot& slot : from.slots) {
          const auto address =
              reinterpret_cast<uintptr_t>(from.address + slot.offset);
          is_there = is_there ||
                     (slot.target == to && slot.name == name &&
                      step.slot == (from.has_trace_callback ? 0 : address));
        }
        expect(is_there, "no such reference", i);
      }
      at = step.to;
    }
    expect(at == cell, "another object", i);
  }
  EXPECT_GT(longest, 20u) << "the graph is too easy";
  RecordProperty("steps", std::to_string(steps));
}

TEST_F(FindPathTest, NamesRootsAndFields) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  Node* first = NewNode(heap.m(), type, 1);
  heap.kept = {nullptr, first};
  Node* second = NewNode(heap.m(), type, 2);
  loam_store_pointer(heap.m(), first, &first->right, second);
  auto** third = static_cast<void**>(loam_alloc_slots(heap.m(), 4));
  loam_store_pointer(heap.m(), second, &second->left, third);
  void* fourth = loam_alloc_bytes(heap.m(), 100);
  loam_store_value(heap.m(), third, &third[3],
                   reinterpret_cast<loam_word>(fourth));

  const std::vector<Step> path = Find(heap, static_cast<char*>(fourth) + 50);
  ASSERT_EQ(path.size(), 4u);
  EXPECT_EQ(path[0].from, "/provider/kept");
  EXPECT_EQ(path[0].index, 1u);
  EXPECT_EQ(path[0].slot, nullptr);
  EXPECT_EQ(path[0].to, first);
  EXPECT_EQ(path[1].from_object, first);
  EXPECT_EQ(path[1].field, "right");
  EXPECT_EQ(path[1].slot, &first->right);
  EXPECT_EQ(path[1].index, LOAM_NO_INDEX);
  EXPECT_EQ(path[2].field, "left");
  EXPECT_EQ(path[2].to, third);
  EXPECT_EQ(path[3].field, "");
  EXPECT_EQ(path[3].index, 3u);
  EXPECT_EQ(path[3].slot, &third[3]);
  EXPECT_EQ(path[3].to, fourth);
}

TEST_F(FindPathTest, EveryKindOfRoot) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  const auto new_node = [&] { return NewNode(m, type, 0); };

  void* words[3] = {nullptr, nullptr, new_node()};
  loam_root* root;
  ASSERT_EQ(
      loam_root_add_range(heap.heap(), words, 3, LOAM_POINTER, "words", &root),
      LOAM_OK);
  const loam_frame_map map = {2, LOAM_POINTER, nullptr, "interpret"};
  struct {
    loam_frame frame;
    void* slots[2];
  } frame = {};
  loam_frame_push(m, &frame.frame, &map);
  frame.slots[1] = new_node();
  loam_handle_scope scope;
  loam_handle_scope_open(m, &scope);
  void* handled = new_node();
  ASSERT_NE(loam_handle_pointer(m, handled), nullptr);
  loam_global* global;
  void* in_global = new_node();
  ASSERT_EQ(loam_global_create(heap.heap(), LOAM_POINTER,
                               reinterpret_cast<loam_word>(in_global), &global),
            LOAM_OK);
  void* pinned = new_node();
  ASSERT_EQ(loam_pin(m, pinned), LOAM_OK);
  void* immortal = loam_alloc_immortal(m, type);
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap.heap(), nullptr, &fiber), LOAM_OK);
  loam_fiber_switch(m, fiber);
  loam_handle_scope fiber_scope;
  loam_handle_scope_open(m, &fiber_scope);
  void* in_fiber = new_node();
  ASSERT_NE(loam_handle_pointer(m, in_fiber), nullptr);
  loam_fiber_switch(m, nullptr);

  const auto root_of = [&](const void* object) {
    const std::vector<Step> path = Find(heap, object);
    EXPECT_EQ(path.size(), 1u);
    return path.empty() ? "none"
                        : path[0].from + " " + std::to_string(path[0].index);
  };
  EXPECT_EQ(root_of(words[2]), "/registered root/words 2");
  EXPECT_EQ(root_of(frame.slots[1]), "main/frame/interpret 1");
  EXPECT_EQ(root_of(handled), "main/handle/ 0");
  EXPECT_EQ(root_of(in_global), "/global/ 0");
  EXPECT_EQ(root_of(pinned), "/pin/ 0");
  EXPECT_EQ(root_of(immortal), "/immortal object/ 0");
  EXPECT_EQ(root_of(in_fiber), "fiber/handle/ 0");

  loam_handle_scope_close(&scope);
  loam_frame_pop(&frame.frame);
  EXPECT_EQ(loam_unpin(m, pinned), LOAM_OK);
  EXPECT_EQ(loam_fiber_destroy(fiber), LOAM_OK);
  EXPECT_EQ(loam_global_destroy(global), LOAM_OK);
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
}

// What only a finalizer keeps: its object, and what that refers to.
TEST_F(FindPathTest, ObjectsWithFinalizers) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  Node* closing = NewNode(heap.m(), type, 1);
  heap.kept = {closing};
  Node* payload = NewNode(heap.m(), type, 2);
  loam_store_pointer(heap.m(), closing, &closing->left, payload);
  // It refers to itself, too, which alone would keep it for good.
  loam_store_pointer(heap.m(), closing, &closing->right, closing);
  ASSERT_EQ(loam_finalizer_set(
                heap.m(), closing, [](loam_mutator*, void*, void*) {}, nullptr,
                LOAM_FINALIZER_ORDERED),
            LOAM_OK);
  EXPECT_EQ(Find(heap, payload)[0].from, "/provider/kept");

  heap.kept.clear();
  EXPECT_EQ(Find(heap, closing)[0].from, "/object with a finalizer/");
  std::vector<Step> path = Find(heap, payload);
  ASSERT_EQ(path.size(), 2u);
  EXPECT_EQ(path[0].from, "/object with a finalizer/");
  EXPECT_EQ(path[0].to, closing);
  EXPECT_EQ(path[1].field, "left");

  loam_store_pointer(heap.m(), closing, &closing->right, nullptr);
  heap.Collect();
  path = Find(heap, payload);
  ASSERT_EQ(path.size(), 2u);
  EXPECT_EQ(path[0].from, "/the finalizer queue/");
  EXPECT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(loam_find_path(heap.m(), payload, Record, &path), LOAM_NOT_FOUND);
}

// An unordered finalizer keeps its object only once it waits to run.
TEST_F(FindPathTest, ObjectsWithUnorderedFinalizers) {
  TestHeap heap;
  Node* closing = NewNode(heap.m(), RegisterNode(heap.types()), 1);
  ASSERT_EQ(loam_finalizer_set(
                heap.m(), closing, [](loam_mutator*, void*, void*) {}, nullptr,
                LOAM_FINALIZER_UNORDERED),
            LOAM_OK);
  EXPECT_EQ(loam_find_path(heap.m(), closing, Record, nullptr), LOAM_NOT_FOUND);
  heap.Collect();
  EXPECT_EQ(Find(heap, closing)[0].from, "/the finalizer queue/");
  EXPECT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  EXPECT_EQ(loam_find_path(heap.m(), closing, Record, nullptr), LOAM_NOT_FOUND);
}

// Each value of a weak map leads to the next key through another object. A
// tracer that looks at all records again and again needs 10^10 visits.
TEST_F(FindPathTest, ALongChainOfEphemerons) {
  constexpr size_t kLinks = 100'000;
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  const auto word = [](void* object) {
    return reinterpret_cast<loam_word>(object);
  };
  void* map = loam_weak_map_new(m);
  Node* key = NewNode(m, type, 0);
  heap.kept = {map, key, nullptr, nullptr};
  for (size_t i = 1; i <= kLinks; i++) {
    Node* value = NewNode(m, type, i);
    heap.kept[2] = value;
    Node* next = NewNode(m, type, i);
    loam_store_pointer(m, value, &value->left, next);
    ASSERT_EQ(loam_weak_map_set(m, map, word(key), word(value)), LOAM_OK);
    key = next;
    // The first alone is kept otherwise; the last in use, until it is linked.
    heap.kept[3] = key;
  }
  heap.kept.resize(2);
  const std::vector<Step> path = Find(heap, key);
  // The map, its table, a value, and the key that is asked for.
  ASSERT_EQ(path.size(), 4u);
  EXPECT_EQ(path[0].to, map);
  EXPECT_EQ(path[2].field, "value");
  EXPECT_EQ(path[3].field, "left");
  heap.kept[1] = nullptr;
  EXPECT_EQ(loam_find_path(m, key, nullptr, nullptr), LOAM_NOT_FOUND);
  heap.Collect();
  EXPECT_EQ(loam_weak_map_count(m, map), 0u);
}

TEST_F(FindPathTest, NothingKeepsIt) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  Node* dead = NewNode(heap.m(), type, 1);
  Node* child = NewNode(heap.m(), type, 2);
  loam_store_pointer(heap.m(), dead, &dead->left, child);
  EXPECT_EQ(loam_find_path(heap.m(), child, Record, nullptr), LOAM_NOT_FOUND);
  EXPECT_THAT(loam_last_error(),
              HasSubstr("loam_find_path: object: no root reaches the object"));
  EXPECT_EQ(loam_find_path(heap.m(), nullptr, Record, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_EQ(loam_find_path(heap.m(), &heap, Record, nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(),
              HasSubstr("loam_find_path: object: no object lives at"));
}

TEST_F(FindPathTest, EndsWhereVisitSays) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  Node* first = NewNode(heap.m(), type, 1);
  heap.kept = {first};
  Node* second = NewNode(heap.m(), type, 2);
  loam_store_pointer(heap.m(), first, &first->left, second);
  size_t calls = 0;
  const auto once = [](const loam_path_step*, void* data) {
    ++*static_cast<size_t*>(data);
    return 0;
  };
  EXPECT_EQ(loam_find_path(heap.m(), second, once, &calls), LOAM_OK);
  EXPECT_EQ(calls, 1u);
}

TEST_F(FindPathTest, GoesToTheLog) {
  static std::vector<std::string> lines;
  lines.clear();
  loam_options options = TestOptions();
  options.callbacks.log = [](loam_heap*, const char* line, void*) {
    lines.push_back(line);
  };
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  Node* last = NewNode(heap.m(), type, 0);
  heap.kept = {last};
  Node* second = NewNode(heap.m(), type, 0);
  loam_store_pointer(heap.m(), last, &last->left, second);
  EXPECT_EQ(loam_find_path(heap.m(), second, nullptr, nullptr), LOAM_OK);
  EXPECT_THAT(
      lines,
      ElementsAre(HasSubstr("the node at"), "  provider 'kept'",
                  testing::MatchesRegex("  \\[0\\] -> node at 0x[0-9a-f]+"
                                        " \\([0-9]+ bytes\\)"),
                  testing::MatchesRegex("  \\.left -> node at 0x.*")));

  // Of a list of 1000 both ends.
  for (size_t i = 0; i < 1000; i++) {
    Node* next = NewNode(heap.m(), type, i);
    loam_store_pointer(heap.m(), next, &next->right, heap.kept[0]);
    heap.kept[0] = next;
  }
  lines.clear();
  EXPECT_EQ(loam_find_path(heap.m(), last, nullptr, nullptr), LOAM_OK);
  ASSERT_EQ(lines.size(), 2 + 50 + 1 + 50u);
  EXPECT_EQ(lines[52], "  ... 901 more");
}

}  // namespace
}  // namespace loam_test
