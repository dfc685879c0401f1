#include "runtime/object_set.h"

#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t TableBytes(size_t record_bytes) {
  return AlignUp(record_bytes, kOsPageBytes);
}

}  // namespace

bool ObjectSet::Initialize(const ArenaSnapshot& arenas) {
  if (!by_address_.Reserve(&ledger_, kMaxArenas)) return false;
  arenas_ = arenas;
  uint64_t position = 0;
  for (const Arena* place : arenas_) {
    ArenaObjects** entry =
        by_address_.EnsureCommitted(place->base >> kArenaShift);
    if (entry == nullptr) return false;
    const uintptr_t memory = os::Allocate(TableBytes(sizeof(ArenaObjects)));
    if (memory == 0) return false;
    *entry = reinterpret_cast<ArenaObjects*>(memory);
    (*entry)->position = position++;
  }
  return true;
}

ObjectSet::~ObjectSet() {
  for (const Arena* place : arenas_) {
    ArenaObjects* arena = Find(place->base);
    if (arena == nullptr) break;  // Out of memory came here.
    os::Release(reinterpret_cast<uintptr_t>(arena),
                TableBytes(sizeof(ArenaObjects)));
  }
  by_address_.Release();
}

void ObjectSet::AssignNumbers() {
  uint64_t number = 0;
  for (const Arena* place : arenas_) {
    ArenaObjects* arena = Find(place->base);
    for (size_t w = 0; w < kArenaWords; w++) {
      if (w % kGroupWords == 0) arena->numbers[w / kGroupWords] = number;
      number += PopCount(arena->bits[w]);
    }
  }
}

}  // namespace loam
