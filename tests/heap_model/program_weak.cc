// Weak words, and ephemerons.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {

// What a weak word holds is alive, and may be referred to like anything else.
void Program::LoadWeak() {
  size_t word;
  Object* object = PickSlotOwner(Slots::kWeak, &word);
  if (object == nullptr) return;
  // Most weak slots of an array are empty.
  if (!object->references.empty()) {
    const auto& some =
        object->references[random_.Below(object->references.size())];
    if (!IsStrong(object->KindAt(some.word))) word = some.word;
  }
  const loam_word found =
      loam_load_weak(m_, reinterpret_cast<void*>(object->address),
                     reinterpret_cast<loam_word*>(object->address) + word);
  const loam_word expected = object->Expected(word);
  if (found != expected) {
    Fail("weak word %zu of the %s at %p: %#zx, not %#zx", word,
         object->layout->name.c_str(), reinterpret_cast<void*>(object->address),
         found, expected);
  }
  const Reference* reference = object->Find(word);
  if (reference == nullptr) return;
  if (found == kClearedWord) Count(Covered::kWeakCleared);
  if (reference->target == nullptr) return;
  Count(Covered::kWeakLoaded);
  if (random_.Percent(30)) {
    Count(Covered::kWeakStrengthened);
    WriteRoot(reference->target);
  }
}

void Program::NewEphemeron() {
  Object* key_target = random_.Percent(30)   ? NewUnplaced()
                       : random_.Percent(90) ? PickReachable()
                                             : nullptr;
  Object* value_target = PickReachable();
  const loam_word key = MakeWord(LOAM_VALUE, key_target);
  const loam_word value = MakeWord(LOAM_VALUE, value_target);
  // Rooted during the call.
  model_.running.push_back(key_target);
  model_.running.push_back(value_target);
  void* p = loam_ephemeron_new(m_, key, value);
  model_.running.pop_back();
  model_.running.pop_back();
  Object* object = AdmitFilled(p, untyped_.ephemeron);
  if (object == nullptr) return;
  object->Set(0, key, key_target);
  object->Set(1, value, value_target);
  if (loam_ephemeron_key(m_, p) != key ||
      loam_ephemeron_value(m_, p) != value) {
    Fail("the ephemeron at %p holds other words", p);
  }
  Count(Covered::kEphemeronNew);
  Place(object);
}

// Ephemerons whose values lead to the keys of others: directly, or through
// arrays of what lies together in memory. They are met in another order.
void Program::NewEphemeronChain() {
  constexpr size_t kMaxLinks = 24;
  const size_t links = random_.Between(2, kMaxLinks);
  const Layout* layout =
      random_.Percent(50) ? favourite_ : fixed_[random_.Below(fixed_.size())];
  loam_gc_disable(m_);
  void* memory[kMaxLinks + 1];
  const size_t count = loam_alloc_many(m_, layout->type, links + 1, memory);
  std::vector<Object*> keys;
  for (size_t i = 0; i < count && !failed(); i++) {
    keys.push_back(Admit(memory[i], layout->prefix_bytes, *layout));
  }
  std::vector<Object*> ephemerons;
  for (size_t i = 0; i + 1 < count && !failed(); i++) {
    Object* next = keys[i + 1];
    if (random_.Percent(60)) {
      // Several keys side by side: the next one among others.
      const size_t width = random_.Between(2, 4);
      next = Admit(loam_alloc_slots(m_, width), width * kWord, untyped_.slots);
      for (size_t w = 0; w < width && next != nullptr; w++) {
        Object* target = keys[std::min(i + 1 + w, count - 1)];
        StoreSlot(next, w, MakeWord(LOAM_VALUE, target), target);
      }
      if (next == nullptr) break;
    }
    const loam_word key = MakeWord(LOAM_VALUE, keys[i]);
    const loam_word value = MakeWord(LOAM_VALUE, next);
    Object* ephemeron =
        AdmitFilled(loam_ephemeron_new(m_, key, value), untyped_.ephemeron);
    if (ephemeron == nullptr) break;
    ephemeron->Set(0, key, keys[i]);
    ephemeron->Set(1, value, next);
    ephemerons.push_back(ephemeron);
  }
  if (failed() || ephemerons.empty()) return;
  for (size_t i = ephemerons.size(); i > 1; i--) {
    std::swap(ephemerons[i - 1], ephemerons[random_.Below(i)]);
  }
  const size_t size = ephemerons.size() * kWord;
  Object* all =
      Admit(loam_alloc_slots(m_, ephemerons.size()), size, untyped_.slots);
  for (size_t i = 0; i < ephemerons.size() && all != nullptr; i++) {
    StoreSlot(all, i, MakeWord(LOAM_VALUE, ephemerons[i]), ephemerons[i]);
  }
  Place(all);
  // Sometimes only the middle of the chain is reachable, sometimes nothing.
  if (random_.Percent(60)) WriteRoot(keys[0]);
  if (random_.Percent(30)) WriteRoot(keys[count / 2]);
  if (loam_gc_enable(m_) != LOAM_OK) Fail("%s", loam_last_error());
  Count(Covered::kEphemeronChain);
}

}  // namespace loam_test
