// What a trace of the heap begins with, and in which order it goes on. Marking
// and its verifier are traces, and so is whatever else wants to know what is
// reachable, and from where.

#ifndef LOAM_RUNTIME_GC_TRACE_ROOTS_H_
#define LOAM_RUNTIME_GC_TRACE_ROOTS_H_

#include <cstdint>

#include "runtime/gc/tracer.h"
#include "runtime/specials/special.h"

namespace loam {

class CycleHost;
class PageHeap;
class RootSet;
class SpecialTable;
struct CycleParts;

class TraceRoots {
 public:
  explicit TraceRoots(const CycleParts& parts);

  // The world is stopped in all of these.

  // From all roots to the end.
  void Trace(Tracer* tracer);
  // From what waits on the finalizer queue to the end.
  void TraceQueue(Tracer* tracer);
  // From what the tracer has been given to the end.
  void TraceOn(Tracer* tracer);

 private:
  // Visits the roots, and follows nothing. Fibers with an owner are no roots:
  // they come with TraceOn.
  void Visit(Tracer* tracer);
  void VisitQueue(Tracer* tracer);
  void VisitSpecials(Tracer* tracer);
  bool HasOrderedFinalizer(uintptr_t address);

  CycleHost* const host_;
  PageHeap* const page_heap_;
  RootSet* const roots_;
  SpecialTable* const specials_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_TRACE_ROOTS_H_
