// Quad trees: one large complete tree is built and kept; then subtrees of it,
// chosen at random, are replaced by new ones, with garbage of power-law sizes
// dropped in between. After the quads benchmark of A. Wingo's Whippet, where
// the large tree stays as it is and the garbage is small trees.
//
// Trees are built from the bottom, so a node lies behind its subtrees. The heap
// has a fixed size, a multiple of what is alive; malloc takes what it needs,
// and frees a replaced subtree node by node.

#include <algorithm>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/garbage.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, depth, 11, "of the tree; 11 makes 5.6 million nodes");
ABSL_FLAG(int, replacements, 12'000, "of subtrees, half as deep as the tree");

struct Quad {
  peer::Member<Quad> children[4];
  uint64_t data;
};
PEER_LAYOUT(Quad, children);

namespace {

// Of a node, at the peers' cell sizes.
constexpr size_t kNodeBytes = 48;
// As many bytes of nodes as of garbage, whose mean size is 360 bytes.
constexpr size_t kNodesPerGarbage = 8;

constexpr size_t TreeNodes(int depth) {
  return ((size_t{4} << (2 * depth)) - 1) / 3;
}

struct Types {
  explicit Types(peer::Heap& heap) : quad(heap), garbage(heap) {}
  peer::Type<Quad> quad;
  peer::Type<benchmarks::Garbage> garbage;
};

class Work {
 public:
  Work(const peer::Thread& thread, const Types& types, int depth)
      : thread_(thread), types_(types), depth_(depth) {}

  uint64_t Run(int replacements) {
    peer::Local<Quad> root(thread_, Make(depth_));
    drops_garbage_ = true;
    for (int i = 0; i < replacements; i++) Replace(root);
    checksum_ += Sum(root);
    Free(root);
    return checksum_;
  }

 private:
  // A tree from the bottom; nodes are numbered.
  Quad* Make(int depth) {
    if (depth == 0) return NewQuad();
    peer::Local<Quad> first(thread_, Make(depth - 1));
    peer::Local<Quad> second(thread_, Make(depth - 1));
    peer::Local<Quad> third(thread_, Make(depth - 1));
    peer::Local<Quad> fourth(thread_, Make(depth - 1));
    Quad* const quad = NewQuad();
    quad->children[0].Set(thread_, quad, first);
    quad->children[1].Set(thread_, quad, second);
    quad->children[2].Set(thread_, quad, third);
    quad->children[3].Set(thread_, quad, fourth);
    return quad;
  }

  Quad* NewQuad() {
    if (--until_garbage_ == 0) {
      until_garbage_ = kNodesPerGarbage;
      if (drops_garbage_) {
        checksum_ += benchmarks::DropGarbage(thread_, types_.garbage, &random_);
      }
    }
    Quad* const quad = types_.quad.New(thread_);
    quad->data = ++made_;
    return quad;
  }

  // The node above the subtree stays where it is.
  void Replace(Quad* root) {
    const int height = depth_ / 2;
    peer::Local<Quad> above(thread_, root);
    for (int level = depth_; level > height + 1; level--) {
      above = above->children[random_.Below(4)].get();
    }
    peer::Member<Quad>& child = above->children[random_.Below(4)];
    Quad* const old = child;
    checksum_ += old->data;
    if (!peer::kCollects) Free(old);
    child.Set(thread_, above, Make(height));
  }

  static uint64_t Sum(const Quad* quad) {
    if (quad == nullptr) return 0;
    uint64_t sum = quad->data;
    for (const auto& child : quad->children) sum += Sum(child);
    return sum;
  }

  static void Free(Quad* quad) {
    if (peer::kCollects || quad == nullptr) return;
    for (const auto& child : quad->children) Free(child);
    peer::Free(quad);
  }

  const peer::Thread& thread_;
  const Types& types_;
  const int depth_;
  benchmarks::Random random_{1};
  size_t until_garbage_ = kNodesPerGarbage;
  bool drops_garbage_ = false;
  uint64_t made_ = 0;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const int depth = std::max(1, absl::GetFlag(FLAGS_depth));
  benchmarks::WorkloadRun run(
      static_cast<double>(TreeNodes(depth) * kNodeBytes));
  const Types types(run.heap());
  run.Time([&] {
    return Work(run.thread(), types, depth)
        .Run(absl::GetFlag(FLAGS_replacements));
  });
  run.Print();
  return 0;
}
