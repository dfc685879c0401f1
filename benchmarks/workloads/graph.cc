// A random graph that changes all the time, with poor locality: an array refers
// to every node, each node to three others. Each step replaces one node, gives
// an edge of another one a new target, and follows a path, on which it repairs
// edges to nodes that are no longer in the graph. It remembers what it saw on
// the path in a list, dropped afterwards. Nearly every access to a node misses
// the cache, on any heap.
//
// Nodes that left the graph live on until the last edge to them is repaired or
// dies, so malloc, which would have to count references, is not asked. The heap
// has a fixed size, a multiple of what is alive.

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, nodes, 1'000'000, "of the graph");
ABSL_FLAG(int, steps, 700'000, "each replaces a node");

struct Node {
  peer::Member<Node> edges[3];
  uint64_t data;  // 0: no longer in the graph
};
PEER_LAYOUT(Node, edges);

struct Sight {
  peer::Member<Sight> before;
  peer::Member<Node> node;
  uint64_t edge;
};
PEER_LAYOUT(Sight, before, node);

struct Nodes {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Nodes, peer::Member<Node>);

namespace {

constexpr size_t kEdges = 3;
constexpr size_t kPath = 4;  // nodes
// Bytes alive for each node of the graph: itself, its place in the array, and
// about one more to every two, still the target of an edge.
constexpr double kBytesPerNode = 32 + 8 + 16;

struct Types {
  explicit Types(peer::Heap& heap) : node(heap), sight(heap), nodes(heap) {}
  peer::Type<Node> node;
  peer::Type<Sight> sight;
  peer::Type<Nodes> nodes;
};

class Work {
 public:
  Work(const peer::Thread& thread, const Types& types, size_t count)
      : thread_(thread),
        types_(types),
        count_(count),
        all_(thread, types.nodes.NewArray(thread, count)) {
    all_->count = count;
    for (size_t i = 0; i < count; i++) {
      peer::Elements(all_.get())[i].Set(thread_, all_, NewNode());
    }
    for (size_t i = 0; i < count; i++) {
      Node* const node = peer::Elements(all_.get())[i];
      for (auto& edge : node->edges) edge.Set(thread_, node, AnyNode());
    }
  }

  uint64_t Run(int steps) {
    for (int i = 0; i < steps; i++) {
      Replace();
      Node* const node = AnyNode();
      node->edges[random_.Below(kEdges)].Set(thread_, node, AnyNode());
      Follow();
    }
    for (size_t i = 0; i < count_; i++) {
      const Node* const node = peer::Elements(all_.get())[i];
      for (const auto& edge : node->edges) checksum_ += edge->data;
    }
    return checksum_;
  }

 private:
  Node* NewNode() {
    Node* const node = types_.node.New(thread_);
    node->data = ++made_;
    return node;
  }
  Node* AnyNode() { return peer::Elements(all_.get())[random_.Below(count_)]; }

  void Replace() {
    Node* const node = NewNode();
    auto& place = peer::Elements(all_.get())[random_.Below(count_)];
    Node* const old = place;
    old->data = 0;
    for (auto& edge : old->edges) edge.Set(thread_, old, nullptr);
    place.Set(thread_, all_, node);
    for (auto& edge : node->edges) edge.Set(thread_, node, AnyNode());
  }

  void Follow() {
    peer::Local<Sight> last(thread_);
    peer::Local<Node> node(thread_, AnyNode());
    for (size_t i = 0; i < kPath; i++) {
      for (size_t j = 0; j < kEdges; j++) {
        Sight* const sight = types_.sight.New(thread_);
        sight->before.Set(thread_, sight, last);
        sight->node.Set(thread_, sight, node->edges[j]);
        sight->edge = j;
        last = sight;
      }
      auto& edge = node->edges[random_.Below(kEdges)];
      if (edge->data == 0) edge.Set(thread_, node, AnyNode());
      node = edge.get();
    }
    checksum_ += last->node->data + last->before->edge;
  }

  const peer::Thread& thread_;
  const Types& types_;
  const size_t count_;
  peer::Local<Nodes> all_;
  benchmarks::Random random_{1};
  uint64_t made_ = 0;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto count = static_cast<size_t>(absl::GetFlag(FLAGS_nodes));
  benchmarks::WorkloadRun run(static_cast<double>(count) * kBytesPerNode);
  const Types types(run.heap());
  run.Time([&] {
    return Work(run.thread(), types, count).Run(absl::GetFlag(FLAGS_steps));
  });
  run.Print();
  return 0;
}
