#include "runtime/object_references.h"

#include <cstdio>

namespace loam {

namespace {

// Of an object of none of the embedder's types.
SlotName NameOfUntypedSlot(const Span& span, uintptr_t cell, uintptr_t slot) {
  SlotName name;
  name.index = (slot - cell) / kWordBytes;
  const Type* type = span.TypeOf(cell);
  if (type == nullptr || type->scan != ScanKind::kWeakLayout) return name;
  // Ephemerons, one or many.
  const bool is_key = SlotKindAt(span, cell, slot) == WordKind::kEphemeronKey;
  name.field = is_key ? "key" : "value";
  name.is_in_element = type->element_size != 0;
  name.index = name.is_in_element
                   ? (slot - cell - type->size) / type->element_size
                   : SlotName::kNone;
  return name;
}

}  // namespace

SlotName NameOfSlot(const Span& span, uintptr_t cell, uintptr_t slot) {
  SlotName name;
  const size_t offset = slot - cell;
  const Type* type = EmbedderTypeOf(span, cell);
  if (type == nullptr) return NameOfUntypedSlot(span, cell, slot);
  const FieldPosition position = FindField(*type, offset);
  name.field = position.name;
  if (position.in_element) {
    name.index = position.element_index;
    name.is_array_element = type->element_size == kWordBytes;
    name.is_in_element = !name.is_array_element;
    if (name.is_in_element && name.field[0] == '\0') {
      // No way to say which word of the element.
      name.is_in_element = false;
      name.index = offset / kWordBytes;
    }
    return name;
  }
  name.is_in_fixed_part = true;
  if (position.field == nullptr || name.field[0] == '\0') {
    name.index = offset / kWordBytes;
  } else if (position.field->count > 1) {
    name.index = (offset - position.field->offset) / kWordBytes;
  }
  return name;
}

const char* NameOfUntyped(ScanKind scan) {
  switch (scan) {
    case ScanKind::kNoscan:
      return "bytes";
    case ScanKind::kValues:
      return "slots";
    case ScanKind::kBitmap:
    case ScanKind::kCellBitmap:
      return "object with a bitmap";
    case ScanKind::kHeaded:
      return "object not set up yet";
    default:
      return "object";
  }
}

const char* NameOfObject(const Span& span, uintptr_t cell) {
  const Type* type = EmbedderTypeOf(span, cell);
  if (type != nullptr) return type->name;
  type = span.TypeOf(cell);
  if (type == nullptr) return NameOfUntyped(span.scan);
  if (type->scan == ScanKind::kLayout) return kAmbiguousWordsName;
  return type->scan == ScanKind::kCellBitmap ? NameOfUntyped(type->scan)
                                             : type->name;
}

std::string_view WriteSlotName(const SlotName& name, char* text, size_t bytes) {
  char index[24] = "";
  if (name.index == SlotName::kAny) {
    snprintf(index, sizeof(index), "[]");
  } else if (name.index != SlotName::kNone) {
    snprintf(index, sizeof(index), "[%zu]", name.index);
  }
  const char* dot = name.field[0] != '\0' ? "." : "";
  const int length =
      name.is_in_element
          ? snprintf(text, bytes, "%s%s%s", index, dot, name.field)
          : snprintf(text, bytes, "%s%s%s", dot, name.field, index);
  if (length < 0) return {};
  return {text, static_cast<size_t>(length) < bytes
                    ? static_cast<size_t>(length)
                    : bytes - 1};
}

}  // namespace loam
