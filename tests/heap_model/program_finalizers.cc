// Finalizers: set, cleared, run; what they do when they run.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {

void Program::SetFinalizer() {
  Object* object = PickReachable();
  // Tiny objects share their cell, and a finalizer is for the cell.
  if (object == nullptr || !object->tiny.empty()) return;
  // The same data for all: the object is found by its address.
  const loam_status status =
      loam_finalizer_set(m_, reinterpret_cast<void*>(object->address),
                         OnFinalizer, this, LOAM_FINALIZER_ORDERED);
  // A queued one is no obstacle (an ambiguous word may still find its object).
  if (object->has_finalizer) {
    if (status != LOAM_WRONG_STATE) {
      Fail("a second finalizer: %s", loam_status_name(status));
    }
    return;
  }
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  object->has_finalizer = true;
  Count(Covered::kFinalizerSet);
}

void Program::ClearFinalizer() {
  for (int attempt = 0; attempt < 10; attempt++) {
    Object* object = PickReachable();
    if (object == nullptr || !object->tiny.empty()) continue;
    const loam_status status =
        loam_finalizer_clear(m_, reinterpret_cast<void*>(object->address));
    const loam_status expected =
        object->has_finalizer ? LOAM_OK : LOAM_NOT_FOUND;
    if (status != expected) {
      Fail("finalizer_clear: %s", loam_status_name(status));
    }
    if (object->has_finalizer) {
      object->has_finalizer = false;
      Count(Covered::kFinalizerCleared);
      return;
    }
  }
}

void Program::RunFinalizers() {
  // Spans that are not swept yet have not queued theirs; now and then look at
  // all, so that a lost one shows.
  const bool exact = random_.Percent(50);
  if (exact && loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  const size_t before = model_.pending();
  const size_t max = random_.Below(6);
  size_t ran;
  size_t waiting;
  finalizers_ran_ = 0;
  if (loam_finalizers_run(m_, max, &ran, &waiting) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  if (ran != finalizers_ran_ || (max != 0 && ran > max)) {
    Fail("%zu finalizers ran, at most %zu were to, reported are %zu",
         finalizers_ran_, max, ran);
  }
  const size_t least = max == 0 ? before : std::min(max, before);
  if (exact && ran < least) {
    Fail("%zu of %zu finalizers ran, %zu were asked for", ran, before, max);
  }
  if (waiting > model_.pending()) {
    Fail("%zu finalizers wait, %zu can", waiting, model_.pending());
  }
}

void Program::OnFinalizer(loam_mutator* m, void* object, void* data) {
  auto* program = static_cast<Program*>(data);
  Model& model = program->model_;
  program->finalizers_ran_++;
  program->Count(Covered::kFinalizerRan);
  Object* found = model.Find(reinterpret_cast<uintptr_t>(object));
  if (m != program->m_ || found == nullptr || !found->is_pending ||
      reinterpret_cast<void*>(found->address) != object) {
    program->Fail("the finalizer of %p ran, but it is not its turn", object);
    return;
  }
  program->CheckObject(*found);
  found->is_pending = false;
  model.running.push_back(found);
  if (program->random_.Percent(30)) {
    program->Count(Covered::kFinalizerAllocated);
    for (int i = 0; i < 3; i++) program->Allocate();
  }
  if (program->random_.Percent(30)) {
    program->Count(Covered::kFinalizerResurrected);
    program->WriteRoot(found);
  }
  if (program->random_.Percent(10)) {
    const loam_status expected =
        found->has_finalizer ? LOAM_WRONG_STATE : LOAM_OK;
    const loam_status status = loam_finalizer_set(m, object, OnFinalizer, data,
                                                  LOAM_FINALIZER_ORDERED);
    if (status != expected) {
      program->Fail("set again: %s", loam_status_name(status));
    }
    found->has_finalizer = true;
  }
  model.running.pop_back();
}

}  // namespace loam_test
