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
  if (layout->disposed != Disposed::kNever && word == 1) {
    return reinterpret_cast<loam_word>(layout->dispose_log);
  }
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

Finalizer* Object::FindFinalizer(uintptr_t at) {
  for (Finalizer& f : finalizers) {
    if (f.address == at) return &f;
  }
  return nullptr;
}

bool Object::HasFinalizer(bool unordered) const {
  return std::any_of(
      finalizers.begin(), finalizers.end(),
      [unordered](const Finalizer& f) { return f.is_unordered == unordered; });
}

Record Object::RecordOf(size_t word) const {
  const size_t prefix = layout->prefix.size();
  if (word < prefix) return {0, prefix};
  const size_t element = layout->element.size();
  const size_t first = word - (word - prefix) % element;
  return {first, first + element};
}

std::vector<Record> Object::Records() const {
  std::vector<Record> records;
  if (!layout->has_weak_words) return records;
  for (const Reference& r : references) {
    const loam_word_kind kind = KindAt(r.word);
    if (kind != LOAM_EPHEMERON_KEY && kind != LOAM_EPHEMERON_VALUE) continue;
    const Record record = RecordOf(r.word);
    if (records.empty() || records.back().first != record.first) {
      records.push_back(record);
    }
  }
  return records;
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

size_t Model::finalizers_set() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) {
    count += object->finalizers.size();
  }
  return count;
}

size_t Model::cleanups_set() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) {
    count += object->cleanups.size();
  }
  return count;
}

size_t Model::pinned_objects() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) count += object->pins > 0;
  return count;
}

size_t Model::weak_handles() const {
  size_t count = 0;
  for (const auto& handle : handles) count += handle->target != nullptr;
  return count;
}

size_t Model::waiting() const {
  size_t count = 0;
  for (const auto& [address, object] : objects_) {
    count += object->dispose_state == DisposeState::kWaits;
  }
  return count;
}

}  // namespace loam_test
