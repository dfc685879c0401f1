#include <utility>

#include "examples/toylang/parser.h"

namespace toylang {
namespace {

struct BinaryOperator {
  TokenKind token;
  int precedence;  // larger binds tighter
  Opcode opcode;
};

constexpr int kNotPrecedence = 3;
constexpr int kUnaryMinusPrecedence = 7;
constexpr BinaryOperator kBinaryOperators[] = {
    {TokenKind::kOr, 1, Opcode::kJumpIfTrueOrPop},
    {TokenKind::kAnd, 2, Opcode::kJumpIfFalseOrPop},
    {TokenKind::kEqual, 4, Opcode::kEqual},
    {TokenKind::kNotEqual, 4, Opcode::kNotEqual},
    {TokenKind::kLess, 4, Opcode::kLess},
    {TokenKind::kLessEqual, 4, Opcode::kLessEqual},
    {TokenKind::kGreater, 4, Opcode::kGreater},
    {TokenKind::kGreaterEqual, 4, Opcode::kGreaterEqual},
    {TokenKind::kPlus, 5, Opcode::kAdd},
    {TokenKind::kMinus, 5, Opcode::kSubtract},
    {TokenKind::kStar, 6, Opcode::kMultiply},
    {TokenKind::kSlash, 6, Opcode::kDivide},
    {TokenKind::kPercent, 6, Opcode::kRemainder},
};

const BinaryOperator* FindBinaryOperator(TokenKind token) {
  for (const BinaryOperator& candidate : kBinaryOperators) {
    if (candidate.token == token) return &candidate;
  }
  return nullptr;
}

}  // namespace

NodePtr Parser::Binary(int precedence) {
  TokenStream::Nesting nesting(&tokens_);
  NodePtr left = Unary();
  for (;;) {
    const BinaryOperator* found = FindBinaryOperator(tokens_.Current().kind);
    if (found == nullptr || found->precedence <= precedence) return left;
    nesting.Add();
    NodePtr binary =
        NewNode(found->precedence < kNotPrecedence ? NodeKind::kLogical
                                                   : NodeKind::kBinary,
                tokens_.Take().where);
    binary->opcode = found->opcode;
    binary->children.push_back(std::move(left));
    binary->children.push_back(Binary(found->precedence));
    left = std::move(binary);
  }
}

NodePtr Parser::Unary() {
  const bool is_not = tokens_.At(TokenKind::kNot);
  if (!is_not && !tokens_.At(TokenKind::kMinus)) return Postfix();
  NodePtr unary = NewNode(NodeKind::kUnary, tokens_.Take().where);
  unary->opcode = is_not ? Opcode::kNot : Opcode::kNegate;
  unary->children.push_back(
      Binary(is_not ? kNotPrecedence : kUnaryMinusPrecedence));
  return unary;
}

NodePtr Parser::Postfix() {
  TokenStream::Nesting nesting(&tokens_);
  NodePtr left = Primary();
  for (;; nesting.Add()) {
    const Location where = tokens_.Here();
    if (tokens_.At(TokenKind::kLeftParen)) {
      NodePtr call = NewNode(NodeKind::kCall, where);
      call->children.push_back(std::move(left));
      Arguments(call.get());
      left = std::move(call);
    } else if (tokens_.Accept(TokenKind::kLeftBracket)) {
      NodePtr index = NewNode(NodeKind::kIndex, where);
      index->children.push_back(std::move(left));
      index->children.push_back(Expression());
      tokens_.Expect(TokenKind::kRightBracket, "']'");
      left = std::move(index);
    } else if (tokens_.Accept(TokenKind::kDot)) {
      left = FieldOrInvoke(std::move(left));
    } else {
      return left;
    }
  }
}

NodePtr Parser::FieldOrInvoke(NodePtr object) {
  const Token& name = tokens_.Expect(TokenKind::kName, "a name after the '.'");
  const bool is_invoke = tokens_.At(TokenKind::kLeftParen);
  NodePtr node =
      NewNode(is_invoke ? NodeKind::kInvoke : NodeKind::kField, name.where);
  node->text = name.source;
  node->children.push_back(std::move(object));
  if (is_invoke) Arguments(node.get());
  return node;
}

void Parser::Arguments(Node* call) {
  tokens_.Expect(TokenKind::kLeftParen, "'('");
  Sequence(TokenKind::kRightParen, "',' or ')'", call);
  if (call->children.size() > kMaxArguments) {
    throw SyntaxError{call->where, "too many arguments"};
  }
}

void Parser::Sequence(TokenKind end, const char* separators, Node* parent) {
  while (!tokens_.Accept(end)) {
    parent->children.push_back(Expression());
    if (!tokens_.At(end)) tokens_.Expect(TokenKind::kComma, separators);
  }
}

NodePtr Parser::Primary() {
  const Token& token = tokens_.Current();
  switch (token.kind) {
    case TokenKind::kNumber:
      tokens_.Take();
      return NewNumber(token.number, token.where);
    case TokenKind::kString:
    case TokenKind::kName: {
      const bool is_name = token.kind == TokenKind::kName;
      NodePtr node =
          NewNode(is_name ? NodeKind::kName : NodeKind::kString, token.where);
      node->text = is_name ? std::string(token.source) : token.text;
      tokens_.Take();
      return node;
    }
    case TokenKind::kNil:
      tokens_.Take();
      return NewConstant(Opcode::kNil, token.where);
    case TokenKind::kTrue:
      tokens_.Take();
      return NewConstant(Opcode::kTrue, token.where);
    case TokenKind::kFalse:
      tokens_.Take();
      return NewConstant(Opcode::kFalse, token.where);
    case TokenKind::kLeftParen: {
      tokens_.Take();
      NodePtr inner = Expression();
      tokens_.Expect(TokenKind::kRightParen, "')'");
      return inner;
    }
    case TokenKind::kLeftBracket: {
      NodePtr list = NewNode(NodeKind::kList, tokens_.Take().where);
      Sequence(TokenKind::kRightBracket, "',' or ']'", list.get());
      return list;
    }
    case TokenKind::kLeftBrace:
      return Map();
    case TokenKind::kFn:
      tokens_.Take();
      return Function(token.where, "fn");
    default:
      tokens_.FailExpected("an expression");
  }
}

// {name: x, "any text": y, 3: z, [expression]: t}
NodePtr Parser::Map() {
  NodePtr map = NewNode(NodeKind::kMap, tokens_.Take().where);
  tokens_.SkipNewlines();
  while (!tokens_.Accept(TokenKind::kRightBrace)) {
    map->children.push_back(MapKey());
    tokens_.Expect(TokenKind::kColon, "':'");
    map->children.push_back(Expression());
    tokens_.SkipNewlines();
    if (!tokens_.At(TokenKind::kRightBrace)) {
      tokens_.Expect(TokenKind::kComma, "',' or '}'");
    }
    tokens_.SkipNewlines();
  }
  return map;
}

NodePtr Parser::MapKey() {
  const Token& token = tokens_.Current();
  switch (token.kind) {
    case TokenKind::kNumber:
    case TokenKind::kString:
      return Primary();
    case TokenKind::kName: {
      NodePtr key = NewNode(NodeKind::kString, token.where);
      key->text = tokens_.Take().source;
      return key;
    }
    case TokenKind::kLeftBracket: {
      tokens_.Take();
      NodePtr key = Expression();
      tokens_.Expect(TokenKind::kRightBracket, "']'");
      return key;
    }
    default:
      tokens_.FailExpected("a key: a name, a string, a number or [expression]");
  }
}

NodePtr Parser::Function(Location where, std::string_view name) {
  NodePtr function = NewNode(NodeKind::kFunction, where);
  function->text = name;
  tokens_.Expect(TokenKind::kLeftParen, "'('");
  while (!tokens_.Accept(TokenKind::kRightParen)) {
    function->declared.push_back(Declaration("the name of a parameter"));
    if (!tokens_.At(TokenKind::kRightParen)) {
      tokens_.Expect(TokenKind::kComma, "',' or ')'");
    }
  }
  if (function->declared.size() > kMaxArguments) {
    throw SyntaxError{where, "too many parameters"};
  }
  function->children.push_back(Block());
  return function;
}

}  // namespace toylang
