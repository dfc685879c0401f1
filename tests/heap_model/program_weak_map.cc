// Weak maps. The model knows them as what they are to their users, a list of
// entries; of their tables it only knows that they are objects.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {

// Any that has not been found dead; it need not be reachable until a safepoint.
Object* Program::PickMap() {
  while (!maps_.empty()) {
    const size_t i = random_.Below(maps_.size());
    Object* found = model_.Find(maps_[i].first);
    if (found != nullptr && found->content == maps_[i].second) return found;
    maps_.erase(maps_.begin() + static_cast<ptrdiff_t>(i));
  }
  return nullptr;
}

std::vector<MapEntry>* Program::EntriesOf(Object* map) {
  const Reference* entries = map->Find(0);
  return entries == nullptr ? nullptr : &entries->target->map_entries;
}

void Program::NewMap() {
  if (maps_.size() >= 12) return;
  void* p = loam_weak_map_new(m_);
  Object* map = AdmitFilled(p, untyped_.map);
  if (map == nullptr) return;
  maps_.emplace_back(map->address, map->content);
  Count(Covered::kMapNew);
  Place(map);
  WriteRoot(map);
}

void Program::FollowMap(Object* map) {
  const auto* words = reinterpret_cast<const loam_word*>(map->address);
  const Layout* layouts[] = {&untyped_.map_entries, &untyped_.map_heads};
  for (size_t i = 0; i < 2; i++) {
    const Reference* known = map->Find(i);
    if (words[i] == (known != nullptr ? known->raw : 0)) continue;
    Object* table = AdmitFilled(reinterpret_cast<void*>(words[i]), *layouts[i]);
    if (table == nullptr) return;
    // The old one is left as it is, should anything lead to it.
    if (known != nullptr) table->map_entries = known->target->map_entries;
    map->Set(i, words[i], table);
    Count(Covered::kMapGrown);
  }
}

void Program::SetInMap() {
  Object* map = PickMap();
  if (map == nullptr) return;
  for (size_t n = random_.Between(1, 6); n > 0 && !failed(); n--) {
    const std::vector<MapEntry>* entries = EntriesOf(map);
    model_.running.push_back(map);
    MapEntry entry = {};
    if (entries != nullptr && !entries->empty() && random_.Percent(20)) {
      entry = (*entries)[random_.Below(entries->size())];
    } else {
      // NewUnplaced may collect, but the map is in the model's hands only.
      entry.key_target = PickReachable();
      entry.key = MakeWord(LOAM_VALUE, entry.key_target);
    }
    entry.value_target = PickReachable();
    entry.value = MakeWord(LOAM_VALUE, entry.value_target);
    model_.running.push_back(entry.key_target);
    model_.running.push_back(entry.value_target);
    auto* p = reinterpret_cast<void*>(map->address);
    const loam_status status = loam_weak_map_set(m_, p, entry.key, entry.value);
    for (int i = 0; i < 3; i++) model_.running.pop_back();
    const bool is_bad =
        entry.key == 0 || (entry.key == kClearedWord && seed_ % 3 == 1);
    if (status != (is_bad ? LOAM_INVALID_ARGUMENT : LOAM_OK)) {
      Fail("weak_map_set of %#zx: %s", entry.key, loam_status_name(status));
    }
    if (is_bad || failed()) return;
    FollowMap(map);
    if (failed()) return;
    std::vector<MapEntry>* known = EntriesOf(map);
    const auto found = std::ranges::find(*known, entry.key, &MapEntry::key);
    Count(found != known->end() ? Covered::kMapReplaced : Covered::kMapSet);
    if (found != known->end()) {
      *found = entry;
    } else {
      known->push_back(entry);
    }
  }
}

void Program::AskMap() {
  Object* map = PickMap();
  if (map == nullptr) return;
  std::vector<MapEntry> none;
  const std::vector<MapEntry>* entries = EntriesOf(map);
  if (entries == nullptr) entries = &none;
  MapEntry entry = {};
  entry.key = MakeWord(LOAM_VALUE, PickReachable());
  if (!entries->empty() && random_.Percent(70)) {
    entry = (*entries)[random_.Below(entries->size())];
  }
  const auto found = std::ranges::find(*entries, entry.key, &MapEntry::key);
  if (entry.key == 0 || entry.key == kClearedWord) return;
  loam_word value = 0;
  const loam_status status = loam_weak_map_get(
      m_, reinterpret_cast<void*>(map->address), entry.key, &value);
  const bool has = found != entries->end();
  if (status != (has ? LOAM_OK : LOAM_NOT_FOUND) ||
      (has && value != found->value)) {
    Fail("weak_map_get of %#zx: %s, %#zx", entry.key, loam_status_name(status),
         value);
  }
  Count(has ? Covered::kMapGot : Covered::kMapMissed);
  if (has && found->value_target != nullptr && random_.Percent(10)) {
    WriteRoot(found->value_target);
  }
}

void Program::RemoveFromMap() {
  Object* map = PickMap();
  if (map == nullptr) return;
  std::vector<MapEntry>* entries = EntriesOf(map);
  if (entries == nullptr || entries->empty()) return;
  const size_t i = random_.Below(entries->size());
  auto* p = reinterpret_cast<void*>(map->address);
  const loam_word key = (*entries)[i].key;
  if (loam_weak_map_remove(m_, p, key) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  if (loam_weak_map_remove(m_, p, key) != LOAM_NOT_FOUND) {
    Fail("weak_map_remove of %#zx: twice", key);
  }
  entries->erase(entries->begin() + static_cast<ptrdiff_t>(i));
  Count(Covered::kMapRemoved);
}

void Program::CheckMap(Object* map) {
  struct Walk {
    Program* program;
    const std::vector<MapEntry>* entries;
    size_t next = 0;
  };
  std::vector<MapEntry> none;
  const std::vector<MapEntry>* entries = EntriesOf(map);
  Walk walk = {this, entries != nullptr ? entries : &none};
  auto* p = reinterpret_cast<void*>(map->address);
  loam_weak_map_walk(
      m_, p,
      [](loam_word key, loam_word value, void* data) {
        auto* w = static_cast<Walk*>(data);
        const size_t i = w->next++;
        const bool same = i < w->entries->size() &&
                          (*w->entries)[i].key == key &&
                          (*w->entries)[i].value == value;
        if (!same) w->program->Fail("entry %zu of a weak map is another", i);
        return same ? 1 : 0;
      },
      &walk);
  if (failed()) return;
  const size_t count = loam_weak_map_count(m_, p);
  if (walk.next != walk.entries->size() || count != walk.next) {
    Fail("a weak map has %zu entries, %zu were seen; there should be %zu",
         count, walk.next, walk.entries->size());
  }
  Count(Covered::kMapChecked, count);
}

}  // namespace loam_test
