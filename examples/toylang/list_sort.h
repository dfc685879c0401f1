// Sorting a list, stably, while the program's own comparison may do anything.

#ifndef LOAM_EXAMPLES_TOYLANG_LIST_SORT_H_
#define LOAM_EXAMPLES_TOYLANG_LIST_SORT_H_

#include "examples/toylang/builtins.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

// Sorts in place. `comes_before` is a function of two elements, or nil for
// lists of only numbers or only strings, which are sorted in ascending order.
// Fails as a builtin does.
bool SortList(BuiltinCall& call, List* list, Value comes_before);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_LIST_SORT_H_
