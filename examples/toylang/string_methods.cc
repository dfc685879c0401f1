// Methods of strings. Positions are bytes; only chars() knows about UTF-8.

#include <string>
#include <string_view>

#include "examples/toylang/builtins.h"
#include "examples/toylang/lists.h"
#include "examples/toylang/text.h"

namespace toylang {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view Receiver(const BuiltinCall& call) {
  return call.Receiver<String>()->text();
}

// Argument i as text; it lies on the stack, so the text stays good.
bool TextArgument(BuiltinCall& call, size_t i, std::string_view* text) {
  String* string = call.ObjectArgument<String>(i);
  if (string == nullptr) return false;
  *text = string->text();
  return true;
}

bool ReturnText(BuiltinCall& call, std::string_view text) {
  return call.ReturnObject(call.heap.NewString(text));
}

bool PushText(BuiltinCall& call, List* list, std::string_view text) {
  Rooted<String> string(call.heap, call.heap.NewString(text));
  return string && ListPush(call.heap, list, Value::Reference(string.get()));
}

// A copy with every byte replaced.
template <typename Change>
bool ReturnChanged(BuiltinCall& call, Change change) {
  std::string text(Receiver(call));
  for (char& c : text) c = change(c);
  return ReturnText(call, text);
}

bool Len(BuiltinCall& call) {
  return call.Return(Value::Number(static_cast<double>(Receiver(call).size())));
}

bool Sub(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  size_t start, end;
  if (!call.IndexArgument(0, text.size(), 0, &start) ||
      !call.IndexArgument(1, text.size(), text.size(), &end)) {
    return false;
  }
  return ReturnText(call, end > start ? text.substr(start, end - start) : "");
}

bool Split(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  std::string_view separator;
  if (call.count() > 0 && !TextArgument(call, 0, &separator)) return false;
  Rooted<List> pieces(call.heap, NewList(call.heap, 0));
  if (!pieces) return call.FailOutOfMemory();
  size_t start = 0;
  while (start <= text.size()) {
    size_t end;
    if (separator.empty()) {  // words
      start = text.find_first_not_of(kBlanks, start);
      if (start == std::string_view::npos) break;
      end = text.find_first_of(kBlanks, start);
    } else {
      end = text.find(separator, start);
    }
    if (end == std::string_view::npos) end = text.size();
    if (!PushText(call, pieces.get(), text.substr(start, end - start))) {
      return call.FailOutOfMemory();
    }
    start = end + (separator.empty() ? 1 : separator.size());
  }
  return call.ReturnObject(pieces.get());
}

bool Lower(BuiltinCall& call) {
  return ReturnChanged(call, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

bool Upper(BuiltinCall& call) {
  return ReturnChanged(call, [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
}

// The position, or nil.
bool Find(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  std::string_view wanted;
  size_t start;
  if (!TextArgument(call, 0, &wanted) ||
      !call.IndexArgument(1, text.size(), 0, &start)) {
    return false;
  }
  const size_t found = text.find(wanted, start);
  if (found == std::string_view::npos) return call.Return(Value::Nil());
  return call.Return(Value::Number(static_cast<double>(found)));
}

bool Contains(BuiltinCall& call) {
  std::string_view wanted;
  if (!TextArgument(call, 0, &wanted)) return false;
  return call.Return(
      Value::Boolean(Receiver(call).find(wanted) != std::string_view::npos));
}

bool Replace(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  std::string_view from, to;
  if (!TextArgument(call, 0, &from) || !TextArgument(call, 1, &to)) {
    return false;
  }
  if (from.empty()) return call.Fail("cannot replace the empty string");
  std::string result;
  size_t start = 0;
  for (size_t found; (found = text.find(from, start)) != text.npos;) {
    result += text.substr(start, found - start);
    result += to;
    start = found + from.size();
  }
  result += text.substr(start);
  return ReturnText(call, result);
}

bool Trim(BuiltinCall& call) {
  std::string_view text = Receiver(call);
  const size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return ReturnText(call, "");
  const size_t end = text.find_last_not_of(kBlanks) + 1;
  return ReturnText(call, text.substr(start, end - start));
}

bool Chars(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  Rooted<List> characters(call.heap, NewList(call.heap, text.size()));
  if (!characters) return call.FailOutOfMemory();
  for (size_t start = 0, end; start < text.size(); start = end) {
    end = start + 1;
    // Bytes 10xxxxxx continue a character.
    while (end < text.size() && (text[end] & 0xc0) == 0x80) end++;
    if (!PushText(call, characters.get(), text.substr(start, end - start))) {
      return call.FailOutOfMemory();
    }
  }
  return call.ReturnObject(characters.get());
}

bool StartsWith(BuiltinCall& call) {
  std::string_view beginning;
  if (!TextArgument(call, 0, &beginning)) return false;
  return call.Return(Value::Boolean(Receiver(call).starts_with(beginning)));
}

bool EndsWith(BuiltinCall& call) {
  std::string_view ending;
  if (!TextArgument(call, 0, &ending)) return false;
  return call.Return(Value::Boolean(Receiver(call).ends_with(ending)));
}

// The byte at a position, as a number.
bool Code(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  size_t index;
  if (!call.IndexArgument(0, text.size(), 0, &index)) return false;
  if (index == text.size()) return call.Fail("no byte there");
  return call.Return(Value::Number(static_cast<unsigned char>(text[index])));
}

bool Repeat(BuiltinCall& call) {
  const std::string_view text = Receiver(call);
  double times;
  if (!call.NumberArgument(0, &times)) return false;
  if (!(times >= 0)) return call.Fail("how often must not be negative");
  const double size = times * static_cast<double>(text.size());
  if (size > UINT32_MAX) return call.FailOutOfMemory();
  std::string result;
  while (times-- >= 1) result += text;
  return ReturnText(call, result);
}

bool Num(BuiltinCall& call) {
  double number;
  if (!ParseNumber(Receiver(call), &number)) return call.Return(Value::Nil());
  return call.Return(Value::Number(number));
}

constexpr BuiltinInfo kMethods[] = {
    {"len", Len, 0, 0},
    {"sub", Sub, 1, 2},
    {"split", Split, 0, 1},
    {"lower", Lower, 0, 0},
    {"upper", Upper, 0, 0},
    {"find", Find, 1, 2},
    {"contains", Contains, 1, 1},
    {"replace", Replace, 2, 2},
    {"trim", Trim, 0, 0},
    {"chars", Chars, 0, 0},
    {"starts_with", StartsWith, 1, 1},
    {"ends_with", EndsWith, 1, 1},
    {"code", Code, 0, 1},
    {"repeat", Repeat, 1, 1},
    {"num", Num, 0, 0},
};

}  // namespace

std::span<const BuiltinInfo> StringMethods() { return kMethods; }

}  // namespace toylang
