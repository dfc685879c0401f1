// Eight threads on one heap, collecting all the while: each rebuilds and checks
// trees of its own, and all share and mutate a graph of 20 MiB. Nothing may be
// lost, and memory must not creep.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/resident_memory.h"
#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr int kThreads = 8;
constexpr size_t kEdges = 4;

// 64 bytes. Identity and check are written before a node is published and never
// again.
struct GraphNode {
  GraphNode* edges[kEdges];
  uint64_t index;
  uint64_t serial;
  uint64_t check;
  uint64_t unused;
};
constexpr size_t kGraphNodes = (20 << 20) / sizeof(GraphNode);

struct TreeNode {
  TreeNode* left;
  TreeNode* right;
  uint64_t id;
  uint64_t check;
};
constexpr int kTreeDepth = 11;

uint64_t CheckOf(uint64_t a, uint64_t b) {
  return (a * 0x9e3779b97f4a7c15u) ^ (b + 0x7f4a7c15u);
}

class SharedGraph : public testing::Test {
 protected:
  void SetUp() override {
    loam_options options;
    loam_options_init(&options);
    ASSERT_EQ(loam_heap_create(&options, &heap_), LOAM_OK);
    const loam_field graph_fields[] = {
        LOAM_FIELD(GraphNode, edges, LOAM_POINTER)};
    graph_type_ = Register("graph node", sizeof(GraphNode), graph_fields, 1);
    const loam_field tree_fields[] = {
        LOAM_FIELD(TreeNode, left, LOAM_POINTER),
        LOAM_FIELD(TreeNode, right, LOAM_POINTER)};
    tree_type_ = Register("tree node", sizeof(TreeNode), tree_fields, 2);
  }
  void TearDown() override { ASSERT_EQ(loam_heap_destroy(heap_), LOAM_OK); }

  const loam_type* Register(const char* name, size_t size,
                            const loam_field* fields, size_t count) {
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = name;
    info.size = size;
    info.fields = fields;
    info.field_count = count;
    const loam_type* type = nullptr;
    EXPECT_EQ(loam_type_register(loam_heap_types(heap_), &info, &type),
              LOAM_OK);
    return type;
  }

  // The table of the current nodes: a heap object of kGraphNodes values, which
  // are plain pointers here.
  GraphNode** table() { return static_cast<GraphNode**>(table_); }
  // Acquire pairs with the exchange that published the node.
  GraphNode* Load(GraphNode** slot) {
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
  }

  GraphNode* NewGraphNode(loam_mutator* m, uint64_t index, uint64_t serial) {
    auto* node = static_cast<GraphNode*>(loam_alloc(m, graph_type_));
    if (node == nullptr) Fail("out of memory", index);
    node->index = index;
    node->serial = serial;
    node->check = CheckOf(index, serial);
    return node;
  }

  void Fail(const char* what, uint64_t where) {
    fprintf(stderr, "shared graph: %s at %llu\n", what,
            static_cast<unsigned long long>(where));
    abort();
  }

  void CheckNode(const GraphNode* node) {
    if (node->index >= kGraphNodes ||
        node->check != CheckOf(node->index, node->serial)) {
      Fail("a node was lost or overwritten", node->index);
    }
  }

  void BuildGraph(loam_mutator* m) {
    table_ = loam_alloc_slots(m, kGraphNodes);
    ASSERT_NE(table_, nullptr);
    for (size_t i = 0; i < kGraphNodes; i++) {
      loam_store_pointer(m, table_, &table()[i], NewGraphNode(m, i, 0));
    }
  }

  // Replaces one node of the graph and changes edges of others.
  void MutateGraph(loam_mutator* m, Random* random, uint64_t serial) {
    const size_t index = random->Below(kGraphNodes);
    GraphNode* fresh = NewGraphNode(m, index, serial);
    for (size_t e = 0; e < kEdges; e++) {
      loam_store_pointer_init(m, fresh, &fresh->edges[e],
                              Load(&table()[random->Below(kGraphNodes)]));
    }
    auto* old = static_cast<GraphNode*>(
        loam_exchange_pointer(m, table_, &table()[index], fresh));
    CheckNode(old);
    if (old->index != index) Fail("a node is in the wrong place", index);
    // Old versions must not keep older ones alive.
    for (GraphNode*& edge : old->edges) {
      loam_exchange_pointer(m, old, &edge, nullptr);
    }
    GraphNode* other = Load(&table()[random->Below(kGraphNodes)]);
    GraphNode** slot = &other->edges[random->Below(kEdges)];
    void* expected = Load(slot);
    loam_compare_exchange_pointer(m, other, slot, &expected,
                                  Load(&table()[random->Below(kGraphNodes)]));
    // A walk along edges.
    GraphNode* node = fresh;
    for (int step = 0; step < 8 && node != nullptr; step++) {
      CheckNode(node);
      node = Load(&node->edges[random->Below(kEdges)]);
    }
  }

  TreeNode* BuildTree(loam_mutator* m, int depth, uint64_t id) {
    LOAM_FRAME(m, f, 2, LOAM_POINTER);
    if (depth > 0) {
      f.slots[0] = reinterpret_cast<loam_word>(BuildTree(m, depth - 1, 2 * id));
      f.slots[1] =
          reinterpret_cast<loam_word>(BuildTree(m, depth - 1, 2 * id + 1));
    }
    auto* node = static_cast<TreeNode*>(loam_alloc(m, tree_type_));
    if (node == nullptr) Fail("out of memory", id);
    loam_store_pointer_init(m, node, &node->left,
                            reinterpret_cast<void*>(f.slots[0]));
    loam_store_pointer_init(m, node, &node->right,
                            reinterpret_cast<void*>(f.slots[1]));
    node->id = id;
    node->check = CheckOf(id, 1);
    LOAM_FRAME_END(f);
    return node;
  }

  size_t CheckTree(const TreeNode* node, uint64_t id) {
    if (node == nullptr) return 0;
    if (node->id != id || node->check != CheckOf(id, 1)) {
      Fail("a tree node was lost", id);
    }
    return 1 + CheckTree(node->left, 2 * id) +
           CheckTree(node->right, 2 * id + 1);
  }

  void Run(int number, uint64_t seed) {
    loam_mutator* m = nullptr;
    if (loam_mutator_attach(heap_, "worker", &m) != LOAM_OK) {
      Fail(loam_last_error(), 0);
    }
    Random random(seed + number);
    uint64_t serial = 1;
    LOAM_FRAME(m, own, 1, LOAM_POINTER);
    while (!stop_.load(std::memory_order_relaxed)) {
      own.slots[0] = reinterpret_cast<loam_word>(BuildTree(m, kTreeDepth, 1));
      for (int i = 0; i < 2000; i++) MutateGraph(m, &random, serial++);
      const size_t nodes =
          CheckTree(reinterpret_cast<TreeNode*>(own.slots[0]), 1);
      if (nodes != (size_t{2} << kTreeDepth) - 1) Fail("tree nodes", nodes);
      if (number == 0 && serial % 64000 == 1 &&
          loam_collect(m, LOAM_COLLECT_FULL) != LOAM_OK) {
        Fail(loam_last_error(), 0);
      }
      rounds_.fetch_add(1, std::memory_order_relaxed);
    }
    LOAM_FRAME_END(own);
    if (loam_mutator_detach(m) != LOAM_OK) Fail(loam_last_error(), 0);
  }

  loam_stats Stats() {
    loam_stats stats = {};
    stats.struct_size = sizeof(stats);
    EXPECT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
    return stats;
  }

  loam_heap* heap_ = nullptr;
  const loam_type* graph_type_ = nullptr;
  const loam_type* tree_type_ = nullptr;
  void* table_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> rounds_{0};
};

TEST_F(SharedGraph, NothingIsLostAndMemoryDoesNotCreep) {
  const uint64_t seed = TestSeed();
  const double seconds = TestSeconds(3);
  loam_mutator* m = nullptr;
  ASSERT_EQ(loam_mutator_attach(heap_, "main", &m), LOAM_OK);
  loam_root* root = nullptr;
  ASSERT_EQ(loam_root_add(heap_, &table_, LOAM_POINTER, "the graph", &root),
            LOAM_OK);
  BuildGraph(m);
  loam_enter_native(m);

  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; i++) {
    threads.emplace_back([this, i, seed] { Run(i, seed); });
  }
  const auto third = std::chrono::duration<double>(seconds / 3);
  std::this_thread::sleep_for(third);
  const loam_stats early = Stats();
  // Resident memory swings with the cycles: compare the largest of each part.
  const auto largest_resident = [&](std::chrono::duration<double> time) {
    size_t largest = 0;
    const auto end = std::chrono::steady_clock::now() + time;
    do {
      largest = std::max(largest, ResidentBytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } while (std::chrono::steady_clock::now() < end);
    return largest;
  };
  const size_t resident_early = largest_resident(third);
  const size_t resident_late = largest_resident(third);
  stop_.store(true);
  for (std::thread& thread : threads) thread.join();
  const loam_stats late = Stats();
  printf(
      "%llu rounds, %llu cycles, longest pause %.2f ms\n"
      "peak committed: %.1f MiB at a third, %.1f MiB at the end; "
      "resident: %.1f and %.1f MiB\n",
      static_cast<unsigned long long>(rounds_.load()),
      static_cast<unsigned long long>(late.cycles),
      static_cast<double>(late.longest_pause_ns) / 1e6,
      static_cast<double>(early.peak_committed_bytes) / (1 << 20),
      static_cast<double>(late.peak_committed_bytes) / (1 << 20),
      static_cast<double>(resident_early) / (1 << 20),
      static_cast<double>(resident_late) / (1 << 20));
  EXPECT_GT(rounds_.load(), 0u);
  EXPECT_GT(late.cycles, 0u);
  // In a few seconds, or a few cycles, the heap has not reached its size at a
  // third.
  constexpr uint64_t kSettledCycles = 20;
  if (seconds >= 20 && !kSanitized) {
    EXPECT_GE(early.cycles, kSettledCycles);
  }
  if (seconds >= 20 && early.cycles >= kSettledCycles) {
    EXPECT_LE(static_cast<double>(late.peak_committed_bytes),
              1.1 * static_cast<double>(early.peak_committed_bytes));
    EXPECT_LE(static_cast<double>(resident_late),
              1.1 * static_cast<double>(resident_early));
  }

  ASSERT_EQ(loam_leave_native(m), LOAM_OK);
  ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
  for (size_t i = 0; i < kGraphNodes; i++) {
    ASSERT_NE(table()[i], nullptr);
    CheckNode(table()[i]);
    ASSERT_EQ(table()[i]->index, i);
  }
  EXPECT_EQ(loam_heap_check(m, LOAM_CHECK_FULL, nullptr, nullptr), LOAM_OK);
  ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
}

}  // namespace
}  // namespace loam_test
