#include "examples/toylang/parser.h"

#include <utility>

namespace toylang {

NodePtr Parser::Program() {
  NodePtr program = NewNode(NodeKind::kFunction, tokens_.Here());
  program->text = "the main program";
  NodePtr block = NewNode(NodeKind::kBlock, tokens_.Here());
  Statements(TokenKind::kEnd, block.get());
  program->children.push_back(std::move(block));
  return program;
}

void Parser::Statements(TokenKind end, Node* block) {
  tokens_.SkipNewlines();
  while (!tokens_.At(end)) {
    if (tokens_.At(TokenKind::kEnd)) {
      throw SyntaxError{block->where, "this '{' has no closing '}'"};
    }
    block->children.push_back(Statement());
    if (!tokens_.At(end) && !tokens_.Accept(TokenKind::kNewline)) {
      tokens_.FailExpected("the end of the statement");
    }
    tokens_.SkipNewlines();
  }
  block->end = tokens_.Take().where;
}

NodePtr Parser::Block() {
  NodePtr block = NewNode(NodeKind::kBlock, tokens_.Here());
  tokens_.Expect(TokenKind::kLeftBrace, "'{'");
  Statements(TokenKind::kRightBrace, block.get());
  return block;
}

VariablePtr Parser::Declaration(const char* what) {
  const Token& token = tokens_.Expect(TokenKind::kName, what);
  auto variable = std::make_unique<Variable>();
  variable->name = token.source;
  variable->where = token.where;
  return variable;
}

NodePtr Parser::Statement() {
  TokenStream::Nesting nesting(&tokens_);
  const Token& first = tokens_.Current();
  switch (first.kind) {
    case TokenKind::kLet:
      return Let();
    case TokenKind::kFn:
      if (tokens_.Following().kind == TokenKind::kName) {
        return FunctionDeclaration();
      }
      return ExpressionOrAssignment();
    case TokenKind::kIf:
      return If();
    case TokenKind::kWhile:
      return While();
    case TokenKind::kFor:
      return For();
    case TokenKind::kLeftBrace:
      return Block();
    case TokenKind::kBreak:
      tokens_.Take();
      return NewNode(NodeKind::kBreak, first.where);
    case TokenKind::kContinue:
      tokens_.Take();
      return NewNode(NodeKind::kContinue, first.where);
    case TokenKind::kReturn:
      return Return();
    default:
      return ExpressionOrAssignment();
  }
}

NodePtr Parser::Let() {
  NodePtr let = NewNode(NodeKind::kLet, tokens_.Take().where);
  let->declared.push_back(Declaration("the name of a variable"));
  let->children.push_back(tokens_.Accept(TokenKind::kAssign)
                              ? Expression()
                              : NewConstant(Opcode::kNil, let->where));
  return let;
}

NodePtr Parser::FunctionDeclaration() {
  NodePtr declaration =
      NewNode(NodeKind::kDeclareFunction, tokens_.Take().where);
  declaration->declared.push_back(Declaration("the name of the function"));
  declaration->children.push_back(
      Function(declaration->where, declaration->declared[0]->name));
  return declaration;
}

NodePtr Parser::If() {
  TokenStream::Nesting nesting(&tokens_);
  NodePtr statement = NewNode(NodeKind::kIf, tokens_.Take().where);
  statement->children.push_back(Expression());
  statement->children.push_back(Block());
  if (tokens_.Accept(TokenKind::kElse)) {
    statement->children.push_back(tokens_.At(TokenKind::kIf) ? If() : Block());
  }
  return statement;
}

NodePtr Parser::While() {
  NodePtr loop = NewNode(NodeKind::kWhile, tokens_.Take().where);
  loop->children.push_back(Expression());
  loop->children.push_back(Block());
  return loop;
}

NodePtr Parser::For() {
  const Location where = tokens_.Take().where;
  VariablePtr variable = Declaration("the name of the loop variable");
  tokens_.Expect(TokenKind::kIn, "'in'");
  // `range` in this place belongs to the loop: it makes no list.
  const bool is_range = tokens_.Current().source == "range" &&
                        tokens_.Following().kind == TokenKind::kLeftParen;
  NodePtr loop =
      NewNode(is_range ? NodeKind::kForRange : NodeKind::kForEach, where);
  loop->declared.push_back(std::move(variable));
  if (is_range) {
    RangeBounds(loop.get());
  } else {
    loop->children.push_back(Expression());
  }
  loop->children.push_back(Block());
  return loop;
}

void Parser::RangeBounds(Node* loop) {
  const Location where = tokens_.Take().where;
  Arguments(loop);
  std::vector<NodePtr>& bounds = loop->children;
  if (bounds.empty() || bounds.size() > 3) {
    throw SyntaxError{
        where, "range takes (limit), (start, limit) or (start, limit, step)"};
  }
  if (bounds.size() == 1) bounds.insert(bounds.begin(), NewNumber(0, where));
  if (bounds.size() == 2) bounds.push_back(NewNumber(1, where));
}

NodePtr Parser::Return() {
  NodePtr statement = NewNode(NodeKind::kReturn, tokens_.Take().where);
  const bool has_value =
      !tokens_.At(TokenKind::kNewline) && !tokens_.At(TokenKind::kRightBrace);
  statement->children.push_back(
      has_value ? Expression() : NewConstant(Opcode::kNil, statement->where));
  return statement;
}

NodePtr Parser::ExpressionOrAssignment() {
  NodePtr expression = Expression();
  Opcode opcode = Opcode::kPop;
  switch (tokens_.Current().kind) {
    case TokenKind::kAssign:
      break;
    case TokenKind::kPlusAssign:
      opcode = Opcode::kAdd;
      break;
    case TokenKind::kMinusAssign:
      opcode = Opcode::kSubtract;
      break;
    case TokenKind::kStarAssign:
      opcode = Opcode::kMultiply;
      break;
    case TokenKind::kSlashAssign:
      opcode = Opcode::kDivide;
      break;
    default: {
      NodePtr statement = NewNode(NodeKind::kExpression, expression->where);
      statement->children.push_back(std::move(expression));
      return statement;
    }
  }
  if (expression->kind != NodeKind::kName &&
      expression->kind != NodeKind::kIndex &&
      expression->kind != NodeKind::kField) {
    throw SyntaxError{tokens_.Here(),
                      "only a name, x[i] or x.field can be assigned to"};
  }
  NodePtr assign = NewNode(NodeKind::kAssign, tokens_.Take().where);
  assign->opcode = opcode;
  assign->children.push_back(std::move(expression));
  assign->children.push_back(Expression());
  return assign;
}

}  // namespace toylang
