// The syntax tree: ordinary C++ objects, gone once the program is compiled.
//
// All nodes are of one type. What its children and its other members mean
// depends on its kind:
//
//   kNumber                                       number
//   kString                                       text
//   kConstant                                     opcode: kNil, kTrue, kFalse
//   kName                                         text, variable
//   kUnary          operand                       opcode
//   kBinary         left, right                   opcode
//   kLogical        left, right                   opcode: the jump
//   kCall           function, argument...
//   kInvoke         receiver, argument...         text: the method
//   kIndex          object, index
//   kField          object                        text
//   kList           element...
//   kMap            key, value, key, value...
//   kFunction       body                          text, declared: parameters
//
//   kExpression     expression
//   kLet            value                         declared
//   kDeclareFunction  function                    declared
//   kAssign         target, value                 opcode; kPop for plain "="
//   kBlock          statement...                  end
//   kIf             condition, then, perhaps else
//   kWhile          condition, body
//   kForEach        list, body                    declared
//   kForRange       start, limit, step, body      declared
//   kBreak, kContinue
//   kReturn         value

#ifndef LOAM_EXAMPLES_TOYLANG_AST_H_
#define LOAM_EXAMPLES_TOYLANG_AST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "examples/toylang/bytecode.h"
#include "examples/toylang/lexer.h"

namespace toylang {

struct Node;
using NodePtr = std::unique_ptr<Node>;

// What a name stands for. The parser makes one for each declaration, the
// resolver finds out who uses it, the compiler gives locals their place.
struct Variable {
  std::string name;
  Location where;
  const Node* function = nullptr;  // whose local it is; null: global
  bool captured = false;           // used by an inner function: lives in a box
  uint32_t slot = 0;               // among the globals or the function's locals
};
using VariablePtr = std::unique_ptr<Variable>;

enum class NodeKind {
  // Expressions.
  kNumber,
  kString,
  kConstant,
  kName,
  kUnary,
  kBinary,
  kLogical,
  kCall,
  kInvoke,
  kIndex,
  kField,
  kList,
  kMap,
  kFunction,
  // Statements.
  kExpression,
  kLet,
  kDeclareFunction,
  kAssign,
  kBlock,
  kIf,
  kWhile,
  kForEach,
  kForRange,
  kBreak,
  kContinue,
  kReturn,
};

struct Node {
  Node(NodeKind kind, Location where) : kind(kind), where(where) {}

  const NodeKind kind;
  Location where;
  Location end;
  Opcode opcode = Opcode::kPop;
  double number = 0;
  std::string text;
  Variable* variable = nullptr;
  std::vector<VariablePtr> declared;
  std::vector<NodePtr> children;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_AST_H_
