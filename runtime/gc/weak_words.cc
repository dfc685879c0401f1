#include "runtime/gc/weak_words.h"

namespace loam {

void ForgetWeakObjects(PageHeap* page_heap) {
  page_heap->ForEachArena([](Arena* arena) {
    for (std::atomic<uint64_t>& word : arena->page_weak) {
      if (word.load(std::memory_order_relaxed) != 0) {
        word.store(0, std::memory_order_relaxed);
      }
    }
  });
}

void ClearWeakWords(PageHeap* page_heap, const ValueEncoding& encoding,
                    uintptr_t cleared_word, const StoreShadow* shadow) {
  const auto is_dead = [&](uintptr_t address) {
    return FindUnmarked(*page_heap, address) != 0;
  };
  const auto load = [](uintptr_t slot) {
    return *reinterpret_cast<const uintptr_t*>(slot);
  };
  const auto clear = [&](uintptr_t slot) {
    // The collector's own tag: no mutator has it.
    if (shadow != nullptr) {
      shadow->Record(slot, cleared_word, StoreShadow::FreshTag(nullptr));
    }
    *reinterpret_cast<uintptr_t*>(slot) = cleared_word;
  };
  ForEachWeakObject(page_heap, [&](const Span* span, uintptr_t cell,
                                   const Type& type) {
    const uintptr_t end = cell + span->object_bytes();
    ForEachLayoutSlot<SlotStrength::kWeak>(
        type, cell, end, cell, end, [&](WordKind kind, uintptr_t slot) {
          if (kind == WordKind::kWeakPointer) {
            if (is_dead(load(slot))) clear(slot);
          } else if (kind == WordKind::kWeakValue) {
            if (is_dead(DecodeValue(encoding, load(slot)))) clear(slot);
          }
        });
    ForEachEphemeron(
        type, cell, end, cell, end,
        [&](const WordMaps& maps, uintptr_t record) {
          bool has_dead_key = false;
          ForEachMappedSlot<SlotStrength::kWeak>(
              maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
                has_dead_key |= kind == WordKind::kEphemeronKey &&
                                is_dead(DecodeValue(encoding, load(slot)));
              });
          if (!has_dead_key) return;
          ForEachMappedSlot<SlotStrength::kWeak>(
              maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
                if (kind == WordKind::kEphemeronKey ||
                    kind == WordKind::kEphemeronValue) {
                  clear(slot);
                }
              });
        });
  });
}

}  // namespace loam
