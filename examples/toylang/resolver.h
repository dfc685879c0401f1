// Finds the variable behind every name of a syntax tree, and which variables
// inner functions capture. What a program defines at its top level is global,
// and known in all of it; everything else is local, and known from its
// declaration to the end of its block.

#ifndef LOAM_EXAMPLES_TOYLANG_RESOLVER_H_
#define LOAM_EXAMPLES_TOYLANG_RESOLVER_H_

#include <string>
#include <vector>

#include "examples/toylang/ast.h"

namespace toylang {

struct Globals {
  std::vector<std::string> names;  // by slot
  // The variables of the predefined names; the tree has the others.
  std::vector<VariablePtr> predefined;
};

// Throws SyntaxError. The predefined names come first among the globals; the
// program may define them anew.
Globals Resolve(Node* program, const std::vector<std::string>& predefined);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_RESOLVER_H_
