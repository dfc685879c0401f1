// What can be done to a map: a hash table whose entries stay in order of
// insertion. Strings and numbers are keys by value, all else by identity: the
// address of an object is a good hash, since objects never move. Where a
// function may allocate, the caller keeps map, key and value reachable.

#ifndef LOAM_EXAMPLES_TOYLANG_MAPS_H_
#define LOAM_EXAMPLES_TOYLANG_MAPS_H_

#include <cstddef>
#include <utility>

#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

// An empty map; null when out of memory. Its first `capacity` entries need no
// further memory.
Map* NewMap(Heap& heap, size_t capacity);

// Neither nil nor NaN may be a key.
bool IsUsableKey(Value key);

// The entry's value, or absent.
Value MapGet(Map* map, Value key);

// False when out of memory.
bool MapSet(Heap& heap, Map* map, Value key, Value value);

// False if there was no such key. Does not allocate.
bool MapRemove(Heap& heap, Map* map, Value key);

// Calls visit(key, value) in order of insertion. It may read the map only.
template <typename Visit>
void ForEachEntry(Map* map, Visit visit) {
  if (map->table == nullptr) return;
  const MapEntry* entries = map->table->entries();
  for (uint32_t i = 0; i < map->table->used; i++) {
    if (!entries[i].key.IsAbsent()) visit(entries[i].key, entries[i].value);
  }
}

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_MAPS_H_
