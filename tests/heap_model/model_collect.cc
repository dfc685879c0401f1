// A collection as the model does it: what loam_specials.h and loam_weak.h say,
// step by step.

#include <algorithm>

#include "tests/heap_model/model.h"

namespace loam_test {

// ---- Reaching ---------------------------------------------------------------

void Model::Reach(Object* object) {
  if (object == nullptr || IsReached(object)) return;
  object->reached = cycles_;
  object->reached_from = from_;
  reached_objects_++;
  work_.push_back(object);
}

void Model::ReachWeakly(Object* object) {
  if (object != nullptr && object->layout->is_never_cleared) Reach(object);
}

void Model::ReachReferences(Object* object) {
  from_ = object->address;
  for (const Reference& r : object->references) {
    const loam_word_kind kind = object->KindAt(r.word);
    if (IsStrong(kind)) {
      Reach(kind == LOAM_AMBIGUOUS ? Find(r.raw) : r.target);
    } else if (kind != LOAM_EPHEMERON_VALUE) {
      ReachWeakly(r.target);
    }
  }
  for (const MapEntry& e : object->map_entries) ReachWeakly(e.key_target);
  if (object->layout->has_weak_words) holders_.push_back(object);
}

void Model::ReachArray(RootArray* array) {
  for (size_t i = 0; i < array->count(); i++) {
    if (array->kinds[i] == LOAM_AMBIGUOUS) {
      Reach(Find(array->Get(i)));
    } else if (array->is_weak()) {
      ReachWeakly(array->targets[i]);
    } else {
      Reach(array->targets[i]);
    }
  }
}

void Model::ReachStack(Stack* stack) {
  stack->visited = true;
  for (auto& entry : stack->entries) ReachArray(entry.get());
  for (auto& provider : stack->providers) ReachArray(provider.get());
}

// What hangs on objects, and is a root.
void Model::ReachRoots() {
  for (auto& array : heap_roots) ReachArray(array.get());
  ReachStack(&own_stack);
  // The owner of the current fiber does not die under it.
  Reach(current->owner);
  for (Object* object : immortals) Reach(object);
  for (Object* object : running) Reach(object);
  queue.ForEach([this](const QueuedCall& call) { Reach(call.target); });
  for (const auto& handle : handles) ReachWeakly(handle->target);
  for (const auto& [address, object] : objects_) {
    if (object->pins > 0) Reach(object.get());
    for (const Cleanup& cleanup : object->cleanups) Reach(cleanup.target);
    if (object->HasFinalizer(/*unordered=*/false)) {
      ReachReferences(object.get());
      from_ = 0;
    }
  }
  for (auto& fiber : fibers) {
    fiber->visited = false;
    if (fiber->owner == nullptr) ReachStack(fiber.get());
  }
}

// The values of records whose keys are all alive.
void Model::ReachValues(const Object& holder) {
  from_ = holder.address;
  for (const MapEntry& e : holder.map_entries) {
    if (!IsDead(e.key_target)) Reach(e.value_target);
  }
  for (const Record& record : holder.Records()) {
    bool is_live = true;
    for (const Reference& r : holder.references) {
      if (r.word < record.first || r.word >= record.end) continue;
      if (holder.KindAt(r.word) != LOAM_EPHEMERON_KEY) continue;
      is_live = is_live && !IsDead(r.target);
    }
    if (!is_live) continue;
    for (const Reference& r : holder.references) {
      if (r.word < record.first || r.word >= record.end) continue;
      if (holder.KindAt(r.word) == LOAM_EPHEMERON_VALUE) Reach(r.target);
    }
  }
}

bool Model::ReachFibers() {
  bool any = false;
  for (auto& fiber : fibers) {
    if (fiber->visited || (!IsReached(fiber->owner) &&
                           !fiber->owner->HasFinalizer(/*unordered=*/false))) {
      continue;
    }
    from_ = fiber->owner->address;
    ReachStack(fiber.get());
    any = true;
  }
  return any;
}

void Model::Close() {
  for (;;) {
    while (!work_.empty()) {
      Object* object = work_.back();
      work_.pop_back();
      ReachReferences(object);
    }
    for (const Object* holder : holders_) ReachValues(*holder);
    if (work_.empty() && !ReachFibers()) return;
  }
}

// ---- Clearing ---------------------------------------------------------------

// All answers are of one moment; what they keep is followed afterwards.
void Model::AskProviders() {
  std::vector<Object*> kept;
  for (auto& provider : weak_providers) {
    for (WeakProvider::Entry& entry : provider->entries) {
      entry.is_live = !IsDead(entry.target);
      if (entry.is_live) continue;
      if (entry.target->layout->is_never_cleared) {
        entry.is_live = true;
        kept.push_back(entry.target);
      } else {
        entry.target = nullptr;
      }
    }
  }
  for (Object* object : kept) Reach(object);
  Close();
}

void Model::ClearObject(Object* object) {
  std::erase_if(object->map_entries,
                [this](const MapEntry& e) { return IsDead(e.key_target); });
  for (const Record& record : object->Records()) {
    const bool is_dead =
        std::any_of(object->references.begin(), object->references.end(),
                    [&](const Reference& r) {
                      return r.word >= record.first && r.word < record.end &&
                             object->KindAt(r.word) == LOAM_EPHEMERON_KEY &&
                             IsDead(r.target);
                    });
    if (!is_dead) continue;
    for (size_t w = record.first; w < record.end; w++) {
      const loam_word_kind kind = object->KindAt(w);
      if (kind == LOAM_EPHEMERON_KEY || kind == LOAM_EPHEMERON_VALUE) {
        object->Set(w, cleared_word_, nullptr);
      }
    }
  }
  const std::vector<Reference> references = object->references;
  for (const Reference& r : references) {
    const loam_word_kind kind = object->KindAt(r.word);
    if ((kind == LOAM_WEAK_VALUE || kind == LOAM_WEAK_POINTER) &&
        IsDead(r.target)) {
      object->Set(r.word, cleared_word_, nullptr);
    }
  }
}

void Model::ClearArray(RootArray* array) {
  for (size_t i = 0; i < array->count(); i++) {
    if (!IsDead(array->targets[i])) continue;
    array->targets[i] = nullptr;
    array->raws[i] = cleared_word_;
  }
}

void Model::ClearWeak() {
  for (const auto& [address, object] : objects_) {
    if (object->layout->has_weak_words &&
        (IsReached(object.get()) ||
         object->HasFinalizer(/*unordered=*/false))) {
      ClearObject(object.get());
    }
  }
  for (auto& array : heap_roots) {
    if (array->is_weak()) ClearArray(array.get());
  }
}

void Model::ClearHandles(bool long_ones) {
  for (auto& handle : handles) {
    if (handle->is_long == long_ones && IsDead(handle->target)) {
      handle->target = nullptr;
    }
  }
}

// ---- Dying ------------------------------------------------------------------

bool Model::QueueUnordered() {
  std::vector<QueuedCall> calls;
  for (const auto& [address, object] : objects_) {
    if (IsReached(object.get())) continue;
    for (const Finalizer& f : object->finalizers) {
      if (!f.is_unordered) continue;
      calls.push_back({CallKind::kFinalizer, f.id, f.address, object.get()});
    }
    std::erase_if(object->finalizers,
                  [](const Finalizer& f) { return f.is_unordered; });
  }
  std::sort(calls.begin(), calls.end(),
            [](const auto& a, const auto& b) { return a.id > b.id; });
  queue.BeginGroup(cycles_, /*is_ordered=*/true);
  for (const QueuedCall& call : calls) {
    queue.Add(call);
    Reach(call.target);
  }
  return !calls.empty();
}

bool Model::Sweep(Object* object) {
  if (IsReached(object)) return true;
  if (!object->finalizers.empty()) {
    for (const Finalizer& f : object->finalizers) {
      queue.Add({CallKind::kFinalizer, f.id, f.address, object});
    }
    object->finalizers.clear();
    return true;
  }
  for (const Cleanup& c : object->cleanups) {
    queue.Add({CallKind::kCleanup, c.id, 0, c.target, c.value});
  }
  object->cleanups.clear();
  for (const SpecialWord& word : object->special_words) {
    if (word_kind_has_died[word.kind]) {
      queue.Add({CallKind::kWord, word.word, 0, nullptr});
    }
  }
  object->special_words.clear();
  for (auto& handle : handles) {
    if (handle->target == object) handle->target = nullptr;
  }
  switch (object->layout->disposed) {
    case Disposed::kNever:
      return false;
    case Disposed::kAtOnce:
      disposed->Expect(object->Expected(0));
      return false;
    case Disposed::kQueued:
      if (object->dispose_state == DisposeState::kDone) return false;
      object->dispose_state = DisposeState::kWaits;
      object->references.clear();
      return true;
  }
  return false;
}

void Model::Collect() {
  cycles_++;
  reached_objects_ = 0;
  holders_.clear();
  from_ = 0;
  ReachRoots();
  Close();
  AskProviders();
  ClearWeak();
  ClearHandles(/*long_ones=*/false);
  for (auto& watch : watches) {
    if (watch->state != LOAM_WATCH_WAITING) continue;
    watch->state =
        IsReached(watch->target) ? LOAM_WATCH_REACHED : LOAM_WATCH_UNREACHED;
    watch->target = nullptr;
  }
  if (QueueUnordered()) {
    Close();
    ClearWeak();
  }
  queue.BeginGroup(cycles_, /*is_ordered=*/false);
  bytes_ = 0;
  removed_fibers_ +=
      std::erase_if(fibers, [](const auto& fiber) { return !fiber->visited; });
  for (auto it = objects_.begin(); it != objects_.end();) {
    Object* object = it->second.get();
    if (!Sweep(object)) {
      removed_objects_++;
      it = objects_.erase(it);
      continue;
    }
    bytes_ += object->cell_size;
    ++it;
  }
}

}  // namespace loam_test
