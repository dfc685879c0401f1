// What a heap snapshot calls roots, and what it hangs where.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/snapshot/snapshot_fixture.h"

namespace loam_test {
namespace {

using SnapshotRootsTest = HeapSnapshotTest;

TEST_F(SnapshotRootsTest, NamesRoots) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  const auto new_node = [&] { return NewNode(m, type, 0); };
  void* word = new_node();
  void* more[2] = {new_node(), nullptr};
  loam_root *root, *range;
  ASSERT_EQ(
      loam_root_add(heap.heap(), &word, LOAM_POINTER, "cache \"a\"", &root),
      LOAM_OK);
  ASSERT_EQ(
      loam_root_add_range(heap.heap(), more, 2, LOAM_POINTER, nullptr, &range),
      LOAM_OK);
  LOAM_FRAME(m, outer, 2, LOAM_POINTER);
  outer.slots[1] = reinterpret_cast<loam_word>(new_node());
  const loam_frame_map map = {1, LOAM_POINTER, nullptr, "inner"};
  struct {
    loam_frame frame;
    void* slots[1];
  } inner = {};
  loam_frame_push(m, &inner.frame, &map);
  inner.slots[0] = new_node();
  loam_global* globals[2];
  for (loam_global*& global : globals) {
    ASSERT_EQ(
        loam_global_create(heap.heap(), LOAM_POINTER,
                           reinterpret_cast<loam_word>(new_node()), &global),
        LOAM_OK);
  }

  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.nodes[0].name, "(root)");
  EXPECT_EQ(snapshot.nodes[0].type, "synthetic");
  EXPECT_EQ(snapshot.CountNamed("node"), 6u);
  const size_t thread = snapshot.Child(0, "(thread main)");
  ASSERT_NE(thread, SIZE_MAX);
  const size_t inner_node = snapshot.Follow(thread, "property inner");
  ASSERT_NE(inner_node, SIZE_MAX);
  EXPECT_EQ(snapshot.nodes[inner_node].name, "frame inner");
  EXPECT_NE(snapshot.Follow(inner_node, "element 0"), SIZE_MAX);
  const size_t outer_node = snapshot.Follow(thread, "property TestBody");
  ASSERT_NE(outer_node, SIZE_MAX);
  EXPECT_NE(snapshot.Follow(outer_node, "element 1"), SIZE_MAX);
  const size_t registered = snapshot.Child(0, "(registered root)");
  ASSERT_NE(registered, SIZE_MAX);
  EXPECT_NE(snapshot.Follow(registered, "property cache \"a\""), SIZE_MAX);
  const size_t of_heap = snapshot.Child(0, "(global)");
  ASSERT_NE(of_heap, SIZE_MAX);
  EXPECT_NE(snapshot.Follow(of_heap, "element 0"), SIZE_MAX);
  EXPECT_NE(snapshot.Follow(of_heap, "element 1"), SIZE_MAX);

  for (loam_global* global : globals) {
    EXPECT_EQ(loam_global_destroy(global), LOAM_OK);
  }
  loam_frame_pop(&inner.frame);
  LOAM_FRAME_END(outer);
  EXPECT_EQ(loam_root_remove(range), LOAM_OK);
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
}

// Many pins and values of cleanups, in any order, are two nodes.
TEST_F(SnapshotRootsTest, RootsOfSpecials) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* type = RegisterNode(heap.types());
  for (int i = 0; i < 1000; i++) {
    void* object = NewNode(m, type, 0);
    heap.kept = {object};
    void* value = loam_alloc_bytes(m, 32);
    ASSERT_EQ(loam_pin(m, object), LOAM_OK);
    loam_cleanup cleanup;
    ASSERT_EQ(loam_cleanup_add(
                  m, object, [](auto...) {}, reinterpret_cast<loam_word>(value),
                  nullptr, &cleanup),
              LOAM_OK);
  }
  heap.kept.clear();
  const SnapshotReader snapshot = Write(heap);
  const size_t pins = snapshot.Child(0, "(pin)");
  ASSERT_NE(pins, SIZE_MAX);
  const auto edges = [&](size_t node) {
    return snapshot.nodes[node].edge_end - snapshot.nodes[node].first_edge;
  };
  EXPECT_EQ(edges(pins), 1000u);
  EXPECT_NE(snapshot.Follow(pins, "element 999"), SIZE_MAX);
  const size_t values = snapshot.Child(0, "(value of a cleanup)");
  ASSERT_NE(values, SIZE_MAX);
  EXPECT_EQ(edges(values), 1000u);
  EXPECT_EQ(snapshot.node_count, 2000u + 3);
}

// Providers and trace callbacks may say what they report.
TEST_F(SnapshotRootsTest, NamesGivenByCallbacks) {
  TestHeap heap;
  static void* globals[3];
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "tagged";
  info.size = 32;
  info.trace = [](loam_visitor* visitor, void* object, size_t) {
    auto** words = static_cast<void**>(object);
    loam_visit_pointer(visitor, words[0]);
    loam_visit_name(visitor, std::string("made up for the call").c_str());
    loam_visit_pointer(visitor, words[1]);
    loam_visit_pointer(visitor, words[2]);
    loam_visit_name(visitor, nullptr);
    loam_visit_pointer(visitor, words[3]);
  };
  const loam_type* type;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  const auto provide = [](loam_visitor* visitor, void*) {
    loam_visit_name(visitor, "total");
    loam_visit_pointer(visitor, globals[0]);
    loam_visit_name(visitor, "stack");
    loam_visit_pointer_range(visitor, globals + 1, 2);
  };
  loam_root* root;
  ASSERT_EQ(loam_root_provider_add(heap.heap(), provide, nullptr, "vm", &root),
            LOAM_OK);
  for (void*& global : globals) global = loam_alloc(heap.m(), type);
  auto** words = static_cast<void**>(globals[2]);
  for (int i = 0; i < 4; i++) {
    loam_store_pointer(heap.m(), words, &words[i],
                       loam_alloc_bytes(heap.m(), 64));
  }

  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountNamed("tagged"), 3u);
  const size_t vm =
      snapshot.Follow(snapshot.Child(0, "(provider)"), "property vm");
  ASSERT_NE(vm, SIZE_MAX);
  EXPECT_NE(snapshot.Follow(vm, "property total"), SIZE_MAX);
  EXPECT_NE(snapshot.Follow(vm, "property stack"), SIZE_MAX);
  const size_t tagged = snapshot.Follow(vm, "property stack[1]");
  ASSERT_NE(tagged, SIZE_MAX);
  for (const char* edge : {"element 0", "property made up for the call",
                           "property made up for the call[1]"}) {
    EXPECT_NE(snapshot.Follow(tagged, edge), SIZE_MAX) << edge;
  }
  EXPECT_EQ(snapshot.nodes[tagged].edge_end - snapshot.nodes[tagged].first_edge,
            4u);

  std::vector<std::string> names;
  const auto record = [](const loam_path_step* step, void* data) {
    static_cast<std::vector<std::string>*>(data)->push_back(
        step->field + std::string(" ") +
        (step->index == LOAM_NO_INDEX ? "" : std::to_string(step->index)));
    return 1;
  };
  ASSERT_EQ(loam_find_path(heap.m(), words[2], record, &names), LOAM_OK);
  EXPECT_THAT(names, testing::ElementsAre("stack 1", "made up for the call 1"));
  ASSERT_EQ(loam_find_path(heap.m(), globals[0], record, &names), LOAM_OK);
  EXPECT_EQ(names.back(), "total ");
  EXPECT_EQ(loam_root_remove(root), LOAM_OK);
}

// A stack so deep that its frames share a node in the end.
TEST_F(SnapshotRootsTest, MoreFramesThanNodes) {
  constexpr size_t kFrames = 100'000;
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const loam_frame_map map = {1, LOAM_POINTER, nullptr, "recurse"};
  struct Frame {
    loam_frame frame;
    void* slots[1];
  };
  std::vector<Frame> frames(kFrames);
  for (Frame& frame : frames) {
    loam_frame_push(heap.m(), &frame.frame, &map);
    frame.slots[0] = NewNode(heap.m(), type, 0);
  }
  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountNamed("node"), kFrames);
  EXPECT_EQ(snapshot.CountReachable(), snapshot.node_count);
  EXPECT_GT(snapshot.CountNamed("frame recurse"), 60'000u);
  const size_t more = snapshot.Child(0, "(more roots)");
  ASSERT_NE(more, SIZE_MAX);
  EXPECT_EQ(snapshot.nodes[more].edge_end - snapshot.nodes[more].first_edge +
                snapshot.CountNamed("frame recurse"),
            kFrames);
  for (size_t i = kFrames; i-- > 0;) loam_frame_pop(&frames[i].frame);
}

}  // namespace
}  // namespace loam_test
