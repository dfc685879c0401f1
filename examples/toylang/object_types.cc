#include "examples/toylang/object_types.h"

#include <iterator>

namespace toylang {
namespace {

// Words that no field names are data, so a kind without fields, such as a
// string, is never scanned.

constexpr loam_field kListFields[] = {
    LOAM_FIELD(List, elements, LOAM_POINTER),
};

constexpr loam_field kMapFields[] = {
    LOAM_FIELD(Map, table, LOAM_POINTER),
};

constexpr loam_field kMapEntryFields[] = {
    LOAM_FIELD(MapEntry, key, LOAM_VALUE),
    LOAM_FIELD(MapEntry, value, LOAM_VALUE),
};

constexpr loam_field kBoxFields[] = {
    LOAM_FIELD(Box, value, LOAM_VALUE),
};

constexpr loam_field kPrototypeFields[] = {
    LOAM_FIELD(Prototype, name, LOAM_POINTER),
    LOAM_FIELD(Prototype, constants, LOAM_POINTER),
    LOAM_FIELD(Prototype, code, LOAM_POINTER),
    LOAM_FIELD(Prototype, lines, LOAM_POINTER),
};

constexpr loam_field kClosureFields[] = {
    LOAM_FIELD(Closure, prototype, LOAM_POINTER),
};
constexpr loam_field kCapturedFields[] = {
    {"captured", 0, 1, LOAM_POINTER},
};

constexpr loam_field kBuiltinFields[] = {
    LOAM_FIELD(Builtin, receiver, LOAM_VALUE),
};

constexpr loam_field kWeakReferenceFields[] = {
    LOAM_FIELD(WeakReference, target, LOAM_WEAK_VALUE),
};

constexpr loam_field kWeakMapFields[] = {
    LOAM_FIELD(WeakMap, entries, LOAM_POINTER),
};

loam_type_info Fixed(const char* name, size_t size) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = name;
  info.size = size;
  return info;
}

template <size_t count>
loam_type_info WithFields(const char* name, size_t size,
                          const loam_field (&fields)[count]) {
  loam_type_info info = Fixed(name, size);
  info.fields = fields;
  info.field_count = count;
  return info;
}

}  // namespace

loam_type_info LayoutOf(ObjectKind kind) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  switch (kind) {
    case ObjectKind::kString:
      info = Fixed("string", sizeof(String));
      info.element_size = 1;
      break;
    case ObjectKind::kList:
      info = WithFields("list", sizeof(List), kListFields);
      break;
    case ObjectKind::kMap:
      info = WithFields("map", sizeof(Map), kMapFields);
      break;
    case ObjectKind::kMapTable:
      info = Fixed("map table", sizeof(MapTable));
      info.element_size = sizeof(MapEntry);
      info.element_fields = kMapEntryFields;
      info.element_field_count = std::size(kMapEntryFields);
      break;
    case ObjectKind::kBox:
      info = WithFields("box", sizeof(Box), kBoxFields);
      break;
    case ObjectKind::kPrototype:
      info = WithFields("prototype", sizeof(Prototype), kPrototypeFields);
      break;
    case ObjectKind::kClosure:
      info = WithFields("closure", sizeof(Closure), kClosureFields);
      info.element_size = sizeof(Box*);
      info.element_fields = kCapturedFields;
      info.element_field_count = std::size(kCapturedFields);
      break;
    case ObjectKind::kBuiltin:
      info = WithFields("builtin", sizeof(Builtin), kBuiltinFields);
      break;
    case ObjectKind::kWeakReference:
      info = WithFields("weak reference", sizeof(WeakReference),
                        kWeakReferenceFields);
      break;
    case ObjectKind::kWeakMap:
      info = WithFields("weak map", sizeof(WeakMap), kWeakMapFields);
      break;
  }
  return info;
}

bool HasIdentity(Value value) {
  return value.IsReference() && TryAs<String>(value) == nullptr;
}

const char* TypeNameWithArticle(Value value) {
  if (value.IsNumber()) return "a number";
  if (value.IsBoolean()) return "a boolean";
  if (!value.IsReference()) return "nil";
  switch (value.AsObject()->kind) {
    case ObjectKind::kString:
      return "a string";
    case ObjectKind::kList:
      return "a list";
    case ObjectKind::kMap:
      return "a map";
    case ObjectKind::kWeakReference:
      return "a weak reference";
    case ObjectKind::kWeakMap:
      return "a weak map";
    default:
      return "a function";
  }
}

const char* TypeName(Value value) {
  if (value.IsNil()) return "nil";
  return TypeNameWithArticle(value) + sizeof("a ") - 1;
}

uint32_t HashBytes(std::string_view bytes) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619u;
  }
  return hash == 0 ? 1 : hash;
}

uint32_t StringHash(String* string) {
  if (string->hash == 0) string->hash = HashBytes(string->text());
  return string->hash;
}

bool ValuesEqual(Value a, Value b) {
  if (a.IsNumber() && b.IsNumber()) return a.AsNumber() == b.AsNumber();
  if (a.IsSameAs(b)) return true;
  const String* string = TryAs<String>(a);
  const String* other = TryAs<String>(b);
  return string != nullptr && other != nullptr &&
         string->text() == other->text();
}

}  // namespace toylang
