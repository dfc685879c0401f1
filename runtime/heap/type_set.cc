#include "runtime/heap/type_set.h"

#include <cstring>
#include <new>

#include "runtime/heap/os_memory.h"
#include "runtime/heap/size_classes.h"
#include "runtime/heap/span.h"

namespace loam {
namespace {

constexpr size_t kMaxAlignment = 4096;
constexpr size_t kMaxTypeBytes = size_t{1} << 30;

Status CheckShape(const TypeInfo& info, ErrorMessage* message) {
  if (info.size == 0 && info.element_size == 0) {
    message->Format("loam_type_register: info.size: type '%s' has no bytes",
                    info.name);
    return Status::kInvalidArgument;
  }
  if (info.size > kMaxTypeBytes || info.element_size > kMaxTypeBytes) {
    message->Format(
        "loam_type_register: info.%s: type '%s' is larger than 1 GiB",
        info.size > kMaxTypeBytes ? "size" : "element_size", info.name);
    return Status::kInvalidArgument;
  }
  if (info.alignment != 0 &&
      (!IsPowerOfTwo(info.alignment) || info.alignment > kMaxAlignment)) {
    message->Format(
        "loam_type_register: info.alignment: type '%s': %zu is not a power of "
        "two up to 4096",
        info.name, info.alignment);
    return Status::kInvalidArgument;
  }
  const int descriptions = (info.fields != nullptr ? 1 : 0) +
                           (info.word_kinds != nullptr ? 1 : 0) +
                           (info.trace != nullptr ? 1 : 0);
  if (descriptions > 1 ||
      (info.trace != nullptr && info.element_fields != nullptr)) {
    message->Format(
        "loam_type_register: info: type '%s': give only one of fields, "
        "word_kinds and trace",
        info.name);
    return Status::kInvalidArgument;
  }
  if ((info.fields == nullptr && info.field_count != 0) ||
      (info.element_fields == nullptr && info.element_field_count != 0)) {
    message->Format(
        "loam_type_register: info.%s: type '%s': NULL with a nonzero count",
        info.fields == nullptr && info.field_count != 0 ? "fields"
                                                        : "element_fields",
        info.name);
    return Status::kInvalidArgument;
  }
  return Status::kOk;
}

void SetOnlyWords(WordMaps* maps) {
  const auto only = [maps](const uint64_t* map) {
    return map != nullptr && CountSet(map, 0, maps->words) == 1
               ? static_cast<uint32_t>(FindFirstSet(map, 0, maps->words))
               : WordMaps::kSeveral;
  };
  maps->only_key = only(maps->ephemeron_keys);
  maps->only_value = only(maps->ephemeron_values);
}

// The bits that `fields` set, over `words` words.
class MapBuilder {
 public:
  MapBuilder(PersistentAllocator* persistent, const char* type_name,
             const char* part, size_t bytes)
      : persistent_(persistent),
        type_name_(type_name),
        part_(part),
        bytes_(bytes) {}

  Status Add(const FieldInfo& field, size_t number, ErrorMessage* message) {
    const char* name = field.name != nullptr ? field.name : "";
    if (field.kind > WordKind::kAmbiguous) {
      message->Format(
          "loam_type_register: info.%s[%zu].kind: type '%s', field '%s': there "
          "is no kind %u of words",
          part_, number, type_name_, name, static_cast<unsigned>(field.kind));
      return Status::kInvalidArgument;
    }
    if (field.kind == WordKind::kData) return Status::kOk;
    const char* problem = nullptr;
    if (field.offset % kWordBytes != 0) {
      problem = "is not a multiple of 8";
    } else if (field.count == 0) {
      problem = "names no words";
    } else if (field.offset + uint64_t{field.count} * kWordBytes > bytes_) {
      problem = "ends past the end";
    }
    if (problem != nullptr) {
      message->Format(
          "loam_type_register: info.%s[%zu]: type '%s', field '%s': offset %u, "
          "count %u of %zu bytes %s",
          part_, number, type_name_, name, field.offset, field.count, bytes_,
          problem);
      return Status::kInvalidArgument;
    }
    for (const uint64_t* other : maps_) {
      if (other != nullptr &&
          CountSet(other, field.offset / kWordBytes,
                   field.offset / kWordBytes + field.count) != 0) {
        message->Format(
            "loam_type_register: info.%s[%zu]: type '%s', field '%s' overlaps "
            "another",
            part_, number, type_name_, name);
        return Status::kInvalidArgument;
      }
    }
    uint64_t*& map = maps_[static_cast<size_t>(field.kind)];
    if (map == nullptr) {
      map = static_cast<uint64_t*>(persistent_->Allocate(
          BitmapWords(bytes_ / kWordBytes) * kWordBytes, kWordBytes));
      if (map == nullptr) {
        message->Format("loam_type_register: out of memory for type '%s'",
                        type_name_);
        return Status::kOutOfMemory;
      }
    }
    SetBitRange(map, field.offset / kWordBytes,
                field.offset / kWordBytes + field.count);
    return Status::kOk;
  }

  // Ephemeron words make sense together only.
  Status CheckEphemeron(ErrorMessage* message) const {
    const bool has_keys = map(WordKind::kEphemeronKey) != nullptr;
    if (has_keys == (map(WordKind::kEphemeronValue) != nullptr)) {
      return Status::kOk;
    }
    message->Format(
        "loam_type_register: info.%s: type '%s' has ephemeron %s, but no %s",
        part_, type_name_, has_keys ? "keys" : "values",
        has_keys ? "values" : "keys");
    return Status::kInvalidArgument;
  }

  WordMaps maps() const {
    WordMaps maps;
    maps.words = static_cast<uint32_t>(bytes_ / kWordBytes);
    maps.pointers = map(WordKind::kPointer);
    maps.values = map(WordKind::kValue);
    maps.ambiguous = map(WordKind::kAmbiguous);
    maps.weak_pointers = map(WordKind::kWeakPointer);
    maps.weak_values = map(WordKind::kWeakValue);
    maps.ephemeron_keys = map(WordKind::kEphemeronKey);
    maps.ephemeron_values = map(WordKind::kEphemeronValue);
    SetOnlyWords(&maps);
    return maps;
  }

 private:
  PersistentAllocator* const persistent_;
  const char* const type_name_;
  const char* const part_;
  const size_t bytes_;
  static constexpr size_t kKinds =
      static_cast<size_t>(WordKind::kAmbiguous) + 1;
  const uint64_t* map(WordKind kind) const {
    return maps_[static_cast<size_t>(kind)];
  }

  uint64_t* maps_[kKinds] = {};  // by WordKind; NULL: no word is of that kind
};

ScanKind ChooseScanKind(const Type& type) {
  if (type.trace != nullptr) return ScanKind::kCallback;
  if (!type.prefix.HasReferences() && !type.element.HasReferences()) {
    return ScanKind::kNoscan;
  }
  if (type.prefix.HasWeakWords() || type.element.HasWeakWords()) {
    return ScanKind::kWeakLayout;
  }
  if (type.is_fixed_size() && type.prefix.words <= kBitsPerWord &&
      type.prefix.ambiguous == nullptr) {
    return ScanKind::kMasks;
  }
  return ScanKind::kLayout;
}

WordKind KindOfOneWord(const Type& type) {
  if (type.element_size != kWordBytes) return WordKind::kData;
  return type.element.pointers != nullptr ? WordKind::kPointer
         : type.element.values != nullptr ? WordKind::kValue
                                          : WordKind::kData;
}

}  // namespace

TypeSet::TypeSet(uint32_t first_cursor_offset, uint32_t cursor_bytes)
    : first_cursor_offset_(first_cursor_offset),
      cursor_bytes_(cursor_bytes),
      persistent_(&ledger_) {}

TypeSet* TypeSet::Create(uint32_t first_cursor_offset, uint32_t cursor_bytes) {
  const size_t bytes = AlignUp(sizeof(TypeSet), kOsPageBytes);
  const uintptr_t memory = os::Allocate(bytes);
  if (memory == 0) return nullptr;
  auto* set = new (reinterpret_cast<void*>(memory))
      TypeSet(first_cursor_offset, cursor_bytes);
  bool ok;
  {
    MutexLock lock(&set->mutex_);
    ok = set->types_.Reserve(&set->ledger_, kMaxTypes);
  }
  ok = ok && set->MakeInternalTypes();
  if (!ok) {
    ErrorMessage ignored;
    (void)set->Destroy(&ignored);
    return nullptr;
  }
  return set;
}

Status TypeSet::Destroy(ErrorMessage* message) {
  const uint32_t users = users_.load(std::memory_order_relaxed);
  if (users != 0) {
    message->Format("loam_type_set_destroy: set: %u heaps still use it", users);
    return Status::kWrongState;
  }
  {
    MutexLock lock(&mutex_);
    types_.Release();
  }
  this->~TypeSet();
  os::Release(reinterpret_cast<uintptr_t>(this),
              AlignUp(sizeof(TypeSet), kOsPageBytes));
  return Status::kOk;
}

bool TypeSet::Owns(const Type* type) const {
  for (const Type* internal : internal_types_) {
    if (type == internal) return true;
  }
  const uint32_t count = count_.load(std::memory_order_acquire);
  const auto offset = reinterpret_cast<uintptr_t>(type) -
                      reinterpret_cast<uintptr_t>(&types_.at(0));
  return offset / sizeof(Type) < count && offset % sizeof(Type) == 0;
}

bool TypeSet::MakeInternalTypes() {
  // Word 0; words 0 and 1; word 1.
  static constexpr uint64_t kFirst = 1;
  static constexpr uint64_t kBoth = 3;
  static constexpr uint64_t kSecond = 2;
  const auto make = [this](InternalType which, const char* name,
                           ScanKind scan) -> Type* {
    auto* type =
        static_cast<Type*>(persistent_.Allocate(sizeof(Type), alignof(Type)));
    if (type == nullptr) return nullptr;
    type->name = name;
    type->scan = scan;
    type->flags = kTypeInternal;
    type->alignment = kWordBytes;
    type->set = this;
    type->headed_kind = SpanKind::kHeaded;
    internal_types_[which] = type;
    return type;
  };
  const auto set_ephemeron = [](WordMaps* maps, uint32_t words) {
    maps->words = words;
    maps->ephemeron_keys = &kFirst;
    maps->ephemeron_values = &kSecond;
    SetOnlyWords(maps);
  };
  Type* ambiguous = make(kAmbiguousWords, "ambiguous", ScanKind::kLayout);
  Type* bitmap = make(kCellBitmap, "bitmap", ScanKind::kCellBitmap);
  Type* ephemeron = make(kEphemeron, "ephemeron", ScanKind::kWeakLayout);
  Type* map = make(kWeakMap, "weak map", ScanKind::kMasks);
  Type* entries =
      make(kWeakMapEntries, "weak map entries", ScanKind::kWeakLayout);
  if (ambiguous == nullptr || bitmap == nullptr || ephemeron == nullptr ||
      map == nullptr || entries == nullptr) {
    return false;
  }
  ambiguous->element_size = kWordBytes;
  ambiguous->element.words = 1;
  ambiguous->element.ambiguous = &kFirst;
  ephemeron->size = 2 * kWordBytes;
  set_ephemeron(&ephemeron->prefix, 2);
  map->size = 4 * kWordBytes;
  map->prefix.words = 4;
  map->prefix.pointers = &kBoth;
  map->pointer_mask = kBoth;
  entries->element_size = 3 * kWordBytes;
  set_ephemeron(&entries->element, 3);
  return true;
}

const char* TypeSet::CopyString(const char* string) {
  const size_t bytes = strlen(string) + 1;
  auto* copy = static_cast<char*>(persistent_.Allocate(bytes, 1));
  if (copy != nullptr) memcpy(copy, string, bytes);
  return copy;
}

Status TypeSet::CopyLayout(const TypeInfo& info, Type* type,
                           ErrorMessage* message) {
  MapBuilder prefix(&persistent_, info.name,
                    info.word_kinds != nullptr ? "word_kinds" : "fields",
                    info.size);
  MapBuilder element(&persistent_, info.name, "element_fields",
                     info.element_size);
  for (size_t i = 0; i < info.field_count; i++) {
    const Status status = prefix.Add(info.fields[i], i, message);
    if (status != Status::kOk) return status;
  }
  for (size_t i = 0; i < info.element_field_count; i++) {
    const Status status = element.Add(info.element_fields[i], i, message);
    if (status != Status::kOk) return status;
  }
  if (info.word_kinds != nullptr) {
    for (size_t i = 0; i < info.size / kWordBytes; i++) {
      const FieldInfo word = {"", static_cast<uint32_t>(i * kWordBytes), 1,
                              static_cast<WordKind>(info.word_kinds[i])};
      const Status status = prefix.Add(word, i, message);
      if (status != Status::kOk) return status;
    }
  }
  for (const MapBuilder* part : {&prefix, &element}) {
    const Status status = part->CheckEphemeron(message);
    if (status != Status::kOk) return status;
  }
  type->prefix = prefix.maps();
  type->element = element.maps();
  if (type->element.HasReferences() &&
      (info.size % kWordBytes != 0 || info.element_size % kWordBytes != 0)) {
    message->Format(
        "loam_type_register: info.%s: type '%s': elements hold references, so "
        "size (%zu) and element_size (%zu) must be multiples of 8",
        info.size % kWordBytes != 0 ? "size" : "element_size", info.name,
        info.size, info.element_size);
    return Status::kInvalidArgument;
  }
  const size_t names = info.field_count + info.element_field_count;
  auto* fields = static_cast<FieldName*>(
      persistent_.Allocate((names + 1) * sizeof(FieldName), kWordBytes));
  if (fields == nullptr) {
    message->Format("loam_type_register: out of memory for type '%s'",
                    info.name);
    return Status::kOutOfMemory;
  }
  for (size_t i = 0; i < names; i++) {
    const FieldInfo& field = i < info.field_count
                                 ? info.fields[i]
                                 : info.element_fields[i - info.field_count];
    const char* name = field.name != nullptr ? CopyString(field.name) : "";
    fields[i] = {name != nullptr ? name : "", field.offset, field.count};
  }
  type->fields = fields;
  type->field_count = static_cast<uint32_t>(info.field_count);
  type->element_field_count = static_cast<uint32_t>(info.element_field_count);
  return Status::kOk;
}

Status TypeSet::CheckDispose(const TypeInfo& info, ErrorMessage* message) {
  if ((info.flags & kTypeDisposeQueued) == 0) return Status::kOk;
  const char* problem = nullptr;
  if (info.dispose == nullptr) {
    problem = "LOAM_TYPE_DISPOSE_QUEUED needs a dispose function";
  } else if (info.trace != nullptr) {
    problem =
        "LOAM_TYPE_DISPOSE_QUEUED needs fields or word_kinds in place of a "
        "trace function: references of what waits are cleared";
  }
  if (problem == nullptr) return Status::kOk;
  message->Format("loam_type_register: info.flags: type '%s': %s", info.name,
                  problem);
  return Status::kInvalidArgument;
}

Status TypeSet::Register(const TypeInfo& info, const Type** type,
                         ErrorMessage* message) {
  TypeInfo named = info;
  if (named.name == nullptr) named.name = "unnamed";
  return RegisterNamed(named, type, message);
}

Status TypeSet::RegisterNamed(const TypeInfo& info, const Type** result,
                              ErrorMessage* message) {
  const Status shape = CheckShape(info, message);
  if (shape != Status::kOk) return shape;
  const Status dispose = CheckDispose(info, message);
  if (dispose != Status::kOk) return dispose;

  MutexLock lock(&mutex_);
  const uint32_t index = count_.load(std::memory_order_relaxed);
  if (index == kMaxTypes) {
    message->Format("loam_type_register: set: it has %zu types, no more fit",
                    kMaxTypes);
    return Status::kOutOfMemory;
  }
  Type built = {};
  built.size = info.size;
  built.alignment = info.alignment < kWordBytes ? kWordBytes : info.alignment;
  built.element_size = info.element_size;
  built.trace = info.trace;
  built.dispose = info.dispose;
  built.flags = info.flags;
  built.user = info.user;
  built.set = this;
  const Status layout = CopyLayout(info, &built, message);
  if (layout != Status::kOk) return layout;
  built.scan = ChooseScanKind(built);
  built.headed_kind = built.dispose != nullptr ? SpanKind::kDisposed
                      : built.has_references() ? SpanKind::kHeaded
                                               : SpanKind::kHeadedNoscan;
  built.element_kind = KindOfOneWord(built);
  if (built.scan == ScanKind::kMasks) {
    if (built.prefix.pointers != nullptr) {
      built.pointer_mask = built.prefix.pointers[0];
    }
    if (built.prefix.values != nullptr) {
      built.value_mask = built.prefix.values[0];
    }
  }
  built.name = CopyString(info.name);
  Type* type = types_.EnsureCommitted(index);
  if (built.name == nullptr || type == nullptr) {
    message->Format("loam_type_register: out of memory for type '%s'",
                    info.name);
    return Status::kOutOfMemory;
  }
  if (built.scan == ScanKind::kWeakLayout) set_has_weak_words();
  if ((built.flags & kTypeNeverCleared) != 0) {
    has_never_cleared_.store(true, std::memory_order_relaxed);
  }
  built.index = index;
  built.cursor_offset = first_cursor_offset_ + index * cursor_bytes_;
  // Fixed-size types: the size of their typed cells. Others never have typed
  // spans, and their cursor stays empty.
  const size_t rounding =
      built.size <= kWordBytes && built.alignment <= kWordBytes
          ? kWordBytes
          : (built.alignment > kCellAlignment ? built.alignment
                                              : kCellAlignment);
  const size_t cell_bytes = AlignUp(built.size, rounding);
  built.cell_bytes = built.is_fixed_size() && cell_bytes <= kMaxSmallBytes
                         ? static_cast<uint32_t>(cell_bytes)
                         : 1;
  *type = built;
  count_.store(index + 1, std::memory_order_release);
  *result = type;
  return Status::kOk;
}

void TypeSet::LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
  if (forking_thread_.load(std::memory_order_relaxed) != pthread_self()) {
    mutex_.LockForFork();
    forking_thread_.store(pthread_self(), std::memory_order_relaxed);
  }
  fork_depth_++;
}

void TypeSet::UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS {
  if (--fork_depth_ > 0) return;
  forking_thread_.store(pthread_t{}, std::memory_order_relaxed);
  mutex_.UnlockAfterFork();
}

}  // namespace loam
