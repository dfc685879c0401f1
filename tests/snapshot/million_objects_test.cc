// A snapshot of a million objects: every node and every edge of it.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/snapshot/known_graphs.h"
#include "tests/snapshot/snapshot_reader.h"

namespace loam_test {
namespace {

constexpr size_t kObjects = 1'000'000;

struct Counts {
  size_t objects = 0;
  uint64_t bytes = 0;
};
Counts Walk(const TestHeap& heap) {
  Counts counts;
  const auto visit = [](void*, size_t bytes, const loam_type*, void* data) {
    auto* sum = static_cast<Counts*>(data);
    sum->objects++;
    sum->bytes += bytes;
    return 1;
  };
  EXPECT_EQ(loam_heap_walk(heap.m(), visit, &counts), LOAM_OK);
  return counts;
}

TEST(MillionObjectsTest, EveryNodeAndEdge) {
  const ManyNodes heap(kObjects);
  SCOPED_TRACE(heap.random.Describe());
  const std::string path = testing::TempDir() + "/million.heapsnapshot";
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(loam_heap_snapshot_write(heap.m(), path.c_str()), LOAM_OK)
      << loam_last_error();
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  const SnapshotReader snapshot(path);
  printf("%zu nodes, %zu edges, %zu bytes in %.3f s\n", snapshot.nodes.size(),
         snapshot.edges.size(), snapshot.file_bytes(), took.count());
  std::filesystem::remove(path);
  ASSERT_FALSE(HasFailure());

  const Counts walked = Walk(heap);
  Counts shown;
  for (const SnapshotNode& node : snapshot.nodes) {
    shown.objects += node.type != "synthetic";
    shown.bytes += node.bytes;
  }
  EXPECT_EQ(shown.objects, walked.objects);
  EXPECT_EQ(shown.objects, kObjects + 1);
  EXPECT_EQ(shown.bytes, walked.bytes);
  // The root, its holder, the provider; and from each to the next.
  EXPECT_EQ(snapshot.nodes.size(), kObjects + 1 + 3);
  EXPECT_EQ(snapshot.edges.size(), 3 * kObjects + 3);

  // Which node is whose: the array says.
  const size_t provider =
      snapshot.Child(snapshot.Child(0, "(provider)"), "provider kept");
  const size_t all = snapshot.Child(provider, "slots");
  ASSERT_NE(all, SIZE_MAX);
  std::vector<size_t> node_of(kObjects, SIZE_MAX);
  const auto for_each_edge = [&](size_t node, auto&& visit) {
    for (size_t e = snapshot.nodes[node].first_edge;
         e < snapshot.nodes[node].edge_end; e++) {
      visit(snapshot.edges[e]);
    }
  };
  for_each_edge(all, [&](const SnapshotEdge& edge) {
    node_of.at(edge.name_or_index) = edge.to;
  });
  std::vector<const void*> object_at(snapshot.nodes.size());
  for (size_t i = 0; i < kObjects; i++) {
    ASSERT_NE(node_of[i], SIZE_MAX) << i;
    ASSERT_EQ(object_at[node_of[i]], nullptr) << i;
    object_at[node_of[i]] = heap.node(i);
  }
  for (size_t i = 0; i < kObjects; i++) {
    size_t seen = 0;
    for_each_edge(node_of[i], [&](const SnapshotEdge& edge) {
      const std::string name = snapshot.Text(edge);
      const Node* node = heap.node(i);
      ASSERT_TRUE(name == "property left" || name == "property right") << name;
      ASSERT_EQ(object_at[edge.to],
                name == "property left" ? node->left : node->right);
      seen++;
    });
    ASSERT_EQ(seen, 2u) << i;
  }
}

}  // namespace
}  // namespace loam_test
