// What weak words cost in a collection. The time is that of marking, clearing
// included, as the heap measures it; per element of the structure.
//
//   List        a plain list: what the others are compared with
//   Ephemerons  records in one array, the value of each being the key of the
//               next: only the first key is a root. In which order the array
//               has them decides how far a pass over it comes: forward all the
//               way, backward one record. Keys lie in memory in the list's
//               order, or at random
//   WeakMap     loam_weak_map_*, with keys that are alive, or of which half
//               have died since the last collection

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace {

using benchmarks::BenchmarkHeap;
using benchmarks::Check;

struct Node {
  Node* next;
  uint64_t number;
};

enum Order { kForward, kBackward, kRandom };

struct Record {
  loam_word key;
  loam_word value;
};

class Heap {
 public:
  Heap() {
    loam_gc_disable(heap_.m());
    const loam_field next = LOAM_FIELD(Node, next, LOAM_POINTER);
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "node";
    info.size = sizeof(Node);
    info.fields = &next;
    info.field_count = 1;
    info.flags = LOAM_TYPE_HOT;
    Check(loam_type_register(loam_heap_types(heap_.heap()), &info, &node_),
          "registering a type");
    const loam_field record[] = {{"key", 0, 1, LOAM_EPHEMERON_KEY},
                                 {"value", 8, 1, LOAM_EPHEMERON_VALUE}};
    loam_type_info array = LOAM_TYPE_INFO_INIT;
    array.name = "records";
    array.element_size = sizeof(Record);
    array.element_fields = record;
    array.element_field_count = 2;
    Check(loam_type_register(loam_heap_types(heap_.heap()), &array, &records_),
          "registering a type");
    loam_root* root = nullptr;
    Check(loam_root_add_range(heap_.heap(), roots, 2, LOAM_POINTER, "roots",
                              &root),
          "adding roots");
  }

  loam_mutator* m() const { return heap_.m(); }

  // Nodes in an order of memory; they are not linked.
  std::vector<Node*> MakeNodes(size_t count, Order memory) const {
    std::vector<Node*> nodes(count);
    for (Node*& node : nodes) {
      node = static_cast<Node*>(loam_alloc(m(), node_));
    }
    if (memory == kRandom) {
      std::shuffle(nodes.begin(), nodes.end(), std::mt19937_64(1));
    }
    return nodes;
  }
  Record* MakeRecords(size_t count) const {
    return static_cast<Record*>(loam_alloc_array(m(), records_, count));
  }

  // Collects; the seconds that marking took, and how many objects it found.
  double Mark(uint64_t* objects) {
    const uint64_t before = Stats().total_mark_ns;
    Check(loam_gc_enable(m()), "enabling collections");
    Check(loam_collect(m(), LOAM_COLLECT_FULL), "collecting");
    loam_gc_disable(m());
    const loam_stats after = Stats();
    *objects = after.live_objects;
    return static_cast<double>(after.total_mark_ns - before) * 1e-9;
  }

  void* roots[2] = {};

 private:
  loam_stats Stats() {
    loam_stats stats;
    stats.struct_size = sizeof(stats);
    Check(loam_heap_stats(heap_.heap(), &stats), "asking for statistics");
    return stats;
  }

  BenchmarkHeap heap_;
  const loam_type* node_ = nullptr;
  const loam_type* records_ = nullptr;
};

void Measure(benchmark::State& state, Heap* heap, size_t elements,
             uint64_t expected_objects) {
  for (auto _ : state) {
    uint64_t objects = 0;
    state.SetIterationTime(heap->Mark(&objects));
    if (objects != expected_objects) {
      state.SkipWithError("another number of objects is alive");
      return;
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * elements));
  state.counters["ns_each"] = benchmark::Counter(
      static_cast<double>(state.iterations() * elements) * 1e-9,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void List(benchmark::State& state, Order memory) {
  const auto count = static_cast<size_t>(state.range(0));
  Heap heap;
  const std::vector<Node*> nodes = heap.MakeNodes(count, memory);
  for (size_t i = 0; i + 1 < count; i++) {
    loam_store_pointer(heap.m(), nodes[i], &nodes[i]->next, nodes[i + 1]);
  }
  heap.roots[0] = nodes[0];
  Measure(state, &heap, count, count);
}

void Ephemerons(benchmark::State& state, Order memory, Order order) {
  const auto count = static_cast<size_t>(state.range(0));
  Heap heap;
  const std::vector<Node*> nodes = heap.MakeNodes(count, memory);
  std::vector<size_t> places(count - 1);
  std::iota(places.begin(), places.end(), 0);
  if (order == kBackward) std::reverse(places.begin(), places.end());
  if (order == kRandom) {
    std::shuffle(places.begin(), places.end(), std::mt19937_64(2));
  }
  Record* records = heap.MakeRecords(count - 1);
  for (size_t i = 0; i + 1 < count; i++) {
    Record* record = &records[places[i]];
    loam_store_weak(heap.m(), records, &record->key,
                    reinterpret_cast<loam_word>(nodes[i]));
    loam_store_weak(heap.m(), records, &record->value,
                    reinterpret_cast<loam_word>(nodes[i + 1]));
  }
  heap.roots[0] = nodes[0];
  heap.roots[1] = records;
  Measure(state, &heap, count, count + 1);
}

// The map, its two tables, and the keys, whose values are the keys themselves.
void WeakMap(benchmark::State& state, Order memory, size_t live_share) {
  const auto count = static_cast<size_t>(state.range(0));
  Heap heap;
  void* map = heap.roots[0] = loam_weak_map_new(heap.m());
  std::vector<Node*> nodes = heap.MakeNodes(count, memory);
  Node* const kept = heap.MakeNodes(1, kForward)[0];
  heap.roots[1] = kept;
  for (auto _ : state) {
    // Collections are off: nothing dies in between.
    for (size_t i = 0; i < count; i++) {
      if (live_share == 2 && i % 2 == 0)
        nodes[i] = heap.MakeNodes(1, kForward)[0];
      const auto word = reinterpret_cast<loam_word>(nodes[i]);
      Check(loam_weak_map_set(heap.m(), map, word, word), "setting");
    }
    // Every live_share-th key is in a list.
    Node* last = kept;
    uint64_t live = 0;
    for (size_t i = live_share - 1; i < count; i += live_share) {
      loam_store_pointer(heap.m(), last, &last->next, nodes[i]);
      last = nodes[i];
      live++;
    }
    uint64_t objects = 0;
    state.SetIterationTime(heap.Mark(&objects));
    if (objects != live + 4 || loam_weak_map_count(heap.m(), map) != live) {
      state.SkipWithError("another number of entries is alive");
      return;
    }
  }
  state.counters["ns_each"] = benchmark::Counter(
      static_cast<double>(state.iterations() * count) * 1e-9,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

constexpr int64_t kMillion = 1'000'000;

#define LOAM_WEAK_BENCHMARK(...)      \
  BENCHMARK_CAPTURE(__VA_ARGS__)      \
      ->Arg(kMillion)                 \
      ->ArgName("elements")           \
      ->Unit(benchmark::kMillisecond) \
      ->UseManualTime()

LOAM_WEAK_BENCHMARK(List, in_order, kForward);
LOAM_WEAK_BENCHMARK(Ephemerons, in_order_forward, kForward, kForward);
LOAM_WEAK_BENCHMARK(Ephemerons, in_order_backward, kForward, kBackward);
LOAM_WEAK_BENCHMARK(Ephemerons, in_order_random, kForward, kRandom);
LOAM_WEAK_BENCHMARK(List, at_random, kRandom);
LOAM_WEAK_BENCHMARK(Ephemerons, at_random_forward, kRandom, kForward);
LOAM_WEAK_BENCHMARK(Ephemerons, at_random_backward, kRandom, kBackward);
LOAM_WEAK_BENCHMARK(Ephemerons, at_random_random, kRandom, kRandom);
LOAM_WEAK_BENCHMARK(WeakMap, all_live, kForward, 1)
    ->Arg(2 * kMillion)
    ->Arg(4 * kMillion);
LOAM_WEAK_BENCHMARK(WeakMap, half_dead, kForward, 2)
    ->Arg(2 * kMillion)
    ->Arg(4 * kMillion);

}  // namespace
