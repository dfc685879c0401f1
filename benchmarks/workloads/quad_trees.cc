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
#include "benchmarks/support/report.h"

ABSL_FLAG(int, depth, 11, "of the tree; 11 makes 5.6 million nodes");
ABSL_FLAG(int, replacements, 12'000, "of subtrees, half as deep as the tree");
ABSL_FLAG(double, factor, 2.5, "heap size as a multiple of the live size");
ABSL_FLAG(int, markers, 1, "threads that mark, where the peer lets one choose");

struct Quad {
  peer::Member<Quad> children[4];
  uint64_t data;
};
PEER_LAYOUT(Quad, children);

struct Garbage {
  size_t count;
};
PEER_ARRAY_LAYOUT(Garbage, peer::Member<Garbage>);

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
  peer::Type<Garbage> garbage;
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
      if (drops_garbage_) DropGarbage();
    }
    Quad* const quad = types_.quad.New(thread_);
    quad->data = ++made_;
    return quad;
  }

  // Sizes of 8 words times 2^k with probability 2^-k, up to 4,096 words.
  void DropGarbage() {
    const uint64_t bits = random_.Next() | (uint64_t{1} << 9);
    const size_t words = size_t{8} << __builtin_ctzll(bits);
    Garbage* const garbage = types_.garbage.NewArray(thread_, words);
    garbage->count = words;
    peer::Elements(garbage)[words / 2].Set(thread_, garbage, garbage);
    checksum_ += words;
    peer::Free(garbage);
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
  const auto live_bytes = static_cast<double>(TreeNodes(depth) * kNodeBytes);
  peer::Settings settings;
  settings.fixed_heap_bytes =
      static_cast<size_t>(absl::GetFlag(FLAGS_factor) * live_bytes) +
      (size_t{1} << 20);
  settings.markers = absl::GetFlag(FLAGS_markers);
  peer::Heap heap(settings);
  benchmarks::Report report;
  {
    const peer::Thread thread(heap);
    const Types types(heap);
    report.StartTiming();
    report.SetChecksum(
        Work(thread, types, depth).Run(absl::GetFlag(FLAGS_replacements)));
    report.StopTiming();
    report.Add("live_mib", live_bytes / (1 << 20));
    report.AddStatistics(heap.statistics());
  }
  report.Print(peer::kName);
  return 0;
}
