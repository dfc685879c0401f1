// Source text into a syntax tree, by recursive descent. A method parses what
// it is named after. Errors are thrown as SyntaxError.
//
// Operators, from loose to tight: or; and; not; == != < <= > >=; + -; * / %;
// unary -; and then f(x), x.method(y), x[i], x.field.

#ifndef LOAM_EXAMPLES_TOYLANG_PARSER_H_
#define LOAM_EXAMPLES_TOYLANG_PARSER_H_

#include <string_view>

#include "examples/toylang/ast.h"
#include "examples/toylang/token_stream.h"

namespace toylang {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(source) {}

  // The whole program, as a function without parameters.
  NodePtr Program();

 private:
  // parser.cc
  void Statements(TokenKind end, Node* block);
  NodePtr Block();
  NodePtr Statement();
  NodePtr Let();
  NodePtr FunctionDeclaration();
  NodePtr If();
  NodePtr While();
  NodePtr For();
  void RangeBounds(Node* loop);
  NodePtr Return();
  NodePtr ExpressionOrAssignment();
  VariablePtr Declaration(const char* what);

  // parser_expressions.cc
  NodePtr Expression() { return Binary(0); }
  // An expression of operators that bind tighter than `precedence`.
  NodePtr Binary(int precedence);
  NodePtr Unary();
  NodePtr Postfix();
  NodePtr FieldOrInvoke(NodePtr object);
  void Arguments(Node* call);
  // Expressions with commas between them, up to and including `end`.
  void Sequence(TokenKind end, const char* separators, Node* parent);
  NodePtr Primary();
  NodePtr Map();
  NodePtr MapKey();
  NodePtr Function(Location where, std::string_view name);  // from ( on

  NodePtr NewNode(NodeKind kind, Location where) {
    return std::make_unique<Node>(kind, where);
  }
  NodePtr NewConstant(Opcode opcode, Location where) {
    NodePtr constant = NewNode(NodeKind::kConstant, where);
    constant->opcode = opcode;
    return constant;
  }
  NodePtr NewNumber(double number, Location where) {
    NodePtr node = NewNode(NodeKind::kNumber, where);
    node->number = number;
    return node;
  }

  TokenStream tokens_;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_PARSER_H_
