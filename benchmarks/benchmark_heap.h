// A heap with one mutator, for a benchmark. Errors end the program.
#ifndef LOAM_BENCHMARKS_BENCHMARK_HEAP_H_
#define LOAM_BENCHMARKS_BENCHMARK_HEAP_H_

#include <cstdio>
#include <cstdlib>

#include "api/loam.hpp"

namespace benchmarks {

inline void Check(loam::Status status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.message());
  std::exit(1);
}

class BenchmarkHeap {
 public:
  // The trigger is at twice the live bytes, and at least at this many.
  explicit BenchmarkHeap(uint64_t minimum_heap_bytes = 4 << 20) {
    loam::Options options;
    options.minimum_heap_bytes = minimum_heap_bytes;
    // The container's limit is not what is measured.
    options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
    Check(heap_.Create(options), "creating a heap");
    Check(m_.Attach(heap_, "benchmark"), "attaching");
  }

  loam::Heap& heap() { return heap_; }
  loam::Mutator m() const { return m_; }

 private:
  loam::Heap heap_;
  loam::ScopedMutator m_;
};

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_BENCHMARK_HEAP_H_
