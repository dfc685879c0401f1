#include "examples/toylang/lexer.h"

#include <cstddef>
#include <iterator>

#include "examples/toylang/text.h"

namespace toylang {
namespace {

struct Spelling {
  std::string_view text;
  TokenKind kind;
};

constexpr Spelling kKeywords[] = {
    {"and", TokenKind::kAnd},
    {"break", TokenKind::kBreak},
    {"continue", TokenKind::kContinue},
    {"else", TokenKind::kElse},
    {"false", TokenKind::kFalse},
    {"fn", TokenKind::kFn},
    {"for", TokenKind::kFor},
    {"if", TokenKind::kIf},
    {"in", TokenKind::kIn},
    {"let", TokenKind::kLet},
    {"nil", TokenKind::kNil},
    {"not", TokenKind::kNot},
    {"or", TokenKind::kOr},
    {"return", TokenKind::kReturn},
    {"true", TokenKind::kTrue},
    {"while", TokenKind::kWhile},
};

// Longer ones before their beginnings.
constexpr Spelling kPunctuation[] = {
    {"+=", TokenKind::kPlusAssign}, {"-=", TokenKind::kMinusAssign},
    {"*=", TokenKind::kStarAssign}, {"/=", TokenKind::kSlashAssign},
    {"==", TokenKind::kEqual},      {"!=", TokenKind::kNotEqual},
    {"<=", TokenKind::kLessEqual},  {">=", TokenKind::kGreaterEqual},
    {"(", TokenKind::kLeftParen},   {")", TokenKind::kRightParen},
    {"[", TokenKind::kLeftBracket}, {"]", TokenKind::kRightBracket},
    {"{", TokenKind::kLeftBrace},   {"}", TokenKind::kRightBrace},
    {",", TokenKind::kComma},       {":", TokenKind::kColon},
    {".", TokenKind::kDot},         {"+", TokenKind::kPlus},
    {"-", TokenKind::kMinus},       {"*", TokenKind::kStar},
    {"/", TokenKind::kSlash},       {"%", TokenKind::kPercent},
    {"=", TokenKind::kAssign},      {"<", TokenKind::kLess},
    {">", TokenKind::kGreater},     {";", TokenKind::kNewline},
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// Bytes of UTF-8 sequences count as letters.
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Whether a newline after this token can end a statement.
bool CanEndStatement(TokenKind kind) {
  switch (kind) {
    case TokenKind::kName:
    case TokenKind::kNumber:
    case TokenKind::kString:
    case TokenKind::kBreak:
    case TokenKind::kContinue:
    case TokenKind::kReturn:
    case TokenKind::kTrue:
    case TokenKind::kFalse:
    case TokenKind::kNil:
    case TokenKind::kRightParen:
    case TokenKind::kRightBracket:
    case TokenKind::kRightBrace:
      return true;
    default:
      return false;
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> Run() {
    while (SkipBlanks()) Next();
    if (!tokens_.empty() && CanEndStatement(tokens_.back().kind)) {
      AddToken(TokenKind::kNewline, position_);
    }
    AddToken(TokenKind::kEnd, position_);
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    const size_t at = position_ + ahead;
    return at < source_.size() ? source_[at] : '\0';
  }

  Location Where(size_t position) const {
    return {line_, static_cast<uint32_t>(position - line_start_ + 1)};
  }

  Token& AddToken(TokenKind kind, size_t start) {
    Token& token = tokens_.emplace_back();
    token.kind = kind;
    token.where = Where(start);
    token.source = source_.substr(start, position_ - start);
    return token;
  }

  // Moves to the next token, adding a newline if that ends a statement. False
  // at the end.
  bool SkipBlanks() {
    size_t newline = source_.size();  // where the statement's line ended
    Location newline_where;
    for (;; position_++) {
      const char c = Peek();
      if (c == '#') {
        while (position_ < source_.size() && Peek() != '\n') position_++;
      }
      if (position_ == source_.size()) return false;
      if (Peek() == '\n') {
        if (newline == source_.size()) {
          newline = position_;
          newline_where = Where(position_);
        }
        line_++;
        line_start_ = position_ + 1;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        break;
      }
    }
    const bool in_parens = !brackets_.empty() && brackets_.back() != '{';
    if (newline != source_.size() && !in_parens && Peek() != '.' &&
        !tokens_.empty() && CanEndStatement(tokens_.back().kind)) {
      Token& token = tokens_.emplace_back();
      token.kind = TokenKind::kNewline;
      token.where = newline_where;
    }
    return true;
  }

  void Next() {
    const size_t start = position_;
    const char c = Peek();
    if (IsLetter(c)) {
      while (IsLetter(Peek()) || IsDigit(Peek())) position_++;
      const std::string_view word = source_.substr(start, position_ - start);
      AddToken(KeywordOrName(word), start);
    } else if (IsDigit(c)) {
      Number(start);
    } else if (c == '"') {
      String(start);
    } else {
      Punctuation(start);
    }
  }

  static TokenKind KeywordOrName(std::string_view word) {
    for (const Spelling& keyword : kKeywords) {
      if (keyword.text == word) return keyword.kind;
    }
    return TokenKind::kName;
  }

  void Number(size_t start) {
    while (IsDigit(Peek())) position_++;
    if (Peek() == '.' && IsDigit(Peek(1))) {
      position_++;
      while (IsDigit(Peek())) position_++;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (IsDigit(Peek(1 + sign))) {
        position_ += 1 + sign;
        while (IsDigit(Peek())) position_++;
      }
    }
    if (IsLetter(Peek())) {
      throw SyntaxError{Where(position_), "a letter inside a number"};
    }
    Token& token = AddToken(TokenKind::kNumber, start);
    ParseNumber(token.source, &token.number);
  }

  void String(size_t start) {
    std::string text;
    position_++;
    while (Peek() != '"') {
      if (position_ == source_.size() || Peek() == '\n') {
        throw SyntaxError{Where(start), "this string has no closing quote"};
      }
      if (Peek() == '\\') {
        position_++;
        text += Escape();
      } else {
        text += Peek();
      }
      position_++;
    }
    position_++;
    AddToken(TokenKind::kString, start).text = std::move(text);
  }

  char Escape() const {
    switch (Peek()) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case '0':
        return '\0';
      case '"':
      case '\\':
        return Peek();
      default:
        throw SyntaxError{Where(position_ - 1),
                          "unknown escape in a string; there are \\n, \\t, "
                          "\\r, \\0, \\\" and \\\\"};
    }
  }

  void Punctuation(size_t start) {
    for (const Spelling& spelling : kPunctuation) {
      if (source_.substr(start, spelling.text.size()) != spelling.text) {
        continue;
      }
      position_ += spelling.text.size();
      AddToken(spelling.kind, start);
      const char c = source_[start];
      if (c == '(' || c == '[' || c == '{') brackets_.push_back(c);
      if ((c == ')' || c == ']' || c == '}') && !brackets_.empty()) {
        brackets_.pop_back();  // whether they match is for the parser
      }
      return;
    }
    throw SyntaxError{Where(start), std::string("unexpected character '") +
                                        source_[start] + "'"};
  }

  const std::string_view source_;
  size_t position_ = 0;
  uint32_t line_ = 1;
  size_t line_start_ = 0;
  std::vector<char> brackets_;  // open, innermost last
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source) {
  return Lexer(source).Run();
}

}  // namespace toylang
