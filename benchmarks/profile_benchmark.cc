// What sampling for the heap profile costs: objects that die at once, on a heap
// that collects every 4 MiB, with the profile and without in turn. It is the
// same heap, because two of the same kind differ by several percent, as their
// pages happen to share the processor's caches. The ratio of each pair is of
// the same moment, so that a busy machine disturbs both; the median of the
// ratios is reported.

#include <time.h>

#include <algorithm>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/allocation_loops.h"
#include "benchmarks/benchmark_heap.h"

namespace {

using benchmarks::Check;

// Of one run of a pair: many samples at the default rate, and a millisecond or
// more.
constexpr size_t kBytesPerRun = 16 << 20;

double CpuNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 +
         static_cast<double>(now.tv_nsec);
}

class RecordHeap {
 public:
  explicit RecordHeap(size_t size) {
    loam::Options options;
    options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
    Check(heap_.Create(options), "creating a heap");
    Check(m_.Attach(heap_, "benchmark"), "attaching");
    static constexpr loam_field kFields[] = {{"next", 0, 1, LOAM_POINTER}};
    loam_type_info info = loam_type_info_init();
    info.name = "record";
    info.size = size;
    info.fields = kFields;
    info.field_count = 1;
    Check(loam_type_register(loam_heap_types(heap_), &info, &type_),
          "registering a type");
  }

  // The time of an object, its death included; negative when out of memory.
  double Run(size_t count, uint64_t rate) {
    if (loam_heap_set_profile_rate(heap_, rate) != LOAM_OK) return -1;
    const double start = CpuNanoseconds();
    if (allocate_typed(m_, type_, count) != count) return -1;
    if (loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) return -1;
    return (CpuNanoseconds() - start) / static_cast<double>(count);
  }

 private:
  loam::Heap heap_;
  loam::ScopedMutator m_;
  const loam_type* type_ = nullptr;
};

double Median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Calls run() so many calls deeper.
template <typename Run>
__attribute__((noinline)) void RunDeeper(int64_t calls, Run&& run) {
  if (calls == 0) return run();
  RunDeeper(calls - 1, run);
  benchmark::ClobberMemory();  // no tail call
}

// Arguments: bytes of an object, KiB between samples, calls below main.
void Sampling(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const auto rate = static_cast<uint64_t>(state.range(1)) << 10;
  const size_t count = kBytesPerRun / size;
  std::vector<double> ratios, without, with;
  RunDeeper(state.range(2), [&] {
    RecordHeap heap(size);
    heap.Run(count, rate);
    bool on_first = false;
    for (auto _ : state) {
      double ns[2];
      on_first = !on_first;
      for (const bool profiled : {on_first, !on_first}) {
        ns[profiled] = heap.Run(count, profiled ? rate : 0);
        if (ns[profiled] < 0) return state.SkipWithError("out of memory");
      }
      without.push_back(ns[0]);
      with.push_back(ns[1]);
      ratios.push_back(ns[1] / ns[0]);
    }
  });
  if (ratios.empty()) return;
  state.counters["ns_per_object"] = Median(with);
  state.counters["ns_without"] = Median(without);
  state.counters["percent_more"] = 100 * (Median(ratios) - 1);
}

void Arguments(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"size", "rate_kib", "calls"});
  for (const int64_t size : {16, 32, 64, 128, 256, 1024, 8192}) {
    benchmark->Args({size, 512, 10});
  }
  benchmark->Args({64, 512, 40});
  // Counting down without sampling.
  for (const int64_t size : {16, 64, 256}) {
    benchmark->Args({size, LOAM_PROFILE_RATE_MAX >> 10, 10});
  }
  // What a program does not pay whose profile is off, either.
  benchmark->Args({64, 0, 10});
  benchmark->Args({64, 64, 10});
}
BENCHMARK(Sampling)->Apply(Arguments)->Unit(benchmark::kMillisecond);

}  // namespace
