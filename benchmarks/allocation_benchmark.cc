// Objects that die at once, on a heap that collects each 4 MiB: the time of
// one, collections, sweeping and zeroing included.

#include <gc/gc.h>
#include <time.h>

#include <algorithm>

#include "benchmark/benchmark.h"
#include "benchmarks/allocation_loops.h"
#include "benchmarks/benchmark_heap.h"

namespace {

using benchmarks::BenchmarkHeap;
using benchmarks::Check;

constexpr size_t kBatch = 10000;  // objects per iteration of a benchmark

double CpuNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 +
         static_cast<double>(now.tv_nsec);
}

// Runs `allocate`, which allocates kBatch objects, and reports the time of one.
template <typename Allocate>
void RunBatches(benchmark::State& state, Allocate&& allocate) {
  const double start = CpuNanoseconds();
  for (auto _ : state) {
    if (allocate() != kBatch) return state.SkipWithError("out of memory");
  }
  state.counters["ns_per_object"] =
      (CpuNanoseconds() - start) /
      (static_cast<double>(state.iterations()) * kBatch);
}

// How often a collection was needed, which the heap's size decides.
void SetObjectsPerCycle(benchmark::State& state, uint64_t cycles) {
  state.counters["objects_per_cycle"] =
      static_cast<double>(state.iterations()) * kBatch /
      static_cast<double>(std::max<uint64_t>(1, cycles));
}

template <typename Allocate>
void RunOnLoam(benchmark::State& state, BenchmarkHeap& heap,
               Allocate&& allocate) {
  const uint64_t cycles = heap.heap().Stats().cycles;
  RunBatches(state, allocate);
  SetObjectsPerCycle(state, heap.heap().Stats().cycles - cycles);
}

// A type of `size` bytes whose first word is a reference, with a trailing array
// of references if `array`.
const loam_type* Register(BenchmarkHeap& heap, size_t size, bool array) {
  static constexpr loam_field kFields[] = {{"next", 0, 1, LOAM_POINTER}};
  loam_type_info info = loam_type_info_init();
  info.name = array ? "array" : "record";
  info.size = size;
  info.fields = kFields;
  info.field_count = 1;
  if (array) {
    info.element_size = sizeof(loam_word);
    info.element_fields = kFields;
    info.element_field_count = 1;
  }
  const loam_type* type = nullptr;
  Check(loam_type_register(loam_heap_types(heap.heap()), &info, &type),
        "registering a type");
  return type;
}

void Typed(benchmark::State& state) {
  BenchmarkHeap heap;
  const loam_type* type =
      Register(heap, static_cast<size_t>(state.range(0)), false);
  RunOnLoam(state, heap,
            [&] { return allocate_typed(heap.m(), type, kBatch); });
}

void TypedByCall(benchmark::State& state) {
  BenchmarkHeap heap;
  const loam_type* type =
      Register(heap, static_cast<size_t>(state.range(0)), false);
  RunOnLoam(state, heap,
            [&] { return allocate_typed_by_call(heap.m(), type, kBatch); });
}

void Many(benchmark::State& state) {
  BenchmarkHeap heap;
  const loam_type* type =
      Register(heap, static_cast<size_t>(state.range(0)), false);
  RunOnLoam(state, heap, [&] { return allocate_many(heap.m(), type, kBatch); });
}

void Bytes(benchmark::State& state) {
  BenchmarkHeap heap;
  const auto size = static_cast<size_t>(state.range(0));
  RunOnLoam(state, heap,
            [&] { return allocate_bytes(heap.m(), size, kBatch); });
}

void Slots(benchmark::State& state) {
  BenchmarkHeap heap;
  const size_t words = static_cast<size_t>(state.range(0)) / sizeof(loam_word);
  RunOnLoam(state, heap,
            [&] { return allocate_slots(heap.m(), words, kBatch); });
}

// The size is that of the whole object: a word, the elements, and the type word
// that loam puts behind them.
void Array(benchmark::State& state) {
  BenchmarkHeap heap;
  const loam_type* type = Register(heap, sizeof(loam_word), true);
  const size_t elements =
      static_cast<size_t>(state.range(0)) / sizeof(loam_word) - 2;
  RunOnLoam(state, heap,
            [&] { return allocate_arrays(heap.m(), type, elements, kBatch); });
}

// Boehm's collector, with at least 4 MiB of heap. It decides itself when to
// collect: compare objects_per_cycle.
template <void* (*kAllocate)(size_t)>
void Boehm(benchmark::State& state) {
  static const int initialized = [] {
    GC_INIT();
    return GC_expand_hp(4 << 20);
  }();
  if (!initialized) return state.SkipWithError("out of memory");
  const auto size = static_cast<size_t>(state.range(0));
  const GC_word cycles = GC_get_gc_no();
  RunBatches(state, [&] {
    size_t done = 0;
    while (done < kBatch) {
      void* object = kAllocate(size);
      if (object == nullptr) break;
      benchmark::DoNotOptimize(object);
      done++;
    }
    return done;
  });
  SetObjectsPerCycle(state, GC_get_gc_no() - cycles);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("bytes");
  for (int size : {16, 32, 64, 128, 256}) benchmark->Arg(size);
}

BENCHMARK(Typed)->Name("allocate_typed")->Apply(Sizes);
BENCHMARK(TypedByCall)->Name("allocate_typed_by_call")->Apply(Sizes);
BENCHMARK(Many)->Name("allocate_many")->Apply(Sizes);
BENCHMARK(Bytes)->Name("allocate_bytes")->Apply(Sizes);
BENCHMARK(Slots)->Name("allocate_slots")->Apply(Sizes);
BENCHMARK(Array)->Name("allocate_array")->Apply(Sizes);
BENCHMARK(Boehm<GC_malloc>)->Name("allocate_boehm")->Apply(Sizes);
BENCHMARK(Boehm<GC_malloc_atomic>)->Name("allocate_boehm_bytes")->Apply(Sizes);

}  // namespace
