#include "examples/toylang/maps.h"

#include <algorithm>
#include <bit>

namespace toylang {
namespace {

constexpr size_t kMinCapacity = 4;

uint32_t HashKey(Value key) {
  if (String* string = TryAs<String>(key)) return StringHash(string);
  // 0 and -0 are equal, so they must have the same hash.
  if (key.IsNumber()) key = Value::Number(key.AsNumber() + 0.0);
  const uint64_t mixed = key.bits() * 0x9e3779b97f4a7c15u;
  return static_cast<uint32_t>(mixed >> 32);
}

MapEntry* FindEntry(Map* map, Value key) {
  MapTable* table = map->table;
  if (table == nullptr) return nullptr;
  MapEntry* entries = table->entries();
  uint32_t link = entries[HashKey(key) & (table->capacity - 1)].bucket_head;
  while (link != 0) {
    MapEntry* entry = &entries[link - 1];
    if (entry->key.IsSameAs(key) || ValuesEqual(entry->key, key)) return entry;
    link = entry->next;
  }
  return nullptr;
}

// Puts the next entry, which has its key already, into its bucket.
void LinkNextEntry(MapTable* table) {
  MapEntry* entries = table->entries();
  MapEntry* entry = &entries[table->used];
  MapEntry* bucket = &entries[HashKey(entry->key) & (table->capacity - 1)];
  entry->next = bucket->bucket_head;
  table->used++;
  bucket->bucket_head = table->used;
}

MapTable* NewTable(Heap& heap, size_t capacity) {
  if (capacity > (size_t{1} << 31)) return nullptr;
  capacity = std::bit_ceil(capacity);
  MapTable* table = heap.NewWithTail<MapTable>(capacity);
  if (table != nullptr) table->capacity = static_cast<uint32_t>(capacity);
  return table;
}

// A table without the removed entries, and with room for another.
bool Rebuild(Heap& heap, Map* map) {
  const size_t count = map->count;
  MapTable* table =
      NewTable(heap, std::max(kMinCapacity, count + count / 2 + 1));
  if (table == nullptr) return false;
  ForEachEntry(map, [&](Value key, Value value) {
    MapEntry* entry = &table->entries()[table->used];
    heap.Initialize(table, &entry->key, key);
    heap.Initialize(table, &entry->value, value);
    LinkNextEntry(table);
  });
  heap.Store(map, &map->table, table);
  return true;
}

}  // namespace

Map* NewMap(Heap& heap, size_t capacity) {
  if (capacity == 0) return heap.New<Map>();
  Rooted<MapTable> table(heap, NewTable(heap, capacity));
  if (!table) return nullptr;
  Map* map = heap.New<Map>();
  if (map != nullptr) heap.Initialize(map, &map->table, table.get());
  return map;
}

bool IsUsableKey(Value key) {
  if (key.IsNumber()) return key.AsNumber() == key.AsNumber();
  return !key.IsNil();
}

Value MapGet(Map* map, Value key) {
  const MapEntry* entry = FindEntry(map, key);
  return entry == nullptr ? Value::Absent() : entry->value;
}

bool MapSet(Heap& heap, Map* map, Value key, Value value) {
  if (MapEntry* entry = FindEntry(map, key)) {
    heap.Store(map->table, &entry->value, value);
    return true;
  }
  if (map->table == nullptr || map->table->used == map->table->capacity) {
    if (!Rebuild(heap, map)) return false;
  }
  MapTable* table = map->table;
  MapEntry* entry = &table->entries()[table->used];
  heap.Store(table, &entry->key, key);
  heap.Store(table, &entry->value, value);
  LinkNextEntry(table);
  map->count++;
  return true;
}

bool MapRemove(Heap& heap, Map* map, Value key) {
  MapEntry* entry = FindEntry(map, key);
  if (entry == nullptr) return false;
  // The entry keeps its place in the bucket until the next Rebuild.
  heap.Store(map->table, &entry->key, Value::Absent());
  heap.Store(map->table, &entry->value, Value::Nil());
  map->count--;
  return true;
}

}  // namespace toylang
