// The lines of LOAM_TRACE: what a heap does, for people to read.

#ifndef LOAM_RUNTIME_TRACE_H_
#define LOAM_RUNTIME_TRACE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/gc_cycle.h"

namespace loam {

constexpr size_t kTraceLineBytes = 256;

// One collection, of a heap that has so many bytes committed after it.
void FormatCycle(const CycleInfo& info, uint64_t committed_bytes,
                 char (&line)[kTraceLineBytes]);

}  // namespace loam

#endif  // LOAM_RUNTIME_TRACE_H_
