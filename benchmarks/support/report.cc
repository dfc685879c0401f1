#include "benchmarks/support/report.h"

#include <sys/resource.h>
#include <time.h>

#include <cstdio>

#include "absl/strings/str_format.h"

namespace benchmarks {

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<uint64_t>(now.tv_nsec);
}

static double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_usec) / 1e6;
}

Cpu CpuNow() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return {Seconds(usage.ru_utime), Seconds(usage.ru_stime)};
}

void Report::Add(const char* name, double value) {
  absl::StrAppendFormat(&metrics_, "%s\"%s\": %.6g",
                        metrics_.empty() ? "" : ", ", name, value);
}

void Report::StartTiming() {
  start_cpu_ = CpuNow();
  start_ns_ = NowNs();
}

void Report::StopTiming() {
  const double wall_ms = static_cast<double>(NowNs() - start_ns_) / 1e6;
  const Cpu cpu = CpuNow();
  Add("wall_ms", wall_ms);
  Add("cpu_ms", 1e3 * (cpu.user_seconds + cpu.system_seconds -
                       start_cpu_.user_seconds - start_cpu_.system_seconds));
}

// Not getrusage, which begins with what the process had before exec.
static double PeakResidentMib() {
  FILE* status = std::fopen("/proc/self/status", "re");
  if (status == nullptr) return 0;
  char line[128];
  double kib = 0;
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %lf", &kib) == 1) break;
  }
  std::fclose(status);
  return kib / 1024;
}

void Report::Print(const char* peer) {
  Add("peak_resident_mib", PeakResidentMib());
  absl::PrintF("{\"peer\": \"%s\", \"checksum\": %d, \"metrics\": {%s}}\n",
               peer, checksum_, metrics_);
}

}  // namespace benchmarks
