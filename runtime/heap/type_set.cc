#include "runtime/heap/type_set.h"

#include <cstring>
#include <new>

#include "runtime/heap/os_memory.h"
#include "runtime/heap/size_classes.h"

namespace loam {
namespace {

constexpr size_t kMaxAlignment = 4096;
constexpr size_t kMaxTypeBytes = size_t{1} << 30;

const char* KindName(WordKind kind) {
  switch (kind) {
    case WordKind::kWeakValue:
    case WordKind::kWeakPointer:
      return "weak words";
    case WordKind::kEphemeronKey:
    case WordKind::kEphemeronValue:
      return "ephemeron words";
    default:
      return "this kind of word";
  }
}

bool IsSupported(WordKind kind) {
  return kind == WordKind::kData || kind == WordKind::kValue ||
         kind == WordKind::kPointer || kind == WordKind::kAmbiguous;
}

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
    if (!IsSupported(field.kind)) {
      const bool known = field.kind <= WordKind::kAmbiguous;
      message->Format(
          "loam_type_register: info.%s[%zu].kind: type '%s', field "
          "'%s': %s %s",
          part_, number, type_name_, name, KindName(field.kind),
          known ? "are not supported yet" : "does not exist");
      return known ? Status::kNotSupported : Status::kInvalidArgument;
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
    uint64_t*& map = field.kind == WordKind::kPointer ? pointers_
                     : field.kind == WordKind::kValue ? values_
                                                      : ambiguous_;
    for (uint64_t** other : {&pointers_, &values_, &ambiguous_}) {
      if (*other != nullptr &&
          CountSet(*other, field.offset / kWordBytes,
                   field.offset / kWordBytes + field.count) != 0) {
        message->Format(
            "loam_type_register: info.%s[%zu]: type '%s', field '%s' overlaps "
            "another",
            part_, number, type_name_, name);
        return Status::kInvalidArgument;
      }
    }
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

  WordMaps maps() const {
    WordMaps maps;
    maps.words = static_cast<uint32_t>(bytes_ / kWordBytes);
    maps.pointers = pointers_;
    maps.values = values_;
    maps.ambiguous = ambiguous_;
    return maps;
  }

 private:
  PersistentAllocator* const persistent_;
  const char* const type_name_;
  const char* const part_;
  const size_t bytes_;
  uint64_t* pointers_ = nullptr;
  uint64_t* values_ = nullptr;
  uint64_t* ambiguous_ = nullptr;
};

ScanKind ChooseScanKind(const Type& type) {
  if (type.trace != nullptr) return ScanKind::kCallback;
  if (!type.prefix.HasReferences() && !type.element.HasReferences()) {
    return ScanKind::kNoscan;
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
  if (ok) {
    Type* ambiguous = set->NewInternalType("ambiguous", ScanKind::kLayout);
    Type* bitmap = set->NewInternalType("bitmap", ScanKind::kCellBitmap);
    ok = ambiguous != nullptr && bitmap != nullptr;
    if (ok) {
      static constexpr uint64_t kOneWord = 1;
      ambiguous->element_size = kWordBytes;
      ambiguous->element.words = 1;
      ambiguous->element.ambiguous = &kOneWord;
      set->ambiguous_type_ = ambiguous;
      set->cell_bitmap_type_ = bitmap;
    }
  }
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
  if (type == ambiguous_type_ || type == cell_bitmap_type_) return true;
  const uint32_t count = count_.load(std::memory_order_acquire);
  const auto offset = reinterpret_cast<uintptr_t>(type) -
                      reinterpret_cast<uintptr_t>(&types_.at(0));
  return offset / sizeof(Type) < count && offset % sizeof(Type) == 0;
}

Type* TypeSet::NewInternalType(const char* name, ScanKind scan) {
  auto* type =
      static_cast<Type*>(persistent_.Allocate(sizeof(Type), alignof(Type)));
  if (type == nullptr) return nullptr;
  type->name = name;
  type->scan = scan;
  type->flags = kTypeInternal;
  type->alignment = kWordBytes;
  type->set = this;
  return type;
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
  built.flags = info.flags;
  built.user = info.user;
  built.set = this;
  const Status layout = CopyLayout(info, &built, message);
  if (layout != Status::kOk) return layout;
  built.scan = ChooseScanKind(built);
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
