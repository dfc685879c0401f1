// Marking heaps of several shapes and densities: full collections of a heap
// that does not change, one marking thread unless told otherwise.
//
//   tree         a binary tree in the order of a depth-first walk, as most
//   trees
//                are built
//   random_tree  the same tree, its nodes in no order
//   graph        nodes with three references: to the next of a random order,
//   and
//                to two at random
//   arrays       arrays of 1,000 references to records
//   lru          a hash table of entries on a doubly linked list in the order
//   of
//                their last use, each with a string
//
// With --live below 100 only that percentage of each page's cells is in use:
// dead objects are allocated among the live ones and freed by a first
// collection.
//
// mark_ns_per_object is of the pause, collect_ns_per_object of the whole call.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/support/report.h"

ABSL_FLAG(std::string, shape, "tree",
          "tree, random_tree, graph, arrays or lru");
ABSL_FLAG(int, live, 100, "percent of the cells of a page: 100, 50 or 10");
ABSL_FLAG(int, objects, 4'194'303, "live ones; trees are cut to a full one");
ABSL_FLAG(int, collections, 5, "that are timed; their median counts");
ABSL_FLAG(int, markers, 1, "threads that mark, where the peer lets one choose");

struct Node {
  peer::Member<Node> first;
  peer::Member<Node> second;
  peer::Member<Node> third;
  uint64_t data;
};
PEER_LAYOUT(Node, first, second, third);

// Of trees: two references and two words of data.
struct TreeNode {
  peer::Member<TreeNode> left;
  peer::Member<TreeNode> right;
  uint64_t data[2];
};
PEER_LAYOUT(TreeNode, left, right);

struct Array {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Array, peer::Member<void>);

struct Entry {
  peer::Member<Entry> next_in_bucket;
  peer::Member<Entry> newer;
  peer::Member<Entry> older;
  peer::Member<void> text;
  uint64_t key;
  uint64_t hits;
};
PEER_LAYOUT(Entry, next_in_bucket, newer, older, text);

namespace {

constexpr size_t kArrayElements = 1000;

struct Types {
  explicit Types(peer::Heap& heap)
      : tree_node(heap), node(heap), array(heap), entry(heap) {}
  peer::Type<TreeNode> tree_node;
  peer::Type<Node> node;
  peer::Type<Array> array;
  peer::Type<Entry> entry;
};

class Builder {
 public:
  Builder(const peer::Thread& thread, const Types& types, size_t objects)
      : thread_(thread),
        types_(types),
        objects_(objects),
        dead_per_live_(100 / static_cast<size_t>(absl::GetFlag(FLAGS_live)) -
                       1) {}

  // Returns the root; `live` is how many objects it keeps alive.
  void* Build(const std::string& shape, size_t* live) {
    *live = objects_;
    if (shape == "tree" || shape == "random_tree") {
      int depth = 1;
      while ((size_t{2} << depth) - 1 <= objects_) depth++;
      *live = (size_t{1} << depth) - 1;
      if (shape == "tree") return Preorder(depth);
      return RandomTree(*live);
    }
    if (shape == "graph") return Graph(live);
    if (shape == "arrays") return Arrays(live);
    if (shape == "lru") return Lru(live);
    peer::Fail("no such shape", shape.c_str());
  }

 private:
  // An object, somewhere among dead ones of its kind.
  template <typename New>
  auto* Among(New&& allocate) {
    const size_t before =
        dead_per_live_ == 0 ? 0 : random_.Below(dead_per_live_ + 1);
    for (size_t i = 0; i < before; i++) allocate();
    auto* object = allocate();
    if (before == dead_per_live_) return object;
    peer::Local<std::remove_pointer_t<decltype(object)>> local(thread_, object);
    for (size_t i = before; i < dead_per_live_; i++) allocate();
    return local.get();
  }
  // All types end in a word of data. It is written, as real objects are: memory
  // that is only ever read is the OS's one page of zeroes.
  template <typename T>
  T* NewAmong(const peer::Type<T>& type) {
    return Among([&] {
      T* const object = type.New(thread_);
      reinterpret_cast<uint64_t*>(object + 1)[-1] = 1;
      return object;
    });
  }

  TreeNode* Preorder(int depth) {
    peer::Local<TreeNode> node(thread_, NewAmong(types_.tree_node));
    if (depth > 1) {
      node->left.Set(thread_, node, Preorder(depth - 1));
      node->right.Set(thread_, node, Preorder(depth - 1));
    }
    return node;
  }

  // Indices below n in no order.
  std::vector<uint32_t> Shuffled(size_t n) {
    std::vector<uint32_t> order(n);
    for (size_t i = 0; i < n; i++) order[i] = static_cast<uint32_t>(i);
    for (size_t i = n - 1; i > 0; i--)
      std::swap(order[i], order[random_.Below(i + 1)]);
    return order;
  }

  // An array object with room for n references, and new objects in it.
  template <typename T>
  Array* ArrayOf(size_t n, const peer::Type<T>& type) {
    peer::Local<Array> array(thread_, types_.array.NewArray(thread_, n));
    array->count = n;
    for (size_t i = 0; i < n; i++) {
      T* const object = NewAmong(type);
      peer::Elements(array.get())[i].Set(thread_, array, object);
    }
    return array;
  }
  template <typename T>
  static T* At(Array* array, size_t i) {
    return static_cast<T*>(peer::Elements(array)[i].get());
  }

  // The i-th of a random order has the (2i+1)-th and (2i+2)-th as children.
  void* RandomTree(size_t nodes) {
    peer::Local<Array> all(thread_, ArrayOf(nodes, types_.tree_node));
    const std::vector<uint32_t> order = Shuffled(nodes);
    for (size_t i = 0; 2 * i + 2 < nodes; i++) {
      TreeNode* const node = At<TreeNode>(all, order[i]);
      node->left.Set(thread_, node, At<TreeNode>(all, order[2 * i + 1]));
      node->right.Set(thread_, node, At<TreeNode>(all, order[2 * i + 2]));
    }
    return At<TreeNode>(all, order[0]);
  }

  void* Graph(size_t* live) {
    const size_t nodes = objects_;
    peer::Local<Array> all(thread_, ArrayOf(nodes, types_.node));
    const std::vector<uint32_t> order = Shuffled(nodes);
    for (size_t i = 0; i < nodes; i++) {
      Node* const node = At<Node>(all, order[i]);
      node->first.Set(thread_, node, At<Node>(all, order[(i + 1) % nodes]));
      node->second.Set(thread_, node, At<Node>(all, random_.Below(nodes)));
      node->third.Set(thread_, node, At<Node>(all, random_.Below(nodes)));
    }
    *live = nodes;
    return At<Node>(all, order[0]);
  }

  void* Arrays(size_t* live) {
    const size_t arrays = objects_ / (kArrayElements + 1);
    peer::Local<Array> all(thread_, types_.array.NewArray(thread_, arrays));
    all->count = arrays;
    for (size_t i = 0; i < arrays; i++) {
      Array* const array = ArrayOf(kArrayElements, types_.tree_node);
      peer::Elements(all.get())[i].Set(thread_, all, array);
    }
    *live = arrays * (kArrayElements + 1) + 1;
    return all;
  }

  void* Lru(size_t* live) {
    const size_t entries = objects_ / 2;
    const std::vector<uint32_t> order = Shuffled(entries);
    peer::Local<Array> all(thread_, ArrayOf(entries, types_.entry));
    peer::Local<Array> buckets(thread_,
                               types_.array.NewArray(thread_, entries));
    buckets->count = entries;
    for (size_t i = 0; i < entries; i++) {
      Entry* const entry = At<Entry>(all, i);
      void* const text = Among([&] { return peer::NewBytes(thread_, 24); });
      entry->text.Set(thread_, entry, text);
      auto& bucket = peer::Elements(buckets.get())[random_.Below(entries)];
      entry->next_in_bucket.Set(thread_, entry,
                                static_cast<Entry*>(bucket.get()));
      bucket.Set(thread_, buckets, entry);
    }
    for (size_t i = 0; i + 1 < entries; i++) {
      Entry* const newer = At<Entry>(all, order[i]);
      Entry* const older = At<Entry>(all, order[i + 1]);
      newer->older.Set(thread_, newer, older);
      older->newer.Set(thread_, older, newer);
    }
    *live = 2 * entries + 1;
    return buckets;
  }

  const peer::Thread& thread_;
  const Types& types_;
  const size_t objects_;
  const size_t dead_per_live_;
  benchmarks::Random random_{1};
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  peer::Settings settings;
  settings.minimum_heap_bytes = size_t{1} << 30;
  settings.markers = absl::GetFlag(FLAGS_markers);
  peer::Heap heap(settings);
  benchmarks::Report report;
  {
    const peer::Thread thread(heap);
    const Types types(heap);
    size_t live = 0;
    peer::Local<void> root(
        thread, Builder(thread, types,
                        static_cast<size_t>(absl::GetFlag(FLAGS_objects)))
                    .Build(absl::GetFlag(FLAGS_shape), &live));
    // What was dead, and what the building left in caches.
    thread.Collect();
    thread.Collect();
    std::vector<double> pauses, wholes;
    const auto count = static_cast<double>(live);
    report.StartTiming();
    for (int i = 0; i < absl::GetFlag(FLAGS_collections); i++) {
      const uint64_t paused = heap.statistics().total_pause_ns;
      const uint64_t start = benchmarks::NowNs();
      thread.Collect();
      wholes.push_back(static_cast<double>(benchmarks::NowNs() - start) /
                       count);
      pauses.push_back(
          static_cast<double>(heap.statistics().total_pause_ns - paused) /
          count);
    }
    report.StopTiming();
    report.Add("mark_ns_per_object", Median(pauses));
    report.Add("collect_ns_per_object", Median(wholes));
    report.SetChecksum(live);
    report.AddStatistics(heap.statistics());
  }
  report.Print(peer::kName);
  return 0;
}
