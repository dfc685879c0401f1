#include "runtime/heap/arena.h"

namespace loam {

bool ArenaMap::Prepare(uintptr_t base, size_t bytes) {
  if ((base + bytes) >> kAddressBits != 0) return false;
  for (uintptr_t address = base; address < base + bytes;
       address += kArenaBytes) {
    std::atomic<Table*>& entry =
        directory_[(address >> kArenaShift) / kTableEntries];
    if (entry.load(std::memory_order_relaxed) != nullptr) continue;
    void* table = persistent_->Allocate(sizeof(Table), alignof(Table));
    if (table == nullptr) return false;
    entry.store(static_cast<Table*>(table), std::memory_order_release);
  }
  return true;
}

void ArenaMap::Insert(Arena* arena) {
  const size_t index = arena->base >> kArenaShift;
  directory_[index / kTableEntries]
      .load(std::memory_order_relaxed)
      ->arenas[index % kTableEntries]
      .store(arena, std::memory_order_release);
}

}  // namespace loam
