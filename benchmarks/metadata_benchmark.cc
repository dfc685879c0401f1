// What a heap costs beside its objects: metadata as a share of a gibibyte of
// objects of 32 bytes, and what a heap without objects has resident.
//
// Look at the counters; the times are those of filling and collecting.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace benchmarks {

struct Cell {
  loam::Member<Cell> next;
  uint64_t data[3];
};

}  // namespace benchmarks

LOAM_LAYOUT(benchmarks::Cell, next);

namespace {

using benchmarks::Cell;
using benchmarks::Check;

// Memory for bits is needed for three cycles.
constexpr int kCollections = 3;
constexpr size_t kHeaps = 100;

enum class Objects { kTyped, kBytes };

size_t ResidentBytes() {
  FILE* const in = std::fopen("/proc/self/statm", "r");
  size_t pages = 0;
  size_t resident = 0;
  if (in == nullptr || std::fscanf(in, "%zu %zu", &pages, &resident) != 2) {
    std::abort();
  }
  std::fclose(in);
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// In percent of what the spans take.
double MetadataPercent(const loam::Heap& heap) {
  loam_stats stats = {};
  stats.struct_size = sizeof(stats);
  Check(loam_heap_stats(heap, &stats), "statistics");
  return 100 * static_cast<double>(stats.metadata_bytes) /
         static_cast<double>(stats.span_bytes);
}

void Metadata(benchmark::State& state, Objects objects) {
  loam::Options options;
  options.minimum_heap_bytes = size_t{1} << 40;  // never by itself
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  double filled = 0;
  double collected = 0;
  for (auto _ : state) {
    std::vector<void*> alive((state.range(0) << 20) / sizeof(Cell));
    loam::Heap heap;
    loam::ScopedMutator m;
    loam::Type<Cell> type;
    Check(heap.Create(options), "creating a heap");
    Check(m.Attach(heap, "benchmark"), "attaching");
    Check(heap.Register(&type), "registering a type");
    loam_root* root = nullptr;
    Check(loam_root_add_range(heap, alive.data(), alive.size(), LOAM_POINTER,
                              "alive", &root),
          "adding roots");
    for (void*& each : alive) {
      each = objects == Objects::kTyped ? static_cast<void*>(m.New(type))
                                        : loam_alloc_bytes(m, sizeof(Cell));
      if (each == nullptr) Check(LOAM_OUT_OF_MEMORY, "allocating");
    }
    filled = std::max(filled, MetadataPercent(heap));
    for (int i = 0; i < kCollections; i++) {
      Check(m.Collect(), "collecting");
      collected = std::max(collected, MetadataPercent(heap));
    }
    Check(loam_root_remove(root), "removing roots");
  }
  state.counters["percent_when_filled"] = filled;
  state.counters["percent_after_collections"] = collected;
}

// A heap and its mutator; with `objects` a small one of each kind, too.
void Fresh(benchmark::State& state, bool objects) {
  loam::Options options;
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  double each = 0;
  for (auto _ : state) {
    struct Instance {
      loam::Heap heap;
      loam::ScopedMutator m;
      loam::Type<Cell> type;
    };
    std::vector<std::unique_ptr<Instance>> instances(kHeaps + 1);
    size_t before = 0;
    for (size_t i = 0; i < instances.size(); i++) {
      instances[i] = std::make_unique<Instance>();
      Instance& instance = *instances[i];
      Check(instance.heap.Create(options), "creating a heap");
      Check(instance.m.Attach(instance.heap, "benchmark"), "attaching");
      if (objects) {
        Check(instance.heap.Register(&instance.type), "registering a type");
        benchmark::DoNotOptimize(instance.m.New(instance.type));
        benchmark::DoNotOptimize(loam_alloc_bytes(instance.m, 32));
        benchmark::DoNotOptimize(loam_alloc_slots(instance.m, 4));
      }
      // The first brings in the library's code.
      if (i == 0) before = ResidentBytes();
    }
    each = static_cast<double>(ResidentBytes() - before) / kHeaps;
  }
  state.counters["resident_kib"] = each / 1024;
}

BENCHMARK_CAPTURE(Metadata, typed, Objects::kTyped)
    ->Name("metadata_of_typed_32B")
    ->ArgName("mebibytes")
    ->Arg(1024)
    ->Unit(benchmark::kMillisecond)
    ->Repetitions(1)
    ->Iterations(1);
BENCHMARK_CAPTURE(Metadata, bytes, Objects::kBytes)
    ->Name("metadata_of_bytes_32B")
    ->ArgName("mebibytes")
    ->Arg(1024)
    ->Unit(benchmark::kMillisecond)
    ->Repetitions(1)
    ->Iterations(1);
BENCHMARK_CAPTURE(Fresh, empty, false)
    ->Name("metadata_fresh_heap")
    ->Unit(benchmark::kMillisecond)
    ->Repetitions(1)
    ->Iterations(1);
BENCHMARK_CAPTURE(Fresh, three_objects, true)
    ->Name("metadata_heap_of_three_objects")
    ->Unit(benchmark::kMillisecond)
    ->Repetitions(1)
    ->Iterations(1);

}  // namespace
