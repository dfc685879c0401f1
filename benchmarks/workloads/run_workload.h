// One run of a workload on a heap of a fixed size: the heap, the threads, what
// is measured of all of them alike. A main function parses the flags, makes a
// WorkloadRun, then what the work shall find on the heap, has the work timed,
// adds metrics of its own if it has any, and prints:
//
//   absl::ParseCommandLine(argc, argv);
//   benchmarks::WorkloadRun run(live_bytes);
//   const Types types(run.heap());
//   run.Time([&] { return Work(run.thread(), types).Run(); });
//   run.Print();
//
// Flags of all such programs:
//
//   --factor   heap size as a multiple of the live size; 0: the peer's own rule
//   --markers  threads that mark, where the peer lets one choose

#ifndef LOAM_BENCHMARKS_WORKLOADS_RUN_WORKLOAD_H_
#define LOAM_BENCHMARKS_WORKLOADS_RUN_WORKLOAD_H_

#include <numeric>
#include <thread>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/report.h"

// 2.5 and 1, unless main sets another default before it parses.
ABSL_DECLARE_FLAG(double, factor);
ABSL_DECLARE_FLAG(int, markers);

namespace benchmarks {

class WorkloadRun {
 public:
  // `live_bytes` is what is alive at most, at the peers' cell sizes. The heap
  // has --factor times that, and the spare bytes.
  explicit WorkloadRun(double live_bytes, size_t spare_bytes = size_t{1} << 20)
      : live_bytes_(live_bytes),
        heap_(SettingsFor(live_bytes, spare_bytes)),
        thread_(heap_) {}

  peer::Heap& heap() { return heap_; }
  const peer::Thread& thread() const { return thread_; }  // the main one
  Report& report() { return report_; }

  // Times `work()`, which returns a checksum, and reports that, the live size
  // and the heap's statistics.
  template <typename Work>
  void Time(Work&& work) {
    report_.StartTiming();
    report_.SetChecksum(work());
    report_.StopTiming();
    report_.Add("live_mib", live_bytes_ / (1 << 20));
    report_.AddStatistics(heap_.statistics());
  }

  // The same for `work(thread, index)`, done once on each of several threads:
  // 0 is the main one. The sum of the checksums counts.
  template <typename Work>
  void TimeThreads(size_t threads, Work&& work) {
    std::vector<uint64_t> checksums(threads);
    Time([&] {
      std::vector<std::thread> others;
      for (size_t i = 1; i < threads; i++) {
        others.emplace_back([&, i] {
          const peer::Thread thread(heap_);
          checksums[i] = work(thread, i);
        });
      }
      checksums[0] = work(thread_, 0);
      {
        const peer::Blocked blocked(thread_);
        for (std::thread& other : others) other.join();
      }
      return std::accumulate(checksums.begin(), checksums.end(), uint64_t{0});
    });
  }

  void Print() { report_.Print(peer::kName); }

 private:
  static peer::Settings SettingsFor(double live_bytes, size_t spare_bytes) {
    peer::Settings settings;
    if (const double factor = absl::GetFlag(FLAGS_factor); factor > 0) {
      settings.fixed_heap_bytes =
          static_cast<size_t>(factor * live_bytes) + spare_bytes;
    }
    settings.markers = absl::GetFlag(FLAGS_markers);
    return settings;
  }

  const double live_bytes_;
  peer::Heap heap_;
  const peer::Thread thread_;
  Report report_;
};

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_WORKLOADS_RUN_WORKLOAD_H_
