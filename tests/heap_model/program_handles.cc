// Weak handles and watches.

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kMaxHandles = 60;
constexpr size_t kMaxWatches = 30;

}  // namespace

void Program::CreateHandle() {
  const Object* again = nullptr;
  uintptr_t address = 0;
  if (!model_.handles.empty() && random_.Percent(30)) {
    // A place that has one; perhaps that object has died since.
    const auto& known = model_.handles[random_.Below(model_.handles.size())];
    again = known->target;
    address = known->address;
  }
  Object* object = again != nullptr      ? model_.Find(again->address)
                   : random_.Percent(30) ? NewUnplaced()
                                         : PickReachable();
  if (object == nullptr || failed()) return;
  if (again == nullptr) {
    address = reinterpret_cast<uintptr_t>(NameOf(*object).given);
  }
  const bool is_long = random_.Percent(50);
  loam_weak_handle* handle = nullptr;
  if (model_.handles.size() >= kMaxHandles) return;
  if (loam_weak_handle_create(m_, reinterpret_cast<void*>(address),
                              is_long ? LOAM_WEAK_LONG : LOAM_WEAK_SHORT,
                              &handle) != LOAM_OK) {
    Fail("%s", loam_last_error());
    return;
  }
  for (const auto& h : model_.handles) {
    const bool same =
        h->target != nullptr && h->address == address && h->is_long == is_long;
    if (same != (h->handle == handle)) {
      Fail("handle %p of %p: another is %p of %p", static_cast<void*>(handle),
           reinterpret_cast<void*>(address), static_cast<void*>(h->handle),
           reinterpret_cast<void*>(h->address));
    }
    if (!same) continue;
    h->references++;
    Count(Covered::kHandleSame);
    return;
  }
  model_.handles.push_back(std::make_unique<WeakHandle>(
      WeakHandle{handle, address, is_long, object, 1}));
  Count(is_long ? Covered::kHandleLong : Covered::kHandleShort);
  if (address != object->address) Count(Covered::kHandleInterior);
}

void Program::CheckHandle(const WeakHandle& handle) {
  const auto found =
      reinterpret_cast<uintptr_t>(loam_weak_handle_get(m_, handle.handle));
  const uintptr_t expected = handle.target != nullptr ? handle.address : 0;
  if (found != expected) {
    Fail("a %s weak handle of %p: %p", handle.is_long ? "long" : "short",
         reinterpret_cast<void*>(handle.address),
         reinterpret_cast<void*>(found));
  }
  Count(found != 0 ? Covered::kHandleLive : Covered::kHandleDead);
  if (found == 0 || !handle.is_long) return;
  model_.queue.ForEach([&](const QueuedCall& call) {
    if (call.kind == CallKind::kFinalizer && call.target == handle.target) {
      Count(Covered::kHandleResurrected);
    }
  });
}

void Program::AskHandle() {
  if (model_.handles.empty()) return;
  const auto& handle = model_.handles[random_.Below(model_.handles.size())];
  CheckHandle(*handle);
  if (handle->target == nullptr) return;
  // What it returned is an object like any other.
  if (random_.Percent(20)) WriteRoot(handle->target);
}

void Program::DestroyHandle() {
  if (model_.handles.empty()) return;
  const size_t i = random_.Below(model_.handles.size());
  WeakHandle* handle = model_.handles[i].get();
  if (loam_weak_handle_destroy(m_, handle->handle) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  Count(Covered::kHandleDestroyed);
  if (--handle->references > 0) return;
  model_.handles.erase(model_.handles.begin() + static_cast<ptrdiff_t>(i));
}

// ---- Watches ----------------------------------------------------------------

void Program::CreateWatch() {
  if (model_.watches.size() >= kMaxWatches) return;
  Object* object = random_.Percent(40) ? NewUnplaced() : PickReachable();
  if (object == nullptr) return;
  loam_watch* watch = nullptr;
  if (loam_watch_create(m_, NameOf(*object).given, &watch) != LOAM_OK) {
    Fail("%s", loam_last_error());
    return;
  }
  model_.watches.push_back(
      std::make_unique<Watch>(Watch{watch, object, LOAM_WATCH_WAITING}));
}

void Program::CheckWatch(const Watch& watch) {
  const loam_watch_state state = loam_watch_get(m_, watch.watch);
  if (state != watch.state) {
    Fail("a watch says %u, not %u", state, watch.state);
  }
  Count(state == LOAM_WATCH_WAITING   ? Covered::kWatchWaiting
        : state == LOAM_WATCH_REACHED ? Covered::kWatchReached
                                      : Covered::kWatchUnreached);
}

void Program::DestroyWatch() {
  if (model_.watches.empty()) return;
  const size_t i = random_.Below(model_.watches.size());
  if (random_.Percent(70)) CheckWatch(*model_.watches[i]);
  if (loam_watch_destroy(m_, model_.watches[i]->watch) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  Count(Covered::kWatchDestroyed);
  model_.watches.erase(model_.watches.begin() + static_cast<ptrdiff_t>(i));
}

}  // namespace loam_test
