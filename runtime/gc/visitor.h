// What root providers and trace callbacks report references to. The marker is
// one visitor, the verifier another.

#ifndef LOAM_RUNTIME_GC_VISITOR_H_
#define LOAM_RUNTIME_GC_VISITOR_H_

#include <cstdint>

#include "runtime/base/fatal.h"
#include "runtime/heap/word_kind.h"

// The opaque loam_visitor of the C API.
struct loam_visitor {
  virtual void VisitValue(uintptr_t word) = 0;
  virtual void VisitPointer(uintptr_t address) = 0;
  // A word that may or may not be an address.
  virtual void VisitAmbiguous(uintptr_t word) = 0;
  // A weak word, which keeps nothing alive but objects of types that are never
  // cleared.
  virtual void VisitWeak(loam::WordKind /*kind*/, uintptr_t /*word*/) {}
  // Whether what a value refers to has been found alive: weak providers only.
  virtual bool IsLive(loam::WordKind /*kind*/, uintptr_t /*word*/) {
    loam::FatalMisuse(
        "loam_weak_is_live: visitor: is not that of a weak provider");
  }
  // The roots that follow are those of the thread of this name, or "fiber";
  // NULL: of the heap.
  virtual void EnterThread(const char* /*name*/) {}
  // The roots that follow belong to this; for messages.
  virtual void EnterRoot(const char* /*kind*/, const char* /*name*/) {}
  // The words that follow are called this, until the next name or root; "": no
  // more.
  virtual void EnterPart(const char* /*name*/) {}

 protected:
  ~loam_visitor() = default;
};

#endif  // LOAM_RUNTIME_GC_VISITOR_H_
