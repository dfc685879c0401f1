// Something that follows references from roots through the heap: the marker,
// the verifier that checks it, and what finds out who keeps an object alive.
// The order of one trace is in trace_roots.cc.

#ifndef LOAM_RUNTIME_GC_TRACER_H_
#define LOAM_RUNTIME_GC_TRACER_H_

#include <cstdint>

#include "runtime/gc/visitor.h"
#include "runtime/heap/span.h"

namespace loam {

class Tracer : public loam_visitor {
 public:
  // Follows everything visited so far to its end.
  virtual void Drain() = 0;
  // Follows the values of ephemeron records whose keys have been reached, and
  // all they lead to, to the end. After Drain.
  virtual void ResolveWeakWords() = 0;
  // Visits the references of an object without reaching the object itself.
  virtual void ScanObject(Span* span, uintptr_t cell) = 0;
  // Whether the object that `address` lies in has been reached.
  virtual bool HasReached(uintptr_t address) const = 0;

 protected:
  ~Tracer() = default;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_TRACER_H_
