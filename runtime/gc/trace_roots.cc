#include "runtime/gc/trace_roots.h"

#include "runtime/gc/gc_cycle.h"
#include "runtime/heap/type_set.h"

namespace loam {

TraceRoots::TraceRoots(const CycleParts& parts)
    : host_(parts.host),
      page_heap_(parts.page_heap),
      roots_(parts.roots),
      specials_(parts.specials) {}

void TraceRoots::Trace(Tracer* tracer) {
  Visit(tracer);
  TraceOn(tracer);
}

void TraceRoots::TraceQueue(Tracer* tracer) {
  VisitQueue(tracer);
  TraceOn(tracer);
}

void TraceRoots::TraceOn(Tracer* tracer) {
  const bool has_weak_words = host_->object_types().has_weak_words();
  do {
    tracer->Drain();
    if (has_weak_words) tracer->ResolveWeakWords();
    // A fiber's stack may reach the owner of another.
  } while (roots_->VisitReachableFibers(tracer, [&](uintptr_t owner) {
    return tracer->HasReached(owner) || HasOrderedFinalizer(owner);
  }));
}

void TraceRoots::Visit(Tracer* tracer) {
  host_->VisitMutators(tracer);
  roots_->VisitHeapRoots(tracer);
  VisitQueue(tracer);
  VisitSpecials(tracer);
}

void TraceRoots::VisitQueue(Tracer* tracer) {
  tracer->EnterRoot("the finalizer queue", nullptr);
  specials_->finalizer_queue()->ForEach([&](const Special& special) {
    if (special.kind == SpecialKind::kFinalizer) {
      tracer->VisitPointer(special.address);
    } else if (special.kind == SpecialKind::kCleanup) {
      tracer->VisitValue(special.extra()->value);
    }
  });
}

void TraceRoots::VisitSpecials(Tracer* tracer) {
  const bool has_never_cleared = host_->object_types().has_never_cleared();
  specials_->ForEachSpan([&](Span* span) {
    specials_->ForEach(span, [&](const Special& special) {
      switch (special.kind) {
        case SpecialKind::kFinalizer: {
          // What an ordered finalizer may see is alive when it runs: the
          // references of its object are roots, the object itself is not.
          if (special.is_unordered) break;
          tracer->EnterRoot("object with a finalizer", nullptr);
          tracer->ScanObject(span, span->CellOf(special.address));
          break;
        }
        case SpecialKind::kPin:
          tracer->EnterRoot("pin", nullptr);
          tracer->VisitPointer(special.address);
          break;
        case SpecialKind::kCleanup:
          tracer->EnterRoot("value of a cleanup", nullptr);
          tracer->VisitValue(special.extra()->value);
          break;
        case SpecialKind::kWeakHandle:
        case SpecialKind::kLongWeakHandle:
          // Not weak to objects of some types.
          if (has_never_cleared &&
              IsNeverCleared(span->TypeOf(span->CellOf(special.address)))) {
            tracer->EnterRoot("weak handle", nullptr);
            tracer->VisitPointer(special.address);
          }
          break;
        case SpecialKind::kWatch:
        case SpecialKind::kEmbedder:
        case SpecialKind::kDispose:
        case SpecialKind::kProfile:
          break;
      }
    });
  });
}

// A dead owner with an ordered finalizer lives for one more cycle, and what it
// leads to with it: its fiber too.
bool TraceRoots::HasOrderedFinalizer(uintptr_t address) {
  Span* span = page_heap_->FindSpan(address);
  if (span == nullptr || span->specials == nullptr) return false;
  const size_t index = span->CellIndex(address);
  bool has = false;
  specials_->ForEach(span, [&](const Special& special) {
    has |= special.kind == SpecialKind::kFinalizer && !special.is_unordered &&
           span->CellIndex(special.address) == index;
  });
  return has;
}

}  // namespace loam
