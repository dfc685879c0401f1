// What getting a span costs, on one mutator and on two of one heap: objects
// that each need a span of their own, most of which die at once.
//
// Zeroing, sweeping and collecting are part of it, as in a program.

#include <chrono>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace {

using benchmarks::Check;
using Clock = std::chrono::steady_clock;

// Collected when this much has been allocated.
constexpr uint64_t kHeapBytes = uint64_t{256} << 20;
// One in kLivePeriod objects lives until kLiveSpans others have.
constexpr size_t kLiveSpans = 4096;
constexpr size_t kLivePeriod = 16;
// Of all threads, in one measurement.
constexpr size_t kObjects = 200'000;

using AllocateFunction = void* (*)(loam_mutator* m, size_t bytes);

void Allocate(loam::Heap* heap, AllocateFunction allocate, size_t bytes,
              size_t count) {
  loam::ScopedMutator m;
  Check(m.Attach(*heap, "benchmark"), "attaching");
  std::vector<void*> live(kLiveSpans);
  loam_root* root = nullptr;
  Check(loam_root_add_range(*heap, live.data(), live.size(), LOAM_POINTER,
                            "live", &root),
        "adding roots");
  for (size_t i = 0; i < count; i++) {
    void* const object = allocate(m, bytes);
    benchmark::DoNotOptimize(object);
    if (i % kLivePeriod == 0) live[i / kLivePeriod % kLiveSpans] = object;
  }
  Check(loam_root_remove(root), "removing roots");
}

void Measure(benchmark::State& state, AllocateFunction allocate, size_t bytes) {
  const size_t mutators = state.range(0);
  loam::Options options;
  options.minimum_heap_bytes = kHeapBytes;
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  loam::Heap heap;
  Check(heap.Create(options), "creating a heap");
  Allocate(&heap, allocate, bytes, kObjects);  // the heap at its size
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    std::vector<std::thread> threads;
    for (size_t i = 0; i < mutators; i++) {
      threads.emplace_back(Allocate, &heap, allocate, bytes,
                           kObjects / mutators);
    }
    for (std::thread& thread : threads) thread.join();
    state.SetIterationTime(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kObjects));
}

void PageObjects(benchmark::State& state) {
  Measure(state, loam_alloc_bytes, 8 << 10);
}
BENCHMARK(PageObjects)->Arg(1)->Arg(2)->ArgName("mutators")->UseManualTime();

// Nobody zeroes these, so the span is most of the cost.
void UnzeroedLargeObjects(benchmark::State& state) {
  Measure(state, loam_alloc_bytes_unzeroed, 40 << 10);
}
BENCHMARK(UnzeroedLargeObjects)
    ->Arg(1)
    ->Arg(2)
    ->ArgName("mutators")
    ->UseManualTime();

}  // namespace
