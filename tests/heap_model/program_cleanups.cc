// Cleanups: added, stopped, run.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kMaxCleanups = 120;

}  // namespace

void Program::AddCleanup() {
  Object* object = random_.Percent(30) ? NewUnplaced() : PickReachable();
  if (object == nullptr || model_.cleanups_set() >= kMaxCleanups) return;
  // A value that leads back to the object keeps it for good: rarely.
  Object* target = random_.Percent(40) ? PickReachable() : nullptr;
  const loam_word value = MakeWord(LOAM_VALUE, target);
  const Name name = NameOf(*object);
  CallData* data = NewCallData();
  loam_cleanup cleanup;
  if (loam_cleanup_add(m_, name.given, OnCleanup, value, data, &cleanup) !=
      LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  Count(object->cleanups.empty() ? Covered::kCleanupAdded
                                 : Covered::kCleanupSecond);
  object->cleanups.push_back({cleanup, value, target, data->id});
  if (cleanups_.size() < 2 * kMaxCleanups) cleanups_.emplace_back();
  cleanups_[random_.Below(cleanups_.size())] = cleanup;
}

// One of any that were added: the object may be dead, and its memory others'.
void Program::StopCleanup() {
  if (cleanups_.empty()) return;
  const loam_cleanup name = cleanups_[random_.Below(cleanups_.size())];
  const auto is_it = [&name](const Cleanup& cleanup) {
    return cleanup.name.serial == name.serial;
  };
  Object* found = nullptr;
  for (const auto& [address, object] : model_.objects()) {
    if (std::ranges::any_of(object->cleanups, is_it)) found = object.get();
  }
  const loam_status status = loam_cleanup_stop(m_, &name);
  if (status != (found != nullptr ? LOAM_OK : LOAM_NOT_FOUND)) {
    Fail("stop the cleanup of %p: %s", reinterpret_cast<void*>(name.address),
         loam_status_name(status));
  }
  if (found != nullptr) std::erase_if(found->cleanups, is_it);
  Count(found != nullptr ? Covered::kCleanupStopped
                         : Covered::kCleanupStopMissed);
}

void Program::OnCleanup(loam_mutator* m, loam_word value, void* data) {
  const auto* call_data = static_cast<CallData*>(data);
  Program* program = call_data->program;
  QueuedCall call;
  if (!program->TakeCall(m, CallKind::kCleanup, call_data->id, &call)) return;
  if (program->is_finishing_) return;
  program->Count(Covered::kCleanupRan);
  if (value != call.value) {
    program->Fail("a cleanup got %#zx, not %#zx", value, call.value);
  }
  if (call.target != nullptr) program->CheckObject(*call.target);
  if (!program->MayAct()) return;
  program->model_.running.push_back(call.target);
  if (program->random_.Percent(20)) {
    for (int i = 0; i < 3; i++) program->Allocate();
  }
  if (call.target != nullptr && program->random_.Percent(30)) {
    program->Count(Covered::kCleanupSaved);
    program->WriteRoot(call.target);
  }
  program->model_.running.pop_back();
}

}  // namespace loam_test
