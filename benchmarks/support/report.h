// What one run of a workload found out, printed as one line of JSON for the
// runner.

#ifndef LOAM_BENCHMARKS_SUPPORT_REPORT_H_
#define LOAM_BENCHMARKS_SUPPORT_REPORT_H_

#include <cstdint>
#include <string>

namespace benchmarks {

// Of the process, all threads; user and system.
struct Cpu {
  double user_seconds;
  double system_seconds;
};

uint64_t NowNs();  // monotonic
Cpu CpuNow();

class Report {
 public:
  // The unit is the name's end: ns_per_object, wall_ms, resident_mib.
  void Add(const char* name, double value);
  // What the work computed: equal for all peers, or it was not the same work.
  void SetChecksum(uint64_t checksum) { checksum_ = checksum; }
  // Wall and CPU time between two calls: wall_ms, cpu_ms.
  void StartTiming();
  void StopTiming();

  // collections, longest_pause_ms, total_pause_ms, heap_mib.
  template <typename Statistics>
  void AddStatistics(const Statistics& statistics) {
    Add("collections", static_cast<double>(statistics.collections));
    Add("longest_pause_ms",
        static_cast<double>(statistics.longest_pause_ns) / 1e6);
    Add("total_pause_ms", static_cast<double>(statistics.total_pause_ns) / 1e6);
    Add("heap_mib", static_cast<double>(statistics.heap_bytes) / (1 << 20));
  }

  // Adds the process's peak_resident_mib and prints everything.
  void Print(const char* peer);

 private:
  std::string metrics_;
  uint64_t checksum_ = 0;
  uint64_t start_ns_ = 0;
  Cpu start_cpu_ = {};
};

}  // namespace benchmarks

#endif  // LOAM_BENCHMARKS_SUPPORT_REPORT_H_
