// Compiled code onto the heap.

#ifndef LOAM_EXAMPLES_TOYLANG_FUNCTION_LOADER_H_
#define LOAM_EXAMPLES_TOYLANG_FUNCTION_LOADER_H_

#include "examples/toylang/bytecode.h"
#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/object_types.h"

namespace toylang {

// The function and, among its constants, those inside it. Null when out of
// memory.
Prototype* LoadFunction(Heap& heap, const FunctionCode& function);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_FUNCTION_LOADER_H_
