// GCBench for several threads: each builds binary trees of many depths, top
// down and bottom up, lets them die, keeps one long-lived tree and one large
// array of numbers, and drops garbage of power-law sizes in between. After J.
// Ellis, P. Kovac and H. Boehm's GCBench, and A. Wingo's version with threads.
//
// The heap has a fixed size: a multiple of what is alive at most.

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/garbage.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, mutators, 1, "threads, each with its own trees");

struct Node {
  peer::Member<Node> left;
  peer::Member<Node> right;
  int32_t i;
  int32_t j;
};
PEER_LAYOUT(Node, left, right);

struct Numbers {
  size_t count;
};
PEER_ARRAY_LAYOUT(Numbers, double);

namespace {

constexpr int kLongLivedDepth = 16;
constexpr int kLongestDepth = 16;
constexpr int kShortestDepth = 4;
constexpr size_t kNumbers = 500000;
// Between two nodes, on average, this many bytes of garbage.
constexpr size_t kNodesPerGarbage = 256;

constexpr size_t TreeNodes(int depth) { return (size_t{2} << depth) - 1; }

// The long-lived tree, one other, the array, at the peers' cell sizes.
constexpr size_t kLiveBytes =
    (TreeNodes(kLongLivedDepth) + TreeNodes(kLongestDepth)) * 32 +
    kNumbers * sizeof(double) + (128 << 10);

struct Types {
  explicit Types(peer::Heap& heap) : node(heap), numbers(heap), garbage(heap) {}
  peer::Type<Node> node;
  peer::Type<Numbers> numbers;
  peer::Type<benchmarks::Garbage> garbage;
};

class Work {
 public:
  Work(const peer::Thread& thread, const Types& types, uint64_t seed)
      : thread_(thread), types_(types), random_(seed) {}

  uint64_t Run() {
    peer::Local<Node> long_lived(thread_, NewNode());
    Populate(kLongLivedDepth, long_lived);
    peer::Local<Numbers> numbers(thread_,
                                 types_.numbers.NewArray(thread_, kNumbers));
    numbers->count = kNumbers;
    double* const number = peer::Elements(numbers.get());
    for (size_t i = 0; i < kNumbers / 2; i++) {
      number[i] = 1.0 / static_cast<double>(i + 1);
    }
    for (int depth = kShortestDepth; depth <= kLongestDepth; depth += 2) {
      Construct(depth);
    }
    return checksum_ + Count(long_lived) +
           static_cast<uint64_t>(1000 * number[999]);
  }

 private:
  Node* NewNode() {
    if (--until_garbage_ == 0) {
      until_garbage_ = kNodesPerGarbage;
      checksum_ += benchmarks::DropGarbage(thread_, types_.garbage, &random_);
    }
    return types_.node.New(thread_);
  }

  // Gives a node two subtrees, from the top.
  void Populate(int depth, const peer::Local<Node>& node) {
    if (depth <= 0) return;
    node->left.Set(thread_, node, NewNode());
    node->right.Set(thread_, node, NewNode());
    {
      peer::Local<Node> left(thread_, node->left);
      Populate(depth - 1, left);
    }
    peer::Local<Node> right(thread_, node->right);
    Populate(depth - 1, right);
  }

  // A tree from the bottom.
  Node* Make(int depth) {
    if (depth <= 0) return NewNode();
    peer::Local<Node> left(thread_, Make(depth - 1));
    peer::Local<Node> right(thread_, Make(depth - 1));
    Node* const node = NewNode();
    node->left.Set(thread_, node, left);
    node->right.Set(thread_, node, right);
    return node;
  }

  void Construct(int depth) {
    // Each depth allocates about twice what the longest one's tree holds.
    const size_t trees = 2 * TreeNodes(kLongestDepth + 2) / TreeNodes(depth);
    for (size_t i = 0; i < trees; i++) {
      peer::Local<Node> tree(thread_, NewNode());
      Populate(depth, tree);
    }
    for (size_t i = 0; i < trees; i++) {
      checksum_ += Make(depth)->left.get() != nullptr;
    }
  }

  static uint64_t Count(Node* node) {
    return node == nullptr ? 0 : 1 + Count(node->left) + Count(node->right);
  }

  const peer::Thread& thread_;
  const Types& types_;
  benchmarks::Random random_;
  size_t until_garbage_ = kNodesPerGarbage;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const int mutators = absl::GetFlag(FLAGS_mutators);
  benchmarks::WorkloadRun run(static_cast<double>(mutators) * kLiveBytes,
                              /*spare_bytes=*/0);
  const Types types(run.heap());
  run.TimeThreads(static_cast<size_t>(mutators),
                  [&](const peer::Thread& thread, size_t i) {
                    return Work(thread, types, i).Run();
                  });
  run.Print();
  return 0;
}
