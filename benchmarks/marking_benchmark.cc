// Marking a binary tree of 4.2 million nodes: two references and two words of
// data each, 128 MiB in all, laid out in memory
//
//   preorder   in the order of a depth-first walk, as most trees are built
//   random     in no order: each reference leads to a distant address
//
// One iteration is one full collection on the calling thread. For loam its time
// is that of marking, from the heap's statistics; the wall time with sweeping
// is the counter whole_ns_per_object. For Boehm's collector it is the wall time
// of GC_gcollect, which leaves most sweeping to later allocations.

#include <gc/gc.h>

#include <chrono>
#include <random>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace benchmarks {

struct Node {
  loam::Member<Node> left;
  loam::Member<Node> right;
  uint64_t data[2];
};

struct BoehmNode {
  BoehmNode* left;
  BoehmNode* right;
  uint64_t data[2];
};

}  // namespace benchmarks

LOAM_LAYOUT(benchmarks::Node, left, right);

namespace {

using benchmarks::BenchmarkHeap;
using benchmarks::BoehmNode;
using benchmarks::Check;
using benchmarks::Node;

constexpr int kDepth = 22;
constexpr size_t kNodes = (size_t{1} << kDepth) - 1;

enum class Order { kPreorder, kRandom };

// Shuffled indices of the nodes; the same ones in each run.
std::vector<uint32_t> Shuffled() {
  std::vector<uint32_t> order(kNodes);
  for (size_t i = 0; i < kNodes; i++) order[i] = static_cast<uint32_t>(i);
  std::mt19937_64 random(20240229);
  // Not std::shuffle, which differs between C++ libraries.
  for (size_t i = kNodes - 1; i > 0; i--) {
    std::swap(order[i], order[random() % (i + 1)]);
  }
  return order;
}

// Makes a tree of shuffled nodes: the i-th has the (2i+1)-th and the (2i+2)-th
// as children. Returns its root, the 0th.
template <typename N, typename Link>
N* LinkShuffled(const std::vector<N*>& nodes, Link&& link) {
  const std::vector<uint32_t> order = Shuffled();
  for (size_t i = 0; 2 * i + 2 < kNodes; i++) {
    link(nodes[order[i]], nodes[order[2 * i + 1]], nodes[order[2 * i + 2]]);
  }
  return nodes[order[0]];
}

class LoamTree {
 public:
  explicit LoamTree(Order order) : heap_(uint64_t{1} << 30), root_(heap_.m()) {
    Check(heap_.heap().Register(&type_, LOAM_TYPE_HOT), "registering a type");
    if (order == Order::kPreorder) {
      root_ = Preorder(kDepth);
      return;
    }
    // No collection yet: the nodes are not rooted.
    loam_gc_disable(heap_.m());
    std::vector<Node*> nodes(kNodes);
    for (Node*& node : nodes) node = New();
    root_ = LinkShuffled(nodes, [&](Node* parent, Node* left, Node* right) {
      parent->left.Set(heap_.m(), parent, left);
      parent->right.Set(heap_.m(), parent, right);
    });
    Check(loam_gc_enable(heap_.m()), "enabling collections");
  }

  loam_stats Collect() {
    Check(heap_.m().Collect(), "collecting");
    return heap_.heap().Stats();
  }

 private:
  Node* New() {
    Node* const node = heap_.m().New(type_);
    if (node == nullptr) Check(LOAM_OUT_OF_MEMORY, "allocating");
    return node;
  }

  Node* Preorder(int depth) {
    loam::Local<Node> node(heap_.m(), New());
    if (depth > 1) {
      node->left.Set(heap_.m(), node, Preorder(depth - 1));
      node->right.Set(heap_.m(), node, Preorder(depth - 1));
    }
    return node;
  }

  BenchmarkHeap heap_;
  loam::Type<Node> type_;
  loam::Local<Node> root_;
};

class BoehmTree {
 public:
  explicit BoehmTree(Order order) {
    GC_INIT();
    GC_expand_hp(size_t{512} << 20);
    if (order == Order::kPreorder) {
      root_ = Preorder(kDepth);
      return;
    }
    GC_disable();
    std::vector<BoehmNode*> nodes(kNodes);
    for (BoehmNode*& node : nodes) node = New();
    root_ = LinkShuffled(
        nodes, [&](BoehmNode* parent, BoehmNode* left, BoehmNode* right) {
          parent->left = left;
          parent->right = right;
        });
    GC_enable();
  }
  ~BoehmTree() { root_ = nullptr; }

  size_t live_bytes() const {
    benchmark::DoNotOptimize(root_);  // or no one reads it, and it is gone
    return GC_get_heap_size() - GC_get_free_bytes();
  }

 private:
  static BoehmNode* New() {
    return static_cast<BoehmNode*>(GC_MALLOC(sizeof(BoehmNode)));
  }
  static BoehmNode* Preorder(int depth) {
    BoehmNode* const node = New();
    if (depth > 1) {
      node->left = Preorder(depth - 1);
      node->right = Preorder(depth - 1);
    }
    return node;
  }

  // Static: Boehm's collector does not look into memory from operator new.
  static inline BoehmNode* root_ = nullptr;
};

double Seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

// Building a tree takes longer than marking it, and Google Benchmark calls its
// functions many times: one tree is kept, for the benchmark that ran last.
template <typename Tree>
Tree& TreeOf(Order order) {
  // Not destroyed at the end of the program, when its mutator's thread has
  // ended.
  static Tree* tree = nullptr;
  static Order order_of_tree;
  if (tree == nullptr || order_of_tree != order) {
    delete tree;
    tree = new Tree(order);
    order_of_tree = order;
  }
  return *tree;
}

void SetNsPerObject(benchmark::State& state, const char* name, double seconds) {
  state.counters[name] =
      seconds * 1e9 / static_cast<double>(kNodes * state.iterations());
}

void MarkLoam(benchmark::State& state, Order order) {
  LoamTree& tree = TreeOf<LoamTree>(order);
  uint64_t mark_ns = tree.Collect().total_mark_ns;
  double marking = 0;
  double whole = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    const loam_stats stats = tree.Collect();
    whole += Seconds(std::chrono::steady_clock::now() - start);
    if (stats.live_objects != kNodes) {
      return state.SkipWithError("the collector did not see the tree");
    }
    const double seconds =
        static_cast<double>(stats.total_mark_ns - mark_ns) * 1e-9;
    mark_ns = stats.total_mark_ns;
    marking += seconds;
    state.SetIterationTime(seconds);
  }
  SetNsPerObject(state, "ns_per_object", marking);
  SetNsPerObject(state, "whole_ns_per_object", whole);
}

void MarkBoehm(benchmark::State& state, Order order) {
  const BoehmTree& tree = TreeOf<BoehmTree>(order);
  GC_gcollect();
  if (tree.live_bytes() < kNodes * sizeof(BoehmNode)) {
    return state.SkipWithError("the collector did not see the tree");
  }
  double marking = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    GC_gcollect();
    const double seconds = Seconds(std::chrono::steady_clock::now() - start);
    marking += seconds;
    state.SetIterationTime(seconds);
  }
  SetNsPerObject(state, "ns_per_object", marking);
}

#define MARKING_BENCHMARK(Function, order, name) \
  BENCHMARK_CAPTURE(Function, name, order)       \
      ->Name(name)                               \
      ->UseManualTime()                          \
      ->Unit(benchmark::kMillisecond)

MARKING_BENCHMARK(MarkLoam, Order::kPreorder, "mark_preorder");
MARKING_BENCHMARK(MarkLoam, Order::kRandom, "mark_random");
MARKING_BENCHMARK(MarkBoehm, Order::kPreorder, "mark_boehm_preorder");
MARKING_BENCHMARK(MarkBoehm, Order::kRandom, "mark_boehm_random");

}  // namespace
