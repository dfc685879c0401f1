// Why objects are alive: for every object that the roots reach, one shortest
// path to it. Built once, then asked any number of times.
//
// For as long as the world is stopped and everything is swept. Takes up to 24
// bytes for each object reached from the OS, beside the heap, and what else
// HeapTracer says; once it is built, 8.

#ifndef LOAM_RUNTIME_RETAINING_PATHS_H_
#define LOAM_RUNTIME_RETAINING_PATHS_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap_tracer.h"

namespace loam {

// One step of a path: somebody refers to an object.
struct PathStep {
  // Who: a root, in the first step; then root_kind is not NULL.
  const char* root_thread;  // "": a root of the heap's, not of a thread
  const char* root_kind;
  const char* root_name;  // "" if it has none
  // Or an object, whose type may be NULL.
  uintptr_t from;
  const Type* from_type;
  // Through which word; 0 where a callback has reported it, and in roots.
  uintptr_t slot;
  SlotName name;  // of the word
  // To whom.
  uintptr_t to;
  const Type* to_type;
  size_t to_bytes;
};

class RetainingPaths {
 public:
  RetainingPaths(PageHeap* page_heap, const ValueEncoding& encoding)
      : page_heap_(page_heap),
        tracer_(page_heap, encoding, HeapTracer::Keep::kReferrers) {}

  // Once. Calls the embedder's callbacks, as does Step: inside an EmbedderCall.
  // False when out of memory.
  bool Build(GcCycle* cycle);

  uint64_t reached_objects() { return tracer_.reached()->count(); }
  // The cell of the object in which an address lies, or 0.
  uintptr_t CellOf(uintptr_t address) const {
    return tracer_.references().CellOf(address);
  }

  // Finds the path to the object in a cell, for Step. False if no root
  // reaches it.
  bool Find(uintptr_t cell);
  // How many steps it has; the last leads to the object, the first comes from a
  // root.
  size_t length() const { return length_; }
  // The name in it is valid until the next call.
  PathStep Step(size_t i);

 private:
  Referrer ReferrerOf(uintptr_t cell) const {
    return by_number_[numbers_->NumberOf(cell)];
  }
  // The object of which that is a word, or whose callback has reported it.
  uintptr_t SourceOf(Referrer referrer) const;

  PageHeap* const page_heap_;
  HeapTracer tracer_;
  ObjectSet* numbers_ = nullptr;
  OsArray<Referrer> by_number_;
  // The path's objects, the last first; there is room for any path.
  OsArray<uintptr_t> path_;
  size_t length_ = 0;
  char part_[kPartNameBytes] = {};  // a name that a callback has given
};

}  // namespace loam

#endif  // LOAM_RUNTIME_RETAINING_PATHS_H_
