// What can be done to a list. Where a function may allocate, its objects and
// values are ones that the caller keeps reachable.

#ifndef LOAM_EXAMPLES_TOYLANG_LISTS_H_
#define LOAM_EXAMPLES_TOYLANG_LISTS_H_

#include <cstddef>

#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

// An empty list; null when out of memory. Its first `capacity` elements need no
// further memory.
List* NewList(Heap& heap, size_t capacity);

// A list of these values.
List* NewListOf(Heap& heap, const Value* values, size_t count);

// Both are false when out of memory.
bool ListReserve(Heap& heap, List* list, size_t capacity);
bool ListPush(Heap& heap, List* list, Value value);

// The list is not empty. These do not allocate.
Value ListPop(Heap& heap, List* list);
void ListSet(Heap& heap, List* list, size_t index, Value value);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_LISTS_H_
