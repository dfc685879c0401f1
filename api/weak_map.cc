// Weak maps: a hash table of ephemeron records.
//
//   map      entries  pointer to an array of {key, value, link}
//            heads    pointer to bytes: for each hash, the number of the first
//                     entry plus one; 0: none
//            used     entries that have been filled, in the order they came
//            capacity entries there are; as many heads, a power of two
//
// A link is the number of the next entry with the hash, plus one. The collector
// clears keys and values of entries, and leaves links alone: so a chain stays
// whole, and an entry whose key is gone is passed over until the array is full
// and a new one takes what is left.

#include "api/internal.h"
#include "runtime/object_allocator.h"
#include "runtime/rooted_words.h"

namespace loam {
namespace {

struct Entry {
  loam_word key;
  loam_word value;
  size_t link;
};

struct WeakMap {
  Entry* entries;
  uint32_t* heads;
  size_t used;
  size_t capacity;

  size_t HashOf(loam_word key) const {
    // Objects do not move: their addresses will do. Fibonacci hashing (D. E.
    // Knuth, "The Art of Computer Programming", volume 3, 6.4).
    return (key * 0x9e3779b97f4a7c15) >> 32 & (capacity - 1);
  }
};

constexpr size_t kFirstCapacity = 8;
constexpr size_t kMaxCapacity = size_t{1} << 31;

// What calls into a map have in common.
class MapCall {
 public:
  // `map` is one, else fatal.
  MapCall(loam_mutator* m, void* map, const char* call)
      : m_(m), mutator_(RequireMutator(m, call)), call_(call) {
    Span* span;
    uintptr_t cell;
    const Type* type = Types()->internal_type(TypeSet::kWeakMap);
    if (mutator_->runtime->FindObject(Address(map), &span, &cell) &&
        span->TypeOf(cell) == type) {
      map_ = reinterpret_cast<WeakMap*>(cell);
      return;
    }
    const ScopedFatalContext context(mutator_->runtime->fatal_context());
    FatalMisuse("%s: map: %p is no weak map", call, map);
  }

  bool IsEmpty(loam_word key) const {
    return key == 0 || key == mutator_->runtime->options().weak_cleared_word;
  }
  loam_status RefuseKey() const {
    return InvalidArgument(mutator_->runtime, call_, "key",
                           "is 0 or the cleared word");
  }
  // An answer like any other: a message would take several times as long as the
  // search.
  static loam_status NotFound() { return LOAM_NOT_FOUND; }

  // The entry with this key, or NULL.
  Entry* Find(loam_word key) const {
    if (map_->capacity == 0) return nullptr;
    for (size_t i = map_->heads[map_->HashOf(key)]; i != 0;
         i = map_->entries[i - 1].link) {
      if (map_->entries[i - 1].key == key) return &map_->entries[i - 1];
    }
    return nullptr;
  }

  void SetWords(Entry* entry, loam_word key, loam_word value) const {
    loam_store_weak(m_, map_->entries, &entry->key, key);
    loam_store_weak(m_, map_->entries, &entry->value, value);
  }

  // There is room.
  void Append(loam_word key, loam_word value) const {
    Entry* entry = &map_->entries[map_->used++];
    SetWords(entry, key, value);
    uint32_t* head = &map_->heads[map_->HashOf(key)];
    entry->link = *head;
    *head = static_cast<uint32_t>(map_->used);
  }

  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (size_t i = 0; i < map_->used; i++) {
      const Entry& entry = map_->entries[i];
      if (!IsEmpty(entry.key) && !visit(entry)) return;
    }
  }
  size_t Count() const {
    size_t count = 0;
    ForEach([&count](const Entry&) {
      count++;
      return true;
    });
    return count;
  }

  // Makes room for one more, at least; false when out of memory. The map is
  // rooted. Safepoint.
  bool Grow() const {
    if (map_->used < map_->capacity) return true;
    // More than a third is free afterwards, so that this is rare.
    size_t capacity = kFirstCapacity;
    const size_t needed = Count() + Count() / 2 + 1;
    while (capacity < needed) capacity *= 2;
    if (capacity > kMaxCapacity) return false;
    enum { kEntries, kHeads, kRooted };
    static constexpr FrameMap kMap = {kRooted,
                                      static_cast<uint32_t>(WordKind::kPointer),
                                      nullptr, "loam_weak_map_set"};
    RootedWords<kRooted> roots(mutator_, &kMap);
    roots[kEntries] = Address(AllocateObject(
        mutator_, *Types()->internal_type(TypeSet::kWeakMapEntries),
        capacity * sizeof(Entry), AllocationMode::kMayCollect));
    if (roots[kEntries] == 0) return false;
    roots[kHeads] = Address(AllocateBytes(mutator_, capacity * sizeof(uint32_t),
                                          AllocationMode::kMayCollect));
    if (roots[kHeads] == 0) return false;
    const WeakMap old = *map_;
    loam_store_pointer(m_, map_, &map_->entries,
                       reinterpret_cast<void*>(roots[kEntries]));
    loam_store_pointer(m_, map_, &map_->heads,
                       reinterpret_cast<void*>(roots[kHeads]));
    map_->used = 0;
    map_->capacity = capacity;
    for (size_t i = 0; i < old.used; i++) {
      const Entry& entry = old.entries[i];
      if (!IsEmpty(entry.key)) Append(entry.key, entry.value);
    }
    return true;
  }

  Mutator* mutator() const { return mutator_; }

 private:
  TypeSet* Types() const { return mutator_->runtime->types(); }

  loam_mutator* const m_;
  Mutator* const mutator_;
  const char* const call_;
  WeakMap* map_;
};

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

void* loam_weak_map_new(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_weak_map_new");
  TypeSet* types = mutator->runtime->types();
  types->set_has_weak_words();
  return AllocateObject(mutator, *types->internal_type(TypeSet::kWeakMap),
                        sizeof(WeakMap), AllocationMode::kMayCollect);
}

loam_status loam_weak_map_set(loam_mutator* m, void* map, loam_word key,
                              loam_word value) {
  constexpr char kCall[] = "loam_weak_map_set";
  const MapCall call(m, map, kCall);
  if (call.IsEmpty(key)) return call.RefuseKey();
  Entry* entry = call.Find(key);
  if (entry != nullptr) {
    call.SetWords(entry, key, value);
    return LOAM_OK;
  }
  enum { kMapWord, kKeyWord, kValueWord, kRooted };
  static constexpr uint8_t kKinds[kRooted] = {
      static_cast<uint8_t>(WordKind::kPointer),
      static_cast<uint8_t>(WordKind::kValue),
      static_cast<uint8_t>(WordKind::kValue)};
  static constexpr FrameMap kMap = {kRooted, 0, kKinds, "loam_weak_map_set"};
  RootedWords<kRooted> roots(call.mutator(), &kMap);
  roots[kMapWord] = Address(map);
  roots[kKeyWord] = key;
  roots[kValueWord] = value;
  if (!call.Grow()) {
    ErrorMessage message;
    message.Format("%s: no memory for a larger table", kCall);
    return Report(call.mutator()->runtime, Status::kOutOfMemory, message);
  }
  call.Append(key, value);
  return LOAM_OK;
}

loam_status loam_weak_map_get(loam_mutator* m, void* map, loam_word key,
                              loam_word* value) {
  const MapCall call(m, map, "loam_weak_map_get");
  if (call.IsEmpty(key)) return call.RefuseKey();
  RequireNonNull(value, "loam_weak_map_get", "value");
  const Entry* entry = call.Find(key);
  if (entry == nullptr) return MapCall::NotFound();
  *value = entry->value;
  return LOAM_OK;
}

loam_status loam_weak_map_remove(loam_mutator* m, void* map, loam_word key) {
  const MapCall call(m, map, "loam_weak_map_remove");
  if (call.IsEmpty(key)) return call.RefuseKey();
  Entry* entry = call.Find(key);
  if (entry == nullptr) return MapCall::NotFound();
  call.SetWords(entry, 0, 0);
  return LOAM_OK;
}

size_t loam_weak_map_count(loam_mutator* m, void* map) {
  return MapCall(m, map, "loam_weak_map_count").Count();
}

void loam_weak_map_walk(loam_mutator* m, void* map,
                        int (*visit)(loam_word key, loam_word value,
                                     void* data),
                        void* data) {
  RequireNonNull(reinterpret_cast<const void*>(visit), "loam_weak_map_walk",
                 "visit");
  const MapCall call(m, map, "loam_weak_map_walk");
  call.ForEach([&](const Entry& entry) {
    return visit(entry.key, entry.value, data) != 0;
  });
}

}  // extern "C"
