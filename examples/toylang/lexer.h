// Source text into tokens.
//
// A newline ends a statement if the line could end there: after a name, a
// literal, a closing bracket or return, break, continue; not inside ( ) or
// [ ]; and not if the next line begins with a dot, so that chains of method
// calls may be broken.

#ifndef LOAM_EXAMPLES_TOYLANG_LEXER_H_
#define LOAM_EXAMPLES_TOYLANG_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace toylang {

enum class TokenKind : uint8_t {
  kEnd,
  kNewline,  // or a semicolon
  kName,
  kNumber,
  kString,
  // Keywords.
  kAnd,
  kBreak,
  kContinue,
  kElse,
  kFalse,
  kFn,
  kFor,
  kIf,
  kIn,
  kLet,
  kNil,
  kNot,
  kOr,
  kReturn,
  kTrue,
  kWhile,
  // Punctuation.
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kLeftBrace,
  kRightBrace,
  kComma,
  kColon,
  kDot,
  kPlus,
  kMinus,
  kStar,
  kSlash,
  kPercent,
  kAssign,
  kPlusAssign,
  kMinusAssign,
  kStarAssign,
  kSlashAssign,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
};

// Both count from 1; columns count bytes.
struct Location {
  uint32_t line = 1;
  uint32_t column = 1;
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Location where;
  std::string_view source;  // as written
  std::string text;         // of a string, without quotes and escapes
  double number = 0;
};

// Thrown by lexer, parser, resolver and compiler, which hold no references
// into the heap; the interpreter itself uses no exceptions.
struct SyntaxError {
  Location where;
  std::string message;
};

// The tokens, ending with kEnd. They refer to `source`.
std::vector<Token> Tokenize(std::string_view source);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_LEXER_H_
