// What a program pays for being ready to be collected: stores, safepoint polls,
// frames, handles and native sections, while no collection is wanted.

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace benchmarks {

struct Cell {
  loam::Member<Cell> next;
  uint64_t data;
};

}  // namespace benchmarks

LOAM_LAYOUT(benchmarks::Cell, next);

namespace {

using benchmarks::BenchmarkHeap;
using benchmarks::Cell;
using benchmarks::Check;

// Two objects for a benchmark to play with.
class TwoCells : public BenchmarkHeap {
 public:
  TwoCells() : first_(m()), second_(m()) {
    Check(heap().Register(&type_), "registering a type");
    first_ = m().New(type_);
    second_ = m().New(type_);
    if (!first_ || !second_) Check(LOAM_OUT_OF_MEMORY, "allocating");
  }
  Cell* first() const { return first_; }
  Cell* second() const { return second_; }

 private:
  loam::Type<Cell> type_;
  loam::Local<Cell> first_;
  loam::Local<Cell> second_;
};

// What the loop itself takes, with a plain store in it.
void PlainStore(benchmark::State& state) {
  void* slot = nullptr;
  void* target = &slot;
  for (auto _ : state) {
    benchmark::DoNotOptimize(target);
    slot = target;
    benchmark::ClobberMemory();
  }
}

void Store(benchmark::State& state) {
  TwoCells cells;
  const loam::Mutator m = cells.m();
  Cell* object = cells.first();
  Cell* target = cells.second();
  for (auto _ : state) {
    benchmark::DoNotOptimize(target);
    object->next.Set(m, object, target);
    benchmark::ClobberMemory();
  }
}

void StoreByCall(benchmark::State& state) {
  TwoCells cells;
  const loam::Mutator m = cells.m();
  Cell* object = cells.first();
  for (auto _ : state) {
    (loam_store_pointer)(m, object, &object->next, cells.second());
  }
}

void Safepoint(benchmark::State& state) {
  BenchmarkHeap heap;
  const loam::Mutator m = heap.m();
  for (auto _ : state) {
    m.Safepoint();
    benchmark::ClobberMemory();
  }
}

void Frame(benchmark::State& state) {
  TwoCells cells;
  const loam::Mutator m = cells.m();
  for (auto _ : state) {
    loam::Local<Cell> local(m, cells.first());
    benchmark::ClobberMemory();
  }
}

void Native(benchmark::State& state) {
  BenchmarkHeap heap;
  for (auto _ : state) {
    loam::Native native(heap.m());
    benchmark::ClobberMemory();
  }
}

void Handles(benchmark::State& state) {
  TwoCells cells;
  for (auto _ : state) {
    loam::HandleScope scope(cells.m());
    for (int64_t i = 0; i < state.range(0); i++) {
      benchmark::DoNotOptimize(scope.New(cells.first()));
    }
  }
}

void FiberSwitch(benchmark::State& state) {
  BenchmarkHeap heap;
  loam::Fiber fiber;
  Check(fiber.Create(heap.heap()), "creating a fiber");
  for (auto _ : state) {
    fiber.SwitchTo(heap.m());
    loam_fiber_switch(heap.m(), nullptr);
  }
}

BENCHMARK(PlainStore)->Name("idle_plain_store");
BENCHMARK(Store)->Name("idle_store");
BENCHMARK(StoreByCall)->Name("idle_store_by_call");
BENCHMARK(Safepoint)->Name("idle_safepoint");
BENCHMARK(Frame)->Name("idle_frame_push_pop");
BENCHMARK(Native)->Name("idle_native_enter_leave");
BENCHMARK(Handles)
    ->Name("idle_handle_scope")
    ->ArgName("handles")
    ->Arg(0)
    ->Arg(8);
BENCHMARK(FiberSwitch)->Name("idle_fiber_switch_and_back");

}  // namespace
