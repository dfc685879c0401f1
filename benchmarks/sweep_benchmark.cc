// What sweeping costs for a span, by what is alive in it: from the end of a
// collection's pause to the return of loam_collect, which sweeps everything.
//
// Dead spans give their pages (of 8 KiB) back.

#include <chrono>

#include "benchmark/benchmark.h"
#include "benchmarks/benchmark_heap.h"

namespace benchmarks {

struct Cell {
  loam::Member<Cell> next;
  uint64_t data[3];
};

struct Cells {
  uint64_t count;
};

}  // namespace benchmarks

LOAM_LAYOUT(benchmarks::Cell, next);
LOAM_ARRAY_LAYOUT(benchmarks::Cells, loam::Member<benchmarks::Cell>);

namespace {

using benchmarks::Cell;
using benchmarks::Cells;
using benchmarks::Check;
using Clock = std::chrono::steady_clock;

// What comes before sweeping takes many times as long.
constexpr int kCollections = 10;
constexpr size_t kHeapBytes = size_t{128} << 20;
constexpr size_t kPages = kHeapBytes / (8 << 10);
// Of a type that has spans of its own, 1,024 cells of 32 bytes.
constexpr size_t kTypedSpanBytes = 32 << 10;
constexpr size_t kTypedSpans = kHeapBytes / kTypedSpanBytes;
constexpr size_t kCells = kHeapBytes / sizeof(Cell);

class SweptHeap {
 public:
  SweptHeap() {
    loam::Options options;
    options.minimum_heap_bytes = size_t{1} << 40;  // never by itself
    options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
    options.callbacks.cycle_end = [](loam_heap*, const loam_cycle_info*,
                                     void* pause_end) {
      *static_cast<Clock::time_point*>(pause_end) = Clock::now();
    };
    options.callbacks.data = &pause_end_;
    Check(heap_.Create(options), "creating a heap");
    Check(m_.Attach(heap_, "benchmark"), "attaching");
    Check(heap_.Register(&cell_), "registering a type");
    Check(heap_.Register(&cells_), "registering a type");
  }

  loam::Mutator m() const { return m_; }
  const loam::Type<Cell>& cell() const { return cell_; }
  const loam::Type<Cells>& cells() const { return cells_; }

  // Collects; how many seconds sweeping took.
  double Sweep() {
    Check(m().Collect(), "collecting");
    return std::chrono::duration<double>(Clock::now() - pause_end_).count();
  }

 private:
  Clock::time_point pause_end_;
  loam::Heap heap_;
  loam::ScopedMutator m_;
  loam::Type<Cell> cell_;
  loam::Type<Cells> cells_;
};

// Times iterations by what Sweep() returns, and counts by span and page.
class SweepTimer {
 public:
  SweepTimer(benchmark::State* state, size_t spans)
      : state_(*state), spans_(spans) {}
  ~SweepTimer() {
    const double ns = seconds_ * 1e9 / static_cast<double>(state_.iterations());
    state_.counters["ns_per_span"] = ns / static_cast<double>(spans_);
    state_.counters["ns_per_page"] = ns / static_cast<double>(kPages);
  }
  SweepTimer(const SweepTimer&) = delete;
  SweepTimer& operator=(const SweepTimer&) = delete;

  void Add(double seconds) {
    state_.SetIterationTime(seconds);
    seconds_ += seconds;
  }

 private:
  benchmark::State& state_;
  const size_t spans_;
  double seconds_ = 0;
};

// Every `step`th cell is alive.
void SpansOfLiveCells(benchmark::State& state) {
  const auto step = static_cast<size_t>(state.range(0));
  SweptHeap heap;
  const loam::Mutator m = heap.m();
  loam::Local<Cells> alive(m);
  alive = m.NewArray(heap.cells(), kCells / step);
  for (size_t i = 0; i < kCells; i++) {
    Cell* cell = m.New(heap.cell());
    if (i % step == 0 && i / step < kCells / step) {
      loam::Elements(alive.get(), kCells / step)[i / step].Set(m, alive, cell);
    }
  }
  (void)heap.Sweep();
  SweepTimer timer(&state, kTypedSpans);
  for (auto _ : state) timer.Add(heap.Sweep());
}

void DeadSpansOfCells(benchmark::State& state) {
  SweptHeap heap;
  SweepTimer timer(&state, kTypedSpans);
  for (auto _ : state) {
    for (size_t i = 0; i < kCells; i++) {
      benchmark::DoNotOptimize(heap.m().New(heap.cell()));
    }
    timer.Add(heap.Sweep());
  }
}

// Objects that have a span each.
void DeadLargeObjects(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  SweptHeap heap;
  SweepTimer timer(&state, kHeapBytes / bytes);
  for (auto _ : state) {
    for (size_t i = 0; i < kHeapBytes / bytes; i++) {
      benchmark::DoNotOptimize(loam_alloc_bytes_unzeroed(heap.m(), bytes));
    }
    timer.Add(heap.Sweep());
  }
}

BENCHMARK(SpansOfLiveCells)
    ->ArgName("one_in")
    ->Arg(1)
    ->Arg(2)
    ->Arg(100)
    ->UseManualTime()
    ->Iterations(kCollections);
BENCHMARK(DeadSpansOfCells)->UseManualTime()->Iterations(kCollections);
BENCHMARK(DeadLargeObjects)
    ->ArgName("bytes")
    ->Arg(64 << 10)
    ->Arg(1 << 20)
    ->UseManualTime()
    ->Iterations(kCollections);

}  // namespace
