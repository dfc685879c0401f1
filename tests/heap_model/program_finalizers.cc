// Finalizers: set, cleared, run; what they do when they run.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {

void Program::SetFinalizer() {
  Object* object = PickReachable();
  if (object == nullptr) return;
  const Name name = NameOf(*object);
  const bool is_unordered = random_.Percent(40);
  CallData* data = NewCallData();
  const loam_status status = loam_finalizer_set(
      m_, name.given, OnFinalizer, data,
      is_unordered ? LOAM_FINALIZER_UNORDERED : LOAM_FINALIZER_ORDERED);
  // A queued one is no obstacle (an ambiguous word may still find its object).
  if (object->FindFinalizer(name.key) != nullptr) {
    if (status != LOAM_WRONG_STATE) {
      Fail("a second finalizer: %s", loam_status_name(status));
    }
    return;
  }
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  object->finalizers.push_back({name.key, is_unordered, data->id});
  Count(is_unordered ? Covered::kFinalizerUnordered : Covered::kFinalizerSet);
  if (!object->tiny.empty()) Count(Covered::kFinalizerTiny);
}

void Program::ClearFinalizer() {
  for (int attempt = 0; attempt < 10; attempt++) {
    Object* object = PickReachable();
    if (object == nullptr) continue;
    const Name name = NameOf(*object);
    const loam_status status = loam_finalizer_clear(m_, name.given);
    Finalizer* finalizer = object->FindFinalizer(name.key);
    const loam_status expected =
        finalizer != nullptr ? LOAM_OK : LOAM_NOT_FOUND;
    if (status != expected) {
      Fail("finalizer_clear: %s", loam_status_name(status));
    }
    if (finalizer != nullptr) {
      object->finalizers.erase(object->finalizers.begin() +
                               (finalizer - object->finalizers.data()));
      Count(Covered::kFinalizerCleared);
      return;
    }
  }
}

void Program::OnFinalizer(loam_mutator* m, void* object, void* data) {
  const auto* call_data = static_cast<CallData*>(data);
  Program* program = call_data->program;
  QueuedCall call;
  if (!program->TakeCall(m, CallKind::kFinalizer, call_data->id, &call)) return;
  if (program->is_finishing_) return;
  program->Count(Covered::kFinalizerRan);
  if (reinterpret_cast<void*>(call.address) != object) {
    program->Fail("the finalizer of %p got %p",
                  reinterpret_cast<void*>(call.address), object);
  }
  Object* found = call.target;
  program->CheckObject(*found);
  if (!program->MayAct()) return;
  Model& model = program->model_;
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
    const bool has = found->FindFinalizer(call.address) != nullptr;
    CallData* again = program->NewCallData();
    const loam_status status = loam_finalizer_set(m, object, OnFinalizer, again,
                                                  LOAM_FINALIZER_ORDERED);
    if (status != (has ? LOAM_WRONG_STATE : LOAM_OK)) {
      program->Fail("set again: %s", loam_status_name(status));
    }
    if (!has) found->finalizers.push_back({call.address, false, again->id});
  }
  model.running.pop_back();
}

}  // namespace loam_test
