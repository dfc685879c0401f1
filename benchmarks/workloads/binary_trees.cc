// Binary trees of the benchmarks game: one tree that is stretched and dropped,
// one that lives to the end, and in between many short-lived ones of each
// depth, as many nodes of one depth as of another; each is walked once. After
// H. Boehm's GCBench.
//
// Nodes are two references and nothing else, and a tree is built from the top,
// in the order of a depth-first walk. malloc frees each tree node by node,
// which touches a dead tree once more where a collector does not; it needs no
// spare memory. The heap of collectors has a fixed size, a multiple of what is
// alive at most.

#include <algorithm>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, depth, 18, "of the deepest trees; a tree of depth 0 is a node");

struct Node {
  peer::Member<Node> left;
  peer::Member<Node> right;
};
PEER_LAYOUT(Node, left, right);

namespace {

constexpr int kShortestDepth = 4;

constexpr size_t TreeNodes(int depth) { return (size_t{2} << depth) - 1; }

class Work {
 public:
  Work(const peer::Thread& thread, const peer::Type<Node>& type)
      : thread_(thread), type_(type) {}

  uint64_t Run(int depth) {
    uint64_t checksum = MakeCountDrop(depth + 1);
    peer::Local<Node> long_lived(thread_, Make(depth));
    for (int d = kShortestDepth; d <= depth; d += 2) {
      const uint64_t trees = uint64_t{1} << (depth - d + kShortestDepth);
      uint64_t nodes = 0;
      for (uint64_t i = 0; i < trees; i++) nodes += MakeCountDrop(d);
      // Such that no two depths are alike.
      checksum = 3 * checksum + nodes;
    }
    checksum = 3 * checksum + Count(long_lived);
    Free(long_lived);
    return checksum;
  }

 private:
  Node* Make(int depth) {
    if (depth == 0) return type_.New(thread_);
    peer::Local<Node> node(thread_, type_.New(thread_));
    node->left.Set(thread_, node, Make(depth - 1));
    node->right.Set(thread_, node, Make(depth - 1));
    return node;
  }

  uint64_t MakeCountDrop(int depth) {
    // Counting does not allocate.
    Node* const tree = Make(depth);
    const uint64_t nodes = Count(tree);
    Free(tree);
    return nodes;
  }

  static uint64_t Count(const Node* node) {
    if (node->left == nullptr) return 1;
    return 1 + Count(node->left) + Count(node->right);
  }

  static void Free(Node* node) {
    if (peer::kCollects) return;
    if (node->left != nullptr) {
      Free(node->left);
      Free(node->right);
    }
    peer::Free(node);
  }

  const peer::Thread& thread_;
  const peer::Type<Node>& type_;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const int depth = std::max(kShortestDepth, absl::GetFlag(FLAGS_depth));
  // The long-lived tree and one other, or the stretched one.
  benchmarks::WorkloadRun run(
      static_cast<double>(2 * TreeNodes(depth) * sizeof(Node)));
  const peer::Type<Node> type(run.heap());
  run.Time([&] { return Work(run.thread(), type).Run(depth); });
  run.Print();
  return 0;
}
