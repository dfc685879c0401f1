// What specials cost: an object with one is allocated, dies, and its callback
// is run; everything that follows from that is part of the time. Beside it
// Boehm GC's finalizers. (Go's are measured by go/cleanups, a workload of the
// suite.)
//
// Both collect when they like; callbacks are run a thousand allocations apart.

#define GC_THREADS  // For GC_set_markers_count.
#include <gc.h>

#include <cstring>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace {

using benchmarks::BenchmarkHeap;
using benchmarks::Check;

constexpr size_t kObjectBytes = 32;
constexpr int kAllocationsPerRun = 1000;

uint64_t callbacks = 0;

const loam_type* Register(loam::Heap& heap, loam_dispose_fn dispose,
                          uint32_t flags) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "object";
  info.size = kObjectBytes;
  info.dispose = dispose;
  info.flags = LOAM_TYPE_HOT | flags;
  const loam_type* type = nullptr;
  Check(loam_type_register(loam_heap_types(heap), &info, &type),
        "registering a type");
  return type;
}

// Allocates until told to stop; attach(m, object) puts the special on.
template <typename Attach>
void AllocateAndDie(benchmark::State& state, Attach&& attach,
                    loam_dispose_fn dispose = nullptr, uint32_t flags = 0) {
  BenchmarkHeap heap;
  const loam_type* type = Register(heap.heap(), dispose, flags);
  loam_mutator* m = heap.m();
  callbacks = 0;
  int until_run = kAllocationsPerRun;
  for (auto _ : state) {
    void* object = loam_alloc(m, type);
    attach(m, object);
    if (--until_run == 0) {
      until_run = kAllocationsPerRun;
      (void)loam_finalizers_run(m, 0, nullptr, nullptr);
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["run"] =
      static_cast<double>(callbacks) / static_cast<double>(state.iterations());
}

void NothingAttached(benchmark::State& state) {
  AllocateAndDie(state, [](loam_mutator*, void* object) {
    benchmark::DoNotOptimize(object);
  });
}
BENCHMARK(NothingAttached);

void Cleanup(benchmark::State& state) {
  AllocateAndDie(state, [](loam_mutator* m, void* object) {
    const auto fn = [](loam_mutator*, loam_word, void*) { callbacks++; };
    (void)loam_cleanup_add(m, object, fn, 0, nullptr, nullptr);
  });
}
BENCHMARK(Cleanup);

void Finalizer(benchmark::State& state, loam_finalizer_mode mode) {
  AllocateAndDie(state, [mode](loam_mutator* m, void* object) {
    const auto fn = [](loam_mutator*, void*, void*) { callbacks++; };
    (void)loam_finalizer_set(m, object, fn, nullptr, mode);
  });
}
BENCHMARK_CAPTURE(Finalizer, ordered, LOAM_FINALIZER_ORDERED);
BENCHMARK_CAPTURE(Finalizer, unordered, LOAM_FINALIZER_UNORDERED);

void WeakHandle(benchmark::State& state) {
  loam_weak_handle* last = nullptr;
  AllocateAndDie(state, [&last](loam_mutator* m, void* object) {
    if (last != nullptr) (void)loam_weak_handle_destroy(m, last);
    (void)loam_weak_handle_create(m, object, LOAM_WEAK_SHORT, &last);
    benchmark::DoNotOptimize(loam_weak_handle_get(m, last));
  });
}
BENCHMARK(WeakHandle);

void Dispose(benchmark::State& state, uint32_t flags) {
  AllocateAndDie(
      state,
      [](loam_mutator*, void* object) { benchmark::DoNotOptimize(object); },
      [](void*, size_t) { callbacks++; }, flags);
}
BENCHMARK_CAPTURE(Dispose, at_once, 0);
BENCHMARK_CAPTURE(Dispose, queued, LOAM_TYPE_DISPOSE_QUEUED);

// Boehm's collector at its best: as loam's type, its objects have no
// references, and what the heap holds keeps them only by their beginning.
bool StartBoehm() {
  GC_set_all_interior_pointers(0);
  GC_set_markers_count(1);
  GC_INIT();
  GC_set_finalize_on_demand(1);
  return true;
}

void BoehmFinalizer(benchmark::State& state) {
  [[maybe_unused]] static const bool started = StartBoehm();
  callbacks = 0;
  int until_run = kAllocationsPerRun;
  for (auto _ : state) {
    void* object = GC_MALLOC_ATOMIC(kObjectBytes);
    memset(object, 0, kObjectBytes);  // As loam's are.
    GC_REGISTER_FINALIZER_NO_ORDER(
        object, [](void*, void*) { callbacks++; }, nullptr, nullptr, nullptr);
    if (--until_run == 0) {
      until_run = kAllocationsPerRun;
      GC_invoke_finalizers();
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["run"] =
      static_cast<double>(callbacks) / static_cast<double>(state.iterations());
}
BENCHMARK(BoehmFinalizer);

}  // namespace
