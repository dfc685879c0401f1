#include "tests/heap_model/model.h"

#include <algorithm>

#include "tests/support/random.h"

namespace loam_test {

loam_word DataWord(uint64_t content, size_t word) {
  // Large objects are filled here and there: the rest shows that memory is
  // zeroed.
  if (word >= 24 && word % 61 != 0) return 0;
  return Mix(content * 0x10001 + word);
}

// ---- Objects ----------------------------------------------------------------

loam_word_kind Object::KindAt(size_t word) const {
  if (!own_kinds.empty()) {
    return static_cast<loam_word_kind>(own_kinds[word]);
  }
  if (layout->tagged) return TaggedKind(tag, word);
  if (word < layout->prefix.size()) {
    return static_cast<loam_word_kind>(layout->prefix[word]);
  }
  if (layout->element.empty()) return LOAM_DATA;
  return static_cast<loam_word_kind>(
      layout->element[(word - layout->prefix.size()) % layout->element.size()]);
}

loam_word Object::Expected(size_t word) const {
  if (layout->tagged && word == 0) return tag;
  if (KindAt(word) == LOAM_DATA) {
    if (word * kWord >= filled) return 0;
    const size_t bytes = std::min(kWord, filled - word * kWord);
    const loam_word mask = ~loam_word{0} >> (8 * (kWord - bytes));
    return DataWord(content, word) & mask;
  }
  const auto at =
      std::lower_bound(references.begin(), references.end(), word,
                       [](const Reference& r, size_t w) { return r.word < w; });
  return at != references.end() && at->word == word ? at->raw : 0;
}

Reference* Object::Find(size_t word) {
  const auto at =
      std::lower_bound(references.begin(), references.end(), word,
                       [](const Reference& r, size_t w) { return r.word < w; });
  return at != references.end() && at->word == word ? &*at : nullptr;
}

void Object::Set(size_t word, loam_word raw, Object* target) {
  const auto at =
      std::lower_bound(references.begin(), references.end(), word,
                       [](const Reference& r, size_t w) { return r.word < w; });
  const bool found = at != references.end() && at->word == word;
  if (raw == 0) {
    if (found) references.erase(at);
  } else if (found) {
    *at = {word, raw, target};
  } else {
    references.insert(at, {word, raw, target});
  }
}

// ---- Roots ------------------------------------------------------------------

loam_word* RootArray::Word(size_t i) {
  return place == RootPlace::kHandle ? &handles[i]->word
                                     : &memory[first_word + i];
}

loam_word RootArray::Get(size_t i) {
  return place == RootPlace::kGlobal ? loam_global_get(global) : *Word(i);
}

// ---- The graph --------------------------------------------------------------

Object* Model::Add(Object object) {
  const uintptr_t end = object.address + object.extent;
  auto next = objects_.lower_bound(object.address);
  if (next != objects_.end() && next->first < end) return nullptr;
  if (next != objects_.begin()) {
    const Object& previous = *std::prev(next)->second;
    if (previous.address + previous.extent > object.address) return nullptr;
  }
  bytes_ += object.cell_size;
  auto added = std::make_unique<Object>(std::move(object));
  Object* result = added.get();
  objects_.emplace_hint(next, result->address, std::move(added));
  return result;
}

Object* Model::Find(uintptr_t address) {
  auto next = objects_.upper_bound(address);
  if (next == objects_.begin()) return nullptr;
  Object* object = std::prev(next)->second.get();
  return address < object->address + object->extent ? object : nullptr;
}

void Model::Reach(Object* object) {
  if (object == nullptr || object->reached == cycles_) return;
  object->reached = cycles_;
  reached_objects_++;
  work_.push_back(object);
}

void Model::ReachReferences(const Object& object) {
  for (const Reference& r : object.references) {
    Reach(object.KindAt(r.word) == LOAM_AMBIGUOUS ? Find(r.raw) : r.target);
  }
}

void Model::ReachArray(RootArray* array) {
  for (size_t i = 0; i < array->count(); i++) {
    if (array->kinds[i] == LOAM_AMBIGUOUS) {
      Reach(Find(array->Get(i)));
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

void Model::Drain() {
  while (!work_.empty()) {
    const Object* object = work_.back();
    work_.pop_back();
    ReachReferences(*object);
  }
}

void Model::Collect() {
  cycles_++;
  reached_objects_ = 0;
  for (auto& array : heap_roots) ReachArray(array.get());
  ReachStack(&own_stack);
  // The owner of the current fiber does not die under it.
  Reach(current->owner);
  for (Object* object : immortals) Reach(object);
  for (Object* object : running) Reach(object);
  for (const auto& [address, object] : objects_) {
    if (object->is_pending) Reach(object.get());
    if (object->has_finalizer) ReachReferences(*object);
  }
  for (auto& fiber : fibers) {
    fiber->visited = false;
    if (fiber->owner == nullptr) ReachStack(fiber.get());
  }
  Drain();
  for (bool again = true; again;) {
    again = false;
    for (auto& fiber : fibers) {
      if (fiber->visited) continue;
      if (fiber->owner->reached != cycles_ && !fiber->owner->has_finalizer) {
        continue;
      }
      ReachStack(fiber.get());
      Drain();
      again = true;
    }
  }
  bytes_ = 0;
  for (auto it = objects_.begin(); it != objects_.end();) {
    Object& object = *it->second;
    if (object.reached != cycles_ && !object.has_finalizer) {
      removed_objects_++;
      it = objects_.erase(it);
      continue;
    }
    if (object.reached != cycles_) {
      object.has_finalizer = false;
      object.is_pending = true;
    }
    bytes_ += object.cell_size;
    ++it;
  }
  removed_fibers_ +=
      std::erase_if(fibers, [](const auto& fiber) { return !fiber->visited; });
}

size_t Model::finalizers_set() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) count += object->has_finalizer;
  return count;
}

size_t Model::pending() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) count += object->is_pending;
  return count;
}

}  // namespace loam_test
