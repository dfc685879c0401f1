#include "runtime/heap/type_layout.h"

namespace loam {

FieldPosition FindField(const Type& type, size_t offset) {
  FieldPosition position = {"", false, 0, offset, nullptr};
  size_t first = 0;
  size_t end = type.field_count;
  if (offset >= type.size && type.element_size != 0) {
    position.in_element = true;
    position.element_index = (offset - type.size) / type.element_size;
    position.offset = (offset - type.size) % type.element_size;
    first = type.field_count;
    end = first + type.element_field_count;
  }
  for (size_t i = first; i < end; i++) {
    const FieldName& field = type.fields[i];
    if (position.offset >= field.offset &&
        position.offset < field.offset + field.count * kWordBytes) {
      position.name = field.name;
      position.field = &field;
      break;
    }
  }
  return position;
}

}  // namespace loam
