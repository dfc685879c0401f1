// What heap_bindings.h says of weak references, weak maps and pins.

#include "examples/toylang/heap_bindings.h"

namespace toylang {

WeakReference* Heap::NewWeakReference(Value target) {
  WeakReference* reference = New<WeakReference>();
  if (reference != nullptr) {
    loam_store_weak(mutator_, reference, &reference->target, target.bits());
  }
  return reference;
}

Value Heap::Target(WeakReference* reference) {
  return Value::FromBits(
      loam_load_weak(mutator_, reference, &reference->target));
}

WeakMap* Heap::NewWeakMap() {
  Rooted<WeakMap> map(*this, New<WeakMap>());
  if (!map) return nullptr;
  void* entries = loam_weak_map_new(mutator_);
  if (entries == nullptr) return nullptr;
  Store(map.get(), &map->entries, entries);
  return map.get();
}

bool Heap::SetInWeakMap(WeakMap* map, Value key, Value value) {
  return loam_weak_map_set(mutator_, map->entries, key.bits(), value.bits()) ==
         LOAM_OK;
}

Value Heap::GetFromWeakMap(WeakMap* map, Value key) {
  loam_word value;
  // Only objects with an identity are in it; nil may not even be asked for.
  if (!HasIdentity(key) || loam_weak_map_get(mutator_, map->entries, key.bits(),
                                             &value) != LOAM_OK) {
    return Value::Absent();
  }
  return Value::FromBits(value);
}

bool Heap::RemoveFromWeakMap(WeakMap* map, Value key) {
  return HasIdentity(key) &&
         loam_weak_map_remove(mutator_, map->entries, key.bits()) == LOAM_OK;
}

size_t Heap::CountOfWeakMap(WeakMap* map) {
  return loam_weak_map_count(mutator_, map->entries);
}

void Heap::WalkWeakMap(
    WeakMap* map, const std::function<void(Value key, Value value)>& visit) {
  const auto forward = [](loam_word key, loam_word value, void* data) {
    (*static_cast<const std::function<void(Value, Value)>*>(data))(
        Value::FromBits(key), Value::FromBits(value));
    return 1;
  };
  loam_weak_map_walk(mutator_, map->entries, forward,
                     const_cast<std::function<void(Value, Value)>*>(&visit));
}

bool Heap::Pin(Object* object) { return loam_pin(mutator_, object) == LOAM_OK; }

bool Heap::Unpin(Object* object) {
  return loam_unpin(mutator_, object) == LOAM_OK;
}

}  // namespace toylang
