// A resolved syntax tree into instructions. Nothing here touches the heap.

#ifndef LOAM_EXAMPLES_TOYLANG_COMPILER_H_
#define LOAM_EXAMPLES_TOYLANG_COMPILER_H_

#include <memory>

#include "examples/toylang/ast.h"
#include "examples/toylang/bytecode.h"

namespace toylang {

// Throws SyntaxError.
std::unique_ptr<FunctionCode> Compile(const Node& program);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_COMPILER_H_
