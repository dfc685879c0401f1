// The file of loam_heap_snapshot_write, against a walk of the heap and what the
// test knows of its objects; and its errors.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/snapshot/random_graph.h"
#include "tests/snapshot/snapshot_fixture.h"
#include "tests/support/sanitized.h"

namespace loam_test {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAreArray;

// The nodes of objects by rising identity, which is by rising address while the
// heap has one arena.
std::vector<size_t> ObjectNodes(const SnapshotReader& snapshot) {
  std::vector<size_t> result;
  for (size_t i = 0; i < snapshot.nodes.size(); i++) {
    if (snapshot.nodes[i].type != "synthetic") result.push_back(i);
  }
  std::sort(result.begin(), result.end(), [&](size_t a, size_t b) {
    return snapshot.nodes[a].id < snapshot.nodes[b].id;
  });
  return result;
}

// After a full collection the snapshot and a walk show the same objects, and
// every edge is a reference of the model, by its name.
TEST_F(HeapSnapshotTest, AgreesWithAWalkAndTheModel) {
  TestHeap heap;
  const RandomGraph graph(&heap, 20'000, 50);
  SCOPED_TRACE(graph.Describe());
  const SnapshotReader snapshot = Write(heap);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(snapshot.nodes.size(), snapshot.node_count);
  EXPECT_EQ(snapshot.edges.size(), snapshot.edge_count);
  EXPECT_EQ(snapshot.CountReachable(), snapshot.node_count);

  const std::vector<Walked> walked = Walk(heap);
  const std::vector<size_t> nodes = ObjectNodes(snapshot);
  ASSERT_EQ(walked.size(), nodes.size());
  ASSERT_EQ(walked.size(), graph.objects.size());
  std::unordered_map<uintptr_t, size_t> model;
  for (size_t i = 0; i < graph.objects.size(); i++) {
    model[reinterpret_cast<uintptr_t>(graph.objects[i].address)] = i;
  }
  std::vector<size_t> node_of(graph.objects.size());
  for (size_t i = 0; i < walked.size(); i++) {
    node_of[model.at(walked[i].address)] = nodes[i];
  }
  for (size_t i = 0; i < walked.size() && !HasFailure(); i++) {
    const SnapshotNode& node = snapshot.nodes[nodes[i]];
    const ModelObject& object = graph.objects[model.at(walked[i].address)];
    EXPECT_EQ(node.bytes, walked[i].bytes);
    EXPECT_EQ(node.name, object.type);
    EXPECT_EQ(node.type, object.type == "bytes" ? "native" : "object");
    using Edge = std::pair<std::string, size_t>;
    std::vector<Edge> expected;
    for (const ModelSlot& slot : object.slots) {
      if (slot.target == SIZE_MAX) continue;
      expected.emplace_back(slot.edge, node_of[slot.target]);
    }
    std::vector<Edge> edges;
    for (size_t e = node.first_edge; e < node.edge_end; e++) {
      edges.emplace_back(snapshot.Text(snapshot.edges[e]),
                         snapshot.edges[e].to);
    }
    ASSERT_THAT(edges, UnorderedElementsAreArray(expected)) << object.type;
  }

  // The roots: one provider, by its name.
  const size_t providers = snapshot.Child(0, "(provider)");
  ASSERT_NE(providers, SIZE_MAX);
  const size_t kept = snapshot.Follow(providers, "property kept");
  ASSERT_NE(kept, SIZE_MAX);
  EXPECT_EQ(snapshot.nodes[kept].name, "provider kept");
  ASSERT_EQ(snapshot.nodes[kept].edge_end - snapshot.nodes[kept].first_edge,
            graph.roots.size());
  for (size_t i = 0; i < graph.roots.size(); i++) {
    EXPECT_EQ(snapshot.Follow(kept, "element " + std::to_string(i)),
              node_of[graph.roots[i]]);
  }
}

// Dead objects are not in it, found dead or not; and it collects nothing.
TEST_F(HeapSnapshotTest, ShowsWhatIsReachable) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  for (size_t i = 0; i < 100; i++) {
    heap.kept.push_back(NewNode(heap.m(), type, i));
  }
  EXPECT_EQ(Write(heap).CountNamed("node"), 100u);
  heap.kept.resize(30);
  const uint64_t cycles = heap.Stats().cycles;
  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountNamed("node"), 30u);
  EXPECT_EQ(heap.Stats().cycles, cycles);
  EXPECT_EQ(Walk(heap).size(), 100u);
  heap.Collect();
  EXPECT_EQ(Walk(heap).size(), 30u);
  EXPECT_EQ(Write(heap).node_count, snapshot.node_count);
}

// The same object has the same number in every snapshot, and no other has it.
TEST_F(HeapSnapshotTest, IdentitiesAreStable) {
  TestHeap heap;
  const loam_type* old_type = RegisterNode(heap.types());
  const loam_type* new_type =
      RegisterType(heap.types(), "new", 24, {{"link", 0, 1, LOAM_POINTER}});
  for (size_t i = 0; i < 1000; i++) {
    heap.kept.push_back(NewNode(heap.m(), old_type, i));
  }
  const auto ids = [](const SnapshotReader& snapshot, const std::string& name) {
    std::vector<uint64_t> result;
    for (const SnapshotNode& node : snapshot.nodes) {
      if (node.name == name) result.push_back(node.id);
    }
    return result;
  };
  const std::vector<uint64_t> before = ids(Write(heap), "node");
  EXPECT_EQ(before.size(), 1000u);
  for (size_t i = 0; i < 1000; i++) {
    heap.kept.push_back(loam_alloc(heap.m(), new_type));
  }
  // Of another arena, too.
  heap.kept.push_back(loam_alloc_bytes(heap.m(), 70 << 20));
  heap.kept.push_back(loam_alloc_bytes(heap.m(), 70 << 20));
  const SnapshotReader after = Write(heap);
  EXPECT_EQ(ids(after, "node"), before);
  std::vector<uint64_t> all;
  for (const SnapshotNode& node : after.nodes) all.push_back(node.id);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

// Weak words have weak edges, and keep nothing in the snapshot; ephemerons keep
// their values as long as their keys are there.
TEST_F(HeapSnapshotTest, WeakWordsAndEphemerons) {
  TestHeap heap;
  loam_mutator* m = heap.m();
  const loam_type* watcher = RegisterType(heap.types(), "watcher", 24,
                                          {{"watched", 0, 1, LOAM_WEAK_POINTER},
                                           {"also", 8, 1, LOAM_WEAK_VALUE},
                                           {"strong", 16, 1, LOAM_POINTER}});
  const loam_type* thing = RegisterType(heap.types(), "thing", 16);
  const loam_type* symbol =
      RegisterType(heap.types(), "symbol", 16, {}, LOAM_TYPE_NEVER_CLEARED);
  const auto word = [](void* object) {
    return reinterpret_cast<loam_word>(object);
  };
  auto** watch = static_cast<void**>(loam_alloc(m, watcher));
  heap.kept = {watch};
  for (int i = 0; i < 3; i++) {
    void* target = loam_alloc(m, i == 1 ? symbol : thing);
    heap.kept.push_back(target);
    if (i < 2) {
      loam_store_weak(m, watch, &watch[i], word(target));
    } else {
      loam_store_pointer(m, watch, &watch[i], target);
    }
  }
  // A chain: the value of the first is the key of the second, and so on; made
  // from its end, so that a tracer meets the records in the wrong order.
  constexpr size_t kChain = 20;
  void* map = loam_weak_map_new(m);
  heap.kept.push_back(map);
  const size_t first_link = heap.kept.size();
  const loam_type* link = RegisterType(heap.types(), "link", 16);
  for (size_t i = 0; i <= kChain; i++) heap.kept.push_back(loam_alloc(m, link));
  for (size_t i = kChain; i-- > 0;) {
    ASSERT_EQ(loam_weak_map_set(m, map, word(heap.kept[first_link + i]),
                                word(heap.kept[first_link + i + 1])),
              LOAM_OK);
  }
  void* last = heap.kept.back();
  heap.kept.resize(first_link + 1);

  const auto edges_to = [](const SnapshotReader& snapshot,
                           const std::string& name, const char* type) {
    size_t count = 0;
    for (const SnapshotEdge& edge : snapshot.edges) {
      count += snapshot.nodes[edge.to].name == name &&
               snapshot.Text(edge).starts_with(type);
    }
    return count;
  };
  SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountReachable(), snapshot.node_count);
  EXPECT_EQ(snapshot.CountNamed("link"), kChain + 1);
  EXPECT_EQ(snapshot.CountNamed("weak map"), 1u);
  EXPECT_EQ(edges_to(snapshot, "link", "weak ["), kChain) << "keys";
  EXPECT_EQ(edges_to(snapshot, "link", "property ["), kChain) << "values";
  const size_t kept =
      snapshot.Child(snapshot.Child(0, "(provider)"), "provider kept");
  size_t node = snapshot.Follow(kept, "element 0");
  EXPECT_NE(snapshot.Follow(node, "weak watched"), SIZE_MAX);
  // To what is never cleared a weak word is strong.
  EXPECT_NE(snapshot.Follow(node, "property also"), SIZE_MAX);
  std::vector<std::string> path;
  const auto record = [](const loam_path_step* step, void* data) {
    static_cast<std::vector<std::string>*>(data)->push_back(step->field);
    return 1;
  };
  EXPECT_EQ(loam_find_path(m, last, record, &path), LOAM_OK);
  EXPECT_EQ(path.back(), "value");

  heap.kept = {watch, map};
  snapshot = Write(heap);
  node = snapshot.Follow(
      snapshot.Child(snapshot.Child(0, "(provider)"), "provider kept"),
      "element 0");
  EXPECT_EQ(snapshot.CountNamed("link"), 0u);
  EXPECT_EQ(snapshot.CountNamed("thing"), 1u);
  EXPECT_EQ(snapshot.CountNamed("symbol"), 1u);
  EXPECT_EQ(snapshot.Follow(node, "weak watched"), SIZE_MAX);
  EXPECT_EQ(loam_find_path(m, last, record, &path), LOAM_NOT_FOUND);
  // A collection agrees.
  heap.Collect();
  EXPECT_EQ(Walk(heap).size() + 3, snapshot.node_count);
}

TEST_F(HeapSnapshotTest, AnyNameIsText) {
  TestHeap heap;
  const std::string name = "\"nodes\":[1]\\ </script>\n\x01 \xc3\xa9 \xff";
  const loam_type* type = RegisterType(heap.types(), name.c_str(), 16,
                                       {{"a\"b", 0, 1, LOAM_POINTER}});
  void* object = loam_alloc(heap.m(), type);
  heap.kept = {object};
  loam_store_pointer(heap.m(), object, object, object);
  const SnapshotReader snapshot = Write(heap);
  const std::string read = "\"nodes\":[1]\\ </script>\n\x01 \xc3\xa9 ?";
  ASSERT_EQ(snapshot.CountNamed(read), 1u);
  const size_t node = snapshot.nodes.size() - 1;
  EXPECT_EQ(snapshot.Follow(node, "property a\"b"), node);
}

TEST_F(HeapSnapshotTest, EmptyHeap) {
  const TestHeap heap;
  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.node_count, 1u);
  EXPECT_EQ(snapshot.edge_count, 0u);
}

TEST_F(HeapSnapshotTest, ValuesAreDecoded) {
  loam_options options = TestOptions();
  options.encoding.kind = LOAM_ENCODING_LOW_TAG;
  options.encoding.low_tag_mask = 7;
  options.encoding.low_tag_references = 1u << 5;  // the others are numbers
  TestHeap heap(options);
  auto* slots = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 4));
  heap.kept = {slots};
  void* other = loam_alloc_slots(heap.m(), 2);
  const auto address = reinterpret_cast<loam_word>(other);
  loam_store_value(heap.m(), slots, &slots[1], address | 5);
  loam_store_value(heap.m(), slots, &slots[2], address | 4);
  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountNamed("slots"), 2u);
  const size_t kept =
      snapshot.Child(snapshot.Child(0, "(provider)"), "provider kept");
  ASSERT_NE(kept, SIZE_MAX);
  const size_t node = snapshot.Follow(kept, "element 0");
  EXPECT_NE(snapshot.Follow(node, "element 1"), SIZE_MAX);
  EXPECT_EQ(snapshot.Follow(node, "element 2"), SIZE_MAX);
}

// A heap at its limit can be looked at.
TEST_F(HeapSnapshotTest, NeedsNothingOfTheHeap) {
  loam_options options = TestOptions();
  options.heap_limit = 16 << 20;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  for (Node* node = NewNode(heap.m(), type, 0); node != nullptr;
       node = NewNode(heap.m(), type, 0)) {
    heap.kept.push_back(node);
  }
  const loam_stats before = heap.Stats();
  const SnapshotReader snapshot = Write(heap);
  EXPECT_EQ(snapshot.CountNamed("node"), heap.kept.size());
  EXPECT_EQ(heap.Stats().committed_bytes, before.committed_bytes);
  EXPECT_EQ(loam_find_path(
                heap.m(), heap.kept[5],
                [](const loam_path_step*, void*) { return 1; }, nullptr),
            LOAM_OK);
}

// Other threads allocate, and change what they hold, between snapshots.
TEST_F(HeapSnapshotTest, WhileOthersWork) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      loam_mutator* m;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "worker", &m), LOAM_OK);
      LOAM_FRAME(m, frame, 1, LOAM_POINTER);
      while (!stop.load(std::memory_order_relaxed)) {
        auto* list = NewNode(m, type, 0);
        loam_store_pointer(m, list, &list->left,
                           reinterpret_cast<void*>(frame.slots[0]));
        list->number =
            frame.slots[0] == 0
                ? 1
                : reinterpret_cast<Node*>(frame.slots[0])->number + 1;
        frame.slots[0] =
            list->number > 1000 ? 0 : reinterpret_cast<loam_word>(list);
      }
      LOAM_FRAME_END(frame);
      EXPECT_EQ(loam_mutator_detach(m), LOAM_OK);
    });
  }
  for (int i = 0; i < 20 && !HasFailure(); i++) {
    const SnapshotReader snapshot = Write(heap);
    EXPECT_EQ(snapshot.CountReachable(), snapshot.node_count);
    EXPECT_LE(snapshot.CountNamed("node"), 3 * 1000u);
  }
  stop.store(true, std::memory_order_relaxed);
  loam_enter_native(heap.m());
  for (std::thread& thread : threads) thread.join();
  loam_leave_native(heap.m());
}

TEST_F(HeapSnapshotTest, Errors) {
  const TestHeap heap;
  EXPECT_EQ(loam_heap_snapshot_write(heap.m(), nullptr), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(),
              HasSubstr("loam_heap_snapshot_write: path: is NULL"));
  EXPECT_EQ(loam_heap_snapshot_write(heap.m(), Path("no/file").c_str()),
            LOAM_IO_ERROR);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_heap_snapshot_write: cannot "
                                           "open"));
  EXPECT_EQ(loam_heap_snapshot_write(heap.m(), "/dev/full"), LOAM_IO_ERROR);
}

// Readers keep 32 bits of a size. The object's pages are not touched.
TEST_F(HeapSnapshotTest, AnObjectOfMoreThan4GiB) {
  if (kSanitized) GTEST_SKIP() << "sanitizers map a share of it, too";
  TestHeap heap;
  heap.kept = {loam_alloc_bytes(heap.m(), size_t{5} << 30)};
  if (heap.kept[0] == nullptr) GTEST_SKIP() << "the OS has no room for it";
  const SnapshotReader snapshot = Write(heap);
  ASSERT_EQ(snapshot.CountNamed("bytes"), 1u);
  EXPECT_EQ(snapshot.nodes[ObjectNodes(snapshot)[0]].bytes, UINT32_MAX);
}

// A trace callback that does not say the same twice.
TEST_F(HeapSnapshotTest, CallbacksThatChangeTheirMind) {
  TestHeap heap;
  static std::atomic<int> calls{0};
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "fickle";
  info.size = 16;
  info.trace = [](loam_visitor* visitor, void* object, size_t) {
    for (int i = calls++; i > 0; i--) loam_visit_pointer(visitor, object);
  };
  const loam_type* type;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  heap.kept = {loam_alloc(heap.m(), type)};
  EXPECT_EQ(loam_heap_snapshot_write(heap.m(), Path().c_str()),
            LOAM_WRONG_STATE);
  EXPECT_FALSE(std::filesystem::exists(Path()));
  heap.kept.clear();
}

// As many references as before, but one to an object that nothing else reaches.
TEST_F(HeapSnapshotTest, CallbacksThatReportWhatWasNotThere) {
  TestHeap heap;
  static void* first;
  static void* other;
  static std::atomic<int> calls;
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "fickle";
  info.size = 16;
  info.trace = [](loam_visitor* visitor, void*, size_t) {
    // The first is told while it is followed and while its edges are counted.
    loam_visit_pointer(visitor, ++calls <= 2 ? first : other);
  };
  const loam_type* type;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  heap.kept = {loam_alloc_bytes(heap.m(), 16), loam_alloc_bytes(heap.m(), 16)};
  first = heap.kept[0];
  other = heap.kept[1];
  heap.kept = {loam_alloc(heap.m(), type)};
  calls = 0;
  EXPECT_EQ(loam_heap_snapshot_write(heap.m(), Path().c_str()),
            LOAM_WRONG_STATE);
  EXPECT_FALSE(std::filesystem::exists(Path()));
  heap.kept.clear();
}

// When the disk is full, the rest of the heap is left alone.
TEST_F(HeapSnapshotTest, EndsWhenTheFileCannotBeWritten) {
  constexpr int kObjects = 10'000;
  TestHeap heap;
  static std::atomic<int> calls;
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "counted";
  info.size = 16;
  info.trace = [](loam_visitor*, void*, size_t) { calls++; };
  const loam_type* type;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  for (int i = 0; i < kObjects; i++) {
    heap.kept.push_back(loam_alloc(heap.m(), type));
  }
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {20'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  calls = 0;
  const loam_status status = loam_heap_snapshot_write(heap.m(), Path().c_str());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status, LOAM_IO_ERROR);
  EXPECT_FALSE(std::filesystem::exists(Path()));
  // They are followed, and their edges counted, before anything is written.
  EXPECT_EQ(calls, 2 * kObjects);
}

}  // namespace
}  // namespace loam_test
