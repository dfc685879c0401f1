// GCBench for several threads: each builds binary trees of many depths, top
// down and bottom up, lets them die, keeps one long-lived tree and one large
// array of numbers, and drops garbage of power-law sizes in between. After J.
// Ellis, P. Kovac and H. Boehm's GCBench, and A. Wingo's version with threads.
//
// The heap has a fixed size: a multiple of what is alive at most.

#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/support/report.h"

ABSL_FLAG(int, mutators, 1, "threads, each with its own trees");
ABSL_FLAG(double, factor, 2.5, "heap size as a multiple of the live size");
ABSL_FLAG(int, markers, 1, "threads that mark, where the peer lets one choose");

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

struct Garbage {
  size_t count;
};
PEER_ARRAY_LAYOUT(Garbage, peer::Member<Garbage>);

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
  peer::Type<Garbage> garbage;
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
      DropGarbage();
    }
    return types_.node.New(thread_);
  }

  // Sizes of 8 words times 2^k with probability 2^-k, up to 4,096 words.
  void DropGarbage() {
    const uint64_t bits = random_.Next() | (uint64_t{1} << 9);
    const size_t words = size_t{8} << __builtin_ctzll(bits);
    Garbage* const garbage = types_.garbage.NewArray(thread_, words);
    garbage->count = words;
    peer::Elements(garbage)[words / 2].Set(thread_, garbage, garbage);
    checksum_ += words;
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
  const double live_bytes = static_cast<double>(mutators) * kLiveBytes;
  peer::Settings settings;
  settings.fixed_heap_bytes =
      static_cast<size_t>(absl::GetFlag(FLAGS_factor) * live_bytes);
  settings.markers = absl::GetFlag(FLAGS_markers);
  peer::Heap heap(settings);
  benchmarks::Report report;
  {
    const peer::Thread main_thread(heap);
    const Types types(heap);
    std::vector<uint64_t> checksums(static_cast<size_t>(mutators));
    report.StartTiming();
    std::vector<std::thread> threads;
    for (int i = 1; i < mutators; i++) {
      threads.emplace_back([&, i] {
        const peer::Thread thread(heap);
        checksums[static_cast<size_t>(i)] =
            Work(thread, types, static_cast<uint64_t>(i)).Run();
      });
    }
    checksums[0] = Work(main_thread, types, 0).Run();
    {
      const peer::Blocked blocked(main_thread);
      for (std::thread& thread : threads) thread.join();
    }
    report.StopTiming();
    uint64_t checksum = 0;
    for (uint64_t c : checksums) checksum += c;
    report.SetChecksum(checksum);
    report.Add("live_mib", live_bytes / (1 << 20));
    report.AddStatistics(heap.statistics());
  }
  report.Print(peer::kName);
  return 0;
}
