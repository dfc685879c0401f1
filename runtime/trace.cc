#include "runtime/trace.h"

#include <cinttypes>
#include <cstdio>

namespace loam {
namespace {

const char* ReasonName(CycleReason reason) {
  switch (reason) {
    case CycleReason::kTrigger:
      return "trigger";
    case CycleReason::kRequested:
      return "requested";
    case CycleReason::kMemory:
      return "out of memory";
    case CycleReason::kStress:
      return "stress";
  }
  return "?";
}

double Mebibytes(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}
double Milliseconds(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

}  // namespace

void FormatCycle(const CycleInfo& info, uint64_t committed_bytes,
                 char (&line)[kTraceLineBytes]) {
  snprintf(line, sizeof(line),
           "cycle %" PRIu64 " (%s): live %.1f -> %.1f MiB, %" PRIu64
           " objects; pause %.2f ms, marking %.2f; next at %.1f MiB; "
           "committed %.1f MiB",
           info.number, ReasonName(info.reason),
           Mebibytes(info.live_bytes_before), Mebibytes(info.live_bytes),
           info.live_objects, Milliseconds(info.pause_ns),
           Milliseconds(info.mark_ns), Mebibytes(info.next_trigger),
           Mebibytes(committed_bytes));
}

}  // namespace loam
