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

namespace {

class WeakClearer {
 public:
  WeakClearer(const PageHeap& page_heap, const ValueEncoding& encoding,
              const WeakClearing& clearing)
      : page_heap_(page_heap), encoding_(encoding), clearing_(clearing) {}

  void ClearWords(const Type& type, uintptr_t object, uintptr_t end) const {
    ForEachLayoutSlot<SlotStrength::kWeak>(
        type, object, end, object, end, [&](WordKind kind, uintptr_t slot) {
          if (kind == WordKind::kWeakPointer) {
            if (IsDead(Load(slot))) Clear(slot);
          } else if (kind == WordKind::kWeakValue) {
            if (IsDead(DecodeValue(encoding_, Load(slot)))) Clear(slot);
          }
        });
  }

  void ClearRecord(const WordMaps& maps, uintptr_t record) const {
    if (!HasDeadKey(maps, record)) return;
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
          if (kind == WordKind::kEphemeronKey ||
              kind == WordKind::kEphemeronValue) {
            Clear(slot);
          }
        });
  }

 private:
  static uintptr_t Load(uintptr_t slot) {
    return *reinterpret_cast<const uintptr_t*>(slot);
  }
  bool IsDead(uintptr_t address) const {
    return FindUnmarked(page_heap_, address) != 0;
  }
  bool HasDeadKey(const WordMaps& maps, uintptr_t record) const {
    if (maps.only_key != WordMaps::kSeveral) {
      const uintptr_t key = Load(record + maps.only_key * kWordBytes);
      return IsDead(DecodeValue(encoding_, key));
    }
    bool is_dead = false;
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
          is_dead |= kind == WordKind::kEphemeronKey &&
                     IsDead(DecodeValue(encoding_, Load(slot)));
        });
    return is_dead;
  }
  void Clear(uintptr_t slot) const {
    if (clearing_.shadow != nullptr) {
      // No mutator has this tag.
      clearing_.shadow->Record(slot, clearing_.cleared_word,
                               StoreShadow::FreshTag(nullptr));
    }
    *reinterpret_cast<uintptr_t*>(slot) = clearing_.cleared_word;
  }

  const PageHeap& page_heap_;
  const ValueEncoding& encoding_;
  const WeakClearing& clearing_;
};

bool HasWeakWords(const WordMaps& maps) {
  return maps.weak_pointers != nullptr || maps.weak_values != nullptr;
}

}  // namespace

void ClearWeakWords(PageHeap* page_heap, const ValueEncoding& encoding,
                    const WeakClearing& clearing) {
  const WeakClearer clearer(*page_heap, encoding, clearing);
  ForEachWeakObject(
      page_heap, [&](const Span* span, uintptr_t cell, const Type& type) {
        const uintptr_t end = cell + span->object_bytes();
        if (HasWeakWords(type.prefix) || HasWeakWords(type.element)) {
          clearer.ClearWords(type, cell, end);
        }
        if (!clearing.some_key_may_be_dead) return;
        ForEachEphemeron(type, cell, end, cell, end,
                         [&](const WordMaps& maps, uintptr_t record) {
                           clearer.ClearRecord(maps, record);
                         });
      });
}

}  // namespace loam
