#include "examples/toylang/text.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "examples/toylang/builtins.h"
#include "examples/toylang/maps.h"
#include "examples/toylang/object_types.h"

namespace toylang {
namespace {

// Deeper nesting shows as "...".
constexpr size_t kMaxDepth = 50;

class Writer {
 public:
  std::string Take() { return std::move(text_); }

  void Write(Value value) {
    if (value.IsNil()) {
      text_ += "nil";
    } else if (value.IsBoolean()) {
      text_ += value.IsTruthy() ? "true" : "false";
    } else if (value.IsNumber()) {
      text_ += NumberText(value.AsNumber());
    } else if (const String* string = TryAs<String>(value)) {
      WriteString(string->text());
    } else if (const Closure* closure = TryAs<Closure>(value)) {
      text_ += "<fn ";
      text_ += closure->prototype->name->text();
      text_ += '>';
    } else if (const Builtin* builtin = TryAs<Builtin>(value)) {
      text_ += "<fn ";
      text_ += builtin->info->name;
      text_ += '>';
    } else if (TryAs<WeakReference>(value) != nullptr ||
               TryAs<WeakMap>(value) != nullptr) {
      // Not what is in it: that may be gone the next moment.
      text_ += '<';
      text_ += TypeName(value);
      text_ += '>';
    } else {
      WriteContainer(value.AsObject());
    }
  }

 private:
  void WriteString(std::string_view text) {
    if (open_.empty()) {
      text_ += text;
      return;
    }
    text_ += '"';
    for (char c : text) {
      if (c == '"' || c == '\\') text_ += '\\';
      if (c == '\n') {
        text_ += "\\n";
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  void WriteContainer(Object* object) {
    bool inside_itself = open_.size() >= kMaxDepth;
    for (const Object* outer : open_) inside_itself |= outer == object;
    const bool is_list = object->kind == ObjectKind::kList;
    text_ += is_list ? '[' : '{';
    if (inside_itself) {
      text_ += "...";
    } else {
      open_.push_back(object);
      if (is_list) {
        WriteElements(reinterpret_cast<const List*>(object));
      } else {
        WriteEntries(reinterpret_cast<Map*>(object));
      }
      open_.pop_back();
    }
    text_ += is_list ? ']' : '}';
  }

  void WriteElements(const List* list) {
    for (uint32_t i = 0; i < list->count; i++) {
      if (i != 0) text_ += ", ";
      Write(list->elements[i]);
    }
  }

  void WriteEntries(Map* map) {
    bool first = true;
    ForEachEntry(map, [&](Value key, Value value) {
      if (!first) text_ += ", ";
      first = false;
      Write(key);
      text_ += ": ";
      Write(value);
    });
  }

  std::string text_;
  std::vector<const Object*> open_;  // containers being written
};

}  // namespace

std::string NumberText(double number) {
  if (std::isnan(number)) return "nan";  // never "-nan"
  char buffer[32];
  std::to_chars_result end =
      number == std::trunc(number) && std::fabs(number) < 1e15
          ? std::to_chars(buffer, buffer + sizeof(buffer),
                          static_cast<int64_t>(number))
          : std::to_chars(buffer, buffer + sizeof(buffer), number);
  return std::string(buffer, end.ptr);
}

bool ParseNumber(std::string_view text, double* number) {
  // Not the "inf" and "nan" that from_chars knows.
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || !(digits[0] >= '0' && digits[0] <= '9')) return false;
  const char* end = text.data() + text.size();
  const std::from_chars_result result =
      std::from_chars(text.data(), end, *number);
  if (result.ec == std::errc::result_out_of_range) {
    *number = std::strtod(std::string(text).c_str(), nullptr);  // inf or 0
  }
  return result.ptr == end;
}

std::string ValueText(Value value) {
  Writer writer;
  writer.Write(value);
  return writer.Take();
}

}  // namespace toylang
