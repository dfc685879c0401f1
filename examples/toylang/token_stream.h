// The tokens of a program and where the parser stands among them.

#ifndef LOAM_EXAMPLES_TOYLANG_TOKEN_STREAM_H_
#define LOAM_EXAMPLES_TOYLANG_TOKEN_STREAM_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "examples/toylang/lexer.h"

namespace toylang {

class TokenStream {
 public:
  explicit TokenStream(std::string_view source) : tokens_(Tokenize(source)) {}

  const Token& Current() const { return tokens_[position_]; }
  const Token& Following() const {
    return tokens_[std::min(position_ + 1, tokens_.size() - 1)];
  }
  Location Here() const { return Current().where; }
  bool At(TokenKind kind) const { return Current().kind == kind; }

  const Token& Take() {
    const Token& token = Current();
    if (!At(TokenKind::kEnd)) position_++;
    return token;
  }
  bool Accept(TokenKind kind) {
    if (!At(kind)) return false;
    Take();
    return true;
  }
  // Throws "expected <what>, found ..." if something else comes.
  const Token& Expect(TokenKind kind, const char* what) {
    if (!At(kind)) FailExpected(what);
    return Take();
  }
  void SkipNewlines() {
    while (Accept(TokenKind::kNewline)) {
    }
  }

  [[noreturn]] void FailExpected(const char* what) const {
    std::string found = "'" + std::string(Current().source) + "'";
    if (At(TokenKind::kEnd)) found = "the end of the file";
    if (At(TokenKind::kNewline) && Current().source != ";") {
      found = "the end of the line";
    }
    throw SyntaxError{Here(),
                      std::string("expected ") + what + ", found " + found};
  }

  // Counts how deep the syntax tree becomes, since it is walked by recursion:
  // one level for each scope of this type, and for each operator of a chain.
  class Nesting {
   public:
    explicit Nesting(TokenStream* tokens) : tokens_(tokens) { Add(); }
    ~Nesting() { tokens_->nesting_ -= levels_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

    void Add() {
      if (tokens_->nesting_ == kMaxNesting) {
        throw SyntaxError{tokens_->Here(), "nested too deeply"};
      }
      tokens_->nesting_++;
      levels_++;
    }

   private:
    static constexpr int kMaxNesting = 500;

    TokenStream* tokens_;
    int levels_ = 0;
  };

 private:
  const std::vector<Token> tokens_;
  size_t position_ = 0;
  int nesting_ = 0;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_TOKEN_STREAM_H_
