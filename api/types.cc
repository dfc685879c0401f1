// Type sets and types.

#include <algorithm>
#include <memory>
#include <vector>

#include "api/internal.h"

namespace loam {
namespace {

static_assert(sizeof(loam_word_kind) == 4);
static_assert(static_cast<int>(WordKind::kAmbiguous) == LOAM_AMBIGUOUS);
static_assert(offsetof(Type, cursor_offset) ==
              offsetof(loam_type_abi, cursor_offset));
static_assert(offsetof(Type, cell_bytes) == offsetof(loam_type_abi, cell_size));

constexpr uint32_t kKnownFlags = LOAM_TYPE_HOT | LOAM_TYPE_NEVER_CLEARED |
                                 LOAM_TYPE_TRACE_STOPPED |
                                 LOAM_TYPE_DISPOSE_QUEUED;

// Registration belongs to the creation path, which may use ordinary containers.
std::vector<FieldInfo> ConvertFields(const loam_field* fields, size_t count) {
  std::vector<FieldInfo> converted;
  if (fields == nullptr) return converted;
  converted.reserve(count);
  for (size_t i = 0; i < count; i++) {
    // Kinds out of range become one that does not exist, and are refused below.
    const auto kind = static_cast<uint32_t>(fields[i].kind);
    converted.push_back({fields[i].name, fields[i].offset, fields[i].count,
                         static_cast<WordKind>(std::min(kind, 255u))});
  }
  return converted;
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

loam_status loam_type_set_create(loam_type_set** set) {
  if (set == nullptr) {
    return InvalidArgument(nullptr, "loam_type_set_create", "set", "is NULL");
  }
  TypeSet* created =
      TypeSet::Create(kFirstTypeCursorOffset, sizeof(AllocationCursor));
  if (created == nullptr) {
    ErrorMessage message;
    message.Format("loam_type_set_create: out of memory");
    return Report(nullptr, Status::kOutOfMemory, message);
  }
  *set = Wrap(created);
  return LOAM_OK;
}

loam_status loam_type_set_destroy(loam_type_set* set) {
  if (set == nullptr) {
    return InvalidArgument(nullptr, "loam_type_set_destroy", "set", "is NULL");
  }
  ErrorMessage message;
  return Report(nullptr, Unwrap(set)->Destroy(&message), message);
}

loam_status loam_type_register(loam_type_set* set, const loam_type_info* info,
                               const loam_type** type) {
  constexpr char kCall[] = "loam_type_register";
  if (set == nullptr || info == nullptr || type == nullptr) {
    return InvalidArgument(
        nullptr, kCall,
        set == nullptr ? "set" : (info == nullptr ? "info" : "type"),
        "is NULL");
  }
  if (info->struct_size != sizeof(loam_type_info)) {
    return InvalidArgument(nullptr, kCall, "info.struct_size",
                           "is not sizeof(loam_type_info); initialise with "
                           "LOAM_TYPE_INFO_INIT");
  }
  if ((info->flags & ~kKnownFlags) != 0) {
    return InvalidArgument(nullptr, kCall, "info.flags", "has unknown bits");
  }
  constexpr size_t kMaxFields = 1 << 24;
  if (info->field_count > kMaxFields ||
      info->element_field_count > kMaxFields) {
    return InvalidArgument(nullptr, kCall,
                           info->field_count > kMaxFields
                               ? "info.field_count"
                               : "info.element_field_count",
                           "is more than 16,777,216");
  }
  const std::vector<FieldInfo> fields =
      ConvertFields(info->fields, info->field_count);
  const std::vector<FieldInfo> element_fields =
      ConvertFields(info->element_fields, info->element_field_count);
  TypeInfo converted;
  converted.name = info->name;
  converted.size = info->size;
  converted.alignment = info->alignment;
  converted.fields = info->fields != nullptr ? fields.data() : nullptr;
  converted.field_count = info->field_count;
  converted.element_size = info->element_size;
  converted.element_fields =
      info->element_fields != nullptr ? element_fields.data() : nullptr;
  converted.element_field_count = info->element_field_count;
  converted.word_kinds = info->word_kinds;
  converted.trace = info->trace;
  converted.dispose = info->dispose;
  converted.flags = info->flags;
  converted.user = info->user;
  ErrorMessage message;
  const Type* registered = nullptr;
  const Status status = Unwrap(set)->Register(converted, &registered, &message);
  if (status == Status::kOk) *type = Wrap(registered);
  return Report(nullptr, status, message);
}

void* loam_type_user(const loam_type* type) {
  RequireNonNull(type, "loam_type_user", "type");
  return Unwrap(type)->user;
}

const char* loam_type_name(const loam_type* type) {
  RequireNonNull(type, "loam_type_name", "type");
  return Unwrap(type)->name;
}

const loam_type* loam_type_of(loam_heap* heap, const void* object) {
  RequireNonNull(heap, "loam_type_of", "heap");
  Span* span;
  uintptr_t cell;
  if (!Unwrap(heap)->FindObject(Address(object), &span, &cell)) return nullptr;
  const Type* type = span->TypeOf(cell);
  return type == nullptr || (type->flags & kTypeInternal) != 0 ? nullptr
                                                               : Wrap(type);
}

}  // extern "C"
