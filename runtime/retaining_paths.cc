#include "runtime/retaining_paths.h"

#include <cstdio>

#include "runtime/base/fatal.h"
#include "runtime/runtime.h"

namespace loam {

bool RetainingPaths::Build(GcCycle* cycle) {
  if (!tracer_.Trace(cycle)) return false;
  numbers_ = tracer_.reached();
  numbers_->AssignNumbers();
  const OsArray<uintptr_t>& order = tracer_.order();
  if (!by_number_.Extend(order.size()) || !path_.Extend(order.size())) {
    return false;
  }
  for (size_t i = 0; i < order.size(); i++) {
    by_number_[numbers_->NumberOf(order[i])] = tracer_.referrers()[i];
  }
  tracer_.ReleaseOrder();
  return true;
}

uintptr_t RetainingPaths::SourceOf(Referrer referrer) const {
  return CellOf(referrer.address());
}

bool RetainingPaths::Find(uintptr_t cell) {
  length_ = 0;
  if (cell == 0 || !numbers_->Contains(cell)) return false;
  for (;;) {
    LOAM_CHECK(length_ < path_.size(), "a retaining path runs in a circle");
    path_[length_++] = cell;
    const Referrer referrer = ReferrerOf(cell);
    if (referrer.is_root()) return true;
    cell = SourceOf(referrer);
  }
}

PathStep RetainingPaths::Step(size_t i) {
  PathStep step = {};
  step.to = path_[length_ - 1 - i];
  const Span& span = *page_heap_->FindSpan(step.to);
  step.to_type = EmbedderTypeOf(span, step.to);
  step.to_bytes = Runtime::ObjectBytes(span, step.to);
  const Referrer referrer = ReferrerOf(step.to);
  if (referrer.is_root()) {
    const RootTable& roots = tracer_.roots();
    const RootReference& reference =
        roots.references()[referrer.root_reference()];
    const RootGroup& group = roots.groups()[reference.group];
    step.root_thread = roots.name(group.thread);
    step.root_kind = roots.name(group.kind);
    step.root_name = roots.name(group.name);
    step.name = roots.NameOf(reference);
    return step;
  }
  step.from = SourceOf(referrer);
  const Span& from_span = *page_heap_->FindSpan(step.from);
  step.from_type = EmbedderTypeOf(from_span, step.from);
  if (referrer.is_slot()) {
    step.slot = referrer.address();
    step.name = NameOfSlot(from_span, step.from, step.slot);
    return step;
  }
  // Which of the references that the callback reports: the first that fits.
  bool is_found = false;
  tracer_.references().ForEach(step.from, [&](const Reference& reference) {
    if (is_found || reference.target != step.to) return;
    is_found = true;
    snprintf(part_, sizeof(part_), "%s", reference.part);
    step.name = NameOfReported(part_, reference.index);
  });
  return step;
}

}  // namespace loam
