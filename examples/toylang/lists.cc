#include "examples/toylang/lists.h"

#include <algorithm>

namespace toylang {

List* NewList(Heap& heap, size_t capacity) {
  if (capacity == 0) return heap.New<List>();
  if (capacity > UINT32_MAX) return nullptr;
  // The parts first, then the whole: between the allocation of the list and
  // the stores that complete it nothing is allocated.
  Rooted<Value> elements(heap, heap.NewSlots(capacity));
  if (!elements) return nullptr;
  List* list = heap.New<List>();
  if (list == nullptr) return nullptr;
  heap.Initialize(list, &list->elements, elements.get());
  list->capacity = static_cast<uint32_t>(capacity);
  return list;
}

List* NewListOf(Heap& heap, const Value* values, size_t count) {
  List* list = NewList(heap, count);
  if (list == nullptr) return nullptr;
  if (count != 0) {
    heap.CopyValues(list->elements, list->elements, values, count);
  }
  list->count = static_cast<uint32_t>(count);
  return list;
}

bool ListReserve(Heap& heap, List* list, size_t capacity) {
  if (capacity <= list->capacity) return true;
  if (capacity > UINT32_MAX) return false;
  Value* elements = heap.NewSlots(capacity);
  if (elements == nullptr) return false;
  if (list->count != 0) {
    heap.CopyValues(elements, elements, list->elements, list->count);
  }
  heap.Store(list, &list->elements, elements);
  list->capacity = static_cast<uint32_t>(capacity);
  return true;
}

bool ListPush(Heap& heap, List* list, Value value) {
  if (list->count == list->capacity &&
      !ListReserve(heap, list, std::max<size_t>(4, list->capacity * 2ull))) {
    return false;
  }
  heap.Store(list->elements, &list->elements[list->count], value);
  list->count++;
  return true;
}

Value ListPop(Heap& heap, List* list) {
  list->count--;
  const Value value = list->elements[list->count];
  // Nil, so that the list does not keep the element alive.
  heap.Store(list->elements, &list->elements[list->count], Value::Nil());
  return value;
}

void ListSet(Heap& heap, List* list, size_t index, Value value) {
  heap.Store(list->elements, &list->elements[index], value);
}

}  // namespace toylang
