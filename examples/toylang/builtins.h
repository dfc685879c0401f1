// Functions and methods written in C++.

#ifndef LOAM_EXAMPLES_TOYLANG_BUILTINS_H_
#define LOAM_EXAMPLES_TOYLANG_BUILTINS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

class Interpreter;

// One call of a builtin. Receiver and arguments lie on the interpreter's stack
// and so stay reachable for as long as the builtin runs.
class BuiltinCall {
 public:
  BuiltinCall(Interpreter& interpreter, Heap& heap, const BuiltinInfo& info,
              const Value* arguments, size_t count)
      : interpreter(interpreter),
        heap(heap),
        info_(info),
        arguments_(arguments),
        count_(count) {}

  size_t count() const { return count_; }
  const Value* arguments() const { return arguments_; }

  // Nil if there are fewer arguments.
  Value Argument(size_t i) const {
    return i < count_ ? arguments_[i] : Value::Nil();
  }
  // The value whose method this is; it lies below the arguments.
  template <typename T>
  T* Receiver() const {
    return reinterpret_cast<T*>(arguments_[-1].AsObject());
  }

  // Argument i as something definite. Otherwise they fail.
  bool NumberArgument(size_t i, double* number);
  template <typename T>
  T* ObjectArgument(size_t i) {
    T* object = TryAs<T>(Argument(i));
    if (object == nullptr) FailArgument(i, KindWithArticle(T::kKind));
    return object;
  }
  // An index into a sequence of `size` elements, from -size to size; negative
  // ones count from the end. Absent arguments give `otherwise`.
  bool IndexArgument(size_t i, size_t size, size_t otherwise, size_t* index);

  // How a builtin ends: return call.Return(...), or return call.Fail(...).
  bool Return(Value value) {
    result = value;
    return true;
  }
  // Null means that its allocation failed.
  bool ReturnObject(const void* object) {
    if (object == nullptr) return FailOutOfMemory();
    return Return(Value::Reference(object));
  }
  bool Fail(const char* message);
  bool FailArgument(size_t i, const char* expected);
  bool FailOutOfMemory();

  Interpreter& interpreter;
  Heap& heap;
  Value result;

 private:
  static const char* KindWithArticle(ObjectKind kind);

  const BuiltinInfo& info_;
  const Value* arguments_;
  size_t count_;
};

struct BuiltinInfo {
  const char* name;
  // False if it failed; then it has said why.
  bool (*function)(BuiltinCall& call);
  uint8_t min_arguments;
  uint8_t max_arguments;
};

constexpr uint8_t kAnyNumber = 255;

// The functions that every program finds defined.
std::span<const BuiltinInfo> GlobalFunctions();

// The method of that name of a string, list, map, weak reference or weak map;
// null if there is none.
const BuiltinInfo* FindMethod(Value receiver, String* name);

// string_methods.cc, list_methods.cc, map_methods.cc
std::span<const BuiltinInfo> StringMethods();
std::span<const BuiltinInfo> ListMethods();
std::span<const BuiltinInfo> MapMethods();
// weak_functions.cc
std::span<const BuiltinInfo> WeakReferenceMethods();
std::span<const BuiltinInfo> WeakMapMethods();

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_BUILTINS_H_
